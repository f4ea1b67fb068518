"""The local cluster runs packs in real processes, and repeats them as a Job would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from cluster_conformance import ClusterConformance
from cluster_ground import (
    FRAIL,
    WORKERS,
    alive,
    follow,
    make_work,
    wait_for,
    wait_until,
)

from sweep.cluster import PackEvent, Stage, Work
from sweep.cluster.local import LocalCluster
from sweep.errors import BadInput


@dataclass
class Here:
    """This machine, with a folder for the studies."""

    folder: Path
    ends_s: float = 60.0
    opened: list[LocalCluster] = field(default_factory=list)

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    def open(self) -> LocalCluster:
        self.opened.append(LocalCluster(workers=WORKERS))
        return self.opened[-1]

    def worker(self, work: Work, event: PackEvent) -> psutil.Process:
        found = re.fullmatch(r"process (\d+)", event.text)
        assert found
        return psutil.Process(int(found[1]))


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    here = Here(tmp_path)
    yield here
    for cluster in here.opened:
        cluster.stop(1.0)


class TestLocal(ClusterConformance):
    @pytest.fixture
    def ground(self, ground: Here) -> Here:
        return ground


def test_workers_that_do_not_listen_are_killed_after_the_grace(ground: Here) -> None:
    (ground.folder / "deaf.py").write_text(DEAF)
    cluster, work = ground.open(), make_work(ground, packs=1, task="deaf.py:frail")
    cluster.submit(work)
    worker = ground.worker(work, wait_for(cluster, Stage.STARTED))
    wait_until((ground.folder / "deaf").exists)

    assert alive(worker)
    cluster.stop(0.5)

    wait_until(lambda: not alive(worker), within_s=2.0)


DEAF = f"""
import signal, sys, time
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {str(FRAIL.parent)!r})
import frail as known

def run(tree, on_epoch):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path("deaf").touch()
    time.sleep(60)

def frail(cfg): ...

frail.sweep_application = replace(known.frail.sweep_application, run=run)
"""


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("no_such_module:train", "no_such_module cannot be imported"),
        ("absent.py:train", "absent.py does not exist"),
        (f"{FRAIL}:gone", "has no function 'gone'"),
    ],
)
def test_a_task_that_no_worker_can_load_is_refused(ground: Here, task: str, line: str) -> None:
    cluster = ground.open()
    cluster.submit(make_work(ground, task=task))

    with pytest.raises(BadInput, match=line):
        follow(cluster, ground)


@pytest.mark.parametrize("ahead", ["json:dumps", "no_such_module:train"])
def test_what_was_expected_makes_way_for_the_plan(ground: Here, ahead: str) -> None:
    cluster, work = ground.open(), make_work(ground, packs=2)
    cluster.expect(ahead)
    parent = cluster.parent

    cluster.submit(work)
    events = follow(cluster, ground)

    assert cluster.parent is parent
    assert [event.code for event in events if event.stage is Stage.ENDED] == [0, 0]


def test_a_parent_that_expected_a_task_has_imported_it_when_the_plan_comes(ground: Here) -> None:
    module = ground.folder / "noted.py"
    module.write_text("from pathlib import Path\nPath('imported').touch()\ntrain = print\n")
    cluster = ground.open()

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ground.folder)
        patch.syspath_prepend(str(ground.folder))
        cluster.expect("noted:train")
        wait_until((ground.folder / "imported").exists)
    parent = cluster.parent
    assert parent is not None

    cluster.stop(1.0)

    assert not parent.alive
    wait_until(lambda: parent.process.poll() is not None)
