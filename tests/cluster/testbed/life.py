"""Run one container as a process of this machine, in a folder of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from testbed.container import End, Pod, exit_code
from testbed.processes import MARK

MESSAGE_BYTES, MESSAGE_LINES = 2048, 80  # of a log, as kubelets take them
CANNOT_START = 128  # what runc's failures are reported with
PASSED_ON = ("LANG", "PATH", MARK)  # of the player's environment; containers know no other


@dataclass
class Life:
    """One pod's container: what the API says of it, and its process."""

    pod: Pod  # as last seen
    folder: Path
    gone: bool = False  # the API no longer has it running
    over: bool = False  # and told of
    asked: bool = False  # to end
    pod_reason: str | None = None  # why the kubelet ended the pod, DeadlineExceeded
    verdict: tuple[int, str] | None = None  # code and reason, where the process's own do not count
    process: subprocess.Popen[bytes] | None = None
    started: str = field(default_factory=lambda: now())

    @property
    def uid(self) -> str:
        """Give what tells it from an earlier pod of its name."""
        return str(self.pod["metadata"]["uid"])

    @property
    def node(self) -> str:
        """Name the node that the pod is bound to."""
        return str(self.pod["spec"]["nodeName"])

    @property
    def path(self) -> str:
        """Give the pod's place in the API."""
        metadata = self.pod["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    @property
    def log(self) -> Path:
        """Give the file of its output."""
        return self.folder / "log"

    @property
    def grace_s(self) -> float:
        """Give the seconds from SIGTERM to SIGKILL."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        grace = metadata.get("deletionGracePeriodSeconds", spec["terminationGracePeriodSeconds"])
        return float(grace)

    async def run(self, command: Sequence[str], *, env: Mapping[str, str]) -> End:
        """Run it to its end, and end what it left behind, as a container's PID 1 does."""
        home = self.folder / "home"
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        self.started = now()
        with self.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=home,
                    env=self._machine(home) | dict(env),
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{error}\n".encode())
                return self._end(CANNOT_START, "StartError")
        if self.asked:
            self.stop()
        returned = await _returned(self.process)
        self._signal_all(signal.SIGKILL)
        code = exit_code(returned)
        return self._end(code, "Completed" if code == 0 else "Error")

    def stop(self) -> None:
        """Ask PID 1 to end; kill it when the grace is over."""
        self.asked = True
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(self.grace_s, self.kill)

    def kill(self, verdict: tuple[int, str] | None = None) -> None:
        """Kill the container; `verdict` is the code and reason that its node will tell of it."""
        self.verdict = self.verdict or verdict
        if self.process is None or self.process.returncode is None:
            self._signal_all(signal.SIGKILL)

    def _end(self, code: int, reason: str) -> End:
        code, reason = self.verdict or (code, reason)
        return End(
            code=code,
            reason=reason,
            started=self.started,
            finished=now(),
            pod_reason=self.pod_reason,
            message=self._last_words() if code else "",
        )

    def _last_words(self) -> str:
        container = self.pod["spec"]["containers"][0]
        if container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return ""
        text = self.log.read_bytes()[-MESSAGE_BYTES:].decode(errors="replace")
        return "".join(text.splitlines(keepends=True)[-MESSAGE_LINES:])

    def _machine(self, home: Path) -> dict[str, str]:
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        python = Path(sys.executable).parent  # `python` is the one that runs the tests
        path = f"{python}{os.pathsep}{passed.get('PATH', os.defpath)}"
        own = {"PATH": path, "HOME": str(home), "TMPDIR": str(home / "tmp")}
        return {**passed, **own, "HOSTNAME": str(self.pod["metadata"]["name"])}

    def _signal_all(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


async def _returned(process: subprocess.Popen[bytes]) -> int:
    # asyncio's own way to wait takes a thread for each process before Python 3.12.
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return process.wait()


def now() -> str:
    """Give the time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
