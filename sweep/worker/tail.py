"""Copy what a pod prints to where it was printed, and remember the end of it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from typing import IO

from sweep.plan.exits import Exit

MOST_BYTES = 1 << 16
READ_BYTES = 1 << 16
WAIT_S = 2.0


class Tail:
    """Stand between this process, with all that it forks, and its standard error.

    A process of its own does the copying, so that nobody ever waits for a full pipe.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._before = os.dup(1), os.dup(2)
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  read when all is over
        read_end, write_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(write_end)
            _copy(read_end, self._before[1], self._file)
        os.close(read_end)
        for number in (1, 2):
            os.dup2(write_end, number)
        os.close(write_end)

    def end(self) -> bytes:
        """Print directly again; return the last bytes, once all processes that print have ended."""
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in enumerate(self._before, start=1):
            os.dup2(saved, number)
            os.close(saved)
        self._wait()
        with self._file as file:
            file.seek(0)
            return file.read()

    def _wait(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while os.waitpid(self._pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:  # something that a trial started still prints
                os.kill(self._pid, signal.SIGUSR1)
                os.waitpid(self._pid, 0)
                return
            time.sleep(0.005)


class _Enough(Exception):
    """Ends the copying."""


def _enough(*_: object) -> None:
    raise _Enough


def _copy(source: int, target: int, keep: IO[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):  # it ends when there is nobody left to print
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, _enough)
    kept, cut = b"", False
    try:
        with suppress(_Enough):
            while data := os.read(source, READ_BYTES):
                os.write(target, data)
                kept, cut = (kept + data)[-MOST_BYTES:], cut or len(kept) + len(data) > MOST_BYTES
        keep.write(kept.partition(b"\n")[2] if cut else kept)  # no half line at its beginning
        keep.flush()
    finally:
        os._exit(Exit.DONE)
