"""Name a task so that another process finds it, and find it by that name."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.errors import BadInput
from sweep.plan.application import ATTRIBUTE, Application

Task = Callable[[Any], Any]

FILE_PREFIX = "sweep_task_"  # of the module name that a script is loaded under


def name_task(task: Task, *, root: Path) -> str | None:
    """Name a task function `module:function`, or `path.py:function` relative to `root`.

    None where no other process could find it by a name: a closure, or a function of a notebook.
    """
    qualified = task.__qualname__
    if "<" in qualified:
        return None
    if task.__module__ != "__main__":
        return f"{task.__module__}:{qualified}"
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return f"{main.__spec__.name}:{qualified}"
    file = getattr(main, "__file__", None)
    if file is None:
        return None
    path = Path(file).absolute()
    relative = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{relative}:{qualified}"


def load_task(name: str, *, root: Path) -> Task:
    """Find a task function by its name; Hydra's decorator is taken off.

    Raises BadInput where the module cannot be imported or has no such function.
    """
    place, _, qualified = name.rpartition(":")
    module = _from_file(root / place) if place.endswith(".py") else _import(place)
    found: Any = module
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise BadInput(f"task {name}: {place} has no function '{qualified}'; was it renamed?")
    task: Task = inspect.unwrap(found)
    return task


def application_of(task: Task) -> Application | None:
    """Return what a task tells sweep about itself, if it does."""
    application = getattr(task, ATTRIBUTE, None)
    return application if isinstance(application, Application) else None


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BadInput(
            f"task module {name} cannot be imported ({error}); install what it needs"
        ) from error


def _from_file(path: Path) -> Any:
    # Under another name than __main__, so that the script's own entry does not run.
    name = f"{FILE_PREFIX}{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.exists():
        raise BadInput(f"task file {path} does not exist; start from the folder it is in")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))  # as python itself does for a script
    try:
        spec.loader.exec_module(module)
    except SystemExit as leave:
        del sys.modules[name]
        raise BadInput(
            f"task file {path} runs its own entry when it is imported; put that below "
            "if __name__ == '__main__':"
        ) from leave
    except BaseException:
        del sys.modules[name]
        raise
    return module
