"""Whatever an application does with a configuration, it finds its files where they were brought."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from sweep.app import APPLICATION
from sweep.plan.application import Application
from sweep.study.fetching import Files, reading

WITHOUT_FILES = {"tracking"}  # asks a configuration, and reads nothing
TREE = {"data": {"path": "s3://bucket/rows.csv"}, "train": {"seed": 0}}


class Brought(Files):
    def place(self, path: str) -> str:
        return f"/cache/{path.removeprefix('s3://')}"


def of_trees() -> list[str]:
    """Name the functions of an application that are given a configuration."""
    kinds = Application.__annotations__
    return sorted(
        field.name
        for field in fields(Application)
        if str(kinds[field.name]).startswith("Callable[[Tree") and field.name not in WITHOUT_FILES
    )


@pytest.mark.parametrize("name", of_trees())
def test_a_function_of_the_application_reads_files_where_they_are(
    name: str, tmp_path: Path
) -> None:
    seen: list[str] = []

    def record(tree: dict[str, Any], *_: Any) -> None:
        seen.append(tree["data"]["path"])

    application = reading(replace(APPLICATION, **{name: record}), Brought(tmp_path))  # type: ignore[arg-type]
    getattr(application, name)(TREE)

    assert seen == ["/cache/bucket/rows.csv"]
