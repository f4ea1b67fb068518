"""An Indexed Job's rules for failures, as the real controller and real kubelets keep them."""

from __future__ import annotations

from typing import Any

import pytest
from testbed.pods import PYTHON, Pods, conditions, container, exit_code, indexed_job, pod_spec

pytestmark = [pytest.mark.node, pytest.mark.slow]

RULES: dict[str, Any] = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        {
            "action": "FailIndex",
            "onExitCodes": {"containerName": "main", "operator": "In", "values": [65]},
        },
    ]
}
PATIENT = {"backoffLimitPerIndex": 5, "podFailurePolicy": RULES}
UNTIL_TOLD = ["sh", "-c", "trap 'exit 143' TERM; sleep 600 & wait"]
EAT = """
import subprocess, sys
child = subprocess.run([sys.executable, "-c", "b'x' * (1 << 30)"])
print("child ended by signal", -child.returncode, flush=True)
sys.exit(7)
"""


def test_an_index_whose_pod_says_so_fails_at_once_and_alone(pods: Pods) -> None:
    body = 'test "$JOB_COMPLETION_INDEX" != 1 || exit 65'
    job = indexed_job("j", pod_spec(container(["sh", "-c", body])), completions=3, **PATIENT)

    pods.create_job(job)
    ended = pods.wait_job("j", lambda status: {"Complete", "Failed"} & set(conditions(status)))

    assert ended.failed_indexes == "1"
    assert ended.completed_indexes == "0,2"
    assert conditions(ended)["Failed"] == "FailedIndexes"
    assert len(pods.of_job("j")) == 3


def test_an_evicted_pod_is_replaced_and_not_counted(pods: Pods) -> None:
    spec = pod_spec(container(UNTIL_TOLD))
    rules = {"backoffLimitPerIndex": 0, "podFailurePolicy": RULES}
    pods.create_job(indexed_job("j", spec, completions=1, **rules))
    first = pods.wait_pod_of("j")
    pods.wait_running(first)

    pods.evict(first)

    pods.wait_running(pods.wait_pod_of("j", other_than=first))
    status = pods.read_job("j").status
    assert not status.failed
    assert not status.failed_indexes


def test_an_evicted_pod_says_that_it_was_disrupted(pods: Pods) -> None:
    pods.create("one", pod_spec(container(UNTIL_TOLD)), held=True)
    pods.wait_running("one")

    pods.evict("one")
    ended = pods.wait_ended("one")
    pods.release("one")

    assert exit_code(ended) == 143
    assert conditions(ended.status)["DisruptionTarget"] == "EvictionByEvictionAPI"


def test_a_parent_sees_that_its_child_was_killed_for_memory(pods: Pods) -> None:
    main = container(["python", "-c", EAT], image=PYTHON, memory="64Mi")
    pods.create("one", pod_spec(main))

    ended = pods.wait_ended("one")

    assert pods.logs("one") == "child ended by signal 9\n"
    assert exit_code(ended) == 7
