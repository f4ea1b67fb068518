"""The forecast trains in real pods, from the Dockerfile's image, as it does on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import APPLICATIONS, Ended, Place, finish, wait_until
from code_builders import make_repository
from conftest import KEYS
from kubernetes import client
from kubernetes.client import ApiClient
from release_objects import install
from testbed.bed import Bed
from testbed.control import ControlPlane
from testbed.levers import Link
from testbed.mlflow_server import MlflowServer
from testbed.pods import PYTHON, Pods, container, pod_spec
from testbed.real_fixtures import Trainer
from testbed.s3 import Bucket

from sweep.plan import layout
from sweep.plan.trial import State

pytestmark = [
    pytest.mark.node,
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

FORECAST = (
    "sweep",
    "+experiment=forecast",
    "guide=none",
    "optim.lr=0.001,0.003",
    "data.lookback=4",
    "train.batch_size=256",
    "train.epochs=2",
    "-m",
)


RELAYED = {"app": "relay"}
SERVICES = (("minio", 9000, "store.endpoint.pods"), ("mlflow", 5000, "tracking.pods"))
RELAY = """
import asyncio, sys

async def pass_on(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

def relay(host, port):
    async def connected(reader, writer):
        far = await asyncio.open_connection(host, port)
        both = pass_on(reader, far[1]), pass_on(far[0], writer)
        await asyncio.gather(*both, return_exceptions=True)
    return connected

async def main():
    for words in sys.argv[1:]:
        own, host, port = words.split(":")
        await asyncio.start_server(relay(host, int(port)), port=int(own))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def place(
    control_plane: ControlPlane,
    trainer: Trainer,
    api_client: ApiClient,
    namespace: str,
    bucket: Bucket,
    mlflow_stack: MlflowServer,
    bed: Bed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """Give a person's command line where the release names the image, S3 and MLflow."""
    env = {name: value for name, value in bucket.env.items() if name != "AWS_ENDPOINT_URL"}
    for name, value in {**env, "AWS_ENDPOINT_URL_S3": bucket.endpoint}.items():
        monkeypatch.setenv(name, value)
    with (
        Link(bucket.endpoint, address=bed.address) as s3,
        Link(mlflow_stack.uri, address=bed.address) as mlflow,
    ):
        release = {
            "image": trainer.image,
            "store": f"{bucket.url}/studies",
            "store.endpoint.pods": s3.url,
            "store.endpoint.people": bucket.endpoint,
            "tracking.pods": mlflow.url,
            "tracking.people": mlflow_stack.uri,
        }
        install(api_client, namespace, release=release, keys={name: env[name] for name in KEYS})
        kubeconfig = control_plane.kubeconfig_of_account(namespace, "sweep-submitter")
        yield Place(tmp_path, {"KUBECONFIG": str(kubeconfig)}, f"{bucket.url}/studies")


@pytest.fixture
def hidden(
    place: Place, pods: Pods, bucket: Bucket, mlflow_stack: MlflowServer, bed: Bed
) -> Iterator[Place]:
    """Put S3 and MLflow behind Services, of which the release has no address for people."""
    with (
        Link(bucket.endpoint, address=bed.address) as s3,
        Link(mlflow_stack.uri, address=bed.address) as mlflow,
    ):
        targets = [f"{own}:{bed.address}:{link.port}" for own, link in ((9000, s3), (5000, mlflow))]
        main = container(["python", "-c", RELAY, *targets], image=PYTHON)
        pods.create("relay", pod_spec(main), labels=RELAYED)
        pods.wait_running("relay")
        release = {"store.endpoint.people": "", "tracking.people": ""}
        for name, port, key in SERVICES:
            spec = {"selector": RELAYED, "ports": [{"port": port}]}
            service = {"metadata": {"name": name}, "spec": spec}
            pods.core.create_namespaced_service(pods.namespace, service)
            release[key] = f"http://{name}.{pods.namespace}.svc.cluster.local:{port}"
        pods.core.patch_namespaced_config_map("sweep-release", pods.namespace, {"data": release})
        place.extra = {**place.extra, "AWS_ENDPOINT_URL_S3": ""}
        yield place


def test_the_forecast_in_pods_is_the_local_one_bit_for_bit(
    place: Place, trainer: Trainer, mlflow_stack: MlflowServer, bucket: Bucket
) -> None:
    here = forecast(place, "here", "hydra.launcher.cluster=local", "tracking.uri=sqlite:///m.db")
    there = forecast(place, "there", *on(trainer))

    assert here.code == 0, here.err
    assert there.code == 0, there.out + there.err
    assert "one Job" in there.out
    assert numbers(place, "here") == numbers(place, "there")
    statuses = [run.info.status for run in runs(mlflow_stack, "there")]
    assert statuses == ["FINISHED"] * 3, "a parent and two trials"
    assert "there/winner.json" in "\n".join(keys_of(bucket))


def test_an_application_that_the_image_does_not_know_comes_by_its_bundle(
    place: Place, trainer: Trainer
) -> None:
    """It has a structured config with an enum, a resolver, callbacks and output files."""
    here = shutil.copytree(APPLICATIONS / "any_app", place.folder / "any_app")
    make_repository(place.folder, {})
    typed = here / "conf" / "typed.yaml"
    typed.write_text(typed.read_text().replace("tags: [a, b]", "tags: [edited]"))
    place.extra = {**place.extra, "GREETED": "client"}
    own = ("hydra/launcher=kubernetes", "hydra.launcher.code=bundle", "hydra.launcher.study=s")
    words = ("+hydra.launcher.env.GREETED=hello", "x=1,2", "colour=BLUE", *on(trainer), "-m")

    ended = finish(place._start(["-m", "any_app.app", *own, *words]), within_s=240)

    assert ended.code == 0, ended.out + ended.err
    store = place.store.at("s")
    for number in range(2):
        outputs = layout.output_prefix(number)
        seen = json.loads(store.read(f"{outputs}seen.json"))
        assert f"{outputs}watcher-job_end.json" in store.sizes(outputs)
        assert seen["is_enum"]
        for line in (f"thrice: {3 * (1 + number)}", "colour: BLUE", "home: hello", "- edited"):
            assert f"{line}\n" in seen["resolved"]


def test_a_pod_that_is_told_to_stop_goes_on_with_the_same_numbers(
    place: Place, trainer: Trainer, api_client: ApiClient, namespace: str
) -> None:
    long = ("train.epochs=12", "train.patience=null")
    here = forecast(
        place, "here", "hydra.launcher.cluster=local", "tracking.uri=sqlite:///m.db", *long
    )
    words = (*FORECAST, "hydra.launcher.study=there", *on(trainer), *long)
    running = place._start(["-m", *words])
    core = client.CoreV1Api(api_client)
    wait_until(lambda: living(core, namespace) and place.begun("there") != {}, within_s=120)
    for pod in living(core, namespace):
        core.delete_namespaced_pod(pod.metadata.name, namespace)

    ended = finish(running, within_s=280)

    assert (here.code, ended.code) == (0, 0), here.err + ended.out + ended.err
    assert numbers(place, "here") == numbers(place, "there")
    assert {r.state for r in place.records("there").values()} == {State.COMPLETED}
    assert any(record.continued for record in place.records("there").values())


def test_where_people_have_no_address_the_client_opens_the_ways_itself(
    hidden: Place, trainer: Trainer, mlflow_stack: MlflowServer, namespace: str
) -> None:
    ended = forecast(hidden, "behind", *on(trainer))
    status = hidden.verb("status", "behind")

    assert ended.code == 0, ended.out + ended.err
    assert {r.state for r in hidden.records("behind").values()} == {State.COMPLETED}
    assert [run.info.status for run in runs(mlflow_stack, "behind")] == ["FINISHED"] * 3
    assert "table:   http://127.0.0.1:" in ended.out
    assert f"later:   kubectl -n {namespace} port-forward service/mlflow" in ended.out
    assert "complete" in status.out, status.err


def forecast(place: Place, study: str, *words: str) -> Ended:
    store = f"hydra.launcher.store={place.address}"
    words = ("-m", *FORECAST, f"hydra.launcher.study={study}", store, *words)
    return finish(place._start(words), within_s=280)


def on(trainer: Trainer) -> tuple[str, ...]:
    return (
        f"+hydra.launcher.node_selector={{kubernetes.io/hostname: {trainer.node}}}",
        "hydra.launcher.pull_policy=Never",
        "hydra.launcher.resources.memory=1Gi",
        "hydra.launcher.parallelism=2",
        "hydra.launcher.pack.size=1",
    )


def numbers(place: Place, study: str) -> dict[int, Any]:
    records = place.records(study)
    return {n: (r.objective, dict(r.metrics), dict(r.history)) for n, r in records.items()}


def living(core: client.CoreV1Api, namespace: str) -> list[Any]:
    pods = core.list_namespaced_pod(namespace, label_selector="sweep/study=there").items
    return [pod for pod in pods if pod.status.phase == "Running"]


def runs(server: MlflowServer, study: str) -> list[Any]:
    from mlflow import MlflowClient

    tracking = MlflowClient(server.uri)
    experiments = [each.experiment_id for each in tracking.search_experiments()]
    return list(tracking.search_runs(experiments, f"tags.`sweep.study` = '{study}'"))


def keys_of(bucket: Bucket) -> list[str]:
    found = bucket.client().list_objects_v2(Bucket=bucket.name, Prefix="studies/")
    return [entry["Key"] for entry in found.get("Contents", [])]
