"""Build before the first test, whose time limit a build would break; let no test skip unseen."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

MODULES = {  # what tests of a marker need built
    "kube": ("kube", "kwok"),
    "node": ("kube", "kwok", "coredns", "netpol"),
    "stack": ("minio",),
    "kueue": ("kube", "kwok", "minio", "kueue"),
}
ALL = "SWEEP_TEST_ALL"  # set: a test of ours that is skipped has failed


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need."""
    if session.config.option.collectonly or "SWEEP_TEST_KUBECONFIG" in os.environ:
        return
    chosen = {mark.name for item in session.items for mark in item.iter_markers()}
    wanted = dict.fromkeys(module for name in MODULES if name in chosen for module in MODULES[name])
    if not wanted:
        return
    from testbed.binaries import binary
    from testbed.errors import BedError

    for module in wanted:
        try:
            binary(module)
        except BedError:  # told by the tests that need it: skipped without Go, else failed
            return


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where all tests have to run."""
    report = yield
    marked = any(item.get_closest_marker(name) for name in MODULES)
    if report.skipped and marked and ALL in os.environ and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped though {ALL} is set: {report.longrepr}"
    return report
