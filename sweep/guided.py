"""Hydra's door for strategies: what to try next is asked again as results come."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore

from sweep.sweeper import LaunchingSweeper, too_many_failed

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig

    from sweep.plan.trial import Record, Value
    from sweep.search.space import Axis, Point, Space
    from sweep.search.stops import Stops
    from sweep.search.strategy import Decision, Strategy, Tried

UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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
    first: list[Any] = field(default_factory=list)  # [{key: value}]: tried first, a known best


@dataclass(frozen=True)
class Search:
    """A multirun read as a search."""

    strategy: Strategy
    stops: Stops
    fixed: tuple[str, ...]  # overrides of every trial
    texts: Mapping[tuple[str, str], str]  # a value as it was typed
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
        from sweep.search.choosing import BLIND, choose
        from sweep.search.space import Choice, Space
        from sweep.search.warm import brought_in
        from sweep.task import application_of

        assert self.task is not None
        texts: dict[tuple[str, str], str] = {}
        configured = self.parsed(f"{key!s}={value}" for key, value in self.params.items())
        given = {o.get_key_element(): o for o in (*configured, *self.parsed(arguments))}
        typed = {o.get_key_element() for o in self.parsed(arguments)}
        axes = {key: _axis(override, texts) for key, override in given.items()}
        application = application_of(self.task)
        seed_key = application.seed_key if application else "train.seed"
        seeds = axes.pop(seed_key, None)
        fixed = [f"{k}={texts[k, repr(a.values[0])]}" for k, a in axes.items() if _single(a)]
        searched = {key: axis for key, axis in axes.items() if not _single(axis)}
        space = Space(searched, self._branches(axes, typed, texts), self._fixed(axes))
        _check_something_varies(space)
        name = str(self.options["strategy"])
        first = [brought_in(point, space) for point in _listed(self.options["first"])]
        strategy = choose(
            name,
            space,
            start=self._start(space.keys),
            seed=int(self.options["seed"]),
            first=first,
        )
        raise NotImplementedError(Choice, BLIND, strategy, fixed, seeds)
