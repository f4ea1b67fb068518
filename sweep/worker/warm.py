"""Import everything once, then fork a worker for each pack that the local cluster names."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn

from sweep.cluster.gpus import VISIBLE
from sweep.errors import StoreLost, SweepError
from sweep.plan import layout
from sweep.plan.application import Tree
from sweep.plan.exits import Exit
from sweep.study.reading import exists
from sweep.study.scoring import crown_trials
from sweep.study.showing import tracker_of
from sweep.task import application_of, load_task
from sweep.tracking.database import import_store
from sweep.worker.assignment import Ready, get_ready
from sweep.worker.attempt import live, measure_baselines
from sweep.worker.notice import Notice, ToldToStop
from sweep.worker.unpacking import Restart

log = logging.getLogger(__name__)

Work = Callable[[Notice], Exit]
HEARD = "SWEEP_HEARD"  # orders that were read before a restart
MEASURED_AT_MOST = 2  # times, of baselines
GRACE_S = 5.0  # after which a client that stops kills its workers


class _For(Enum):
    PACK = "pack"
    CROWN = "crown"
    BASELINES = "baselines"


@dataclass(frozen=True, slots=True)
class _Child:
    purpose: _For
    pack: int | None  # whose log has what it prints
    output: IO[bytes]


class _Parent:
    """Hold what all workers share, and the workers that run."""

    def __init__(self, ready: Ready, channel: IO[str], lifeline: int):
        self.ready = ready
        self.channel = channel
        self.lifeline = lifeline
        self.index = {pack.number: i for i, pack in enumerate(ready.round.packs)}
        self.children: dict[int, _Child] = {}
        self.stopping = False
        self.measuring = 0  # times that baselines were, or are being, measured
        self.unmeasured = False  # after the last time: whoever did it has died
        self.held: list[dict[str, Any]] = []  # ends of packs, told once baselines are measured

    def obey(self, order: dict[str, Any]) -> None:
        if "round" in order:
            self._load(order)
        elif "crown" in order:
            self.fork(_For.CROWN, partial(self._crown, order["crown"]))
        else:
            work = partial(self._live, order["pack"], order.get("gpu"))
            self.fork(_For.PACK, work, pack=order["pack"])
            if not self.measuring:
                self._measure()

    def _measure(self) -> None:
        """Measure baselines, unless the study has them; the first packs share the machine with it.

        Where memory was too little for both, they are measured once more, with nothing beside.
        """
        self.measuring += 1
        if self.ready.application is None or exists(self.ready.store, layout.BASELINES):
            return
        last = self.ready.round.packs[-1].number
        self.fork(_For.BASELINES, self._baselines, pack=last)

    def _baselines(self, notice: Notice) -> Exit:
        measure_baselines(self.ready.reopened().pack(0, notice=notice))
        return Exit.DONE

    def _load(self, order: dict[str, Any]) -> None:
        try:
            self.ready = _get_ready(order)
        except SweepError as error:
            _say(self.channel, {"refused": str(error)})
            return
        self.index = {pack.number: i for i, pack in enumerate(self.ready.round.packs)}

    def _live(self, pack: int, gpu: str | None, notice: Notice) -> Exit:
        if gpu is not None:
            os.environ[VISIBLE] = gpu  # nothing of this process has looked at GPUs yet
        return live(self.ready.reopened().pack(self.index[pack], notice=notice))

    def _crown(self, trees: Sequence[tuple[int, Tree]], _: Notice) -> Exit:
        ready = self.ready.reopened()
        assert ready.application is not None
        crown_trials(
            ready.store,
            dict(trees),
            application=ready.application,
            study=ready.study,
            say=print,
        )
        return Exit.DONE

    def fork(self, purpose: _For, work: Work, *, pack: int | None = None) -> None:
        output = tempfile.TemporaryFile()  # noqa: SIM115  closed when the child is reaped
        # Told to stop while it forks, the parent tells the new worker too, once that can hear it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if not self.stopping:
            pid = os.fork()
            if pid == 0:
                _become_worker(self.channel, work, self.lifeline, output)
            self.children[pid] = _Child(purpose, pack, output)
            if purpose is _For.PACK:
                _say(self.channel, {"pack": pack, "pid": pid})
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        self.stopping = True
        for pid in self.children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            child, code = self.children.pop(pid), os.waitstatus_to_exitcode(status)
            with child.output as output:
                output.seek(0)
                printed = output.read()
            if child.pack is None:
                said = printed.decode(errors="replace")
                _say(self.channel, {"crowned": code, "said": said})
            else:
                self._keep(printed, child.pack)
            if child.purpose is _For.PACK:
                self.held.append({"pack": child.pack, "exit": code})
            if child.purpose is _For.BASELINES:
                self.unmeasured = code != Exit.DONE
            self._tell_ends()

    def _tell_ends(self) -> None:
        # A study whose packs have all ended has its baselines.
        if _For.PACK not in self._purposes() and self.held:
            if self.unmeasured and self.measuring < MEASURED_AT_MOST:
                self._measure()
            if _For.BASELINES in self._purposes():
                return
        for message in self.held:
            _say(self.channel, message)
        self.held.clear()

    def _purposes(self) -> set[_For]:
        return {child.purpose for child in self.children.values()}

    def _keep(self, printed: bytes, pack: int) -> None:
        if printed:
            try:
                self.ready.store.append(layout.log_key(pack), printed)
            except StoreLost as error:
                log.warning("%s", error)


def serve(lifeline: int) -> int:
    """Fork workers as told on standard input, until it or the lifeline ends.

    Messages are JSON lines. In: perhaps {"task": NAME}, imported ahead of its plan; one with
    store, study and round; then {"pack": N}, with the GPU that
    it has for itself, and {"crown": [[TRIAL, TREE], ...]}. Out: {"pack": N,
    "pid": P}, {"pack": N, "exit": CODE}, {"crowned": CODE, "said": TEXT}, {"refused": TEXT}.
    """
    # What a task's module prints must not come between the messages.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    first, unread = _first(os.environ.pop(HEARD, "").encode())
    if first is None:
        return 0
    order = json.loads(first)
    _set_path(order.get("own_path"))
    if "task" in order:
        _import_ahead(order["task"])
        first, unread = _first(unread)
        if first is None:
            return 0
        order = {"own_path": order.get("own_path"), **json.loads(first)}
    try:
        ready = _get_ready(order)
        tracker = tracker_of(ready.study)
        if tracker is not None:
            import_store(tracker.uri)  # once for all workers
    except Restart as again:
        os.dup2(channel.fileno(), 1)
        heard = json.dumps(order) + "\n" + unread.decode()
        again.go(["warm", str(lifeline)], env={HEARD: heard})
    except SweepError as error:
        _say(channel, {"refused": str(error)})
        return Exit.NOTHING_RUNS
    except Exception as error:  # noqa: BLE001  a stranger's module may raise anything
        traceback.print_exc()
        _say(channel, {"refused": f"the task cannot be loaded: {type(error).__name__}: {error}"})
        return Exit.NOTHING_RUNS
    gc.freeze()  # so that the children share these pages
    gc.enable()
    code = _loop(_Parent(ready, channel, lifeline), unread)
    # Python's own way out takes apart all that was imported, for 0.3 s. The kernel takes some time
    # for the memory too; nobody who reads what we or our client print has to wait for that.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    channel.close()
    os.closerange(0, 3)
    os._exit(code)


def _first(unread: bytes) -> tuple[bytes | None, bytes]:
    """Read up to the end of a line; None where the client is gone before that."""
    while b"\n" not in unread:
        data = os.read(sys.stdin.fileno(), 1 << 16)
        if not data:
            return None, unread
        unread += data
    line, _, rest = unread.partition(b"\n")
    return line, rest


def _import_ahead(task: str) -> None:
    # What cannot be imported is told when the plan names it.
    with suppress(Exception), _printing_later():
        application = application_of(load_task(task, root=Path()))
        if application is not None:
            application.warm()


def _set_path(own: str | None) -> None:
    # What a task starts has the variable as the client had it, not the path that we came by.
    os.environ.pop("PYTHONPATH", None)
    if own is not None:
        os.environ["PYTHONPATH"] = own


def _get_ready(order: dict[str, Any]) -> Ready:
    with _printing_later():
        return get_ready(address=order["store"], study=order["study"], round_number=order["round"])


@contextmanager
def _printing_later() -> Iterator[None]:
    # The client has imported the task and shown what that prints; it is shown again only beside
    # the traceback of an import that fails here.
    before = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        failed = False
        try:
            yield
        except SweepError:
            raise
        except Exception:
            failed = True
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, saved in enumerate(before, start=1):
                os.dup2(saved, number)
                os.close(saved)
            if failed:
                printed.seek(0)
                os.write(2, printed.read())


def _loop(parent: _Parent, unread: bytes) -> int:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)

    signal.signal(signal.SIGTERM, lambda *_: parent.stop())
    watched = [sys.stdin.fileno(), wake_read]
    while not (parent.stopping and not parent.children):
        ready, _, _ = select.select(watched, [], [], 0 if b"\n" in unread else None)
        if wake_read in ready:
            os.read(wake_read, 4096)
        parent.reap()
        if sys.stdin.fileno() in ready:
            data = os.read(sys.stdin.fileno(), 1 << 16)
            if not data:  # the client is gone
                watched.remove(sys.stdin.fileno())
                parent.stop()
            unread += data
        *lines, unread = unread.split(b"\n")
        for line in lines:
            parent.obey(json.loads(line))
    return 0


def _become_worker(channel: IO[str], work: Work, lifeline: int, output: IO[bytes]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        notice = Notice(GRACE_S).listen()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        channel.close()
        _read_nothing()  # orders come there
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        threading.Thread(target=_die_with_client, args=(lifeline,), daemon=True).start()
        code = int(work(notice))
    except ToldToStop:
        code = Exit.TOLD_TO_STOP
    except StoreLost as error:
        log.error("%s", error)  # noqa: TRY400  one line, no traceback
        code = Exit.STORE_AWAY
    except BaseException:  # noqa: BLE001  nothing may pass a fork's end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read_nothing() -> None:
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)


def _die_with_client(lifeline: int) -> None:
    # Only the client holds the other end: this returns when the client is gone, however it went.
    os.read(lifeline, 1)
    os._exit(Exit.TOLD_TO_STOP)


def _say(channel: IO[str], message: dict[str, Any]) -> None:
    try:
        channel.write(json.dumps(message) + "\n")
        channel.flush()
    except BrokenPipeError:
        log.debug("the client is gone")
