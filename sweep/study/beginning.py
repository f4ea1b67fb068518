"""Tell whether a study was begun before, so that it is begun once."""

from __future__ import annotations

from rich.console import Console

from sweep.plan import layout
from sweep.plan.round import check_study_name
from sweep.store import Store
from sweep.study.holding import held
from sweep.study.reading import exists


def begun(store: Store, name: str) -> bool:
    """Tell whether a store has a study with a plan, which can be gone on with.

    One whose client ended before it had planned anything is cleared away, to be begun anew.
    Raises BadInput for a name that no study can have, Busy where another client is at it.
    """
    place = store.at(check_study_name(name))
    if not exists(place, layout.STUDY):
        return False
    if place.sizes(layout.ROUNDS):
        return True
    with held(place, console=Console(highlight=False)):
        if place.sizes(layout.ROUNDS):
            return True
        place.delete(layout.STUDY)
    return False
