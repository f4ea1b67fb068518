"""Run PostgreSQL as Debian ships it."""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2

from testbed.errors import BedError
from testbed.processes import Process, free_port

PLACE = Path("/usr/lib/postgresql")  # one folder a major version
USER = "postgres"  # made by the Debian package; the server refuses to run as root
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # a test's data may be lost


@dataclass
class _Server(Process):
    """The server, whose backends lead sessions of their own and so miss a signal to its group."""

    def _signal(self, number: signal.Signals) -> None:
        if self.child is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.child.pid)
            for process in [*family.children(recursive=True), family]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server with one empty database; `process` has the levers."""

    process: Process
    port: int
    password: str

    @property
    def url(self) -> str:
        """Give the address as SQLAlchemy with psycopg2 writes it."""
        return f"postgresql+psycopg2://sweep:{self.password}@127.0.0.1:{self.port}/postgres"

    def connect(self) -> psycopg2.extensions.connection:
        """Open a connection; OperationalError where nobody answers."""
        return _connect(self.port, self.password)


def programs_folder() -> Path | None:
    """Find the newest PostgreSQL of this machine; None where there is none."""
    versions = [folder for folder in PLACE.glob("*/bin") if (folder / "initdb").exists()]
    return max(versions, key=lambda folder: int(folder.parent.name), default=None)


def start_postgres(folder: Path) -> Postgres:
    """Make a database cluster in the bed's folder and serve it on a free port of 127.0.0.1.

    Raises BedError where PostgreSQL is not installed or does not come up.
    """
    programs, data, port = programs_folder(), folder / "postgres", free_port()
    if programs is None:
        raise BedError("PostgreSQL is not installed; apt-get install postgresql")
    password = secrets.token_hex(16)
    _initialise(programs, data, password)
    command = [*_as_user(), str(programs / "postgres"), "-D", str(data), "-p", str(port)]
    for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", *FAST):
        command += ["-c", setting]
    process = _Server("postgres", command, folder, ready=lambda: _answers(port, password))
    process.start()
    return Postgres(process, port, password)


def _initialise(programs: Path, data: Path, password: str) -> None:
    data.mkdir(parents=True, mode=0o700)
    secret = data.with_suffix(".password")
    secret.write_text(password)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(USER)
        for path in (data, secret):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        data.parent.chmod(0o711)  # the user has to pass through the bed, not to look in
    command = [*_as_user(), str(programs / "initdb"), "--pgdata", str(data), "--no-sync"]
    command += ["--username=sweep", f"--pwfile={secret}", "--auth=scram-sha-256"]
    command += ["--encoding=UTF8", "--locale=C"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    secret.unlink()
    if done.returncode:
        raise BedError(f"initdb failed:\n{done.stderr[-2000:]}")


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


def _connect(port: int, password: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(
        host="127.0.0.1",
        port=port,
        user="sweep",
        password=password,
        dbname="postgres",
        connect_timeout=3,
    )


def _answers(port: int, password: str) -> bool:
    try:
        _connect(port, password).close()
    except psycopg2.OperationalError:
        return False
    return True
