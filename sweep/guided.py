"""Hydra's door for strategies: what to try next is asked again as results come."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore

from sweep.errors import BadInput
from sweep.sweeper import LaunchingSweeper, too_many_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig

    from sweep.plan.story import Search, Story
    from sweep.plan.trial import Record, Value
    from sweep.ranges import Texts
    from sweep.search.space import Axis, Branch, Point, Space
    from sweep.store import Store
    from sweep.study.halving import Halving
    from sweep.study.searching import Quest

ALL = 10**9  # as many as a strategy has to offer


@dataclass
class HalvingConf:
    """Where trials are compared: ASHA, or Hyperband with several brackets."""

    least: int = 1  # epochs of the first rung
    factor: int = (
        3  # of those that reach a rung one in so many goes on, to so many times the epochs
    )
    brackets: int | None = 1  # that begin to halve later; null: all of Hyperband's


@dataclass
class GuideConf:
    """hydra/sweeper=guide: a strategy decides what to try next."""

    _target_: str = "hydra_plugins.sweep_launcher.GuideSweeper"
    strategy: str = "staged"  # staged, tpe, gp, halving, sobol, random, grid
    params: dict[str, Any] = field(default_factory=dict)  # key to values, or to interval(A, B)
    conditional: list[Any] = field(default_factory=list)  # [{when: {key: value}, params: {...}}]
    direction: str = "minimize"  # or maximize
    max_trials: int | None = 100  # null: until the strategy is through
    max_time: str | None = None  # after which nothing new begins: 90s, 30m, 2h
    seed: int = 0  # of the strategy's own draws; trials have train.seed
    batch: int | None = None  # tried at a time; null: all that need no result, else one a worker
    halving: HalvingConf = field(default_factory=HalvingConf)  # for strategy=halving alone
    confirm: str | None = None  # KxN: the best K are trained again with N fresh seeds
    first: Any = None  # tried first: [{key: value}], a study's name, or {study: NAME, best: COUNT}


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
            quest = self.search(arguments)
            if self._began_before(quest.search):
                return self._go_on()
            returns = self._run(quest)
        except SweepError as error:
            print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
            raise SystemExit(error.exit_code) from None
        if too_many_failed(returns, self.config.hydra.launcher.get("max_failed")):
            raise SystemExit(1)
        return returns

    def _run(self, quest: Quest) -> list[JobReturn]:
        from sweep.launcher import KubernetesLauncher
        from sweep.study.searching import CONTINUOUS, pursue

        assert self.launcher is not None
        assert self.config is not None
        returns: list[JobReturn] = []
        limit = self.config.hydra.launcher.get("max_failed")

        if quest.search.batch == CONTINUOUS:
            assert isinstance(self.launcher, KubernetesLauncher)
            self.launcher.sources = dict(quest.search.hydra)
            return list(self.launcher.pursue(quest))

        def launch(words: Sequence[tuple[str, ...]], first: int) -> list[Record]:
            assert self.launcher is not None
            got = list(self.launcher.launch(words, initial_job_idx=first))
            returns.extend(got)
            return [record_of(item, number=first + place) for place, item in enumerate(got)]

        pursue(
            quest,
            launch=launch,
            keep=self._keeping(quest.search),
            say=_say,
            direction=str(self.options["direction"]),
            enough=lambda _: limit is not None and too_many_failed(returns, limit),
        )
        return returns

    def _began_before(self, search: Search) -> bool:
        """Tell whether the study that the launcher is to write is there, as this very search."""
        from dataclasses import replace

        from sweep.launcher import KubernetesLauncher
        from sweep.study.reading import list_studies
        from sweep.study.searching import read_search

        launcher = self.launcher
        if not isinstance(launcher, KubernetesLauncher) or not launcher.options.get("study"):
            return False
        _, store = launcher.whereabouts()
        name = str(launcher.options["study"])
        if name not in list_studies(store):
            return False
        kept = read_search(store.at(name))
        return kept is not None and replace(kept, hydra={}) == replace(search, hydra={})

    def _go_on(self) -> list[JobReturn]:
        """Go on with the study of an earlier client; leaves by SystemExit where it failed."""
        from rich.console import Console

        from sweep.launcher import KubernetesLauncher
        from sweep.study.resuming import resume
        from sweep.task import application_of

        assert isinstance(self.launcher, KubernetesLauncher)
        assert self.task is not None
        name = str(self.launcher.options["study"])
        _say(f"study    {name} was begun by this very search; it goes on")
        site, store = self.launcher.whereabouts()
        code = resume(
            name,
            address=store.url,
            application=application_of(self.task),
            console=Console(highlight=False),
            site=site,
        )
        if code:
            raise SystemExit(code)
        return []

    def _keeping(self, search: Search) -> Callable[[Story], None]:
        """Keep the story with the study, which begins with its first round."""
        from sweep.launcher import KubernetesLauncher
        from sweep.study.searching import keep_search, keep_story

        launcher = self.launcher
        if not isinstance(launcher, KubernetesLauncher):
            return lambda _: None

        launcher.sources = dict(search.hydra)
        launcher.halving = self._halving(search)

        def keep(story: Story) -> None:
            def write(place: Store) -> None:
                keep_search(place, search)
                keep_story(place, story)

            launcher.with_the_study(write)

        return keep

    def search(self, arguments: Sequence[str]) -> Quest:
        """Read the multirun as a search; the command line beats the configured ranges.

        Raises BadInput.
        """
        from sweep.plan.story import Search
        from sweep.ranges import axis_of, by_key, only, seeds_of
        from sweep.search.space import Space
        from sweep.search.written import space_to_json
        from sweep.study.searching import quest_of
        from sweep.task import application_of

        assert self.task is not None
        self._check_halving()
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
        return quest_of(
            Search(
                strategy=str(self.options["strategy"]),
                space=space_to_json(space),
                options=self._options(),
                start=self._start(space.keys),
                first=self._first(space),
                fixed=tuple(f"{k}={texts[k, repr(v[0])]}" for k, v in singles.items() if v),
                texts=by_key(texts),
                seed_key=seed_key,
                seeds=seeds,
                batch=self._batch(space, seeds=max(1, len(seeds))),
                hydra=self._sources(),
            )
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

    def _first(self, space: Space) -> tuple[Point, ...]:
        """Read what is tried first: configurations, or a study whose best these are.

        Raises BadInput.
        """
        from sweep.errors import BadInput
        from sweep.ranges import plain
        from sweep.search.warm import brought_in

        first = plain(self.options["first"]) or []
        if isinstance(first, str):
            first = {"study": first}
        if isinstance(first, dict) and "study" in first:
            first = self._best_of(**first)
        if not isinstance(first, list) or not all(isinstance(item, dict) for item in first):
            raise BadInput(
                f"hydra.sweeper.first={first}: write [{{KEY: VALUE, ...}}], a study's name, or "
                "{study: NAME, best: COUNT}"
            )
        return tuple(brought_in(point, space) for point in first)

    def _best_of(self, study: str, best: int | None = None, **other: Any) -> list[dict[str, Value]]:
        from sweep.errors import BadInput
        from sweep.launcher import KubernetesLauncher
        from sweep.store import open_store
        from sweep.study.known import BEST, best_of_study
        from sweep.study.launching import store_address

        if other or (best is not None and (not isinstance(best, int) or best < 1)):
            raise BadInput("hydra.sweeper.first: write {study: NAME, best: COUNT}, COUNT from 1 on")
        if isinstance(self.launcher, KubernetesLauncher):
            _, store = self.launcher.whereabouts()
        else:
            store = open_store(store_address(None, env=os.environ))
        return [dict(point) for point in best_of_study(store, str(study), most=best or BEST)]

    def _options(self) -> dict[str, Value]:
        """Gather what bounds and directs the search; a stop that is none is refused."""
        from omegaconf import OmegaConf

        from sweep.ranges import seconds_of

        assert self.config is not None
        return {
            "seed": int(self.options["seed"]),
            "max_trials": self.options["max_trials"],
            "max_time_s": seconds_of(self.options["max_time"]),
            "gpu_hours": OmegaConf.select(
                self.config, "hydra.launcher.budget.gpu_hours", default=None
            ),
        }

    def _check_halving(self) -> None:
        from sweep.errors import BadInput
        from sweep.launcher import KubernetesLauncher
        from sweep.search.choosing import HALVING

        ours = isinstance(self.launcher, KubernetesLauncher)
        if self.options["strategy"] == HALVING and not ours:
            raise BadInput(
                "hydra.sweeper.strategy=halving: only workers of hydra/launcher=kubernetes can "
                "rest a trial; choose that launcher, which runs on this machine too"
            )

    def _halving(self, search: Search) -> Halving | None:
        from sweep.clock import CLOCK
        from sweep.ranges import plain
        from sweep.search.choosing import HALVING
        from sweep.study.halving import read_halving

        if search.strategy != HALVING:
            return None
        limit = search.options["max_time_s"]
        return read_halving(
            plain(self.options["halving"]),
            seeds=max(1, len(search.seeds)),
            until=None if limit is None else CLOCK.now() + limit,
        )

    def _sources(self) -> dict[str, Any]:
        """Take along what configurations compose from, for a later client."""
        from hydra.core.utils import JobRuntime

        from sweep.launcher import KubernetesLauncher
        from sweep.sources import snapshot
        from sweep.task import in_main

        if not isinstance(self.launcher, KubernetesLauncher):
            return {}  # nothing is kept, so nobody goes on
        assert self.config is not None
        assert self.context is not None
        assert self.task is not None
        return {
            **snapshot(self.context.config_loader, self.config),
            "task_name": JobRuntime.instance().get("name"),
            "main": in_main(self.task),
            "argv": sys.argv,
        }

    def _is_open(self, space: Space) -> bool:
        """Tell whether trials can be offered one by one: of our launcher and a task that it knows.

        Files of data are brought to workers by rounds, so none of them may be searched.
        """
        from sweep.launcher import KubernetesLauncher
        from sweep.task import application_of

        assert self.task is not None
        application = application_of(self.task)
        ours = isinstance(self.launcher, KubernetesLauncher) and application is not None
        return ours and not set(space.keys) & set(application.paths if application else ())

    def _batch(self, space: Space, *, seeds: int) -> int:
        from sweep.cluster.cpus import usable_cpus
        from sweep.search.choosing import BLIND
        from sweep.study.searching import CONTINUOUS

        assert self.config is not None
        name, batch, most = (self.options[key] for key in ("strategy", "batch", "max_trials"))
        if batch is not None:
            return int(batch)
        if name in ("tpe", "gp"):
            if self._is_open(space):
                return CONTINUOUS
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


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


ConfigStore.instance().store(group="hydra/sweeper", name="guide", node=GuideConf, provider="sweep")
