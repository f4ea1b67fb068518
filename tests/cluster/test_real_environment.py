"""Pods that run this machine's own Python environment."""

from __future__ import annotations

import pytest
from testbed.environment import Environment
from testbed.pods import PYTHON, Pods, container, exit_code, pod_spec

pytestmark = [pytest.mark.node, pytest.mark.slow]


def test_a_pod_has_this_machine_s_torch_and_its_working_tree(
    pods: Pods, machine_environment: Environment
) -> None:
    main = machine_environment.container(
        "-c", "import torch, sweep.app; print(torch.ones(2).sum())"
    )
    pods.create("one", pod_spec(main, volumes=machine_environment.volumes))

    ended = pods.wait_ended("one")

    assert exit_code(ended) == 0, pods.logs("one")
    assert pods.logs("one") == "tensor(2.)\n"


def test_a_pod_cannot_write_to_the_environment(
    pods: Pods, machine_environment: Environment
) -> None:
    mounts = machine_environment.shown.mounts
    place = mounts[0]["mountPath"]
    main = container(["touch", f"{place}/written"], image=PYTHON, mounts=mounts)
    pods.create("one", pod_spec(main, volumes=machine_environment.volumes))

    assert exit_code(pods.wait_ended("one")) != 0
    assert "Read-only file system" in pods.logs("one")
