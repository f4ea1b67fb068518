"""Say how far a study is, from its store alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from sweep.plan import layout
from sweep.plan.rungs import never_began
from sweep.plan.story import Search, Story
from sweep.plan.trial import State, Value
from sweep.store import Store
from sweep.study.asking import runs
from sweep.study.reading import read_rounds, read_study
from sweep.study.searching import is_over, line_of, read_search, read_story
from sweep.study.studied import studied

NO_STORY = Story()
COLUMNS = (
    "study",
    "state",
    "started (UTC)",
    "done",
    "failed",
    "infeasible",
    "CPU-h",
    "GPU-h",
    "best (trial)",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one study is."""

    name: str
    created: float  # UTC seconds since 1970
    trained: int  # trials without those equal in effect to another
    counts: Mapping[State, int]  # of terminal records
    conducted: bool  # a client follows it now
    detached: bool | None  # its pods run without a client; None: their cluster does not say
    cpu_seconds: float  # of the trials with a result
    gpu_seconds: float
    best: float | None
    best_trial: int | None
    objective: str
    corrupt: tuple[str, ...]
    torn: int
    left_out: int = 0  # trials that never began, for the time of their search was over
    search: Search | None = None  # what chooses its trials, where a strategy does
    story: Story = NO_STORY

    @property
    def done(self) -> int:
        """Count the terminal records."""
        return sum(self.counts.values())

    @property
    def state(self) -> str:
        """Say in a word how the study stands."""
        if self.conducted:
            return "running"
        if self.missing == 0 and (self.search is None or is_over(self.story)):
            return "complete"
        if self.detached is None:
            return "unknown"
        return "detached" if self.detached else "stopped"

    @property
    def missing(self) -> int:
        """Count the trials that `resume` would train."""
        return self.trained - self.done + self.counts.get(State.CANCELLED, 0) - self.left_out

    def as_dict(self) -> dict[str, Value]:
        """Give the same as JSON values."""
        return {
            "study": self.name,
            "state": self.state,
            "created": self.created,
            "trials": self.trained,
            "missing": self.missing,
            "cpu_seconds": self.cpu_seconds,
            "gpu_seconds": self.gpu_seconds,
            "counts": {state.value: count for state, count in self.counts.items()},
            "objective": self.objective,
            "best": self.best,
            "best_trial": self.best_trial,
            "corrupt_records": list(self.corrupt),
            "search": {
                "strategy": self.search.strategy,
                "begun": len(self.story.begun),
                "ended": self.story.ended,
            }
            if self.search
            else None,
        }

    def notes(self) -> list[str]:
        """Say what needs a person's attention."""
        lines = [f"{self.name}: corrupt record, left out: {where}" for where in self.corrupt]
        if self.search is not None:
            lines.append(f"{self.name}: {line_of(self.search, self.story)}")
        if self.state == "stopped":
            lines.append(f"{self.name}: go on by `python -m sweep resume {self.name}`")
        if self.state == "detached":
            lines.append(f"{self.name}: follow it by `python -m sweep attach {self.name}`")
        if self.state == "unknown":
            lines.append(f"{self.name}: its cluster cannot be asked whether its pods still run")
        return lines


def standing(place: Store, *, context: str | None = None) -> Standing:
    """Read how far a study is; a cluster is asked only about one that is not complete.

    Raises BadInput where its plan cannot be read.
    """
    study = read_study(place)
    rounds = read_rounds(place)
    state = studied(place, study, rounds)
    best = state.board().best
    trained = {trial.number for trial in state.trials if trial.same_as is None}
    counts = Counter(record.state for number, record in state.records.items() if number in trained)
    results = [record for number, record in state.records.items() if number in trained]
    conducted = place.held(layout.LEASE)
    open_ = len(results) < len(trained)
    return Standing(
        name=study.name,
        created=study.created,
        trained=len(trained),
        counts=dict(counts),
        conducted=conducted,
        detached=runs(study.name, rounds[-1], context=context)
        if open_ and not conducted
        else False,
        cpu_seconds=sum(record.cpu_seconds for record in results),
        gpu_seconds=sum(record.gpu_seconds for record in results),
        best=best.mean if best else None,
        best_trial=best.trials[0] if best else None,
        objective=study.objective,
        corrupt=tuple(state.reader.ledger.corrupt),
        torn=state.reader.torn(),
        left_out=sum(map(never_began, results)),
        search=read_search(place),
        story=read_story(place, trials=len(state.trials)),
    )


def table(found: Sequence[Standing]) -> Table:
    """Draw studies as rows."""
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in COLUMNS:
        left = name in COLUMNS[:3]
        grid.add_column(name, justify="left" if left else "right", no_wrap=True)
    for entry in found:
        grid.add_row(
            entry.name,
            entry.state,
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.created)),
            f"{entry.done}/{entry.trained}",
            str(entry.counts.get(State.FAILED, 0)),
            str(entry.counts.get(State.INFEASIBLE, 0)),
            f"{entry.cpu_seconds / 3600:.2f}",
            f"{entry.gpu_seconds / 3600:.2f}",
            "" if entry.best is None else f"{entry.best:.4g} ({entry.best_trial})",
        )
    return grid
