"""Read from the store what one worker has to do."""

from __future__ import annotations

from pathlib import Path

from sweep.errors import BadInput
from sweep.plan.application import Application
from sweep.plan.round import Round, Study
from sweep.store import Store, open_store
from sweep.study.opening import versions
from sweep.study.reading import read_round, read_study
from sweep.task import application_of, load_task
from sweep.worker.attempt import Assignment
from sweep.worker.watching import watcher_for


def assign(*, address: str, study: str, round_number: int, index: int) -> Assignment:
    """Read study, round and pack, and import the task.

    Raises BadInput where the plan cannot be read, the task cannot be imported or tells nothing
    about itself, or the round has no such pack.
    """
    store = open_store(address).at(study)
    study_ = read_study(store)
    round_ = read_round(store, round_number)
    application = the_application(study_)
    return assignment(store, study_, round_, application, index)


def assignment(
    store: Store, study: Study, round_: Round, application: Application, index: int
) -> Assignment:
    """Put together what is needed for the pack at one place of a round."""
    if not 0 <= index < len(round_.packs):
        raise BadInput(f"round {round_.number} has {len(round_.packs)} packs, none at {index}")
    return Assignment(
        store=store,
        study=study,
        round=round_,
        pack=round_.packs[index],
        run=application.run,
        application=application,
        versions=versions(),
        watcher=watcher_for(store, study, round_),
    )


def the_application(study: Study) -> Application:
    """Import the study's task and return what it tells about itself."""
    task = load_task(study.task, root=Path(study.directory or "."))
    application = application_of(task)
    if application is None:
        raise BadInput(f"task {study.task} tells nothing about itself; it cannot run by name yet")
    return application
