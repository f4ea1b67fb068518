"""Hydra's door for strategies: what to try next is asked again as results come."""

from __future__ import annotations

import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore

from sweep.errors import BadInput
from sweep.sweeper import LaunchingSweeper, too_many_failed

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig

    from sweep.plan.story import Decided
    from sweep.plan.trial import Record, Value
    from sweep.ranges import Texts
    from sweep.search.space import Axis, Branch, Point, Space
    from sweep.search.stops import Stops
    from sweep.search.strategy import Strategy, Tried

ALL = 10**9  # as many as a strategy has to offer


@dataclass
class GuideConf:
    """hydra/sweeper=guide: a strategy decides what to try next."""

    _target_: str = "hydra_plugins.sweep_launcher.GuideSweeper"
    strategy: str = "staged"  # staged, tpe, sobol, random, grid
    params: dict[str, Any] = field(default_factory=dict)  # key to values, or to interval(A, B)
    conditional: list[Any] = field(default_factory=list)  # [{when: {key: value}, params: {...}}]
    direction: str = "minimize"  # or maximize
    max_trials: int | None = 100  # null: until the strategy is through
    max_time: str | None = None  # after which nothing new begins: 90s, 30m, 2h
    seed: int = 0  # of the strategy's own draws; trials have train.seed
    batch: int | None = None  # tried at a time; null: all that need no result, else one a worker
    confirm: str | None = None  # KxN: the best K are trained again with N fresh seeds
    first: list[Any] = field(default_factory=list)  # [{key: value}]: tried first, a known best


@dataclass(frozen=True)
class Search:
    """A multirun read as a search."""

    strategy: Strategy
    stops: Stops
    fixed: tuple[str, ...]  # overrides of every trial
    texts: Texts
    seed_key: str
    seeds: tuple[Value, ...]  # of each configuration; empty: the configuration's own
    batch: int

    def overrides(self, point: Point) -> list[tuple[str, ...]]:
        """List the overrides of a configuration, once a seed."""
        words = [*self.fixed, *(self._word(key, value) for key, value in point.items())]
        if not self.seeds:
            return [tuple(words)]
        return [(*words, self._word(self.seed_key, seed)) for seed in self.seeds]

    def _word(self, key: str, value: Value) -> str:
        return f"{key}={self.texts.get((key, repr(value)), value)}"


class GuideSweeper(LaunchingSweeper):
    """Launch batch after batch, each a round of one study, until the strategy is through."""

    def __init__(self, params: DictConfig, conditional: Sequence[Any], **options: Any) -> None:
        super().__init__(params, conditional)
        self.options = options

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Search, tell every decision, and return what each trial came to.

        Leaves by SystemExit: 2 for bad input, 1 where more trials failed than
        hydra.launcher.max_failed allows (unset: any).
        """
        from sweep.errors import SweepError

        if self.launcher is None or self.config is None:
            raise RuntimeError("setup() must come before sweep()")
        try:
            search = self.search(arguments)
            returns = self._run(search)
        except SweepError as error:
            print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
            raise SystemExit(error.exit_code) from None
        if too_many_failed(returns, self.config.hydra.launcher.get("max_failed")):
            raise SystemExit(1)
        return returns

    def _run(self, search: Search) -> list[JobReturn]:
        assert self.launcher is not None
        assert self.config is not None
        began = time.monotonic()
        seeds = max(1, len(search.seeds))
        past: list[Tried] = []
        returns: list[JobReturn] = []
        told = 0
        limit = self.config.hydra.launcher.get("max_failed")
        while True:
            elapsed = time.monotonic() - began
            reason = search.stops.reached(past, elapsed_s=elapsed, seeds=seeds)
            room = search.stops.room(past, seeds=seeds)
            most = search.batch if room is None else min(search.batch, room)
            found = search.strategy.suggest(past, most=0 if reason else most)
            told = _tell(found.decisions, told)
            if reason or not found.points:
                _say(f"search   {reason or 'the strategy is through'}")
                return returns
            words = [own for point in found.points for own in search.overrides(point)]
            got = list(self.launcher.launch(words, initial_job_idx=len(returns)))
            if not got:  # a dry launch
                return returns
            returns += got
            for place, point in enumerate(found.points):
                own = got[place * seeds : (place + 1) * seeds]
                past.append(self._tried(len(past), point, own, first=len(past) * seeds))
            if limit is not None and too_many_failed(returns, limit):
                return returns

    def _tried(self, number: int, point: Point, own: Sequence[JobReturn], *, first: int) -> Tried:
        from sweep.search.strategy import tried

        records = [record_of(item, number=first + place) for place, item in enumerate(own)]
        return tried(
            number, point, records, seeds=len(own), direction=str(self.options["direction"])
        )

    def search(self, arguments: Sequence[str]) -> Search:
        """Read the multirun as a search; the command line beats the configured ranges.

        Raises BadInput.
        """
        from sweep.ranges import axis_of, only, plain, seeds_of
        from sweep.search.choosing import choose
        from sweep.search.space import Space
        from sweep.search.warm import brought_in
        from sweep.task import application_of

        assert self.task is not None
        texts: Texts = {}
        typed = {o.get_key_element(): o for o in self.parsed(arguments)}
        configured = self.parsed(f"{key!s}={value}" for key, value in self.params.items())
        given = {o.get_key_element(): o for o in configured} | typed
        axes = {key: axis_of(override, texts) for key, override in given.items()}
        application = application_of(self.task)
        seed_key = application.seed_key if application else "train.seed"
        seeds = seeds_of(seed_key, axes)
        searched = {key: axis for key, axis in axes.items() if only(axis) is None}
        singles = {key: only(axis) for key, axis in axes.items() if key not in searched}
        searched.pop(seed_key, None)
        branches, asked = self._branches(axes, typed, texts)
        space = Space(searched, branches, {**asked, **{k: v[0] for k, v in singles.items() if v}})
        if not space.keys:
            raise BadInput("nothing varies; add guide=ranges, or KEY=VALUE,VALUE")
        strategy = choose(
            str(self.options["strategy"]),
            space,
            start=self._start(space.keys),
            seed=int(self.options["seed"]),
            first=[brought_in(point, space) for point in plain(self.options["first"])],
        )
        return Search(
            strategy,
            stops=self._stops(),
            fixed=tuple(f"{k}={texts[k, repr(v[0])]}" for k, v in singles.items() if v),
            texts=texts,
            seed_key=seed_key,
            seeds=seeds,
            batch=self._batch(space, seeds=max(1, len(seeds))),
        )

    def _branches(
        self, axes: Mapping[str, Axis], typed: Container[str], texts: Texts
    ) -> tuple[tuple[Branch, ...], dict[str, Value]]:
        """Read the conditions, and the values of the keys that they ask about."""
        from omegaconf import OmegaConf

        from sweep.ranges import axis_of
        from sweep.search.space import Branch

        assert self.config is not None
        found, asked = [], {}
        for when, params in self.conditional_entries():
            for key, value in when.items():
                self.check_condition(str(key), value, known=axes)
                asked[str(key)] = OmegaConf.select(self.config, str(key))
            overrides = self.parsed(f"{key}={value}" for key, value in params.items())
            inside = {o.get_key_element(): axis_of(o, texts) for o in overrides}
            kept = {key: axis for key, axis in inside.items() if key not in typed}
            found.append(Branch({str(key): value for key, value in when.items()}, kept))
        return tuple(found), asked

    def _start(self, keys: Sequence[str]) -> dict[str, Value]:
        """Read what the configuration says where nothing is searched; a group by its choice."""
        from omegaconf import OmegaConf

        from sweep.ranges import plain

        assert self.config is not None
        found = {}
        for key in keys:
            value = OmegaConf.select(self.config, key.lstrip("+"), default=None)
            if OmegaConf.is_dict(value):
                value = self.config.hydra.runtime.choices.get(key)
            found[key] = plain(value)
        return found

    def _stops(self) -> Stops:
        from omegaconf import OmegaConf

        from sweep.ranges import seconds_of
        from sweep.search.stops import Stops

        assert self.config is not None
        hours = OmegaConf.select(self.config, "hydra.launcher.budget.gpu_hours", default=None)
        return Stops(
            max_trials=self.options["max_trials"],
            max_time_s=seconds_of(self.options["max_time"]),
            gpu_hours=hours,
        )

    def _batch(self, space: Space, *, seeds: int) -> int:
        from sweep.cluster.cpus import usable_cpus
        from sweep.search.choosing import BLIND

        assert self.config is not None
        name, batch, most = (self.options[key] for key in ("strategy", "batch", "max_trials"))
        if batch is not None:
            return int(batch)
        if name == "tpe":
            workers = self.config.hydra.launcher.get("parallelism") or usable_cpus()
            return max(1, int(workers) // seeds)
        if name in BLIND and most is None and space.size is None:
            raise BadInput(
                f"hydra.sweeper.strategy={name} has no end in a range; set hydra.sweeper.max_trials"
            )
        return space.size or ALL


def record_of(item: JobReturn, *, number: int) -> Record:
    """Take a trial's record from our launcher, or make one of what another launcher tells."""
    from hydra.core.utils import JobStatus

    from sweep.plan.trial import Record, State
    from sweep.plan.values import number_of

    known = getattr(item, "record", None)
    if known is not None:
        return known  # type: ignore[no-any-return]
    value = item._return_value
    if item.status is not JobStatus.COMPLETED:
        return Record(number, State.FAILED)
    if number_of(value) is None:
        return Record(number, State.INFEASIBLE)
    return Record(number, State.COMPLETED, number_of(value))


def _tell(decisions: Sequence[Decided], told: int) -> int:
    for item in decisions[told:]:
        section = f"section {item.section}" if item.section else "the conclusion"
        _say(f"decided  {item.stage}: {item.decided}\n         {section}: {item.guide}")
    return len(decisions)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


ConfigStore.instance().store(group="hydra/sweeper", name="guide", node=GuideConf, provider="sweep")
