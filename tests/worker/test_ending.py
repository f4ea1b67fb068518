"""How a worker ends: by its exit code, a word to Kubernetes, and within its grace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.errors import BadInput, StoreLost
from sweep.plan.exits import Exit
from sweep.worker.ending import code_of, leave_word
from sweep.worker.notice import Notice, ToldToStop, seconds


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ToldToStop(), Exit.TOLD_TO_STOP),
        (StoreLost("gone"), Exit.STORE_AWAY),
        (BadInput("wrong"), Exit.NOTHING_RUNS),
        (ZeroDivisionError("bug"), 1),
        (SystemExit(7), 1),
    ],
)
def test_what_ends_a_child_decides_its_exit_code(error: BaseException, code: int) -> None:
    def work() -> int:
        raise error

    assert code_of(work) == code


def test_the_word_is_one_line_where_kubernetes_listens(tmp_path: Path) -> None:
    message = tmp_path / "termination-log"
    message.touch()

    leave_word("round 2 has another hash\nand more", message=message)

    assert message.read_text() == "round 2 has another hash\n"


def test_where_nobody_listens_nothing_is_written(tmp_path: Path) -> None:
    leave_word("why", message=tmp_path / "termination-log")

    assert list(tmp_path.iterdir()) == []


def test_a_word_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    leave_word("why", message=tmp_path)


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan"])
def test_a_length_of_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=f"SWEEP_GRACE_S={text}: must be a number of seconds"):
        seconds({"SWEEP_GRACE_S": text}, "SWEEP_GRACE_S", 30.0)


def test_a_signal_breaks_off_what_may_be_broken_off_at_once() -> None:
    notice = Notice(60.0)
    with pytest.raises(ToldToStop), listening(notice), notice.breakable():
        be_told_and_go_on()


def test_anything_else_sees_the_signal_when_it_looks() -> None:
    notice = Notice(60.0)
    with listening(notice):
        os.kill(os.getpid(), signal.SIGTERM)
        assert notice.told
        with pytest.raises(ToldToStop):
            notice.check()


def test_what_does_not_look_is_broken_off_before_the_grace_ends() -> None:
    notice = Notice(0.5)
    before = time.monotonic()
    with pytest.raises(ToldToStop), listening(notice):
        be_told_and_go_on()
    assert 0.3 < time.monotonic() - before < 0.5


def be_told_and_go_on() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)


class listening:  # noqa: N801  a context
    """Give the signals back to the test's process."""

    def __init__(self, notice: Notice) -> None:
        self.notice = notice

    def __enter__(self) -> None:
        self.before = [(n, signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGALRM)]
        self.notice.listen()

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self.before:
            signal.signal(number, handler)


STUBBORN = """
import os, signal, time
from sweep.worker.notice import Notice, ToldToStop
Notice(0.5).listen()
os.kill(os.getpid(), signal.SIGTERM)
while True:
    try:
        time.sleep(5)
    except ToldToStop:
        pass
"""


def test_a_process_that_holds_on_leaves_before_it_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", STUBBORN], timeout=20, check=False)

    assert done.returncode == Exit.TOLD_TO_STOP


TALKATIVE = """
import subprocess, sys
from sweep.worker.tail import Tail
tail = Tail()
for number in range(40_000):
    print("line", number)
subprocess.run([sys.executable, "-c", "print('of another process')"])
{more}
kept = tail.end()
print(len(kept), kept[:8], kept[-21:])
"""


def talk(more: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TALKATIVE.format(more=more)],
        timeout=30,
        check=True,
        capture_output=True,
        text=True,
    )


def test_all_that_is_printed_is_shown_and_its_last_whole_lines_are_kept() -> None:
    done = talk()

    assert done.stderr.count("\n") == 40_001
    size, _, rest = done.stdout.partition(" ")
    assert 60_000 < int(size) <= 1 << 16
    assert rest.startswith("b'line 3")
    assert "of another process" in rest


def test_a_process_that_goes_on_printing_does_not_hold_the_end_up() -> None:
    before = time.monotonic()

    done = talk('subprocess.Popen(["sleep", "20"], stdout=None)')

    assert time.monotonic() - before < 15
    assert int(done.stdout.partition(" ")[0]) > 60_000
