"""Compare two studies of a store: the verb `compare`."""

from __future__ import annotations

from sweep.report.comparison import Comparison, Sheet, compare_studies
from sweep.store import Store
from sweep.study.reading import find_study, read_rounds, read_study
from sweep.study.studied import studied


def compare(store: Store, first: str, second: str) -> Comparison:
    """Read two studies and compare them; nothing is trained.

    Raises UnknownName for a study that is not there, BadInput where SciPy is not installed.
    """
    return compare_studies(_sheet(store, first), _sheet(store, second))


def _sheet(store: Store, name: str) -> Sheet:
    place = find_study(store, name)
    state = studied(place, read_study(place), read_rounds(place))
    return Sheet(
        name=name,
        board=state.board(),
        trials=[trial for trial in state.trials if trial.number not in state.aside],
        bases=state.flats(),
        records=state.records,
        seed=state.study.seed,
        facts=state.study.facts,
    )
