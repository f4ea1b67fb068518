"""Keep count of the device-seconds that a study's attempts hold."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace

from sweep.plan import layout
from sweep.plan.budget import HOUR_S, Budget, Life, Spent, read_budget, spent, used_up
from sweep.plan.records import Ledger
from sweep.plan.round import Round, Study
from sweep.plan.trial import State
from sweep.store import Store

LOOK_EVERY_S, LEAST_LOOK_S = 30.0, 2.0
SHARE = 0.1  # of a budget, between two looks
BUDGET = "budget"  # key of a study's limits, and of a round's cluster where a resume changed it

Place = tuple[int, int]  # pack and attempt


@dataclass(slots=True)
class _Seen:
    size: int  # of the attempt's object when it was read: it grows when the attempt closes
    life: Life
    closed: bool
    done: bool = False  # it closed because every trial of its pack has a record


@dataclass(slots=True)
class Meter:
    """Read each attempt when it begins and when it closes, and no more often.

    An attempt that died without a word counts up to its last sign of life, and no further than
    to the next attempt of its pack.
    """

    store: Store  # the study's part
    _seen: dict[Place, _Seen] = field(default_factory=dict)
    _noticed: dict[Place, float] = field(default_factory=dict)  # last seen running
    _loaded: bool = False
    _kept: int = 0  # closed attempts that were written down

    def spent(self, ledger: Ledger, *, now: float, running: Collection[int] = ()) -> Spent:
        """Sum up what was held until now; `running` are the packs that hold devices still."""
        self._look()
        useful, heard = _signs(ledger)
        newest: dict[int, int] = {}
        for pack, attempt in self._seen:
            newest[pack] = max(attempt, newest.get(pack, 0))
        lives: list[Life] = []
        for place, seen in self._seen.items():
            pack, attempt = place
            life = seen.life
            if not seen.closed:
                if pack in running and newest[pack] == attempt:
                    self._noticed[place] = now
                ended = max(life.claimed, heard.get(place, 0.0), self._noticed.get(place, 0.0))
                after = self._seen.get((pack, attempt + 1))
                ended = min(ended, after.life.claimed) if after else ended
                life = replace(life, ended=max(life.claimed, ended))
            if not seen.done and self._noticed.get(place) != now:
                life = replace(life, useful=useful.get(place, 0.0))
            else:  # nothing of it was, or is yet, in vain
                life = replace(life, useful=life.ended)
            lives.append(life)
        return spent(lives, carried=_carried(ledger))

    def keep(self) -> None:
        """Write down what is known of closed attempts, so that nobody has to read them again."""
        closed = [(place, seen) for place, seen in sorted(self._seen.items()) if seen.closed]
        if len(closed) == self._kept:
            return
        body = [[*place, seen.size, seen.done, asdict(seen.life)] for place, seen in closed]
        self.store.write(layout.SPENDING, json.dumps(body).encode())
        self._kept = len(closed)

    def _look(self) -> None:
        if not self._loaded:
            self._loaded = True
            self._load()
        for key, size in self.store.sizes(layout.PACKS).items():
            attempt = layout.attempt_of(key)
            if attempt is None:
                continue
            place = (layout.pack_of(key), attempt)
            if place not in self._seen or self._seen[place].size != size:
                self._seen[place] = _read(self.store, key, size)

    def _load(self) -> None:
        try:
            body = json.loads(self.store.read(layout.SPENDING))
            for pack, attempt, size, done, life in body:
                self._seen[pack, attempt] = _Seen(size, Life(**life), closed=True, done=done)
            self._kept = len(self._seen)
        except (KeyError, ValueError, TypeError):
            self._seen.clear()  # a view of the attempts, which are read anew


def budget_of(study: Study, round_: Round) -> Budget:
    """Read what a study may spend: what a resume allowed, else what it was started with."""
    return read_budget(round_.cluster.get(BUDGET) or study.limits.get(BUDGET) or {})


@dataclass(slots=True)
class Allowance:
    """Tell when a study's budget is used up; asked often, it looks now and then."""

    budget: Budget
    meter: Meter
    _next: float = 0.0

    def spent(self, ledger: Ledger, *, now: float) -> Spent:
        """Sum up what was held until now; nothing is read where nothing bounds the study."""
        return Spent() if self.budget == Budget() else self.meter.spent(ledger, now=now)

    def check(self, ledger: Ledger, *, now: float, running: Collection[int]) -> str | None:
        """Say why the study is to stop, None while it may go on."""
        if self.budget == Budget() or now < self._next:
            return None
        self._next = now + _every_s(self.budget)
        return used_up(self.budget, self.meter.spent(ledger, now=now, running=running))


def _every_s(budget: Budget) -> float:
    # A small budget is watched more closely: what is overspent stays a small part of it.
    hours = [h for h in (budget.gpu_hours, budget.cpu_hours) if h is not None]
    return max(LEAST_LOOK_S, min([LOOK_EVERY_S, *(SHARE * h * HOUR_S for h in hours)]))


def stop_reason(why: str, *, study: str) -> str:
    """Write the reason of a stop, with the way to go on."""
    return (
        f"{why}; what is done is kept: go on by `python -m sweep resume {study}` with a larger "
        "--gpu-hours or --cpu-hours"
    )


def _signs(ledger: Ledger) -> tuple[dict[Place, float], dict[Place, float]]:
    useful: dict[Place, float] = {}
    heard: dict[Place, float] = {}
    for record in (*ledger.records.values(), *ledger.running.values()):
        place = (record.pack, record.attempt)
        at = max(record.started, record.finished)
        heard[place] = max(at, heard.get(place, 0.0))
        if record.state.terminal and record.state is not State.CANCELLED:
            useful[place] = max(at, useful.get(place, 0.0))
    return useful, heard


def _carried(ledger: Ledger) -> Spent:
    # What a checkpoint brought over the end of an attempt was not in vain.
    records = [record for record in ledger.records.values() if record.continued]
    return Spent(
        gpu_s=sum(record.gpu_seconds - record.attempt_gpu_seconds for record in records),
        cpu_s=sum(record.cpu_seconds - record.attempt_cpu_seconds for record in records),
    )


def _read(store: Store, key: str, size: int) -> _Seen:
    try:
        body = json.loads(store.read(key))
        claimed = float(body["claimed"])
        closed = "closed" in body
        life = Life(
            claimed=claimed,
            ended=float(body["closed"]) if closed else claimed,
            useful=claimed,
            gpus=float(body.get("gpus", 0)),
            cpus=float(body.get("cpus", 1)),
        )
    except (KeyError, ValueError, TypeError):  # damaged, or gone since it was listed
        return _Seen(size, Life(claimed=0.0, ended=0.0, useful=0.0), closed=True)
    return _Seen(size, life, closed, done=body.get("reason") == "done")
