"""Take one network through its epochs, on one division of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.plan.settings import Settings
from sweep.train import model
from sweep.train.feed import open_feed
from sweep.train.folds import Fold
from sweep.train.score import evaluate
from sweep.train.step import BEGINNING, Bench, Part, check, one_epoch, set_up
from sweep.train.story import Story

BeforeStep = Callable[[], None]


@dataclass(slots=True)
class Course:
    """A network in training: what it needs, and what it has come to. Changes in place."""

    bench: Bench
    held_out: NDArray[np.int64]  # examples of the validation part; none in a refit
    story: Story
    part: Part = BEGINNING  # of the epoch under way

    @property
    def over(self) -> bool:
        """Tell whether all epochs are done, or none has improved for as long as patience goes."""
        return self.story.over(self.bench.settings)

    def advance(self, before_step: BeforeStep | None) -> None:
        """Train for the rest of an epoch and score the network. Raises Diverged."""
        train_loss, lr = self._train(before_step)
        bench = self.bench
        score = evaluate(
            bench.network, feed=bench.feed, starts=self.held_out, criterion=bench.criterion
        )
        check(score[bench.criterion.kind], limit=bench.limit, where="validation")
        self.story = self.story.after(
            lambda: model.arrays(bench.network),
            settings=bench.settings,
            train_loss=train_loss,
            score=score,
            lr=lr,
        )

    def advance_like(self, leader: Story, before_step: BeforeStep | None) -> None:
        """Train for the rest of an epoch where nothing is held out.

        The rate falls where the leader's did, in a schedule that watches the validation loss.
        Raises Diverged.
        """
        done = len(self.story.epochs)
        options = self.bench.settings
        self.story = self.story.with_plateau(leader.plateau_before(done + 1, options))
        train_loss, lr = self._train(before_step)
        weights = model.arrays(self.bench.network)
        self.story = self.story.unscored(weights, train_loss=train_loss, lr=lr)

    def _train(self, before_step: BeforeStep | None) -> tuple[float, float]:
        def tell(part: Part) -> None:
            self.part = part
            if before_step is not None:
                before_step()

        result = one_epoch(
            self.bench,
            epoch=len(self.story.epochs),
            plateau=self.story.plateau,
            begun=self.part,
            before_step=tell if before_step is not None else None,
        )
        self.part = BEGINNING
        return result


def begin(settings: Settings, *, fold: Fold | None = None) -> Course:
    """Set a network up with the initial weights of its seed."""
    examples = open_feed(settings, fold=fold)
    bench = set_up(settings, examples=examples)
    return Course(bench, examples.windows.val, Story(model.arrays(bench.network)))
