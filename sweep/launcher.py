"""Hydra's door: a multirun in, JobReturns out."""

from __future__ import annotations

import atexit
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

from sweep.options import register

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig
    from rich.console import Console

    from sweep.plan.trial import Record
    from sweep.store import Store
    from sweep.study.halving import Halving
    from sweep.study.launching import Session
    from sweep.study.requesting import Request
    from sweep.study.searching import Quest
    from sweep.study.siting import Site


register()

ONE_BATCH = (".GridSweeper", ".BasicSweeper")  # sweepers that hand all trials over at once


class KubernetesLauncher(Launcher):
    """Compose the multirun once, write it as a plan, run the plan."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.config: DictConfig | None = None
        self.task: TaskFunction | None = None
        self.context: HydraContext | None = None
        self.session: Session | None = None  # once the first batch was launched
        self.halving: Halving | None = None  # a search whose workers choose by rungs
        self.sources: dict[str, Any] = {}  # of a search, which are kept with the study
        self._waiting: Callable[[Store], None] | None = None  # to be done with the study's place

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take the multirun's context from Hydra."""
        self.context = hydra_context
        self.task = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of trials and return what each came to, in input order.

        Leaves by SystemExit alone: 2 for bad input, 3 where the store cannot be reached, 130
        after Ctrl-C; one line on standard error says why.
        """
        with leaving():
            return self._launch(job_overrides, initial_job_idx)

    def _launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from hydra.core.utils import configure_log, setup_globals
        from rich.console import Console

        from sweep.study.launching import launch, show_plan
        from sweep.task import application_of, name_task

        assert self.config is not None
        assert self.context is not None
        assert self.task is not None
        setup_globals()
        name = name_task(self.task, root=Path.cwd())
        if name is None:
            return self._run_here(job_overrides, initial_job_idx)
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        application = application_of(self.task)
        if application is None:
            Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        request = self._request(name, job_overrides, initial_job_idx)
        console = Console(highlight=False)
        if self.options.get("dry"):
            show_plan(request, console=console)
            return []
        if self.session is None:
            self._check_detach()
            self.session = self._open(request, console=console)
            if not self._one_batch:
                self._finish_at_the_end()
        if self._waiting is not None:
            self._waiting(self.session.place)
            self._waiting = None
        records = launch(self.session, request, console=console, last=self._one_batch)
        numbers = [trial.number for trial in request.composition.trials]
        return self._returns(list(job_overrides), numbers, records, direction=request.direction)

    def pursue(self, quest: Quest) -> Sequence[JobReturn]:
        """Search with a strategy that is asked again as each trial ends; return what each came to.

        Leaves by SystemExit alone, as `launch` does.
        """
        with leaving():
            return self._pursue(quest)

    def _pursue(self, quest: Quest) -> Sequence[JobReturn]:
        from hydra.core.utils import configure_log, setup_globals
        from rich.console import Console

        from sweep.plan import layout
        from sweep.study.going_on import who
        from sweep.study.launching import Way, show_plan
        from sweep.study.offering import slots_of
        from sweep.study.pursuing import first_words, pursue_openly, results_of
        from sweep.study.requesting import reading_shipped
        from sweep.study.searching import keep_search
        from sweep.task import name_task

        assert self.config is not None
        assert self.task is not None
        setup_globals()
        name = name_task(self.task, root=Path.cwd())
        assert name is not None
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        self._check_detach()
        site, _ = self.whereabouts()
        told: dict[int, tuple[str, ...]] = {}

        def request_of(words: Sequence[tuple[str, ...]], first: int) -> Request:
            told.update(enumerate(words, start=first))
            request = self._request(name, words, first)
            return reading_shipped(request, self.session.files) if self.session else request

        console = Console(highlight=False)
        slots = slots_of(site, trials=quest.search.options.get("max_trials"))
        request = replace(request_of(first_words(quest, site), 0), slots=slots)
        if self.options.get("dry"):
            show_plan(request, console=console)
            return []
        session = self.session = self._open(request, console=console)
        self._finish_at_the_end()
        keep_search(session.place, quest.search)
        application = request_of(first_words(quest, site), 0).application
        way = Way(application, session.cluster, session.site, console)
        with session.place.hold(layout.LEASE, who()):
            pursue_openly(session, quest, request_of=request_of, console=console, way=way)
        records = results_of(session)
        numbers = sorted(told)
        words = [told[number] for number in numbers]
        return self._returns(words, numbers, records, direction=session.study.direction)

    def _returns(
        self,
        job_overrides: Sequence[Sequence[str]],
        numbers: Sequence[int],
        records: Mapping[int, Record],
        *,
        direction: str | None,
    ) -> list[JobReturn]:
        from hydra.core.utils import JobRuntime

        from sweep.returns import job_return

        infeasible = float("-inf" if direction == "maximize" else "inf")
        return [
            job_return(
                overrides,
                records.get(number),
                infeasible=infeasible,
                task_name=JobRuntime.instance().get("name"),
                compose=partial(self._compose, overrides, number),
            )
            for overrides, number in zip(job_overrides, numbers, strict=True)
        ]

    def whereabouts(self) -> tuple[Site, Store]:
        """Tell where a study of these options runs, and open the store that it goes to.

        Raises BadInput, Unreachable.
        """
        from sweep.store import open_store
        from sweep.study.launching import store_address
        from sweep.study.siting import choose_site, prepare

        options = {key: _plain(value) for key, value in self.options.items()}
        site = choose_site(options, env=os.environ)
        prepare(site)
        address = store_address(options.get("store"), env=os.environ, site=site)
        return site, open_store(address)

    def with_the_study(self, do: Callable[[Store], None]) -> None:
        """Do something with the study's part of the store, as soon as there is a study.

        Of several that wait for it only the last is done.
        """
        if self.session is None:
            self._waiting = do
        else:
            do(self.session.place)

    @property
    def _one_batch(self) -> bool:
        assert self.config is not None
        sweeper = self.config.hydra.sweeper
        whole = str(sweeper.get("_target_")).endswith(ONE_BATCH)
        return whole and not sweeper.get("max_batch_size")

    def _finish_at_the_end(self) -> None:
        # Only Hydra knows when a sweeper has no more batches, and tells it to callbacks.
        from sweep.finale import Finale

        assert self.context is not None
        self.context.callbacks.callbacks.append(Finale(self.finish))

    def finish(self) -> None:
        """Sum up the study once the sweeper is done."""
        from rich.console import Console

        from sweep.study.launching import finish_session
        from sweep.task import application_of

        assert self.session is not None
        assert self.task is not None
        application = application_of(self.task)
        console = Console(highlight=False)
        with leaving():
            finish_session(self.session, application=application, console=console)

    def _open(self, request: Request, *, console: Console) -> Session:
        from sweep.study.following import GRACE_S
        from sweep.study.launching import open_session

        session = open_session(request, console=console)
        if not session.cluster.lasting:
            atexit.register(session.cluster.stop, GRACE_S)
        return session

    def _check_detach(self) -> None:
        from sweep.errors import BadInput

        if self.options.get("detach") and not self._one_batch and self.halving is None:
            raise BadInput(
                "hydra.launcher.detach=true: this sweeper chooses its next trials by the results, "
                "so its client has to stay; leave detach out"
            )

    def _compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        from omegaconf import open_dict

        assert self.config is not None
        assert self.context is not None
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return config

    def _request(
        self, name: str, job_overrides: Sequence[Sequence[str]], first_number: int
    ) -> Request:
        from hydra.core.utils import JobRuntime
        from omegaconf import OmegaConf

        from sweep.compose import compose
        from sweep.sources import snapshot
        from sweep.study.repeating import choosing
        from sweep.study.requesting import Request
        from sweep.task import application_of, in_main

        assert self.config is not None
        assert self.context is not None
        assert self.task is not None
        loader = self.context.config_loader
        composition = compose(
            job_overrides, loader=loader, master=self.config, first_number=first_number
        )
        application = application_of(self.task)
        hydra: dict[str, Any] = {}
        if application is None:
            jobs = {
                str(trial.number): list(words)
                for trial, words in zip(composition.trials, job_overrides, strict=True)
            }
            hydra = {
                **snapshot(loader, self.config),
                "plain": composition.plain,
                "task_name": JobRuntime.instance().get("name"),
                "main": in_main(self.task),
                "argv": sys.argv,
                "jobs": jobs,
            }
        wanted = OmegaConf.select(self.config, "hydra.sweeper.direction")
        return Request(
            task=name,
            application=application,
            job=self.config.hydra.job.name,
            composition=composition,
            overrides=tuple(_as_typed(self.config.hydra.overrides.task)),
            choosing=choosing(_as_typed(self.config.hydra.overrides.hydra)),
            config_dirs=tuple(_named_folders(self.config)),
            options={key: _plain(value) for key, value in self.options.items()},
            env=os.environ,
            cwd=Path.cwd(),
            now=time.time(),
            tail=secrets.token_hex(2),
            direction=direction_of(wanted),
            confirm=OmegaConf.select(self.config, "hydra.sweeper.confirm", default=None),
            hydra=hydra,
            halving=self.halving,
            sources=self.sources,
        )

    def _run_here(
        self, job_overrides: Sequence[Sequence[str]], first_number: int
    ) -> Sequence[JobReturn]:
        from sweep.errors import BadInput
        from sweep.inprocess import run_here

        assert self.config is not None
        assert self.context is not None
        assert self.task is not None
        if self.options.get("cluster") == "kubernetes":
            raise BadInput(
                f"task {self.task!r} is a closure or an object, which no pod can find by name; "
                "write it as a function of a module"
            )
        return run_here(
            job_overrides,
            first_number=first_number,
            context=self.context,
            task=self.task,
            master=self.config,
        )


def _as_typed(words: Any) -> list[str]:
    """Give words that may hold interpolations, which mean something in a trial alone."""
    from omegaconf import OmegaConf

    typed = OmegaConf.to_container(words, resolve=False)
    assert isinstance(typed, list)
    return [str(word) for word in typed]


def _named_folders(config: DictConfig) -> list[str]:
    """List the folders of configuration that --config-dir named."""
    return [
        str(Path(source.path).absolute())
        for source in config.hydra.runtime.config_sources
        if source.provider == "command-line"
    ]


def _plain(value: Any) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


@contextmanager
def leaving() -> Iterator[None]:
    """Turn our errors and Ctrl-C into one line and an exit code."""
    from sweep.errors import SweepError

    try:
        yield
    except SweepError as error:
        print(f"sweep: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:  # before anything runs, or after everything ran
        line = "sweep: interrupted; `python -m sweep status` shows what is kept"
        print(line, file=sys.stderr)  # noqa: T201
        raise SystemExit(130) from None


def direction_of(wanted: Any) -> str | None:
    """Read the direction that a sweeper names, such as Optuna's; None where it names none."""
    if wanted is None:
        return None
    return "maximize" if "maximize" in str(wanted).lower() else "minimize"
