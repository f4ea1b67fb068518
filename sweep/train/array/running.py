"""Keep what one trial of an array has come to: its only network's, or its folds'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sweep.plan.application import Checkpoints, Decision
from sweep.plan.settings import Settings
from sweep.plan.trial import State
from sweep.train import abreast, checkpoint, device
from sweep.train.array.block import BEST
from sweep.train.array.group import ALL, Group
from sweep.train.array.lane import Lane, to_bytes
from sweep.train.loop import Trained, asked, summed_up
from sweep.train.story import Epoch

Ended = Callable[["Trained | Exception"], None]


@dataclass(slots=True, kw_only=True)
class Entry:
    """One trial that asks for a lane, with folds for one in each of them."""

    settings: Settings
    on_epoch: Callable[[Epoch], Decision] | None = None  # as of `sweep.train.loop.train`
    checkpoints: Checkpoints | None = None
    ended: Ended  # is told once what came of it
    told: int = 0  # epochs; one that has to be trained again is not told again


@dataclass(slots=True, eq=False)
class Running:
    """A trial under way.

    Its folds have the same slot in the first groups. Once they are over it leaves that slot, and
    what is trained on all takes one of the last group.
    """

    entry: Entry
    groups: Sequence[Group]  # one a fold, and with folds one more
    held: list[Lane]  # one a fold
    refit: Lane | None = None
    _over: list[bytes] = field(default_factory=list)  # checkpoints of the folds, once over

    def placed(self) -> Iterator[tuple[Group, Lane]]:
        """Name each of its lanes that is still trained, with its group."""
        if self.refit is not None:
            yield self.groups[-1], self.refit
        else:
            yield from zip(self.groups, self.held, strict=False)

    def rested(self) -> bool:
        """Tell whether it stands where it may have come to rest: at the end of an epoch."""
        if self.refit is not None:
            return self.refit.over
        return abreast.rested(self.held)

    def next_to_train(self) -> list[Lane]:
        """List the lanes that take the next epoch."""
        return abreast.behind(self.held) if self.refit is None else [self.refit]

    def ask(self) -> State | None:
        """Ask what becomes of it after its newest epoch; None: it goes on."""
        lanes = [lane for _, lane in self.placed()]
        if any(lane.failure is not None for lane in lanes):
            return State.INFEASIBLE
        if self.refit is None:
            return asked(self._tell, self.held)
        return State.COMPLETED if self.refit.over else None

    def _tell(self, epoch: Epoch) -> Decision:
        entry = self.entry
        if entry.on_epoch is None or epoch.number <= entry.told:
            return Decision.GO_ON
        entry.told = epoch.number
        return entry.on_epoch(epoch)

    def go_on_with_all(self) -> None:
        """Leave the folds, which are over, and begin the network that is trained on all."""
        keeps = self.entry.checkpoints is not None
        self._leave(*ALL)
        self._over = [to_bytes(lane, rows=lane.rows, part=lane.part) for lane in self.held if keeps]
        for lane in self.held:
            lane.rows = {}
        self.refit = self.groups[-1].open(self.entry.settings, kept=None)
        self.refit.leader = abreast.median(self.held)

    def end(self, state: State, *, lanes: int | None) -> None:
        """Leave the slots, and tell what came of it; `lanes` as `Trained` has it."""
        rests = state is State.PAUSED
        self._leave(*(ALL if rests else (BEST,)))
        failures = [lane.failure for _, lane in self.placed() if lane.failure is not None]
        last = self.refit or self.held[0]
        partly = self.refit is None and len(self.held) > 1
        found = summed_up(
            [lane.story for lane in self.held],
            settings=self.entry.settings,
            weights={} if partly else last.task.form.split(last.rows[BEST]),
            state=state,
            failure=failures[0] if failures else None,
            device=device.model_name(self.groups[0].examples.feed.device),
            checkpoint=self.to_bytes({}) if rests else None,
        )
        self.entry.ended(replace(found, lanes=lanes))

    def to_bytes(self, seated: dict[Lane, bytes]) -> bytes:
        """Write a checkpoint that `sweep.train.loop` reads as well, from those of seated lanes."""
        found = [
            seated[lane] if lane in seated else to_bytes(lane, rows=lane.rows, part=lane.part)
            for _, lane in self.placed()
        ]
        kept = [*self._over, *found]
        return checkpoint.join(kept) if len(kept) > 1 else kept[0]

    def _leave(self, *names: str) -> None:
        for group, lane in self.placed():
            group.unseat(lane, *names)


def open_running(entry: Entry, *, groups: Sequence[Group]) -> Running:
    """Put a trial where its checkpoint says, or at its beginning; it has no slot yet."""
    checkpoints = entry.checkpoints
    if checkpoints is not None and checkpoints.last is not None:
        try:
            return _restored(entry, groups, checkpoints.last)
        except checkpoint.NoCheckpoint as error:
            checkpoints.reject(str(error))
    folds = groups[: entry.settings.data.folds]
    return Running(entry, groups, [group.open(entry.settings, kept=None) for group in folds])


def _restored(entry: Entry, groups: Sequence[Group], last: bytes) -> Running:
    own = entry.settings
    kept = checkpoint.split(last) if own.data.folds > 1 else [last]
    pairs = zip(groups, kept, strict=False)
    lanes = [group.open(own, kept=each) for group, each in pairs]
    if len(lanes) < own.data.folds:
        raise checkpoint.NoCheckpoint("it is of another division of the data")
    found = Running(entry, groups, lanes[: own.data.folds])
    if len(lanes) > own.data.folds:
        found.refit = lanes[-1]
        found.refit.leader = abreast.median(found.held)
        found._over = kept[: own.data.folds]
        for lane in found.held:
            lane.rows = {}
    return found
