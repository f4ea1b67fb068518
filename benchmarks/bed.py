"""Start what the cluster's benchmarks run on: a control plane, played nodes, S3, a release."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests" / "kubernetes")]

from kubernetes import client, config  # noqa: E402
from release_objects import install  # noqa: E402
from testbed.audit import asked_by, audit_flags  # noqa: E402
from testbed.bed import open_bed  # noqa: E402
from testbed.control import ControlPlane  # noqa: E402
from testbed.fake import FakeNodes  # noqa: E402
from testbed.minio import start_minio  # noqa: E402

NAMESPACE, ACCOUNT = "bench", "sweep-submitter"
ON_FAKE = {"scheduler.alpha.kubernetes.io/node-selector": "testbed/kind=fake"}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
WRITES = ("POST", "PUT", "PATCH", "DELETE", "APPLY")
POLL_S = 0.02
OWN_WRITES = ("create", "update", "patch", "delete")


@dataclass(frozen=True)
class Took:
    """What one command took."""

    code: int
    wall_s: float
    cpu_s: float  # which other load changes less
    peak_mib: float
    said: str

    @property
    def figures(self) -> str:
        """Write what it took for people."""
        return f"{self.wall_s:.1f} s, {self.cpu_s:.1f} CPU-s, {self.peak_mib:.0f} MiB"


@dataclass(frozen=True)
class Requests:
    """What the API server was asked meanwhile."""

    by_all: int  # clients, controllers, scheduler and nodes together
    writes_by_all: int
    own: int  # by the account that submits
    own_writes: int


@dataclass(frozen=True)
class Stage:
    """A namespace in which a submitter may do what the Role allows, and a store."""

    control: ControlPlane
    nodes: FakeNodes
    api: client.ApiClient
    env: dict[str, str]
    store: str

    def run(self, *words: str, folder: Path) -> Took:
        """Run a command of the submitter's to its end."""
        begun = time.perf_counter()
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=folder,
                env={**os.environ, **self.env},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            ended, peak_mib = 0, 0.0
            while not ended:
                peak_mib = _peak_mib(process.pid) or peak_mib
                time.sleep(POLL_S)
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            wall_s = time.perf_counter() - begun
            output.seek(0)
            said = output.read()
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_s = usage.ru_utime + usage.ru_stime
        return Took(process.returncode, wall_s, cpu_s, peak_mib, said)

    def requests(self) -> Requests:
        """Count by the server's own metrics, and the submitter's by its audit log."""
        text = self.api.call_api("GET", f"{self.control.server}/metrics", {}).read().decode()
        counted = [line for line in text.splitlines() if line.startswith("apiserver_request_total")]
        own = asked_by(self.control.bed.folder / "audit", namespace=NAMESPACE, account=ACCOUNT)
        return Requests(
            by_all=sum(_value(line) for line in counted),
            writes_by_all=sum(_value(line) for line in counted if _verb(line) in WRITES),
            own=len(own),
            own_writes=sum(each.verb in OWN_WRITES for each in own),
        )

    @contextmanager
    def meter(self, found: list[Requests]) -> Iterator[None]:
        """Append what was asked while the context lasted."""
        before = self.requests()
        yield
        after = self.requests()
        found.append(
            Requests(
                after.by_all - before.by_all,
                after.writes_by_all - before.writes_by_all,
                after.own - before.own,
                after.own_writes - before.own_writes,
            )
        )


@contextmanager
def stage(*, pods: int) -> Iterator[Stage]:
    """Give a stage whose nodes run `pods` at a time."""
    with ExitStack() as stack:
        bed = open_bed()
        stack.callback(bed.close)
        flags = {"kube-apiserver": audit_flags(bed.folder / "audit")}
        control = ControlPlane(bed, flags=flags).start()
        stack.callback(control.stop)
        nodes = FakeNodes(control).start()
        stack.callback(nodes.stop)
        nodes.add(1, cpu=str(pods))
        minio = start_minio(bed.folder)
        stack.callback(minio.process.kill)
        bucket = minio.new_bucket()
        api = stack.enter_context(config.new_client_from_config(str(control.kubeconfig)))
        metadata: dict[str, Any] = {
            "name": NAMESPACE,
            "labels": RESTRICTED,
            "annotations": ON_FAKE,
        }
        client.CoreV1Api(api).create_namespace({"metadata": metadata})
        release = {
            "image": "registry.example/sweep@sha256:" + "0" * 64,
            "store": f"{bucket.url}/studies",
            "store.endpoint.pods": bucket.endpoint,
            "store.endpoint.people": bucket.endpoint,
        }
        keys = {
            "AWS_ACCESS_KEY_ID": bucket.keys.access,
            "AWS_SECRET_ACCESS_KEY": bucket.keys.secret,
        }
        install(api, NAMESPACE, release=release, keys=keys)
        kubeconfig = control.kubeconfig_of_account(NAMESPACE, ACCOUNT)
        env = {**bucket.env, "KUBECONFIG": str(kubeconfig), "OMP_NUM_THREADS": "1"}
        env["AWS_ENDPOINT_URL_S3"] = env.pop("AWS_ENDPOINT_URL")
        os.environ.update(env)  # this process writes to the store too
        yield Stage(control, nodes, api, env, release["store"])


def _peak_mib(pid: int) -> float:
    # What wait4 tells counts the memory of the process that started it too, up to its exec.
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0  # it has ended


def _verb(line: str) -> str:
    return line.partition('verb="')[2].partition('"')[0]


def _value(line: str) -> int:
    return int(float(line.rpartition(" ")[2]))


def said(took: Took, *, expected: Sequence[int] = (0,)) -> Took:
    """Leave with what a command said where it failed."""
    if took.code not in expected:
        raise SystemExit(f"exit code {took.code}:\n{took.said[-4000:]}")
    return took
