"""Show what workers printed."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.errors import BadInput
from sweep.plan import layout
from sweep.store import Store
from sweep.study.reading import read_rounds


def pack_logs(place: Store, *, trial: int | None = None) -> Iterator[str]:
    """Yield the logs of a study's packs, each under a line that names its trials.

    Raises BadInput for a trial that the study does not have.
    """
    packs = [pack for round_ in read_rounds(place) for pack in round_.packs]
    if trial is not None:
        packs = [pack for pack in packs if trial in pack.trials]
        if not packs:
            raise BadInput(f"trial {trial} is in no pack of {place.url}; is it another's twin?")
    for pack in packs:
        try:
            text = place.read(layout.log_key(pack.number)).decode(errors="replace")
        except KeyError:
            continue
        yield f"== pack {pack.number}: trials {', '.join(map(str, pack.trials))}"
        yield text.rstrip("\n")
