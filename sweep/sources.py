"""Take along what Hydra composes from, and let it compose again in another process."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.conf import ConfigSourceInfo
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from sweep.plan.trial import Value

MOST_FILES = 2000  # of one folder; a larger one is read in place
SUFFIXES = (".yaml", ".yml")

Plan = Mapping[str, Any]  # JSON, part of a round


def snapshot(loader: ConfigLoader, master: DictConfig) -> dict[str, Any]:
    """Copy the files of the search path, and what of a multirun's state decides how jobs compose.

    Later edits of those files do not reach the study. What Hydra read by `hydra.searchpath` is
    not copied: it is read again in place.
    """
    return {
        "config_name": master.hydra.job.config_name,
        "job": master.hydra.job.name,
        "overrides": OmegaConf.to_container(master.hydra.overrides.hydra),
        "search_path": [_element(e.provider, e.path) for e in loader.get_search_path().get_path()],
        "config_sources": OmegaConf.to_container(master.hydra.runtime.config_sources),
        "cache": _cache(master),
        "version_base": str(version.getbase()) if version.getbase() is not None else None,
    }


class Composer:
    """Compose the configurations of jobs as the client's Hydra would have."""

    def __init__(self, plan: Plan, *, folder: Path) -> None:
        """Unfold a snapshot into a folder that exists and is empty."""
        self._plan = plan
        version.setbase(plan["version_base"])
        setup_globals()
        Plugins.instance()  # finds the kinds of sources that a search path may name
        path = ConfigSearchPathImpl()
        for number, element in enumerate(plan["search_path"]):
            path.append(element["provider"], _unfold(element, folder / str(number)))
        self.loader = ConfigLoaderImpl(config_search_path=path)
        self._parser = OverridesParser.create(config_loader=self.loader)
        self._bases: dict[tuple[str, ...], bytes] = {}

    def compose(self, overrides: Sequence[str], *, number: int) -> DictConfig:
        """Compose one job by Hydra alone, with its number."""
        config = self.loader.load_configuration(
            config_name=self._plan["config_name"],
            overrides=[*self._plan["overrides"], *overrides],
            run_mode=RunMode.RUN,
        )
        return self._settle(config, number)

    def set(
        self,
        base: Sequence[str],
        values: Mapping[str, Value],
        *,
        overrides: Sequence[str],
        number: int,
    ) -> DictConfig:
        """Set a job's values on its base, which Hydra composes once.

        `overrides` are the job's own, in full: Hydra writes them into the configuration.
        """
        key = tuple(base)
        if key not in self._bases:
            # A pickle of our own making, read by the process that made it: the fastest deep copy.
            self._bases[key] = pickle.dumps(self.compose(base, number=number))
        config: DictConfig = pickle.loads(self._bases[key])  # noqa: S301
        for name, value in values.items():
            OmegaConf.update(config, name, value, merge=False)
        self._note_overrides(config, overrides)
        return self._settle(config, number)

    def _note_overrides(self, config: DictConfig, overrides: Sequence[str]) -> None:
        from hydra._internal.config_loader_impl import get_overrides_dirname

        parsed = self._parser.parse_overrides(list(overrides))
        own = [item for item in parsed if not item.is_hydra_override()]
        dirname = config.hydra.job.config.override_dirname
        config.hydra.overrides.task = [item.input_line for item in own]
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=own,
            kv_sep=dirname.kv_sep,
            item_sep=dirname.item_sep,
            exclude_keys=dirname.exclude_keys,
        )

    def _settle(self, config: DictConfig, number: int) -> DictConfig:
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
            config.hydra.runtime.config_sources = [
                ConfigSourceInfo(**source) for source in self._plan["config_sources"]
            ]
        cache = OmegaConf.get_cache(config)
        for resolver, arguments, value in self._plan["cache"]:
            cache.setdefault(resolver, {})[tuple(arguments)] = value
        return config


def _element(provider: str, path: str) -> dict[str, Any]:
    element: dict[str, Any] = {"provider": provider, "path": path}
    scheme, separator, place = path.partition("://")
    folder = Path(place if separator else path)
    if (separator and scheme != "file") or not folder.is_dir():
        return element
    names = [name for name in sorted(folder.rglob("*")) if name.suffix in SUFFIXES]
    if len(names) <= MOST_FILES:
        element["files"] = {
            name.relative_to(folder).as_posix(): name.read_text(encoding="utf-8")
            for name in names
            if name.is_file() and not _hidden(name.relative_to(folder))
        }
    return element


def _unfold(element: Mapping[str, Any], folder: Path) -> str:
    files = element.get("files")
    if files is None:
        return str(element["path"])
    folder.mkdir(parents=True)
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return f"file://{folder}"


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _cache(config: DictConfig) -> list[list[Value]]:
    # What `now` gave the client is what every job gets, as in Hydra's own launchers.
    found: list[list[Value]] = []
    for resolver, entries in OmegaConf.get_cache(config).items():
        for arguments, value in entries.items():
            words = list(arguments) if isinstance(arguments, tuple) else [arguments]
            if all(isinstance(item, str | int | float | bool | None) for item in [*words, value]):
                found.append([resolver, words, value])
    return found
