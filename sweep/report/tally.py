"""Keep count of a study under way, and estimate the time that is left."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from enum import Enum, auto

from sweep.plan.trial import Record, State
from sweep.report.leaderboard import cost

MIN_FINISHED = 2  # trials that must have ended before time left is told
TELLING = (State.COMPLETED, State.INFEASIBLE, State.PRUNED)  # a failure's duration says nothing


class News(Enum):
    """What a record brings that is worth a line of its own."""

    NOTHING = auto()
    FIRST = auto()  # the first result
    BEST = auto()  # a better one
    INFEASIBLE = auto()
    FAILED = auto()


class Tally:
    """What is known of the trials of a study; grows as records come in."""

    def __init__(
        self,
        costs: Mapping[int, float],
        *,
        workers: int = 1,
        direction: str = "minimize",
        now: float = 0.0,
    ) -> None:
        """Take the expected cost of every trial that is trained; twins are not among them.

        `now` is UTC seconds, in the clock of the records.
        """
        self.counts: Counter[State] = Counter()
        self.best: Record | None = None
        self.running = 0
        self._costs = costs
        self._workers = max(1, workers)
        self._direction = direction
        self._ended: set[int] = set()
        self._waiting = sorted(costs, key=costs.__getitem__)  # the dearest last; pruned lazily
        self._left = math.fsum(costs.values())  # cost of the trials without a record
        self._spent = 0.0  # cost of the trials whose durations are in _seconds
        self._seconds = 0.0
        self._newest = now  # when the state was last known to change
        self._busy_until: dict[tuple[int, int, int], float] = {}  # by round, pack, attempt

    def expect(self, costs: Mapping[int, float]) -> None:
        """Count in trials that were added since."""
        self._costs = {**self._costs, **costs}
        self._waiting = sorted(self._costs, key=self._costs.__getitem__)
        self._left += math.fsum(costs.values())

    @property
    def total(self) -> int:
        """Count the trials that are to be trained."""
        return len(self._costs)

    @property
    def done(self) -> int:
        """Count those that have a terminal record."""
        return len(self._ended)

    def add(self, record: Record) -> News:
        """Count a terminal record in; a trial's second record, and a twin's, change nothing."""
        new = record.trial in self._costs and record.trial not in self._ended
        if not new or not record.state.terminal:
            return News.NOTHING
        self._ended.add(record.trial)
        self.counts[record.state] += 1
        self._left -= self._costs[record.trial]
        self._newest = max(self._newest, record.finished)
        if record.state in TELLING:
            self._time(record)
        if record.state is State.FAILED:
            return News.FAILED
        if record.state is State.INFEASIBLE:
            return News.INFEASIBLE
        return self._compare(record)

    def left(self, *, now: float) -> float | None:
        """Estimate the seconds until all trials have ended.

        A trial takes time in proportion to its cost; no more than `workers` are trained at once,
        and what is left takes no less than the dearest trial alone.
        None until enough trials have ended to tell, and where the estimate is overdue.
        """
        if self.done == self.total:
            return 0.0
        if self.done < MIN_FINISHED or self._spent <= 0:
            return None
        while self._waiting[-1] in self._ended:
            self._waiting.pop()
        dearest = self._costs[self._waiting[-1]]
        whole = self._seconds / self._spent * max(self._left / self._workers, dearest)
        rest = whole - (now - self._newest)
        return rest if rest > 0 else None

    def _time(self, record: Record) -> None:
        """Add a trial's duration; the time that trials of one pack share counts once."""
        pack = (record.round, record.pack, record.attempt)
        busy_until = self._busy_until.get(pack, record.started)
        self._seconds += max(0.0, record.finished - max(record.started, busy_until))
        self._busy_until[pack] = max(busy_until, record.finished)
        self._spent += self._costs[record.trial]

    def _compare(self, record: Record) -> News:
        score = record.objective
        if record.state is not State.COMPLETED or score is None or not math.isfinite(score):
            return News.NOTHING
        if self.best is None:
            self.best = record
            return News.FIRST
        if cost(score, self._direction) < cost(self.best.objective, self._direction):
            self.best = record
            return News.BEST
        return News.NOTHING
