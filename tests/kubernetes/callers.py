"""Pods that call the parts of an installed stack, to see which of them answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from testbed.pods import PYTHON, Pods, container, pod_spec

PORTS = {"minio": 9000, "mlflow": 5000, "postgres": 5432}
ANSWERS, SILENCE = "answers", "silence"
CALL = f"""\
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def call(place):
    host, port = place.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except TimeoutError:
        return "{SILENCE}"
    except OSError as error:
        return str(error)
    return "{ANSWERS}"

with ThreadPoolExecutor() as several:
    print(json.dumps(list(several.map(call, sys.argv[1:]))))
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod that waits to be told whom to call."""

    pods: Pods
    name: str

    def hears(self, namespace: str) -> dict[str, str]:
        """Call the parts of the release in a namespace; tell what comes of it by part.

        What is neither ANSWERS nor SILENCE, as of a dropped packet, is the error's text.
        """
        places = [f"sweep-{part}.{namespace}.svc:{port}" for part, port in PORTS.items()]
        told = json.loads(self.pods.execute(self.name, "python", "-c", CALL, *places))
        return dict(zip(PORTS, told, strict=True))


@contextmanager
def caller(pods: Pods, name: str, labels: Mapping[str, str]) -> Iterator[Caller]:
    """Have a pod with these labels while the context lasts."""
    spec = pod_spec(container(["sleep", "infinity"], image=PYTHON))
    pods.create(name, spec, labels=labels)
    pods.wait_running(name)
    yield Caller(pods, name)
    pods.core.delete_namespaced_pod(name, pods.namespace, grace_period_seconds=0)
