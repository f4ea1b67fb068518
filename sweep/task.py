"""Name a task so that another process finds it, and find it by that name."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from sweep.errors import BadInput
from sweep.plan.application import ATTRIBUTE, Application

Task = Callable[[Any], Any]

# What multiprocessing calls a main module in its children: not "__main__", so that its own entry
# does not run, and known by that name to what the task itself spawns.
MAIN = "__mp_main__"


def name_task(task: Task, *, root: Path) -> str | None:
    """Name a task function `module:function`, or `path.py:function` relative to `root`.

    None where no other process could find it by a name: a closure, a callable object, or a
    function of a notebook.
    """
    qualified = getattr(task, "__qualname__", None)
    module = sys.modules.get(str(getattr(task, "__module__", None)))
    if qualified is None or module is None or _undecorated(_find(module, qualified)) is not task:
        return None
    if module.__name__ != "__main__":
        return f"{module.__name__}:{qualified}"
    if module.__spec__ is not None:
        return f"{module.__spec__.name}:{qualified}"
    path = Path(module.__file__ or "").absolute() if hasattr(module, "__file__") else None
    if path is None or path.suffix != ".py" or not path.is_file():
        return None
    relative = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{relative}:{qualified}"


def in_main(task: Task) -> bool:
    """Tell whether a task stands in the module that python was started with."""
    return task.__module__ == "__main__"


def load_task(name: str, *, root: Path, main: bool = False) -> Task:
    """Find a task function by its name; Hydra's decorator is taken off.

    `main` makes its module this process' main one, as it was the client's.
    Raises BadInput where the module cannot be imported or has no such function.
    """
    place, _, qualified = name.rpartition(":")
    module = _load(place, root=root, main=main)
    found = _find(module, qualified)
    if not callable(found):
        raise BadInput(f"task {name}: {place} has no function '{qualified}'; was it renamed?")
    task: Task = _undecorated(found)
    return task


def application_of(task: Task) -> Application | None:
    """Return what a task tells sweep about itself, if it does."""
    application = getattr(task, ATTRIBUTE, None)
    return application if isinstance(application, Application) else None


def _find(module: types.ModuleType, qualified: str) -> Any:
    found: Any = module
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found


def _undecorated(found: Any) -> Any:
    # What hydra.main was put on; decorators below it belong to the task.
    layer = found
    while hasattr(layer, "__wrapped__"):
        if getattr(getattr(layer, "__code__", None), "co_filename", None) == _hydra_main_file():
            return layer.__wrapped__
        layer = layer.__wrapped__
    return found


def _hydra_main_file() -> str | None:
    module = sys.modules.get("hydra.main")
    return module.__file__ if module is not None else None


def _load(place: str, *, root: Path, main: bool) -> types.ModuleType:
    if place.endswith(".py"):
        path = root / place
        if not path.is_file():
            raise BadInput(f"task file {path} does not exist; start from the folder it is in")
        spec = importlib.util.spec_from_file_location(MAIN, path)
        assert spec is not None
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))  # as python itself does for a script
        return _as_main(spec, what=f"file {path}", spec_of_main=None, main=main)
    try:
        if not main:
            return importlib.import_module(place)
        found = importlib.util.find_spec(place)
    except ImportError as error:
        raise _cannot_import(place, error) from error
    if found is None:
        raise _cannot_import(place, ImportError(f"No module named '{place}'"))
    return _as_main(found, what=f"module {place}", spec_of_main=found, main=True)


def _as_main(
    spec: ModuleSpec, *, what: str, spec_of_main: ModuleSpec | None, main: bool
) -> types.ModuleType:
    if MAIN in sys.modules and getattr(sys.modules[MAIN], "__file__", None) == spec.origin:
        return sys.modules[MAIN]
    assert spec.loader is not None
    module = types.ModuleType(MAIN)
    module.__file__ = spec.origin
    module.__loader__ = spec.loader
    module.__spec__ = spec_of_main  # None for a script, as python itself has it
    module.__package__ = spec_of_main.parent if spec_of_main is not None else None
    # One logger under both names, so that lines and levels of the configuration name __main__.
    logging.Logger.manager.loggerDict[MAIN] = logging.getLogger("__main__")
    before = sys.modules.get("__main__")
    sys.modules[MAIN] = module
    if main:
        sys.modules["__main__"] = module
    try:
        _run(_code(spec), module, what=what)
    except BaseException:
        del sys.modules[MAIN]
        if before is not None:
            sys.modules["__main__"] = before
        raise
    return module


def _code(spec: ModuleSpec) -> types.CodeType:
    code: types.CodeType = spec.loader.get_code(spec.name)  # type: ignore[union-attr]
    return code


def _run(code: types.CodeType, module: types.ModuleType, *, what: str) -> None:
    try:
        exec(code, module.__dict__)  # noqa: S102  the task's own module
    except ImportError as error:
        raise _cannot_import(what, error) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) or _passed_hydra(error):
            raise BadInput(
                f"task {what} runs its own entry when it is imported; put that below "
                "if __name__ == '__main__':"
            ) from error
        raise


def _passed_hydra(error: BaseException) -> bool:
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == _hydra_main_file():
            return frame.tb_frame.f_code.co_name == "decorated_main"
        frame = frame.tb_next
    return False


def _cannot_import(what: str, error: ImportError) -> BadInput:
    return BadInput(f"task {what} cannot be imported ({error}); install what it needs")
