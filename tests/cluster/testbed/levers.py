"""Take a part away for a while, or spoil the connection to it, as a test asks."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from testbed.processes import Process

CHUNK = 1 << 16
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, as a machine does that lost power
INTERIM = b"HTTP/1.1 1"  # 100 Continue comes before the request's body was sent


@contextmanager
def paused(process: Process) -> Iterator[None]:
    """Freeze a part while the context lasts: connections stay open and nothing answers."""
    process.pause()
    try:
        yield
    finally:
        process.go_on()


@contextmanager
def killed(process: Process) -> Iterator[None]:
    """Kill a part, and start it again at the context's end."""
    process.kill()
    try:
        yield
    finally:
        process.start()


@dataclass(eq=False)
class Link:
    """A TCP proxy to one address, as a context; connections pass until a lever is pulled.

    It can also show a part that listens on 127.0.0.1 at another address of this machine.
    """

    target: str  # HOST:PORT, or a URL
    address: str = "127.0.0.1"
    port: int = 0
    connections: int = 0  # accepted so far
    _rate: float | None = None  # bytes a second, each way
    _delay_s: float = 0.0
    _losses: int = 0  # answers still to be lost
    _open: dict[asyncio.StreamWriter, asyncio.StreamWriter] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Give the proxy's own address for HTTP clients."""
        return f"http://{self.address}:{self.port}"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        # Bound, never listening: nobody else can get the port while connections are refused.
        self._claim = _bound(self.address, self.port)
        self.port = self._claim.getsockname()[1]
        self._passing = asyncio.Event()
        self._passing.set()
        self._await(self._listen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._await(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._claim.close()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Cut what is open and refuse new connections, as an address does where nobody listens."""
        self._await(self._unlisten)
        self.drop()
        try:
            yield
        finally:
            self._await(self._listen)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Accept connections and let no byte through; what was sent passes afterwards."""
        self._loop.call_soon_threadsafe(self._passing.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._passing.set)

    @contextmanager
    def slow(self, *, delay_s: float = 0.0, bytes_per_s: float | None = None) -> Iterator[None]:
        """Hold back every chunk for a while, and each direction to a rate."""
        self._delay_s, self._rate = delay_s, bytes_per_s
        try:
            yield
        finally:
            self._delay_s, self._rate = 0.0, None

    def drop(self) -> None:
        """Reset every open connection."""
        self._await(self._drop)

    def lose_answers(self, count: int = 1) -> None:
        """Let the next requests through, and reset their connections instead of the answer."""
        self._losses = count

    def _await(self, step: Callable[[], object]) -> None:
        async def run() -> None:
            result = step()
            if asyncio.iscoroutine(result):
                await result

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _listen(self) -> None:
        listener = _bound(self.address, self.port)
        self._server = await asyncio.start_server(self._connected, sock=listener)

    async def _unlisten(self) -> None:
        self._server.close()

    async def _close(self) -> None:
        self._server.close()
        self._passing.set()
        self._drop()
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self) -> None:
        for pair in list(self._open.items()):
            for writer in pair:
                _reset(writer)

    async def _connected(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        place = urlsplit(self.target if "//" in self.target else f"//{self.target}")
        writers = [to_client]
        try:
            from_part, to_part = await asyncio.open_connection(place.hostname, place.port)
            writers.append(to_part)
            self._open[to_client] = to_part
            await asyncio.gather(
                self._pump(from_client, to_part),
                self._pump(from_part, to_client, answers=True),
            )
        except (OSError, asyncio.CancelledError):  # one side is gone, or the link is closed
            pass
        finally:
            self._open.pop(to_client, None)
            for writer in writers:
                _reset(writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        while data := await reader.read(CHUNK):
            wait_s = self._delay_s + (len(data) / self._rate if self._rate else 0.0)
            if wait_s:
                await asyncio.sleep(wait_s)
            await self._passing.wait()
            if answers and self._losses and not data.startswith(INTERIM):
                self._losses -= 1
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _bound(address: str, port: int) -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind((address, port))
    return place


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):  # it is closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
