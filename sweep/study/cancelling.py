"""Stop a study wherever it runs, and record that it was stopped."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from sweep.errors import Busy
from sweep.plan import layout
from sweep.plan.round import Round
from sweep.store import Store
from sweep.study.conducting import work_of
from sweep.study.finishing import give_up
from sweep.study.following import GRACE_S
from sweep.study.holding import held
from sweep.study.marking import mark_cancelled
from sweep.study.reading import read_rounds, read_study
from sweep.study.siting import KUBERNETES, open_cluster, prepare, site_again
from sweep.study.stopping import CANCELLED, ask_to_stop
from sweep.study.studied import Studied, studied


def cancel(
    place: Store, *, env: Mapping[str, str], console: Console, context: str | None = None
) -> str:
    """Ask everybody who works on a study to stop, and say in a line what came of it.

    Where nobody conducts it, its pods are told to end here; they keep their checkpoints, and the
    trials that have no record are recorded as cancelled. Raises BadInput, Unreachable.
    """
    ask_to_stop(place, CANCELLED)
    name = place.url.rpartition("/")[2]
    again = f"go on later by `python -m sweep resume {name}`"
    conducted = place.held(layout.LEASE)
    rounds = read_rounds(place)
    if rounds[-1].cluster.get("kind") != KUBERNETES:
        if conducted:
            return f"study {name}: its client stops the workers now; {again}"
        return f"study {name}: nobody works on it; {again}"
    try:
        with held(place, console=console):
            state = studied(place, read_study(place), rounds)
            found = end_round(state, rounds[-1], env=env, context=context)
            marked = mark_cancelled(state, rounds[-1])
            give_up(state)
    except Busy:
        return f"study {name}: its client stops its pods now; {again}"
    pods = "its pods were told to end" if found else "nothing of it runs"
    return f"study {name}: {pods}, {marked} trials are cancelled; {again}"


def end_round(
    state: Studied, round_: Round, *, env: Mapping[str, str], context: str | None
) -> bool:
    """End the pods of a round and remove its Job; tell whether there was one."""
    site = site_again(round_.cluster, env=env, context=context)
    prepare(site)
    cluster = open_cluster(site)
    store = state.place.url.removesuffix(f"/{state.study.name}")
    if not cluster.adopt(work_of(state.study, round_, store=store)):
        return False
    cluster.stop(GRACE_S)
    cluster.remove()
    return True
