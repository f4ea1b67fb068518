"""Write the report of a study that is in the store: the verb `report`."""

from __future__ import annotations

from pathlib import Path

from sweep.errors import BadInput, UnknownName
from sweep.plan import layout
from sweep.report.html import require_page
from sweep.store import Store
from sweep.study.finishing import report_of
from sweep.study.publishing import where_tracked
from sweep.study.reading import read_rounds, read_study
from sweep.study.studied import studied
from sweep.study.writing import FORMATS, contents_of, report_text, write_report


def report(
    place: Store, *, output: Path | None = None, form: str | None = None
) -> dict[str, str] | str:
    """Write the report of a study from its store alone; return what was written, and where.

    Every format goes into the store. `form` names one that is returned instead, and `output` a
    file that takes it, the page where none is named. Raises BadInput where jinja2 is not installed,
    a format does not exist or `output` cannot be written.
    """
    if form is not None and form not in FORMATS:
        raise UnknownName("--format", form, FORMATS)
    state = studied(place, read_study(place), read_rounds(place))
    contents = contents_of(state, report_of(state), links=where_tracked(state))
    if form is None and output is None:
        require_page()
        write_report(state, contents)
        folder = place.url.removeprefix("file://")
        return {
            "report": f"{folder}/{layout.REPORT}",
            "leaderboard": f"{folder}/{layout.LEADERBOARD}",
        }
    text = report_text(contents, form or "html")
    if output is None:
        return text
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--output {output}: {error.strerror}; name a file in a folder") from None
    return {"report": str(output)}
