"""The user's door: a verb goes to cli, anything else is Hydra's."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from sweep import interrupt

TASK = "sweep.app:train"
VERBS = {
    "plan": "show what a multirun would do: trials, packs, cost; nothing is written",
    "status": "show how far the studies of a store are",
    "resume": "train what a study has no record of",
    "once": "begin a study of a name, or go on with it: for a Job that may be started twice",
    "attach": "follow a study that goes on without its client",
    "cancel": "stop a study; what is done is kept",
    "logs": "print what the workers of a study printed",
    "report": "write a study's report as one HTML file",
    "publish": "write to MLflow what it lacks of a study",
    "backtest": "train a study's winner anew at later and later origins of its test part",
    "compare": "compare two studies: what both trained, and what was changed",
    "gate": "judge a study against the champion, seed by seed",
    "doctor": "check this machine, the store and MLflow",
}

HELP = """\
Tune LSTMs by Hydra multirun.

  python -m sweep +experiment=forecast -m     run an experiment's grid as a study
  python -m sweep +experiment=forecast        train its starting point once
  python -m sweep VERB ...                    one of:

{verbs}

An experiment is a file of settings; each can be changed on the command line:
  python -m sweep +experiment=forecast -m optim.lr=0.001,0.01 train.epochs=10
  python -m sweep +experiment=forecast -m guide=full          another of the guide's grids
  python -m sweep +experiment=forecast --cfg job              show the settings

`python -m sweep VERB --help` explains a verb; `python -m sweep --hydra-help` is Hydra's own.
Exit codes: 0 done, 1 trials failed, 2 bad input, 3 store or cluster unreachable,
4 the gate found a regression, 130 interrupted.
"""


def main() -> None:
    """Run the command line and leave with its exit code."""
    interrupt.remember()
    try:
        _main()
    except SystemExit:
        raise
    except BaseException:
        if not interrupt.came():
            raise
        # While modules are being imported; later it has a better line.
        print("sweep: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)


def _main() -> None:
    gc.set_threshold(50_000, 20, 50)  # imports make objects by the thousand, and no garbage
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_text())  # noqa: T201
        sys.exit(0 if arguments else 2)
    if arguments[0] in VERBS:
        from sweep.cli import run_verb

        _leave(run_verb(arguments))
    problem = unknown_verb(arguments)
    if problem:
        print(f"sweep: {problem}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    ordered = flags_last(arguments)
    if ordered is not None:
        print(  # noqa: T201
            f"sweep: overrides on both sides of a flag, read as: {' '.join(ordered)}",
            file=sys.stderr,
        )
    arguments = ordered or arguments
    from sweep.foresight import foresee

    foresee(arguments, task=TASK, env=os.environ)
    from sweep.multirun import run_hydra

    _leave(run_hydra(arguments))


def _leave(code: int) -> NoReturn:
    gc.freeze()  # else Python looks for garbage among all that was imported, for half a second
    sys.exit(code)


def help_text() -> str:
    """Write our help, from this module alone."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"    {verb:<{width}}  {what}" for verb, what in VERBS.items())
    return HELP.format(verbs=verbs)


def flags_last(arguments: Sequence[str]) -> list[str] | None:
    """Move a multirun flag behind the overrides where it stands amid them, which Hydra refuses."""
    flags = [word for word in arguments if word in ("-m", "--multirun")]
    if not flags:
        return None
    place = arguments.index(flags[0])
    before, after = arguments[:place], arguments[place + 1 :]
    if not any("=" in word for word in before) or not any("=" in word for word in after):
        return None
    return [*(word for word in arguments if word not in flags), flags[0]]


def unknown_verb(arguments: Sequence[str]) -> str | None:
    """Notice a first word that is neither a verb nor an override."""
    first = arguments[0]
    if first.startswith(("-", "~")) or "=" in first:
        return None
    from sweep.errors import nearest

    return f"verb '{first}' does not exist; {nearest(first, VERBS)}"


if __name__ == "__main__":
    main()
