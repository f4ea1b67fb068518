"""Read from the store what one worker has to do."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import BadInput
from sweep.plan.application import Application, OnEpoch, Result
from sweep.plan.round import Round, Study
from sweep.plan.trial import Trial
from sweep.store import Store, open_store
from sweep.study.opening import versions
from sweep.study.reading import read_round, read_study
from sweep.task import Task, application_of, load_task
from sweep.worker.attempt import Assignment, resolved
from sweep.worker.watching import watcher_for


@dataclass(frozen=True, slots=True)
class Ready:
    """A round, and all that its packs have in common."""

    store: Store  # the study's part
    study: Study
    round: Round
    application: Application | None
    run: Callable[[Trial, OnEpoch], Result]
    versions: Mapping[str, str]

    def pack(self, index: int) -> Assignment:
        """Put together what is needed for the pack at one place of the round."""
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
        )


def get_ready(*, address: str, study: str, round_number: int) -> Ready:
    """Read study and round, go where the client stood, and import the task.

    Raises BadInput where the plan cannot be read or the task cannot be imported.
    """
    store = open_store(address).at(study)
    study_ = read_study(store)
    round_ = read_round(store, round_number)
    if study_.directory and Path(study_.directory).is_dir():
        os.chdir(study_.directory)
    task = load_task(
        study_.task,
        root=Path(study_.directory or "."),
        main=bool(round_.hydra.get("main")),
    )
    application = application_of(task)
    run = _trainer(round_, application) if application else _hydra_jobs(round_, task)
    if application is not None:
        application.warm()
    return Ready(store, study_, round_, application, run, versions())


def _trainer(round_: Round, application: Application) -> Callable[[Trial, OnEpoch], Result]:
    def run(trial: Trial, on_epoch: OnEpoch) -> Result:
        return application.run(resolved(round_, trial), on_epoch)

    return run


def _hydra_jobs(round_: Round, task: Task) -> Callable[[Trial, OnEpoch], Result]:
    from sweep.worker.jobs import HydraJobs

    # Kept until the process ends: Hydra reads groups from it whenever it composes.
    folder = Path(tempfile.mkdtemp(prefix="sweep-configs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return HydraJobs(round_, task, folder=folder).run
