"""Hold the trials of one form that are under way, and move them from slot to slot."""

from __future__ import annotations

from dataclasses import dataclass, field

from sweep.plan.settings import Settings
from sweep.plan.trial import State
from sweep.train.array.group import Group
from sweep.train.array.running import Running


@dataclass(slots=True)
class Array:
    """Lanes that train networks of one form on the same data: a group of them for each fold."""

    settings: Settings  # of any of its trials
    groups: list[Group]  # one a fold, and with folds one for what is trained on all
    tied: bool = False  # on this device last digits depend on how many lanes a block has
    trials: list[Running] = field(default_factory=list)  # under way

    @property
    def slots(self) -> int:
        """Count the trials that it holds at a time, those aside that are trained on all."""
        return len(self.groups[0].lanes)

    def room(self) -> bool:
        """Tell whether it takes one trial more."""
        return bool(self.groups[0].free())

    def put(self, trial: Running) -> None:
        """Give a trial a slot."""
        self.trials.append(trial)
        if trial.refit is None:
            slot = self.groups[0].free()[0]
            for group, lane in zip(self.groups, trial.held, strict=False):
                group.seat(lane, slot)
        if trial.rested():  # a checkpoint that was kept where the trial rests
            self._settle(trial)
        self._seat()

    def settle(self) -> None:
        """After an epoch, tell what came of trials that are over, and move those that go on."""
        for trial in list(self.trials):
            self._settle(trial)
        self._seat()

    def _settle(self, trial: Running) -> None:
        state = trial.ask()
        if state is State.COMPLETED and trial.refit is None and len(trial.held) > 1:
            trial.go_on_with_all()
        elif state is not None:
            trial.end(state, lanes=self.groups[0].blocks[0].lanes if self.tied else None)
            self.trials.remove(trial)

    def _seat(self) -> None:
        """Give a slot to networks that are to be trained on all, as long as one is free."""
        group = self.groups[-1]
        for trial in self.trials:
            refit = trial.refit
            if refit is not None and refit.rows and group.free():
                group.seat(refit, group.free()[0])
