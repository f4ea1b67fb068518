"""Start Kueue once a session, beside the control plane, when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testbed.control import ControlPlane
    from testbed.kueue import Kueue


@pytest.fixture(scope="session")
def _one_kueue(control_plane: ControlPlane) -> Iterator[Kueue]:
    from testbed.kueue import Kueue

    kueue = Kueue(control_plane).start()
    yield kueue
    kueue.stop()


@pytest.fixture
def kueue(_one_kueue: Kueue) -> Iterator[Kueue]:
    """Let a test add queues, which are removed after it."""
    yield _one_kueue
    _one_kueue.remove_queues()


@pytest.fixture
def kueue_with_places(kueue: Kueue) -> Kueue:
    """Ask for a Kueue whose visibility API answers."""
    if not kueue.tells_places:
        pytest.skip("Kueue's visibility API takes a network of its own: root, and iproute2")
    return kueue
