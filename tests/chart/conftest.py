from __future__ import annotations

import sys
from pathlib import Path

import pytest
from testbed.errors import BedError
from testbed.helm import Programs, programs

sys.path.insert(0, str(Path(__file__).parents[1] / "kubernetes"))  # what reads k8s/


@pytest.fixture(scope="session", params=[4, 3], ids=["helm 4", "helm 3"])
def helm(request: pytest.FixtureRequest) -> Programs:
    """Give helm of each major version in turn."""
    return _have(request.param)


@pytest.fixture(scope="session")
def helm4() -> Programs:
    """Give helm 4, where one version says enough."""
    return _have(4)


def _have(major: int) -> Programs:
    try:
        return programs(major)
    except BedError as error:
        pytest.skip(f"helm is not to be had here: {error}")
