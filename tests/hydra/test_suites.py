"""Hydra's own suites for launchers, through ours on this machine."""

from __future__ import annotations

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from pytest import mark

LOCAL = ["hydra.launcher.cluster=local"]


@mark.parametrize(("launcher_name", "overrides"), [("kubernetes", LOCAL)])
class TestLauncher(LauncherTestSuite):
    pass


@mark.parametrize(
    ("launcher_name", "overrides"), [("kubernetes", [*LOCAL, "hydra.sweeper.max_batch_size=2"])]
)
class TestBatches(BatchedSweeperTestSuite):
    pass


@mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({}, ["-m", "hydra/launcher=kubernetes", *LOCAL])],
)
class TestIntegration(IntegrationTestSuite):
    pass
