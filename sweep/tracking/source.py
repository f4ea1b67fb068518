"""Gather the source that a function needs, so that a model carries its own code."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """Python files by module name, and the installed packages that they import."""

    files: dict[str, Path]
    packages: list[str]  # pinned: 'numpy==2.4.6'


def source_of(module: str) -> Source:
    """Follow the imports of `module` within its own top-level package.

    Imports inside functions count too. What several names could mean is taken if it exists.
    """
    files: dict[str, Path] = {}
    outside: set[str] = set()
    top = module.partition(".")[0]
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        path = _path(name)
        if path is None:
            continue
        files[name] = path
        waiting.extend(_parents(name))
        for imported in _imports(path, name):
            if imported.partition(".")[0] == top:
                waiting.append(imported)
            else:
                outside.add(imported.partition(".")[0])
    return Source(files=dict(sorted(files.items())), packages=_pinned(outside))


def copy_source(source: Source, *, folder: Path) -> list[Path]:
    """Copy the files under `folder` as an import finds them; return what lies at its top."""
    for name, path in source.files.items():
        place = folder.joinpath(*name.split("."))
        place = place / path.name if path.name == "__init__.py" else place.with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return sorted(folder.iterdir())


def _path(name: str) -> Path | None:
    """Find the file of a module without importing it; None for a name that is no module."""
    top, *inner = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if not inner:
        return Path(spec.origin)
    place = Path(spec.origin).parent.joinpath(*inner)
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imports(path: Path, module: str) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            start = importlib.util.resolve_name(start, package)
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


@cache
def _providers() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()  # it reads the list of every package's files


def _pinned(names: set[str]) -> list[str]:
    providers = _providers()
    found = {
        distribution
        for name in names - sys.stdlib_module_names
        for distribution in providers.get(name, [])
    }
    # '+cpu' and the like name a build that a package index does not have
    return sorted(f"{d}=={importlib.metadata.version(d).partition('+')[0]}" for d in found)
