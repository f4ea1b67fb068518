"""Read from the store what one worker has to do."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import BadInput, CorruptPlan
from sweep.plan.application import Application, Checkpoints, OnEpoch, Result
from sweep.plan.round import Round, Study, round_hash
from sweep.plan.trial import Trial
from sweep.schema import flatten
from sweep.store import Store, open_store
from sweep.study.fetching import Files, cache_folder, reading
from sweep.study.opening import versions
from sweep.study.reading import read_round, read_study
from sweep.study.rounds import files_of
from sweep.study.siting import KUBERNETES
from sweep.task import Task, application_of, load_task
from sweep.worker.notice import Notice
from sweep.worker.outputs import keep_outputs
from sweep.worker.settling import Assignment, Train, trainer
from sweep.worker.unpacking import enter_code
from sweep.worker.watching import watcher_for

BUILD_ID = "SWEEP_BUILD_ID"


@dataclass(frozen=True, slots=True)
class Ready:
    """A round, and all that its packs have in common."""

    address: str  # of the whole store
    store: Store  # the study's part
    study: Study
    round: Round
    application: Application | None
    run: Train
    versions: Mapping[str, str]

    def reopened(self) -> Ready:
        """Open the store anew: after a fork, whose two sides must not share a connection."""
        return replace(self, store=open_store(self.address).at(self.study.name))

    def pack(self, index: int, *, notice: Notice) -> Assignment:
        """Put together what is needed for the pack at one place of the round.

        Raises BadInput where there is none.
        """
        if not 0 <= index < len(self.round.packs):
            raise BadInput(
                f"round {self.round.number} has {len(self.round.packs)} packs, none at {index}"
            )
        return Assignment(
            store=self.store,
            study=self.study,
            round=self.round,
            pack=self.round.packs[index],
            run=self.run,
            application=self.application,
            versions=self.versions,
            watcher=watcher_for(self.store, self.study, self.round),
            notice=notice,
        )


def get_ready(
    *, address: str, study: str, round_number: int, expected_hash: str | None = None
) -> Ready:
    """Read study and round, go where the client stood, and import the task.

    Raises BadInput where the plan cannot be read, is not the one of `expected_hash`, or the task
    cannot be imported.
    """
    whole = open_store(address)
    store = whole.at(study)
    study_ = read_study(store)
    round_ = read_round(store, round_number)
    if expected_hash is not None and round_hash(round_) != expected_hash:
        raise CorruptPlan(
            f"{store.url}: round {round_number} has hash {round_hash(round_)}, and the Job was "
            f"made for {expected_hash}; delete the Job, then resume the study"
        )
    code = enter_code(whole, study_)
    if study_.directory and Path(study_.directory).is_dir():
        os.chdir(study_.directory)
    task = load_task(code.task, root=code.root, main=bool(round_.hydra.get("main")))
    application = application_of(task)
    if application is not None:
        application = reading(application, _files(whole, study_, round_))
    run = trainer(round_, application) if application else _hydra_jobs(store, round_, task)
    if application is not None:
        application.warm()
        _read_ahead(application, round_)
    return Ready(address, store, study_, round_, application, run, _versions(os.environ))


def _read_ahead(application: Application, round_: Round) -> None:
    """Read the data of the first trial, which the forks of this process then need not read."""
    if not round_.trials:
        return
    first = round_.trials[0]
    config = {**flatten(round_.bases[first.base].config), **first.values}
    with suppress(Exception):  # whatever it is, each trial tells it in its record
        application.data.of({key: config[key] for key in application.data.keys if key in config})


def _versions(env: Mapping[str, str]) -> Mapping[str, str]:
    # An image tells which build it is; two of one version may differ.
    build = env.get(BUILD_ID)
    return {**versions(), "build": build} if build else versions()


def _files(store: Store, study: Study, round_: Round) -> Files:
    files = Files(cache_folder(os.environ), store, files_of(study, [round_]))
    if len(files.plan) == 1:
        for path in files.plan:
            files.place(path)  # once for all children; of several each takes what it needs
    return files


def _stand_where_one_may_write() -> None:
    # An image's own folder is read-only in a pod; outputs are relative to where we stand.
    if not os.access(".", os.W_OK):
        os.chdir(tempfile.mkdtemp(prefix="sweep-"))


def _hydra_jobs(store: Store, round_: Round, task: Task) -> Train:
    from sweep.worker.jobs import HydraJobs

    # Kept until the process ends: Hydra reads groups from it whenever it composes.
    folder = Path(tempfile.mkdtemp(prefix="sweep-configs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if round_.cluster.get("kind") != KUBERNETES:
        jobs = HydraJobs(round_, task, folder=folder)
    else:
        _stand_where_one_may_write()
        jobs = HydraJobs(
            round_,
            task,
            folder=folder,
            keep=lambda trial, outputs: keep_outputs(store, trial.number, outputs),
        )

    def run(trial: Trial, on_epoch: OnEpoch, checkpoints: Checkpoints) -> Result:
        del checkpoints  # the task does not know of them
        return jobs.run(trial, on_epoch)

    return run
