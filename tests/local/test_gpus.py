"""A worker for each GPU of the machine; nothing here needs one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.cluster import Work
from sweep.cluster.gpus import gpu_model, usable_gpus
from sweep.cluster.local import LocalCluster


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    for name in ("0000:17:00.0", "0000:65:00.0"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_gpus_are_those_of_the_driver_that_the_environment_leaves(driver: Path) -> None:
    assert usable_gpus({}, driver=driver) == ["0", "1"]
    assert usable_gpus({"CUDA_VISIBLE_DEVICES": "1"}, driver=driver) == ["1"]
    assert usable_gpus({"CUDA_VISIBLE_DEVICES": "GPU-5ac, MIG-7"}, driver=driver) == [
        "GPU-5ac",
        "MIG-7",
    ]
    for none in ("", "-1"):
        assert usable_gpus({"CUDA_VISIBLE_DEVICES": none}, driver=driver) == []


def test_a_gpu_has_the_name_that_the_driver_tells(driver: Path) -> None:
    assert gpu_model(driver=driver) == ""
    told = "Model: \t\t NVIDIA L4\nIRQ:   \t\t 93\n"
    (driver / "0000:65:00.0" / "information").write_text(told)
    assert gpu_model(driver=driver) == "NVIDIA L4"


def test_without_a_driver_there_are_none(tmp_path: Path) -> None:
    assert usable_gpus({"CUDA_VISIBLE_DEVICES": "0"}, driver=tmp_path / "none") == []


def test_a_fused_pack_has_a_gpu_for_itself_and_others_share_evenly(tmp_path: Path) -> None:
    cluster = LocalCluster(workers=4, gpus=["0", "1"])
    cluster.work = Work(
        store=str(tmp_path),
        study="s",
        round=1,
        round_hash="",
        packs=range(5),
        task="",
        tracking="",
        code="",
        max_attempts=1,
        fused=frozenset({0, 1, 2}),
    )

    assert cluster._gpu_for(0) == "0"
    cluster.held[0] = "0"
    assert cluster._gpu_for(1) == "1"
    cluster.held[1] = "1"
    assert cluster._gpu_for(2) is None  # it waits
    assert cluster._gpu_for(3) == "0"
    cluster.held[3] = "0"
    assert cluster._gpu_for(4) == "1"
