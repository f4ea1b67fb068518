"""Hold the process that imports everything once and forks a worker for each local pack."""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

log = logging.getLogger(__name__)

PATH = "PYTHONPATH"  # the worker takes our modules, and gives the task what a person set
ONE_THREAD = {  # one worker a core: two threads each made a step up to eleven times slower
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
END_S = 5.0  # for a parent that has nothing to do any more


class WorkersParent:
    """One life of `python -m sweep.worker warm`, and the pipes to it.

    It and its workers end when this process ends, however it ends.
    """

    def __init__(self, first: dict[str, Any]) -> None:
        read_end, self._lifeline = os.pipe()
        # -P: the modules of the client's own path, in its order, without the working directory.
        command = [sys.executable, "-P", "-m", "sweep.worker", "warm", str(read_end)]
        try:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[read_end],
                start_new_session=True,  # Ctrl-C is for the client, which then tells the workers
                env={**ONE_THREAD, **os.environ, PATH: os.pathsep.join(sys.path)},
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(read_end)
        self._unread = b""
        self._closed = False
        self.tell({**first, "own_path": os.environ.get(PATH)})

    @property
    def alive(self) -> bool:
        """Tell whether it can be told anything: it has not ended, nor been asked to."""
        return not self._closed and self.process.poll() is None

    def tell(self, message: dict[str, Any]) -> None:
        """Send it one message; where it has ended, `messages` says so."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            log.debug("the workers' parent has ended")

    def messages(self, timeout_s: float | None) -> list[dict[str, Any]] | None:
        """Wait for what it says, at most `timeout_s`; None once it has ended."""
        assert self.process.stdout is not None
        file = self.process.stdout.fileno()
        ready, _, _ = select.select([file], [], [], timeout_s)
        if not ready:
            return []
        data = os.read(file, 1 << 16)
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def bury(self) -> int:
        """Kill what it left behind, so that no pack has two writers; return its exit code."""
        code = self.process.wait()
        self._signal(signal.SIGKILL)
        return code

    def kill(self) -> None:
        """Kill it and its workers."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, grace_s: float) -> None:
        """Ask it and its workers to end, kill them after the grace, and close the pipes."""
        if self._closed:
            return
        self._signal(signal.SIGTERM)
        if not self._silent_within(grace_s):
            self.kill()
        self.close()

    def close(self) -> None:
        """Close the pipes: it ends once its workers have, and is killed where it lingers."""
        if self._closed:
            return
        self._closed = True
        os.close(self._lifeline)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            log.debug("the workers' parent had ended")
        # After its last word it has only its memory to give back, for which nobody waits.
        if not self._silent_within(END_S):
            self.kill()
        self.process.stdout.close()
        # A client that lives on would else have a zombie for each study.
        threading.Thread(target=self.process.wait, daemon=True).start()

    def _silent_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.messages(left) is None:
                return True
        return False

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            log.debug("nothing of the workers' session is left")


_ahead: dict[str, WorkersParent] = {}  # task to a parent that nobody has taken yet


def begin_ahead(task: str) -> None:
    """Have a parent import a task's module, before it is known whether anybody needs it.

    For a task that tells about itself: importing it does nothing else. Whoever needs it takes it;
    what is not taken ends with this process, at the latest.
    """
    end_ahead()
    _ahead[task] = WorkersParent({"task": task})
    atexit.register(end_ahead)


def take(task: str) -> WorkersParent:
    """Take the parent that was begun for a task, or begin one now."""
    parent = _ahead.pop(task, None)
    end_ahead()
    return parent or WorkersParent({"task": task})


def end_ahead() -> None:
    """End what was begun and not taken."""
    while _ahead:
        _, parent = _ahead.popitem()
        parent.kill()  # it has no workers, and holds nothing
        parent.close()
