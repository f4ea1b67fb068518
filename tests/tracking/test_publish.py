from typing import Any

import pytest
from tracking_builders import (
    STARTED,
    make_record,
    make_study,
    make_summary,
    make_trial,
    make_trials,
)

from sweep.plan.trial import Failure, State
from sweep.tracking.entry import live_tags, millis, study_filter
from sweep.tracking.info import StudyInfo
from sweep.tracking.parent import open_parent
from sweep.tracking.publish import Published, publish
from sweep.tracking.server import Run, Tracker, open_tracker

# MLflow's own queries: SQLAlchemy 2.1 deprecates what MLflow 3.17 uses
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

Content = dict[str, Any]


def runs_of(tracker: Tracker, study: StudyInfo, *, role: str = "trial") -> list[Run]:
    return tracker.find(study_filter(study, role=role))


def content_of(tracker: Tracker, study: StudyInfo) -> dict[str, Content]:
    """Read all that MLflow holds of a study, each metric with its whole history."""
    found = {}
    for run in [*runs_of(tracker, study), *runs_of(tracker, study, role="study")]:
        whole = tracker.ask(lambda client, run=run: client.get_run(run.id))  # type: ignore[misc]
        histories = {
            key: tracker.ask(lambda client, r=run, k=key: client.get_metric_history(r.id, k))  # type: ignore[misc]
            for key in whole.data.metrics
        }
        found[run.id] = {
            "info": dict(whole.info),
            "tags": whole.data.tags,
            "params": whole.data.params,
            "metrics": {
                key: [(m.step, m.timestamp, m.value) for m in points]
                for key, points in histories.items()
            },
        }
    return found


def deleted_runs(tracker: Tracker) -> int:
    experiment = tracker.experiment_id
    return len(tracker.ask(lambda client: client.search_runs([experiment], "", 2)))


def test_a_trial_is_shown_with_its_settings_results_curve_and_times(tracker: Tracker) -> None:
    study = make_study(git_sha="a" * 40, user="ada")
    trial, record = make_trial(lr=1e-3), make_record(objective=0.1, epochs=3)

    done = publish(tracker, study=study, trials=[(trial, record)])

    assert done == Published(written=1)
    (shown,) = content_of(tracker, study).values()
    assert shown["info"]["run_name"] == "t0 lr0.001"
    assert shown["info"]["status"] == "FINISHED"
    assert shown["info"]["start_time"] == millis(record.started)
    assert shown["info"]["end_time"] == millis(record.finished)
    assert shown["params"] == {"optim.lr": "0.001", "model.hidden_size": "50"}
    assert shown["metrics"]["val_mse"] == [(0, millis(record.finished), 0.1)]
    assert [step for step, _, _ in shown["metrics"]["epoch/val_mse"]] == [1, 2, 3]
    assert shown["tags"]["mlflow.source.git.commit"] == "a" * 40


def test_publishing_twice_changes_nothing(tracker: Tracker) -> None:
    study, summary = make_study(), make_summary(metrics={"best_val_mse": 0.1}, note="# Best")
    first = publish(tracker, study=study, trials=make_trials(4), summary=summary, over=True)
    before = content_of(tracker, study)

    second = publish(tracker, study=study, trials=make_trials(4), summary=summary, over=True)

    assert first.written == 4
    assert second == Published(parent=first.parent, unchanged=4)
    assert content_of(tracker, study) == before


def test_many_trials_are_looked_up_together(tracker: Tracker) -> None:
    study, trials = make_study(), make_trials(20, epochs=1)

    assert publish(tracker, study=study, trials=trials).written == 20
    assert publish(tracker, study=study, trials=trials).unchanged == 20


def test_a_curve_beyond_the_limit_of_one_call_arrives_whole(tracker: Tracker) -> None:
    params = {f"model.size{n}": n for n in range(150)}
    record = make_record(epochs=1200)

    publish(tracker, study=make_study(), trials=[(make_trial(params=params), record)])

    (shown,) = content_of(tracker, make_study()).values()
    assert [step for step, _, _ in shown["metrics"]["epoch/val_mse"]] == list(range(1, 1201))
    assert len(shown["params"]) == 150


def test_a_run_left_by_a_kill_before_its_first_record_is_completed(tracker: Tracker) -> None:
    study, trial, record = make_study(), make_trial(), make_record()
    tags = live_tags(study, trial=trial, record=record, parent=None)
    left = tracker.create(name=trial.name, tags=tags, started_ms=millis(record.started))

    publish(tracker, study=study, trials=[(trial, record)])

    (run,) = runs_of(tracker, study)
    assert run.id == left
    assert run.status == "FINISHED"
    assert run.tags["sweep.state"] == "COMPLETED"


def test_a_curve_sent_in_part_is_completed_without_doubles(tracker: Tracker) -> None:
    study, trial = make_study(), make_trial()
    part = make_record(epochs=2, state=State.PAUSED, finished=STARTED + 3)
    publish(tracker, study=study, trials=[(trial, part)])
    (before,) = runs_of(tracker, study)

    publish(tracker, study=study, trials=[(trial, make_record(epochs=5, finished=STARTED + 8))])

    ((run, shown),) = content_of(tracker, study).items()
    assert run == before.id
    assert [step for step, _, _ in shown["metrics"]["epoch/val_mse"]] == [1, 2, 3, 4, 5]
    (now,) = runs_of(tracker, study)
    assert now.metrics["best_epoch"] == 5


def test_a_later_record_supersedes_an_earlier_one(tracker: Tracker) -> None:
    study, trial = make_study(), make_trial()
    failed = make_record(
        state=State.FAILED, objective=None, epochs=2, error=Failure("OSError", "disk full")
    )
    publish(tracker, study=study, trials=[(trial, failed)])
    again = make_record(round=2, started=STARTED + 500, finished=STARTED + 600, epochs=4)

    done = publish(tracker, study=study, trials=[(trial, again)])

    assert done == Published(written=1, removed=1)
    ((_, shown),) = content_of(tracker, study).items()
    assert shown["info"]["status"] == "FINISHED"
    assert shown["info"]["start_time"] == millis(again.started)
    assert "sweep.error" not in shown["tags"]
    assert [step for step, _, _ in shown["metrics"]["epoch/val_mse"]] == [1, 2, 3, 4]


def test_of_doubles_the_complete_one_is_kept(tracker: Tracker) -> None:
    study, trial, record = make_study(), make_trial(), make_record()
    publish(tracker, study=study, trials=[(trial, record)])
    (complete,) = runs_of(tracker, study)
    tags = live_tags(study, trial=trial, record=record, parent=None)
    for _ in range(2):
        tracker.create(name=trial.name, tags=tags, started_ms=millis(record.started))

    done = publish(tracker, study=study, trials=[(trial, record)])

    assert done == Published(unchanged=1, removed=2)
    assert [run.id for run in runs_of(tracker, study)] == [complete.id]
    assert deleted_runs(tracker) == 2


def test_orphans_are_closed_once_the_study_is_over(tracker: Tracker) -> None:
    study, trial, record = make_study(), make_trial(7), make_record(7)
    tags = live_tags(study, trial=trial, record=record, parent=None)
    tracker.create(name=trial.name, tags=tags, started_ms=millis(record.started))

    during = publish(tracker, study=study, trials=make_trials(2))
    after = publish(tracker, study=study, trials=make_trials(2), over=True)

    assert (during.closed, after.closed) == (0, 1)
    status = {run.tags["sweep.trial"]: run.status for run in runs_of(tracker, study)}
    assert status == {"0": "FINISHED", "1": "FINISHED", "7": "KILLED"}


def test_other_peoples_studies_in_the_same_experiment_are_left_alone(tracker: Tracker) -> None:
    mine, theirs = make_study("demo"), make_study("demo", started=STARTED - 50, user="bob")
    for trial, record in make_trials(3):
        tags = live_tags(theirs, trial=trial, record=record, parent=None)
        tracker.create(name=trial.name, tags=tags, started_ms=millis(record.started))
    open_parent(tracker, study=theirs)
    before = content_of(tracker, theirs)

    done = publish(tracker, study=mine, trials=make_trials(2), summary=make_summary(), over=True)

    assert done.written == 2
    assert done.closed == 0
    assert content_of(tracker, theirs) == before


def test_children_move_to_a_parent_that_was_made_later(tracker: Tracker) -> None:
    study = make_study()
    publish(tracker, study=study, trials=make_trials(2))

    done = publish(tracker, study=study, trials=make_trials(2), summary=make_summary())

    assert done.parent is not None
    assert {run.tags["mlflow.parentRunId"] for run in runs_of(tracker, study)} == {done.parent}
    assert deleted_runs(tracker) == 0


def test_a_trial_that_mlflow_does_not_take_keeps_no_other_back(
    tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    study, trials = make_study(), make_trials(3)
    trial, record = trials[1]
    tags = live_tags(study, trial=trial, record=record, parent=None)
    left = tracker.create(name=trial.name, tags=tags, started_ms=millis(record.started))
    tracker.write(left, params={"optim.lr": "another value, which MLflow never changes"})

    done = publish(tracker, study=study, trials=trials)

    assert (done.written, done.refused, done.away) == (2, 1, False)
    assert not done.complete
    assert "trial 1 was refused" in caplog.text


def test_the_parent_shows_the_outcome_and_keeps_the_grid(tracker: Tracker) -> None:
    study = make_study(grid="optim.lr: [0.001, 0.01]\n")
    summary = make_summary(
        metrics={"best_val_mse": 0.1, "trials.completed": 2.0},
        params={"guide": "start"},
        note="| rank | trial |",
        files={"trials.csv": "trial,val_mse\n0,0.1\n"},
        done=2,
    )

    parent = publish(tracker, study=study, trials=[], summary=summary).parent

    shown = content_of(tracker, study)[str(parent)]
    assert shown["info"]["status"] == "FINISHED"
    assert shown["info"]["start_time"] == millis(STARTED)
    assert shown["info"]["end_time"] == millis(summary.at)
    assert shown["metrics"]["best_val_mse"] == [(2, millis(summary.at), 0.1)]
    assert shown["params"] == {"guide": "start"}
    assert shown["tags"]["mlflow.note.content"] == "| rank | trial |"
    files = tracker.ask(lambda client: client.list_artifacts(str(parent)))
    assert sorted(file.path for file in files) == ["grid.yaml", "trials.csv"]


def test_a_resumed_study_opens_its_parent_again(tracker: Tracker) -> None:
    study = make_study()
    first = publish(tracker, study=study, trials=[], summary=make_summary(params={"trials": 2}))

    again = make_summary(state="RUNNING", at=STARTED + 900, params={"trials": 3})
    publish(tracker, study=study, trials=[], summary=again)

    (run,) = runs_of(tracker, study, role="study")
    assert run.id == first.parent
    assert run.status == "RUNNING"
    assert run.params == {"trials": "2"}  # MLflow never changes a parameter


def test_conductors_that_start_at_once_agree_on_one_parent(tracker: Tracker) -> None:
    study = make_study()
    opened = open_parent(tracker, study=study)
    (run,) = runs_of(tracker, study, role="study")
    double = tracker.create(name=run.name, tags=run.tags, started_ms=run.started_ms)

    agreed = {open_parent(tracker, study=study) for _ in range(2)}

    assert len(agreed) == 1
    assert agreed < {opened, double}
    assert len(runs_of(tracker, study, role="study")) == 1


def test_a_long_note_is_cut_between_lines(tracker: Tracker) -> None:
    note = "".join(f"| {n} | a trial of the leaderboard |\n" for n in range(500))

    publish(tracker, study=make_study(), trials=[], summary=make_summary(note=note))

    (run,) = runs_of(tracker, make_study(), role="study")
    shown = run.tags["mlflow.note.content"].splitlines()
    assert shown[-1] == "(cut: the whole is among the artifacts)"
    assert shown[-3].endswith("leaderboard |")


def test_a_deleted_experiment_is_named_not_restored(
    tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    experiment = tracker.experiment_id
    tracker.ask(lambda client: client.delete_experiment(experiment))
    fresh = open_tracker(tracker.uri, experiment=tracker.experiment)

    done = publish(fresh, study=make_study(), trials=make_trials(1))

    assert done.refused == 1
    assert "experiment 'forecast' was deleted; restore it" in caplog.text
