"""Write the report of a study that is in the store: the verb `report`."""

from __future__ import annotations

from pathlib import Path

from sweep.errors import BadInput
from sweep.plan import layout
from sweep.store import Store
from sweep.study.finishing import report_of
from sweep.study.publishing import where_tracked
from sweep.study.reading import read_rounds, read_study
from sweep.study.studied import studied
from sweep.study.writing import report_address, report_page, write_report


def report(place: Store, *, output: Path | None = None) -> dict[str, str]:
    """Write the report of a study from its store alone; return what was written, and where.

    `output` is a file that takes the page in the store's stead. Raises BadInput where jinja2 is
    not installed or `output` cannot be written.
    """
    state = studied(place, read_study(place), read_rounds(place))
    summary = report_of(state)
    links = where_tracked(state)
    if output is None:
        write_report(state, summary, links=links)
        folder = place.url.removeprefix("file://")
        return {"report": report_address(state), "leaderboard": f"{folder}/{layout.LEADERBOARD}"}
    page = report_page(state, summary, links=links)
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--output {output}: {error.strerror}; name a file in a folder") from None
    return {"report": str(output)}
