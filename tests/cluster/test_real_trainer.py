"""The Dockerfile's image on a real node: what it says, what it trains, how it stops."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from clients import UNTRACKED, Place, by_setting, kill, wait_until
from testbed.pods import Pods, container, exit_code, pod_spec
from testbed.real_fixtures import Trainer
from testbed.volumes import Shown

from sweep.plan import layout
from sweep.plan.exits import Exit

pytestmark = [pytest.mark.node, pytest.mark.slow]

LSTM = ["+experiment=forecast", "guide=none", "data.lookback=4", "train.batch_size=256"]


def spec_of(
    trainer: Trainer,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    folders: Shown | None = None,
) -> dict[str, Any]:
    """Write a pod of the image as it is, or with a command of its own."""
    mounts = folders.mounts if folders else []
    main = container(list(arguments), image=trainer.image, env=env, memory="1Gi", mounts=mounts)
    if not arguments:
        del main["command"]
    return pod_spec(
        main,
        volumes=folders.volumes if folders else [],
        nodeSelector={"kubernetes.io/hostname": trainer.node},
        terminationGracePeriodSeconds=20,
    )


def orders(store: Path) -> dict[str, str]:
    """Write the environment of the pod of a round's first pack."""
    return {
        "SWEEP_STORE": str(store),
        "SWEEP_STUDY": "s",
        "SWEEP_ROUND": "1",
        "JOB_COMPLETION_INDEX": "0",
    }


def at(store: Path) -> list[str]:
    """Say where a study is to be kept, all of it in one pack."""
    return [f"hydra.launcher.store={store}", "hydra.launcher.pack.size=2"]


def open_to_pods(store: Path) -> None:
    """Leave of a study what its client wrote, and let a pod's user write beside it."""
    shutil.rmtree(store / "s" / "packs", ignore_errors=True)
    for folder in (store, *(each for each in store.rglob("*") if each.is_dir())):
        folder.chmod(0o777)


def test_the_image_says_what_it_misses(pods: Pods, trainer: Trainer) -> None:
    pods.create("one", spec_of(trainer))

    ended = pods.wait_ended("one")

    assert exit_code(ended) == Exit.NOTHING_RUNS
    assert "SWEEP_STORE is not set" in pods.logs("one")


def test_the_image_holds_the_command_line_and_knows_what_it_was_built_from(
    pods: Pods, trainer: Trainer
) -> None:
    told = "python -m sweep --help && echo $SWEEP_BUILD_ID $SWEEP_VERSION && id -un && pwd"
    pods.create("one", spec_of(trainer, "sh", "-c", told))

    ended = pods.wait_ended("one")

    assert exit_code(ended) == 0, pods.logs("one")
    assert pods.logs("one").startswith("Tune LSTMs by Hydra multirun.")
    assert pods.logs("one").split()[-4:] == ["of-a-test", "0.0.0", "sweep", "/work"]


def test_the_image_trains_to_this_machine_s_bits(
    pods: Pods, trainer: Trainer, open_folder: tuple[Path, Shown], tmp_path: Path
) -> None:
    store, folders = open_folder
    place = Place(tmp_path, address=str(store))
    words = [*LSTM, "optim.lr=0.003,0.01", "train.epochs=2"]
    done = place.multirun(*words, *at(store), task=UNTRACKED)
    assert done.code == 0, done.err
    here = by_setting(place.read())
    open_to_pods(store)

    pods.create("one", spec_of(trainer, env=orders(store), folders=folders))

    assert exit_code(pods.wait_ended("one")) == Exit.DONE, pods.logs("one")
    assert by_setting(place.read()) == here


def test_a_worker_that_is_told_to_stop_closes_its_attempt(
    pods: Pods, trainer: Trainer, open_folder: tuple[Path, Shown], tmp_path: Path
) -> None:
    store, folders = open_folder
    place = Place(tmp_path, address=str(store))
    client = place.start(*LSTM, "train.epochs=100000", *at(store), task=UNTRACKED)
    wait_until(place.planned)
    kill(client)  # and with it its workers: the pod is the first to begin
    open_to_pods(store)
    pods.create("one", spec_of(trainer, env=orders(store), folders=folders), held=True)
    wait_until(lambda: bool(place.begun()))

    pods.core.delete_namespaced_pod("one", pods.namespace)

    assert exit_code(pods.wait_ended("one")) == Exit.TOLD_TO_STOP, pods.logs("one")
    closed = json.loads(place.store.read("s/" + layout.attempt_key(0, 1)))
    assert "told" in closed["reason"]
    pods.release("one")
