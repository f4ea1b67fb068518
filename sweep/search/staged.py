"""Follow the guide as a procedure: one stage after another, each from the best so far.

Every question runs the whole procedure again from its beginning. Where a configuration was tried
already its result is at hand; the first that was not is what to try next. So the records are all
the memory there is, and a search that was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweep.plan.curves import jump, overfit, rise, still_improving, unstable
from sweep.plan.trial import Record
from sweep.search import sentences
from sweep.search.ladder import place
from sweep.search.space import Point, Space, identity, same
from sweep.search.steps import Stage, Walk, listed, words
from sweep.search.strategy import Next, Seen, Tried

RATE, OPTIMIZER, CLIP = "optim.lr", "optim.name", "optim.clip_norm"
UNITS, LAYERS = "model.hidden_size", "model.num_layers"
DROPOUT, OUTPUT_DROPOUT = "model.dropout", "model.output_dropout"
L2, L1 = "optim.weight_decay", "optim.l1"
BATCH, LENGTH = "train.batch_size", "data.lookback"
SCHEDULE, EPOCHS = "optim.schedule.name", "train.epochs"
STAGED = (
    *(RATE, OPTIMIZER, CLIP, UNITS, LAYERS, BATCH, LENGTH),
    *(DROPOUT, OUTPUT_DROPOUT, L2, L1, SCHEDULE, EPOCHS),
)
ADAM, RMSPROP = "adam", "rmsprop"
FINEST = 2  # turns of fine-tuning at least: steps of a quarter of the first ones
UNSTABLE_SHARE = 0.2  # of the trials of a stage; more says that the rate is too high for them


@dataclass(frozen=True, slots=True)
class Staged:
    """The guide's procedure within a space, from the values that a configuration starts with."""

    space: Space
    start: Point

    def suggest(self, past: Sequence[Tried], *, most: int) -> Next:
        """Go on where the results of the past end."""
        known = {identity(item.point): item for item in past}
        told = _Procedure(self.space, self.start)
        course = told.run()
        try:
            asked = next(course)
            while True:
                found = [known.get(identity(point)) for point in asked]
                results = [item for item in found if item is not None and item.ended]
                if len(results) < len(asked):
                    new = tuple(Seen.of(past).new(asked))
                    return Next(new[:most], decisions=tuple(told.decisions))
                asked = course.send(results)
        except StopIteration:
            return Next(over=True, decisions=tuple(told.decisions))


class _Procedure(Walk):
    """The guide as a walk."""

    def run(self) -> Stage:
        """Tell the guide from its start values to its last advice."""
        yield from self._begin()
        yield from self._own_axes()
        yield from self._rate()
        yield from self._optimizer()
        yield from self._capacity()
        yield from self.climb(BATCH, "batch size", sentences.BATCH)
        yield from self.climb(LENGTH, "sequence length", sentences.LENGTH)
        yield from self._regularization()
        yield from self._schedule()
        yield from self._epochs()
        yield from self._refine()

    def _begin(self) -> Stage:
        [self.best] = yield [self.settled({})]
        self.see([self.best])
        self.note(
            "start",
            sentences.BEGIN,
            f"begin with {words(self.best.point)}",
            trials=[self.best],
        )

    def _own_axes(self) -> Stage:
        """Try what the guide does not name, before everything that depends on it."""
        for key in [key for key in self.space.axes if key not in STAGED]:
            yield from self.try_all(key, key, sentences.OWN_AXES)

    def _rate(self) -> Stage:
        begun = len(self.seen)
        yield from self.climb(RATE, "learning rate", sentences.RATE)
        looked = [item for item in self.seen[begun:] if item.records]
        shaky = [item for item in looked if _is(unstable, item)]
        if _is(unstable, self.best) or len(shaky) > UNSTABLE_SHARE * len(looked):
            yield from self._steady(shaky or [self.best])

    def _steady(self, shaky: Sequence[Tried]) -> Stage:
        """Answer unstable training: RMSprop, a lower rate, tighter clipping."""
        answers = [
            *self.moves(OPTIMIZER, only=RMSPROP),
            *self.moves(RATE, up=False),
            *self.moves(CLIP, up=False),
        ]
        self.note(
            "stability",
            sentences.RMSPROP if self.moves(OPTIMIZER, only=RMSPROP) else sentences.RATE_TOO_HIGH,
            f"training was unstable: try {listed(self.changes(answers))}"
            if answers
            else "training was unstable, and nothing in the space answers that",
            trials=shaky,
            jump=max(_most(jump, item) for item in shaky),
        )
        yield from self.take(answers)
        yield from self._lower()

    def _lower(self) -> Stage:
        """Lower the rate until something trains at all."""
        rates = self.values(RATE)
        below = rates[: place(rates, self.best.point[RATE])] if rates else ()
        for rate in reversed(below):
            lower = self.settled({**self.best.point, RATE: rate})
            if self.best.cost == math.inf and not self.tried(lower):
                yield from self.take([lower])

    def _optimizer(self) -> Stage:
        begun = self.best
        moves = self.moves(OPTIMIZER, only=RMSPROP)
        yield from self.take(moves)
        others = [value for value in self.values(OPTIMIZER) if value not in (ADAM, RMSPROP)]
        if self.values(OPTIMIZER):
            left = f"; {listed(others)} left alone: it asks for very large data" if others else ""
            kept = "keep" if same(begun.point[OPTIMIZER], self.best.point[OPTIMIZER]) else "take"
            self.note(
                "optimizer",
                sentences.OPTIMIZER,
                f"{kept} {self.best.point[OPTIMIZER]}{left}",
                trials=[begun, *self.results(moves)],
            )

    def _capacity(self) -> Stage:
        if _is(overfit, self.best):
            self.note(
                "capacity",
                sentences.FEWER_LAYERS,
                "the best overfits: shrink",
                trials=[self.best],
                rise=_most(rise, self.best),
            )
            yield from self.climb(LAYERS, "layers", sentences.FEWER_LAYERS, up=False)
            yield from self.climb(UNITS, "units", sentences.UNITS, up=False)
        else:
            yield from self.climb(UNITS, "units", sentences.UNITS, down=False)
            yield from self.climb(LAYERS, "layers", sentences.LAYERS, down=False)

    def _regularization(self) -> Stage:
        over = _is(overfit, self.best)
        if over:
            self.note(
                "regularization",
                sentences.FEWER_LAYERS,
                "the best overfits: more dropout, more L2",
                trials=[self.best],
                rise=_most(rise, self.best),
            )
        dropout = self._dropout()
        if dropout == OUTPUT_DROPOUT and self.values(DROPOUT):
            self.note(
                "regularization",
                sentences.DROPOUT,
                "with one layer there is nothing between layers: drop out before the head",
                trials=[self.best],
            )
        yield from self.climb(dropout, "dropout", sentences.DROPOUT, down=not over)
        yield from self.climb(L2, "L2", sentences.L2, down=not over)
        yield from self.climb(L1, "L1", sentences.L2, down=not over)

    def _dropout(self) -> str:
        layers = self.best.point.get(LAYERS, self.start.get(LAYERS))
        return OUTPUT_DROPOUT if layers == 1 else DROPOUT

    def _schedule(self) -> Stage:
        yield from self.try_all(SCHEDULE, "schedule", sentences.SCHEDULE)

    def _epochs(self) -> Stage:
        while _is(still_improving, self.best) and (moves := self.moves(EPOCHS, down=False)):
            before = self.best
            self.note(
                "epochs",
                sentences.TOO_FEW_EPOCHS,
                f"still improving at the last epoch: try {listed(self.changes(moves))}",
                trials=[before],
            )
            yield from self.take(moves)
            if self.best is before:
                return
        if self.values(EPOCHS):
            self.note(
                "epochs",
                sentences.EARLY_STOPPING,
                f"{self.best.point[EPOCHS]} are enough",
                trials=[self.best],
            )

    def _refine(self) -> Stage:
        """Go through all settings again, in smaller steps, until a turn brings nothing better."""
        while True:
            before = self.best
            self.finer += 1
            for key in self.space.keys:
                if key in self.best.point and key not in self._idle():
                    yield from self.climb(key, "fine-tuning", sentences.BEGIN)
            if self.best is before and self.finer >= FINEST:
                self.note(
                    "end",
                    sentences.BEGIN,
                    "no single step from the best makes it better: the procedure is over",
                    trials=[self.best],
                )
                return

    def _idle(self) -> set[str]:
        """Name what has no effect: dropout between layers where there is one."""
        return {DROPOUT} if self._dropout() == OUTPUT_DROPOUT else set()


def _is(sign: Callable[[Record], bool | None], item: Tried) -> bool:
    """Tell whether most of the seeds whose curves tell anything show a sign."""
    answers = [answer for answer in map(sign, item.records) if answer is not None]
    return 2 * sum(answers) > len(answers)


def _most(measure: Callable[[Record], float], item: Tried) -> float:
    return max(map(measure, item.records), default=0.0)
