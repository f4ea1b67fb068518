"""Hydra's own suites for launchers, through ours on this machine."""

from __future__ import annotations

import hydra
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import VersionBase, __compat_version__
from omegaconf import OmegaConf

LOCAL = ["hydra.launcher.cluster=local"]

# Found before a test copies Hydra's state, which it puts back when it ends.
Plugins.instance()

# Hydra's suites run under version_base=None, which warns of its own old default.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Future Hydra versions will no longer change working directory:UserWarning"
)


@pytest.fixture(autouse=True)
def version_base_of_a_fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what other tests composed by: what Hydra holds for the process decides `job.chdir`."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", __compat_version__)


@pytest.fixture(autouse=True)
def no_store_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEP_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(("launcher_name", "overrides"), [("kubernetes", LOCAL)])
class TestLauncher(LauncherTestSuite):
    """Its tasks are closures: they run in this process."""


@pytest.mark.parametrize(
    ("launcher_name", "overrides"), [("kubernetes", [*LOCAL, "hydra.sweeper.max_batch_size=2"])]
)
class TestBatches(BatchedSweeperTestSuite):
    """Its tasks are closures as well."""


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({}, ["-m", "hydra/launcher=kubernetes", *LOCAL])],
)
class TestIntegration(IntegrationTestSuite):
    """Its tasks are scripts, and run in workers."""


def test_hydra_discovers_the_launcher_and_the_sweeper() -> None:
    launchers = {kind.__qualname__: kind for kind in Plugins.instance().discover(Launcher)}
    sweepers = {kind.__qualname__: kind for kind in Plugins.instance().discover(Sweeper)}

    assert issubclass(launchers["KubernetesLauncher"], Launcher)
    assert issubclass(sweepers["GridSweeper"], Sweeper)


def test_the_choice_by_name_is_the_shipped_default(hydra_restore_singletons: None) -> None:
    stored = ConfigStore.instance().load("hydra/launcher/kubernetes.yaml")

    with hydra.initialize(version_base="1.3", config_path=None):
        config = hydra.compose(overrides=["hydra/launcher=kubernetes"], return_hydra_config=True)

    assert stored.provider == "sweep"
    assert OmegaConf.to_container(config.hydra.launcher) == OmegaConf.to_container(stored.node)
    launcher = hydra.utils.instantiate(config.hydra.launcher)
    assert f"{type(launcher).__module__}.{type(launcher).__qualname__}" == stored.node._target_
    assert launcher.options["cluster"] == "auto"
