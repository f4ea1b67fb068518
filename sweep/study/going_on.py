"""Tell a person how to go on with a study."""

from __future__ import annotations

import os
import shlex
import socket
import time

from sweep.study.studied import Studied


def who() -> str:
    """Name this process to others that want its lease."""
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%H:%M:%S')}"


def how_to_go_on(state: Studied, why: str = "interrupted") -> str:
    """Tell what is done and how to do the rest."""
    trained = [trial for trial in state.trials if trial.same_as is None]
    done = sum(trial.number in state.records for trial in trained)
    store = state.place.url.removeprefix("file://").rpartition("/")[0]
    return (
        f"{why}: {done} of {len(trained)} trials are done and kept; go on by "
        f"`python -m sweep resume {state.study.name} --store {shlex.quote(store)}`"
    )


def how_to_come_back(state: Studied) -> str:
    """Tell that the round goes on without us, and how to follow or stop it."""
    name, store = state.study.name, shlex.quote(state.place.url.rpartition("/")[0])
    verbs = ("attach", "status", "cancel")
    lines = "".join(f"\n  python -m sweep {verb} {name} --store {store}" for verb in verbs)
    return f"study {name} goes on without this client:{lines}"
