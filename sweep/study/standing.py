"""Say how far a study is, from its store alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from sweep.plan import layout
from sweep.plan.trial import State, Value
from sweep.store import Store
from sweep.study.conducting import studied
from sweep.study.reading import read_rounds, read_study


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one study is."""

    name: str
    created: float  # UTC seconds since 1970
    trained: int  # trials without those equal in effect to another
    counts: Mapping[State, int]  # of terminal records
    conducted: bool  # a client follows it now
    best: float | None
    best_trial: int | None
    objective: str
    corrupt: tuple[str, ...]
    torn: int

    @property
    def done(self) -> int:
        """Count the terminal records."""
        return sum(self.counts.values())

    @property
    def state(self) -> str:
        """Say in a word how the study stands."""
        if self.conducted:
            return "running"
        return "complete" if self.missing == 0 else "stopped"

    @property
    def missing(self) -> int:
        """Count the trials that `resume` would train."""
        return self.trained - self.done + self.counts.get(State.CANCELLED, 0)

    def as_dict(self) -> dict[str, Value]:
        """Give the same as JSON values."""
        return {
            "study": self.name,
            "state": self.state,
            "created": self.created,
            "trials": self.trained,
            "missing": self.missing,
            "counts": {state.value: count for state, count in self.counts.items()},
            "objective": self.objective,
            "best": self.best,
            "best_trial": self.best_trial,
            "corrupt_records": list(self.corrupt),
        }

    def notes(self) -> list[str]:
        """Say what needs a person's attention."""
        lines = [f"{self.name}: corrupt record, left out: {where}" for where in self.corrupt]
        if self.state == "stopped":
            lines.append(f"{self.name}: go on by `python -m sweep resume {self.name}`")
        return lines


def standing(place: Store) -> Standing:
    """Read how far a study is.

    Raises BadInput where its plan cannot be read.
    """
    study = read_study(place)
    state = studied(place, study, read_rounds(place))
    best = state.board().best
    trained = {trial.number for trial in state.trials if trial.same_as is None}
    counts = Counter(record.state for number, record in state.records.items() if number in trained)
    return Standing(
        name=study.name,
        created=study.created,
        trained=len(trained),
        counts=dict(counts),
        conducted=place.held(layout.LEASE),
        best=best.mean if best else None,
        best_trial=best.trials[0] if best else None,
        objective=study.objective,
        corrupt=tuple(state.reader.ledger.corrupt),
        torn=state.reader.torn(),
    )


def table(found: Sequence[Standing]) -> Table:
    """Draw studies as rows."""
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("study", "state", "done", "failed", "infeasible", "best (trial)"):
        left = name in ("study", "state")
        grid.add_column(name, justify="left" if left else "right", no_wrap=True)
    for entry in found:
        grid.add_row(
            entry.name,
            entry.state,
            f"{entry.done}/{entry.trained}",
            str(entry.counts.get(State.FAILED, 0)),
            str(entry.counts.get(State.INFEASIBLE, 0)),
            "" if entry.best is None else f"{entry.best:.4g} ({entry.best_trial})",
        )
    return grid
