import json

import pytest
from tracking_builders import STARTED, make_record, make_study, make_trial

from sweep.tracking.info import Purpose, StudyInfo
from sweep.tracking.publish import publish
from sweep.tracking.server import Tracker, open_tracker
from sweep.tracking.view import KEPT, PREFIX, charts_path, save_view, stale_views, view_state

# MLflow's own queries: SQLAlchemy 2.1 deprecates what MLflow 3.17 uses
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def save(tracker: Tracker, study: StudyInfo, *, params: tuple[str, ...] = ("optim.lr",)) -> str:
    path = save_view(tracker, study=study, params=params, curves=["val_mse"], trials=3)
    assert path is not None
    return path


def test_the_view_is_kept_under_the_name_in_its_address(tracker: Tracker) -> None:
    path = save(tracker, make_study())

    name = path.partition("viewStateShareKey=")[2].partition("&")[0]
    tag = json.loads(tracker.labels()[PREFIX + name])
    assert tag["name"] == "forecast-3f2a"
    assert json.loads(tag["state"])["orderByKey"] == "metrics.`val_mse`"
    assert path.startswith(f"#/experiments/{tracker.experiment_id}/runs?")


def test_the_same_study_has_one_view(tracker: Tracker) -> None:
    assert save(tracker, make_study()) == save(tracker, make_study())

    assert len([name for name in tracker.labels() if name.startswith(PREFIX)]) == 1


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_gate_s_trials_are_not_in_the_table_and_those_that_confirm_are_marked(
    tracker: Tracker, *, confirmed: bool
) -> None:
    study = make_study()
    purposes: list[Purpose] = ["search", "confirm", "gate"]
    trials = [make_trial(n, purpose=purpose) for n, purpose in enumerate(purposes)]
    publish(tracker, study=study, trials=[(t, make_record(t.number)) for t in trials])

    state = view_state(study, params=[], curves=[], trials=3, confirmed=confirmed)

    found = tracker.find(state["searchFilter"])
    assert sorted(run.tags["sweep.purpose"] for run in found) == ["confirm", "search"]
    assert ("tags.`sweep.purpose`" in state["selectedColumns"]) is confirmed


@pytest.mark.parametrize(("direction", "ascending"), [("minimize", True), ("maximize", False)])
def test_the_best_trial_comes_first(direction: str, ascending: bool) -> None:
    study = make_study(direction=direction)

    state = view_state(study, params=["optim.lr"], curves=[], trials=3)

    assert state["orderByAsc"] is ascending


def test_the_charts_are_all_trials_at_once_and_a_curve_each() -> None:
    state = view_state(make_study(), params=["optim.lr"], curves=["val_mse", "loss"], trials=3)

    parallel, *lines = state["compareRunCharts"]
    assert (parallel["selectedParams"], parallel["selectedMetrics"]) == (["optim.lr"], ["val_mse"])
    assert [line["metricKey"] for line in lines] == ["epoch/val_mse", "epoch/loss"]
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= sections


def test_a_single_trial_has_no_parallel_coordinates() -> None:
    state = view_state(make_study(), params=[], curves=["val_mse"], trials=1)

    assert [chart["type"] for chart in state["compareRunCharts"]] == ["LINE"]


def test_a_view_that_mlflow_refuses_falls_back_to_a_sorted_table(tracker: Tracker) -> None:
    too_many = tuple(f"group.a_rather_long_name_of_a_setting_{n}" for n in range(600))

    path = save(tracker, make_study(), params=too_many)

    assert "viewStateShareKey" not in path
    assert "orderByKey=metrics.%60val_mse%60&orderByAsc=true" in path
    assert "searchFilter=tags.%60sweep.study%60%20%3D%20%27forecast-3f2a%27" in path


def test_the_views_of_old_studies_go_and_those_of_others_stay(tracker: Tracker) -> None:
    others = PREFIX + "0123abcd"
    tracker.label(others, json.dumps({"name": "bob's", "createdAt": 1}))
    for n in range(KEPT + 3):
        save(tracker, make_study(f"study-{n}", started=STARTED + n))

    labels = tracker.labels()

    names = {json.loads(value)["name"] for name, value in labels.items() if PREFIX in name}
    assert names == {"bob's", *(f"study-{n}" for n in range(3, KEPT + 3))}


def test_a_view_tag_that_cannot_be_read_counts_as_the_oldest() -> None:
    labels = {f"{PREFIX}sweep-{n}": json.dumps({"createdAt": n}) for n in range(KEPT)}
    labels[f"{PREFIX}sweep-torn"] = "{"

    assert stale_views(labels) == [f"{PREFIX}sweep-torn"]


def test_without_mlflow_there_is_no_view() -> None:
    tracker = open_tracker("http://127.0.0.1:1", experiment="forecast")

    assert save_view(tracker, study=make_study(), params=[], curves=[], trials=1) is None


def test_the_charts_of_a_view_are_one_word_away() -> None:
    assert charts_path("#/x?viewStateShareKey=a").endswith("&compareRunsMode=CHART")
