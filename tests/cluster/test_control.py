"""The control plane is a real one, and each of its parts can fail by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.control import ControlPlane

pytestmark = [pytest.mark.kube, pytest.mark.slow]


def test_starts(control_plane: ControlPlane, namespace: str, kubeconfig: Path) -> None:
    assert kubeconfig == control_plane.kubeconfig
