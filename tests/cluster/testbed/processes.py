"""Start the parts of the test bed, and leave none behind however the tests end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from testbed.errors import BedError

POLL_S = 0.05
MARK = "SWEEP_BED"  # names its bed's folder in the environment of every part
LAST_LINES = 15  # of a part's log, in the error that says why it did not come up


@dataclass
class Process:
    """One part: a command with its log, which can be paused, killed and started again.

    Its process id and start time stand in `folder`, so that another process can end it.
    """

    name: str
    command: Sequence[str]
    folder: Path  # of the bed: logs/NAME.log and run/NAME.pid go here
    env: Mapping[str, str] = field(default_factory=dict)  # added to ours
    ready: Callable[[], bool] = lambda: True
    ready_s: float = 60.0
    cwd: Path | None = None
    child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Give the file that takes standard output and error."""
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Give the file that names the running process."""
        return self.folder / "run" / f"{self.name}.pid"

    def start(self, *, wait: bool = True) -> Process:
        """Start it, in a session of its own; wait until it is ready.

        Raises BedError with the log's end where it dies first or takes longer than `ready_s`.
        """
        for file in (self.log, self.pid_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env, MARK: str(self.folder)},
                cwd=self.cwd,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{self.child.pid} {started_at(self.child.pid)}")
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until `ready()` holds."""
        assert self.child is not None
        until = time.monotonic() + self.ready_s
        while not self.ready():
            code = self.child.poll()
            if code is not None:
                raise BedError(f"{self.name} ended with {code}:\n{self.tail()}")
            if time.monotonic() > until:
                raise BedError(f"{self.name} not ready in {self.ready_s:.0f} s:\n{self.tail()}")
            time.sleep(POLL_S)

    @property
    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.child is not None and self.child.poll() is None

    def pause(self) -> None:
        """Freeze it with its children: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Wake it again."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it with its children, at once."""
        self._signal(signal.SIGKILL)
        if self.child is not None:
            self.child.wait()
        self.pid_file.unlink(missing_ok=True)

    def stop(self, grace_s: float = 10.0) -> None:
        """Ask it to end, and kill it after the grace."""
        if self.child is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(grace_s)
        self.kill()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def tail(self, lines: int = LAST_LINES) -> str:
        """Return the log's last lines."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self.child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.child.pid, number)


def end_recorded(folder: Path) -> None:
    """Kill every process that a bed's folder records, newest first, with its session."""
    files = sorted((folder / "run").glob("*.pid"), key=lambda file: file.stat().st_mtime)
    for file in reversed(files):
        pid, _, started = file.read_text().partition(" ")
        # Cut short by its writer's death, or another process has the number now: see end_marked.
        if started and started_at(int(pid)) == int(started):
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGKILL)
        file.unlink(missing_ok=True)


def end_marked(folder: Path) -> None:
    """Kill every process that carries a bed's mark, until none is left.

    Finds what started while its starter was killed, before it was recorded.
    """
    while found := [each for each in psutil.process_iter() if _marked(each, folder)]:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(POLL_S)  # to wait for one would take its exit code from its parent


def free_port(address: str = "127.0.0.1") -> int:
    """Choose a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def listening(port: int, address: str = "127.0.0.1") -> bool:
    """Tell whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((address, port)) == 0


def started_at(pid: int) -> int:
    """Tell when a process started, in clock ticks since the machine did; -1 where there is none.

    The wall clock, which may be set, would give another answer to another process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    return int(stat.rpartition(")")[2].split()[19])  # field 22; the second may hold any character


def _marked(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(
            folder
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
