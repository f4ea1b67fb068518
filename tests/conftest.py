"""What all tests share: the same examples every time, and builders across folders."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

TESTS = Path(__file__).parent

# A shared machine may take any time for an example; a failure has to come again.
settings.register_profile("same every time", deadline=None, derandomize=True, database=None)
settings.load_profile("same every time")

# So that one folder's tests alone find them too.
for folder in ("applications", "plan", "tracking", "study", "cluster"):
    sys.path.insert(0, str(TESTS / folder))

pytest_plugins = [
    "testbed.plugin",
    "testbed.fixtures",
    "testbed.real_fixtures",
    "testbed.stack_fixtures",
    "testbed.kueue_fixtures",
]
