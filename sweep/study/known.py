"""Find what an earlier study found best, for a search that begins there."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.errors import BadInput
from sweep.plan.trial import Value
from sweep.store import Store
from sweep.study.reading import find_study, read_rounds, read_study
from sweep.study.studied import studied

BEST = 3  # configurations of an earlier study that are tried first, where nobody says how many


def best_of_study(store: Store, name: str, *, most: int = BEST) -> list[Mapping[str, Value]]:
    """List the settings of a study's best configurations, the best first.

    Raises BadInput where there is no such study, or nothing of it has completed.
    """
    place = find_study(store, name)
    state = studied(place, read_study(place), read_rounds(place))
    trials, flats = {trial.number: trial for trial in state.trials}, state.flats()
    ranked = [trials[entry.trials[0]] for entry in state.board().ranked[:most]]
    if not ranked:
        raise BadInput(f"hydra.sweeper.first={name}: no trial of that study has completed")
    return [{**flats[trial.base], **trial.values} for trial in ranked]
