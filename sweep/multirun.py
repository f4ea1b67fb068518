"""Run the LSTM application under Hydra, and turn its complaints into one line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from sweep import interrupt
from sweep.app import configs, train
from sweep.compose import explain
from sweep.errors import BadInput, SweepError, nearest
from sweep.schema import ADAPTERS


def run_hydra(arguments: Sequence[str]) -> int:
    """Run Hydra's command line on our application and return the exit code."""
    main = hydra.main(version_base="1.3", config_path=str(configs()), config_name="config")(train)
    sys.argv = [sys.argv[0], *arguments]
    try:
        _check_flags(arguments)
        with _raising():
            main()
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0 if leave.code is None else 1
    except (HydraException, OmegaConfBaseException) as error:
        if interrupt.came():  # amid their own work, of which they then complain
            return _refuse("interrupted", 130)
        return _refuse(_unknown_key(error) or explain(error), 2)
    except SweepError as error:
        return _refuse(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _refuse("interrupted", 130)
    return 0


def _check_flags(arguments: Sequence[str]) -> None:
    def refuse(message: str) -> NoReturn:
        raise BadInput(f"{message}; overrides stand together, flags behind them, see --hydra-help")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]  # its own prints several lines
    parser.parse_args(arguments)


def _unknown_key(error: Exception) -> str | None:
    missing = re.match(r"Could not override '([^']+)'", str(error))
    if missing is None or missing[1] in ADAPTERS:
        return None
    known = ADAPTERS if not missing[1].startswith("hydra.") else ()
    return f"configuration key '{missing[1]}' does not exist" + (
        f"; {nearest(missing[1], known)}" if known else "; see docs/settings.md"
    )


def _refuse(line: str, code: int) -> int:
    print(f"sweep: {line}", file=sys.stderr)  # noqa: T201
    return code


@contextmanager
def _raising() -> Iterator[None]:
    # Hydra prints a traceback and exits with 1 on errors, unless this is set.
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before
