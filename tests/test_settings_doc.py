"""docs/settings.md says of every setting what the code says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from sweep.app import configs
from sweep.options import LauncherConf
from sweep.schema import ADAPTERS, flatten
from sweep.sweeper import GridConf

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
PHRASES = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


@dataclass(frozen=True)
class Row:
    """What the page says of one setting."""

    default: str
    allowed: str
    meaning: str


@cache
def rows() -> dict[str, Row]:
    cells = re.findall(
        r"^\| `([a-z0-9_.]+\.[a-z0-9_]+)` \| (.+?) \| (.+?) \| (.+) \|$", PAGE.read_text(), re.M
    )
    return {
        key: Row(default.strip("`"), allowed, meaning) for key, default, allowed, meaning in cells
    }


@cache
def defaults() -> dict[str, Any]:
    with initialize_config_dir(str(configs().absolute()), version_base="1.3"):
        composed = OmegaConf.to_container(compose("config"))
    assert isinstance(composed, dict)
    return {
        **flatten({str(key): value for key, value in composed.items()}),
        **options("hydra.launcher.", LauncherConf),
        **options("hydra.sweeper.", GridConf),
    }


def options(prefix: str, conf: type) -> dict[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.structured(conf))
    assert isinstance(plain, dict)
    flat = flatten({str(key): value for key, value in plain.items() if value != {}})
    flat.update({str(key): value for key, value in plain.items() if value == {}})
    return {prefix + key: value for key, value in flat.items() if key != "_target_"}


def phrases(schema: dict[str, Any]) -> Iterator[str]:
    for part in schema.get("anyOf", [schema]):
        for word, phrase in PHRASES.items():
            if word in part:
                number = part[word]
                yield f"{phrase} " + ("2^63" if number == 2**63 else f"{number:g}")
        yield from (f"`{choice}`" for choice in part.get("enum", [part.get("const")]) if choice)
        if part.get("type") == "null":
            yield "null"


def test_every_setting_stands_on_the_page_and_no_other() -> None:
    assert set(rows()) == set(defaults())
    assert set(ADAPTERS) <= set(rows())


@pytest.mark.parametrize("key", sorted(rows()))
def test_a_default_on_the_page_is_the_one_that_a_run_has(key: str) -> None:
    assert yaml.safe_load(rows()[key].default) == defaults()[key]


@pytest.mark.parametrize("key", sorted(ADAPTERS))
def test_what_the_page_allows_is_what_the_schema_allows(key: str) -> None:
    missing = [
        phrase
        for phrase in phrases(ADAPTERS[key].json_schema())
        if phrase not in rows()[key].allowed
    ]

    assert not missing


def test_pages_that_are_linked_exist() -> None:
    for page in [*PAGE.parent.glob("*.md"), PAGE.parent.parent / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
