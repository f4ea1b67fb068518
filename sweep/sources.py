"""Take along what Hydra composes from, and let it compose again in another process."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.conf import ConfigSourceInfo
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.basecontainer import BaseContainer

from sweep.errors import BadInput
from sweep.plan.trial import Value

MOST_FILES = 2000  # of one folder; a larger one is read in place
MOST_FOLDERS = 5000  # that are looked through for them
SUFFIXES = (".yaml", ".yml")
SEARCHPATH = "hydra.searchpath"  # how Hydra calls those who added a source by that key

Plan = Mapping[str, Any]  # JSON, part of a round


def snapshot(loader: ConfigLoader, master: DictConfig) -> dict[str, Any]:
    """Copy the files of the search path, and what of a multirun's state decides how jobs compose.

    Later edits of those files do not reach the study.
    """
    path = [(element.provider, element.path) for element in loader.get_search_path().get_path()]
    added = [
        (source.provider, f"{source.schema}://{source.path}")
        for source in master.hydra.runtime.config_sources
        if source.provider.startswith(SEARCHPATH)
    ]
    place = next((i for i, (provider, _) in enumerate(path) if provider == "schema"), len(path))
    elements = [_element(*item) for item in (*path[:place], *added, *path[place:])]
    return {
        "config_name": master.hydra.job.config_name,
        "job": master.hydra.job.name,
        "overrides": OmegaConf.to_container(master.hydra.overrides.hydra),
        "search_path": elements,
        "config_sources": OmegaConf.to_container(master.hydra.runtime.config_sources),
        "cache": _cache(master),
        "version_base": str(version.getbase()) if version.getbase() is not None else None,
        "resolvers": _used_resolvers(json.dumps(elements) + OmegaConf.to_yaml(master)),
        "stored": sorted(_stored(ConfigStore.instance().repo)),
    }


class _Settled(ConfigLoaderImpl):
    """A loader whose search path is complete: what `hydra.searchpath` adds is part of it."""

    def _process_config_searchpath(self, *_: Any, **__: Any) -> None:
        pass


class Composer:
    """Compose the configurations of jobs as the client's Hydra would have."""

    def __init__(self, plan: Plan, *, folder: Path) -> None:
        """Unfold a snapshot into a folder that exists and is empty.

        Raises BadInput where a resolver is missing that the client had.
        """
        self._plan = plan
        version.setbase(plan["version_base"])
        setup_globals()
        Plugins.instance()  # finds the kinds of sources that a search path may name
        path = ConfigSearchPathImpl()
        for number, element in enumerate(plan["search_path"]):
            path.append(element["provider"], _unfold(element, folder / str(number)))
        self.loader = _Settled(config_search_path=path)
        self._parser = OverridesParser.create(config_loader=self.loader)
        self._bases: dict[tuple[str, ...], bytes] = {}
        self._check_resolvers()

    def compose(self, overrides: Sequence[str], *, number: int) -> DictConfig:
        """Compose one job by Hydra alone, with its number."""
        try:
            config = self.loader.load_configuration(
                config_name=self._plan["config_name"],
                overrides=[*self._plan["overrides"], *overrides],
                run_mode=RunMode.RUN,
            )
        except HydraException as error:
            self._blame_the_store(error)
            raise
        return self._settle(config, number)

    def master(self) -> DictConfig:
        """Compose what all jobs have in common, as the client's Hydra had it."""
        config = self.loader.load_configuration(
            config_name=self._plan["config_name"],
            overrides=list(self._plan["overrides"]),
            run_mode=RunMode.MULTIRUN,
        )
        self._remember(config)
        return config

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
        self._remember(config)
        return config

    def _remember(self, config: DictConfig) -> None:
        cache = OmegaConf.get_cache(config)
        for resolver, arguments, value in self._plan["cache"]:
            cache.setdefault(resolver, {})[tuple(arguments)] = value

    def _check_resolvers(self) -> None:
        for name in self._plan["resolvers"]:
            if not OmegaConf.has_resolver(name):
                raise BadInput(
                    f"resolver '{name}' is unknown to workers, which import the application but do "
                    "not run it; register it on import, not below if __name__ == '__main__':"
                )

    def _blame_the_store(self, error: HydraException) -> None:
        known = set(_stored(ConfigStore.instance().repo))
        missing = [name for name in self._plan["stored"] if name not in known]
        if missing:
            raise BadInput(
                f"{missing[0]} is not in the ConfigStore of workers, which import the application "
                "but do not run it; store it on import, not below if __name__ == '__main__':"
            ) from error


@contextmanager
def unfolded(plan: Plan) -> Iterator[Composer]:
    """Compose from a snapshot in a folder of its own, as long as the context lasts.

    Raises BadInput where a resolver is missing that the client had.
    """
    with TemporaryDirectory(prefix="sweep-configs-") as folder:
        yield Composer(plan, folder=Path(folder))


def _element(provider: str, path: str) -> dict[str, Any]:
    element: dict[str, Any] = {"provider": provider, "path": path}
    folder = _folder(path) if provider != "hydra" else None
    names = _files(folder) if folder is not None else None
    if folder is None or names is None:
        return element
    try:
        files = {name: (folder / name).read_text(encoding="utf-8") for name in sorted(names)}
    except (OSError, UnicodeError):
        return element  # read in place, where Hydra says what is wrong if it needs the file
    return {**element, "files": files}


def _folder(path: str) -> Path | None:
    scheme, separator, place = path.partition("://")
    if separator and scheme == "pkg":
        try:
            found = resources.files(place.replace("/", ".").rstrip("."))
        except (ImportError, TypeError, ValueError):
            return None
        return found if isinstance(found, Path) and found.is_dir() else None
    if separator and scheme != "file":
        return None
    folder = Path(place if separator else path)
    return folder if folder.is_dir() else None


def _files(folder: Path) -> list[str] | None:
    # A config_path of "." means the whole project: environments and outputs in it are passed over.
    names: list[str] = []
    for seen, (place, folders, files) in enumerate(os.walk(folder, followlinks=True)):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        if "pyvenv.cfg" in files:
            folders.clear()
        here = Path(place).relative_to(folder)
        names += [(here / name).as_posix() for name in files if _is_config(name)]
        if len(names) > MOST_FILES or seen > MOST_FOLDERS:
            return None
    return names


def _is_config(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")


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


def _used_resolvers(text: str) -> list[str]:
    return sorted(name for name in BaseContainer._resolvers if f"${{{name}:" in text)


def _stored(repo: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, entry in repo.items():
        if isinstance(entry, dict):
            yield from _stored(entry, f"{prefix}{name}/")
        else:
            yield prefix + name


def _cache(config: DictConfig) -> list[list[Value]]:
    # What `now` gave the client is what every job gets, as in Hydra's own launchers.
    found: list[list[Value]] = []
    for resolver, entries in OmegaConf.get_cache(config).items():
        for arguments, value in entries.items():
            words = list(arguments) if isinstance(arguments, tuple) else [arguments]
            if all(isinstance(item, str | int | float | bool | None) for item in [*words, value]):
                found.append([resolver, words, value])
    return found
