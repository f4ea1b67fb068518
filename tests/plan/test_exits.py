import signal

import pytest

from sweep.plan.exits import Exit, Verdict, describe, verdict


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Exit.DONE, Verdict.DONE),
        (Exit.NOTHING_RUNS, Verdict.FAIL_ROUND),
        (Exit.PACK_FAILS, Verdict.FAIL_PACK),
        (Exit.STORE_AWAY, Verdict.AGAIN),
        (Exit.TOLD_TO_STOP, Verdict.AGAIN),
        (-signal.SIGTERM, Verdict.AGAIN),
        (-signal.SIGKILL, Verdict.COUNT),
        (-signal.SIGSEGV, Verdict.COUNT),
        (1, Verdict.COUNT),
        (137, Verdict.COUNT),
    ],
)
def test_an_exit_code_decides_what_happens_next(code: int, expected: Verdict) -> None:
    assert verdict(code) is expected


def test_a_killed_worker_is_said_to_have_run_out_of_memory_perhaps() -> None:
    assert "out of memory" in describe(-signal.SIGKILL)


def test_other_ends_are_named() -> None:
    assert describe(-signal.SIGSEGV) == "ended by signal SIGSEGV"
    assert describe(3) == "ended with exit code 3"
