"""Live a pod: one attempt of the pack that the environment names, on all processors it has."""

from __future__ import annotations

import gc
import logging
import os
import signal
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sweep.clock import CLOCK
from sweep.errors import BadInput, StoreLost, SweepError, Unreachable
from sweep.plan import layout
from sweep.plan.exits import Exit
from sweep.plan.records import lines_of, to_line
from sweep.plan.trial import Failure, Record, State
from sweep.search.climbing import Climb
from sweep.study.showing import ENV, tracker_of
from sweep.tracking.address import without_password
from sweep.worker.arrays import gpu_names, train_on_every_gpu
from sweep.worker.assignment import Ready, get_ready
from sweep.worker.attempt import (
    PARENT,
    Attempt,
    claim,
    climber_of,
    live_fused,
    measure_in_turn,
    offering_of,
)
from sweep.worker.child import become_child
from sweep.worker.climbing import Climber
from sweep.worker.crew import Crew, Order
from sweep.worker.ending import leave_word
from sweep.worker.environment import Orders, read_orders
from sweep.worker.fence import Fenced
from sweep.worker.notice import Notice, ToldToStop
from sweep.worker.offering import Offering
from sweep.worker.past import KILLED, Past, past_of
from sweep.worker.settling import Writer, stopped
from sweep.worker.tail import Tail
from sweep.worker.unpacking import Restart

log = logging.getLogger(__name__)

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CHILDREN = 0.75  # of the grace: the rest is for closing the attempt


def run_pod(env: Mapping[str, str]) -> int:
    """Train the pack that `env` names; return the exit code, and leave word why it is not 0."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    ready: Ready | None = None
    notice: Notice | None = None
    tail, code, why = Tail(), int(Exit.DONE), ""
    pack: int | None = None
    try:
        orders = read_orders(env)
        notice = Notice(orders.grace_s).listen()
        with notice.breakable():
            ready = _prepared(orders, env)
            pack = _pack_at(ready, orders.index)
        code = live_in_pod(ready, orders, notice=notice)
        why = "" if code == Exit.DONE else f"pack {pack}: its attempts are used up"
    except Restart as again:
        tail.end()
        again.go()
    except ToldToStop as told:
        code, why = Exit.TOLD_TO_STOP, told.reason
        pack = None if isinstance(told, Fenced) else pack
    except Unreachable as error:
        code, why = Exit.STORE_AWAY, str(error)
    except SweepError as error:
        code, why = Exit.NOTHING_RUNS, str(error)
    except BaseException as error:  # noqa: BLE001  the door: told below, and by its exit code
        traceback.print_exc()
        code, why = 1, f"{type(error).__name__}: {error}"
    if notice is not None:
        notice.last_words()
    if why:
        print(f"sweep: {why}", flush=True)  # noqa: T201
    text = tail.end()
    if ready is not None and pack is not None:
        _keep_log(ready, pack, text)
    leave_word(why)
    return code


def live_in_pod(ready: Ready, orders: Orders, *, notice: Notice) -> Exit:
    """Train every trial of the pack that has no record yet, as many at a time as fit.

    Returns DONE once each has one; PACK_FAILS where earlier attempts all ended before their first
    trial. ToldToStop passes, after the children have ended and the attempt is closed.
    """
    pack = ready.round.packs[orders.index]
    attempt = claim(ready.store, pack.number, cpus=orders.width, gpus=orders.gpus)
    with attempt.closing():
        past = past_of(ready.store, pack=pack.number, attempt=attempt.number)
        most = int(ready.study.limits.get("max_attempts", 3))
        if past.idle_deaths >= most:
            return Exit.PACK_FAILS
        if pack.fused:
            _train_at_once(ready, orders, attempt, past=past, notice=notice)
            return Exit.DONE
        todo: list[Order] = [{"trial": n} for n in pack.trials if n not in past.done]
        source = _source(ready, attempt, past)
        width = past.width(orders.width)
        if source is None:
            width = max(1, min(width, len(todo)))
        log.info(
            "pack %s, attempt %s: %s trials, %s at a time",
            pack.number,
            attempt.number,
            len(todo) if source is None else "open",
            width,
        )
        lifeline, held = os.pipe()

        def fork(part: int, orders_in: int, answers_out: int, close: Sequence[int]) -> int:
            pipes = (orders_in, answers_out, lifeline)
            return _fork(ready, orders, attempt, part=part, pipes=pipes, close=[held, *close])

        def died(order: Order, how: str, cpu_seconds: float) -> bool:
            if isinstance(source, Climber) and source.reached(_climb_of(order)):
                return True
            return _write_down(ready, attempt, order["trial"], how, cpu_seconds)

        def more() -> Order | None:
            if source is None or stopped(ready.store, ready.study):
                return None
            return _order(source.next())

        def expects_more() -> bool:
            over = stopped(ready.store, ready.study)
            return isinstance(source, Offering) and not over and source.expects_more()

        crew = Crew(
            orders=todo,
            width=width,
            past=past,
            max_attempts=most,
            fresh=attempt.number == 1 and ready.round.number == 1,
            fork=fork,
            died=died,
            notice=notice,
            fence=attempt.fence(ready.round.number),
            grace_s=orders.grace_s,
            more=more,
            expects_more=expects_more if isinstance(source, Offering) else None,
        )
        try:
            crew.run()
        finally:
            os.close(lifeline)
            os.close(held)
    return Exit.DONE


def _train_at_once(
    ready: Ready, orders: Orders, attempt: Attempt, *, past: Past, notice: Notice
) -> None:
    """Train a fused pack: on one GPU in this process, for nothing runs beside it."""
    if orders.gpus > 1:
        gpus = gpu_names(os.environ, orders.gpus)
        train_on_every_gpu(ready, orders, attempt, gpus=gpus, past=past, notice=notice)
        return
    work = ready.pack(orders.index, notice=notice)
    measure_in_turn(work)
    writer = Writer(attempt=attempt.number, part=1, fence=attempt.fence(ready.round.number))
    live_fused(work, attempt, writer=writer, past=past)


def _source(ready: Ready, attempt: Attempt, past: Past) -> Climber | Offering | None:
    """Open what an open slot takes its trials from; None for a pack that has its own."""
    if ready.round.rungs is not None:
        return climber_of(ready.store, ready.study, ready.round, attempt, past=past)
    if ready.round.offers is not None:
        return offering_of(ready.store, ready.round, attempt, past=past)
    return None


def _order(found: Climb | int | None) -> Order | None:
    if isinstance(found, Climb):
        return {"trial": found.trial, "climb": [found.rung, found.epochs]}
    return None if found is None else {"trial": found}


def _climb_of(order: Order) -> Climb:
    return Climb(order["trial"], *order["climb"])


def _prepared(orders: Orders, env: Mapping[str, str]) -> Ready:
    try:
        ready = get_ready(
            address=orders.address,
            study=orders.study,
            round_number=orders.round_number,
            expected_hash=orders.expected_hash,
        )
    except SweepError:
        raise
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()  # a stranger's module may raise anything
        raise BadInput(f"the task cannot be loaded: {type(error).__name__}: {error}") from None
    ready = replace(ready, study=replace(ready.study, tracking=_tracking(ready, env)))
    gc.collect()
    gc.freeze()  # so that the children share these pages
    gc.enable()
    return ready


def _tracking(ready: Ready, env: Mapping[str, str]) -> Mapping[str, object]:
    # The server may have another address for pods than for people; without it training goes on.
    told = {"uri": without_password(env[ENV])} if env.get(ENV) else {}
    tracking = {**ready.study.tracking, **told} if ready.study.tracking.get("uri") else {}
    try:
        tracker_of(replace(ready.study, tracking=tracking))  # imports MLflow, once for all children
    except (SweepError, ImportError) as error:
        log.warning("MLflow is left out: %s", error)
        return {}
    return tracking


def _pack_at(ready: Ready, index: int) -> int:
    packs = ready.round.packs
    if not 0 <= index < len(packs):
        raise BadInput(f"round {ready.round.number} has {len(packs)} packs, none at {index}")
    return packs[index].number


def _fork(
    ready: Ready,
    orders: Orders,
    attempt: Attempt,
    *,
    part: int,
    pipes: tuple[int, int, int],
    close: Sequence[int],
) -> int:
    # Told to stop while it forks, the parent tells the child too, once that can hear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = os.fork()
    if pid == 0:
        for number in close:
            os.close(number)
        orders_in, answers_out, lifeline = pipes
        become_child(
            ready,
            index=orders.index,
            attempt=attempt,
            part=part,
            grace_s=CHILDREN * orders.grace_s,
            orders=orders_in,
            answers=answers_out,
            lifeline=lifeline,
        )
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _write_down(ready: Ready, attempt: Attempt, trial: int, how: str, cpu_seconds: float) -> bool:
    """Tell whether a dead child left its trial's record; else write what the death cost."""
    prefix = layout.pack_prefix(attempt.pack)
    for key in ready.store.sizes(prefix):
        file = layout.results_of(key)
        if file is None or file.attempt != attempt.number:
            continue
        lines, _, _, _ = lines_of(
            ready.store.read(key), where=key, attempt=file.attempt, part=file.part
        )
        if any(line.record.trial == trial and line.record.state.terminal for line in lines):
            return True
    now = CLOCK.now()
    cost = Record(
        trial=trial,
        state=State.PAUSED,
        error=Failure(KILLED, f"its worker {how}"),
        attempt=attempt.number,
        pack=attempt.pack,
        round=ready.round.number,
        started=now,
        finished=now,
        attempt_cpu_seconds=cpu_seconds,
        versions=ready.versions,
    )
    ready.store.append(layout.results_key(attempt.pack, attempt.number, PARENT), to_line(cost))
    return False


def _keep_log(ready: Ready, pack: int, text: bytes) -> None:
    if not text:
        return
    try:
        ready.store.append(layout.log_key(pack), text)
    except StoreLost as error:
        log.warning("%s", error)
