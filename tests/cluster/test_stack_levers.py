"""The levers do to a connection what they say."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from testbed.levers import Link, killed, paused
from testbed.processes import free_port
from testbed.s3 import Bucket

SIZE = 200_000


class _Part(ThreadingHTTPServer):
    """Counts what it was asked, and answers with many bytes."""

    asked = 0

    def answer(self) -> bytes:
        self.asked += 1
        return b"x" * SIZE


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, _Part)
        body = self.server.answer()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def part() -> Iterator[_Part]:
    server = _Part(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def link(part: _Part) -> Iterator[Link]:
    with Link(f"127.0.0.1:{part.server_address[1]}") as link:
        yield link


def fetch(link: Link, *, timeout_s: float = 5.0) -> int:
    with urllib.request.urlopen(link.url, timeout=timeout_s) as answer:
        return len(answer.read())


def seconds(link: Link) -> float:
    start = time.monotonic()
    fetch(link)
    return time.monotonic() - start


def test_a_link_passes_everything(link: Link) -> None:
    with ThreadPoolExecutor(20) as pool:
        sizes = list(pool.map(lambda _: fetch(link), range(60)))

    assert sizes == [SIZE] * 60
    assert link.connections == 60


def test_a_link_refuses_for_a_while(link: Link, part: _Part) -> None:
    with link.refusing(), pytest.raises(urllib.error.URLError, match="refused"):
        fetch(link)

    assert part.asked == 0
    assert fetch(link) == SIZE


def test_a_silent_link_keeps_what_was_sent(link: Link, part: _Part) -> None:
    with ThreadPoolExecutor(1) as pool:
        with link.silent():
            waiting = pool.submit(fetch, link, timeout_s=30)
            with pytest.raises(TimeoutError):
                fetch(link, timeout_s=0.3)
            asked = part.asked

        assert waiting.result() == SIZE
    assert asked == 0


def test_a_slow_link_takes_its_time(link: Link) -> None:
    usual = seconds(link)

    with link.slow(delay_s=0.3):
        late = seconds(link)
    with link.slow(bytes_per_s=SIZE / 0.5):
        narrow = seconds(link)

    assert usual < 0.3 <= late
    assert narrow >= 0.5
    assert seconds(link) < 0.3


def test_open_connections_are_dropped(link: Link) -> None:
    with ThreadPoolExecutor(1) as pool, link.silent():
        waiting = pool.submit(fetch, link, timeout_s=30)
        while not link.connections:
            time.sleep(0.01)

        link.drop()

        # urllib gives a reset that comes while it still sends a name of its own.
        with pytest.raises((ConnectionResetError, urllib.error.URLError)):
            waiting.result()


def test_an_answer_is_lost_after_the_request_was_served(link: Link, part: _Part) -> None:
    link.lose_answers(1)

    with pytest.raises(ConnectionResetError):
        fetch(link)

    assert part.asked == 1
    assert fetch(link) == SIZE


def test_a_link_to_nobody_resets() -> None:
    gone = (urllib.error.URLError, ConnectionResetError)  # before or after the request was sent

    with Link(f"127.0.0.1:{free_port()}") as broken, pytest.raises(gone):
        fetch(broken)


@pytest.mark.stack
@pytest.mark.slow
def test_a_part_is_frozen_and_killed_and_comes_back(s3: Bucket) -> None:
    client, place = s3.client(), {"Bucket": s3.name, "Key": "a"}
    client.put_object(**place, Body=b"kept")

    with paused(s3.server.process), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get_object, **place)
        time.sleep(0.5)  # nothing can be awaited: that no answer comes is the point
        answered = waiting.done()
        s3.server.process.go_on()
        frozen = waiting.result()["Body"].read()
    with killed(s3.server.process):
        gone = not s3.server.process.alive

    assert (answered, frozen, gone) == (False, b"kept", True)
    assert client.get_object(**place)["Body"].read() == b"kept"
