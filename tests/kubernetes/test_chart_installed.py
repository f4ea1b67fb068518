"""The chart on a real node: its stack in pods, sweeps from inside and outside, a night, an upgrade.

The tests use one release, in the order in which they stand here, on a network that enforces its
NetworkPolicies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from callers import ANSWERS, PORTS, SILENCE, caller
from clients import Ended, Place, finish, wait_until
from installed import CHART, OURS, RELEASE, TINY, Installed, installed, namespace_on
from kubernetes.client import ApiClient
from testbed.control import ControlPlane
from testbed.helm import programs
from testbed.pods import conditions, exit_code
from testbed.policies import Enforcement, enforceable, enforced
from testbed.real import RealNodes
from testbed.real_fixtures import Trainer

pytestmark = [
    pytest.mark.node,
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

NIGHT = "night-1"
TRAINER = {"app.kubernetes.io/name": "sweep", "app.kubernetes.io/component": "trainer"}


@pytest.fixture(scope="module")
def enforcement(
    stack_node: Trainer, real_nodes: RealNodes, control_plane: ControlPlane
) -> Iterator[Enforcement | None]:
    """Have NetworkPolicies enforced where the chart is installed, if the kernel can do that."""
    node = real_nodes[stack_node.node]
    if not enforceable(node):
        yield None
        return
    with enforced(node, control_plane) as found:
        yield found


@pytest.fixture(scope="module")
def release(
    enforcement: Enforcement | None,
    stack_node: Trainer,
    control_plane: ControlPlane,
    api_client: ApiClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    """Install the chart once for all tests here."""
    folder = tmp_path_factory.mktemp("chart")
    server = {
        "apiServerCidr": f"{control_plane.bed.address}/32",
        "apiServerPorts": [control_plane.port],
    }
    changes = {"networkPolicy": server}
    with (
        namespace_on(stack_node, api_client) as pods,
        installed(stack_node, control_plane, pods, programs(), folder, changes) as found,
    ):
        yield found


@pytest.fixture
def person(release: Installed, tmp_path: Path) -> Place:
    """Give the command line of one who has a kubeconfig and the store's keys, and sets no flag."""
    return Place(tmp_path, release.person())


def test_the_stack_runs_in_pods_that_restricted_admits(release: Installed) -> None:
    release.wait_ready()

    images = {pod.spec.containers[0].name: pod.status.phase for pod in release.stack()}
    assert images == {"mlflow": "Running", "minio": "Running", "postgres": "Running"}


def test_only_pods_of_a_study_reach_the_stack_and_none_of_them_its_database(
    release: Installed, enforcement: Enforcement | None, stack_node: Trainer, api_client: ApiClient
) -> None:
    if enforcement is None:
        pytest.xfail("this kernel hands no packets to a process: it lacks NFQUEUE")
    with (
        namespace_on(stack_node, api_client) as others,
        caller(release.pods, "one-that-trains", TRAINER) as trainer,
        caller(release.pods, "beside", {}) as beside,
        caller(others, "elsewhere", TRAINER) as elsewhere,
    ):
        callers = (trainer, beside, elsewhere)
        heard = [each.hears(release.namespace) for each in callers]
        with enforcement.lifted():
            freely = [each.hears(release.namespace) for each in callers]

    trains, *strangers = heard
    assert trains == {"minio": ANSWERS, "mlflow": ANSWERS, "postgres": SILENCE}
    assert strangers == [dict.fromkeys(PORTS, SILENCE)] * 2
    assert freely == [dict.fromkeys(PORTS, ANSWERS)] * 3, "nothing but the policies was in the way"


def test_a_sweep_from_outside_needs_no_flag(release: Installed, person: Place) -> None:
    done = sweep(person, "outside")

    assert done.code == 0, done.out + done.err
    assert "(cluster=auto)" in done.out
    assert "one Job" in done.out
    assert "http://127.0.0.1:" in done.out, "a way to MLflow for people"
    assert "s3://sweep/studies/outside" in done.out


def test_a_gate_from_outside_finds_the_first_champion(release: Installed, person: Place) -> None:
    done, said = gate(person, "outside")

    assert done.code == 0, done.out + done.err
    assert (said["verdict"], len(said["seeds"])) == ("first", 5)
    jobs = release.pods.batch.list_namespaced_job(
        release.namespace, label_selector="sweep/study=outside"
    )
    assert len(jobs.items) == 2, "its trials are one more Job"


def test_helm_test_runs_a_sweep_inside(release: Installed) -> None:
    told = release.helm_test()

    assert "Succeeded" in told
    assert "2 trials: 2 completed" in release.pods.logs("sweep-test")


def test_a_night_whose_client_is_killed_completes_as_one_study(
    release: Installed, person: Place
) -> None:
    release.kubectl("create", "job", "--from=cronjob/sweep-nightly", NIGHT)
    wait_until(lambda: trainers(release, NIGHT) != [], within_s=180)
    first = client_of(release)
    release.kubectl("delete", "pod", first, "--grace-period=0", "--force")

    ended = release.pods.wait_job(NIGHT, has_ended, within_s=600)

    second = client_of(release)
    assert second != first
    assert "Complete" in conditions(ended), release.pods.logs(second)
    status = person.verb("status", NIGHT, "--json")
    (told,) = json.loads(status.out)
    assert (told["study"], told["state"]) == (NIGHT, "complete")
    jobs = release.pods.batch.list_namespaced_job(
        release.namespace, label_selector=f"sweep/study={NIGHT}"
    )
    assert [job.metadata.name for job in jobs.items][:1] == [f"{NIGHT}-r1"]


def test_that_night_s_gate_held_it_against_the_champion(person: Place) -> None:
    done, said = gate(person, NIGHT)  # it has judged: it says the same again

    assert (done.code, said["verdict"]) == (0, "no difference known")
    (check,) = said["checks"]
    assert check["name"] == "tonight's winner against the winner of outside"
    assert (check["pairs"], check["worse"]) == (5, 0.0), "the same configuration, data and code"


def test_a_night_with_a_planted_regression_fails(release: Installed, person: Place) -> None:
    worse = plant(release, {"optim.lr=0.001,0.003": "optim.lr=0.000001"})

    ended = release.pods.wait_job(worse, has_ended, within_s=600)

    assert conditions(ended)["Failed"] == "PodFailurePolicy"
    (pod,) = release.pods.of_job(worse)
    assert exit_code(pod) == 4, release.pods.logs(pod.metadata.name)
    done, said = gate(person, worse)
    assert (done.code, said["verdict"], said["champion"]["study"]) == (4, "regression", "outside")
    assert said["checks"][0]["pairs"] == 5
    assert said["checks"][0]["low"] > 0


def test_an_upgrade_keeps_passwords_and_data(release: Installed, person: Place) -> None:
    before = release.secrets()
    wait = ("--values", release.values, "--wait", "--timeout", "8m")

    release.helm("upgrade", RELEASE, CHART, *wait, "--set", "mlflow.startupSeconds=400")

    release.wait_ready()
    assert release.secrets() == before
    assert "outside" in person.verb("status").out


def test_artifacts_survive_a_rollback_and_a_restart_of_every_pod(
    release: Installed, person: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else MLflow's client is led to the S3 store itself, by an address that only pods know.
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
    secrets, before = release.secrets(), {pod.metadata.uid for pod in release.stack()}
    with release.mlflow() as uri:
        kept = artifacts(uri, "outside")
    release.helm("rollback", RELEASE, "1", "--timeout", "8m")
    release.kubectl("delete", "pod", "--selector", OURS, "--wait=false")

    wait_until(lambda: before.isdisjoint(pod.metadata.uid for pod in release.stack()))
    release.wait_ready()

    assert release.secrets() == secrets
    with release.mlflow() as uri:
        assert artifacts(uri, "outside") == kept
    assert "report.html" in kept
    assert any(name.startswith("model/") for name in kept)
    again = person.verb("publish", "outside")
    assert again.code == 0, again.out + again.err
    assert person.verb("report", "outside", "--output", "page.html").code == 0
    assert "outside" in (person.folder / "page.html").read_text()


def test_uninstall_leaves_data_and_passwords_and_says_so(release: Installed) -> None:
    told = release.helm("uninstall", RELEASE, "--wait", "--timeout", "4m")

    for kept in ("sweep-postgres", "sweep-minio", "sweep-store"):
        assert kept in told
    claims = release.pods.core.list_namespaced_persistent_volume_claim(
        release.namespace, label_selector=OURS
    )
    assert {claim.metadata.name for claim in claims.items} == {"sweep-postgres", "sweep-minio"}
    wait_until(lambda: release.stack() == [], within_s=180)


def sweep(person: Place, study: str) -> Ended:
    words = ("sweep", "+experiment=forecast", *TINY, f"hydra.launcher.study={study}", "-m")
    return finish(person._start(["-m", *words]), within_s=600)


def gate(person: Place, study: str) -> tuple[Ended, dict[str, Any]]:
    done = finish(person._start(["-m", "sweep", "gate", study, "--json"]), within_s=600)
    return done, json.loads(done.out) if done.out else {}


def plant(release: Installed, words: Mapping[str, str]) -> str:
    """Start a night in which some words of its sweep are others."""
    name = "night-2"
    made = ("create", "job", "--from=cronjob/sweep-nightly", name, "--dry-run=client", "-o", "json")
    job = json.loads(release.kubectl(*made))
    (container,) = job["spec"]["template"]["spec"]["initContainers"]
    assert set(words) <= set(container["args"])
    container["args"] = [words.get(word, word) for word in container["args"]]
    release.pods.create_job(job)
    return name


def artifacts(uri: str, study: str) -> dict[str, str]:
    """Download what MLflow keeps of a study, its report and its model; give digests by name."""
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts

    client = MlflowClient(uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    wanted = f"tags.`sweep.study` = '{study}' and tags.`sweep.role` = 'study'"
    (parent,) = client.search_runs(experiments, wanted)
    model = client.get_logged_model(parent.data.tags["sweep.model"].split()[1]).artifact_location
    found = {}
    for prefix, place in (("", f"runs:/{parent.info.run_id}/"), ("model/", model)):
        with TemporaryDirectory() as name:
            download_artifacts(place, dst_path=name, tracking_uri=uri)
            for file in filter(Path.is_file, Path(name).rglob("*")):
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                found[f"{prefix}{file.relative_to(name)}"] = digest
    return found


def has_ended(job: Any) -> bool:
    """Tell whether a Job's last condition is there; one that says what it will be comes before."""
    return not {"Complete", "Failed"}.isdisjoint(conditions(job))


def trainers(release: Installed, study: str) -> list[Any]:
    found = release.pods.core.list_namespaced_pod(
        release.namespace, label_selector=f"sweep/study={study}"
    )
    return [pod for pod in found.items if pod.status.phase == "Running"]


def client_of(release: Installed) -> str:
    return str(release.pods.of_job(NIGHT)[-1].metadata.name)
