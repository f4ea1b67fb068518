"""What a Job waits for in its queue is told once, in Kueue's words where they may be read."""

from __future__ import annotations

from typing import Any

from sweep.cluster.queueing import TOLD_AFTER_S, Line, place_of, waits_for

NO_ROOM = (
    "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor any, "
    "{} more needed"
)


def make_job(*, waits: bool) -> dict[str, Any]:
    return {"spec": {"suspend": waits}}


def make_workload(**conditions: tuple[str, str]) -> dict[str, Any]:
    """Build a Workload of conditions: a type's status and message."""
    found = [
        {"type": kind, "status": status, "message": message}
        for kind, (status, message) in conditions.items()
    ]
    return {"status": {"conditions": found}}


def make_line(*, why: str = "") -> Line:
    """Build the line of a Job that has waited since second 0."""
    line = Line("team")
    line.take_job(make_job(waits=True), now=0.0)
    if why:
        line.take_workloads([make_workload(QuotaReserved=("False", why))])
    return line


def test_kueues_reason_is_told_at_once() -> None:
    line = make_line(why=NO_ROOM.format(1))

    assert line.news(now=0.0) == f"the Job waits in queue team: {NO_ROOM.format(1)}"


def test_a_reason_is_told_once_whatever_its_numbers() -> None:
    line = make_line(why=NO_ROOM.format(2))
    line.news(now=0.0)

    line.take_workloads([make_workload(QuotaReserved=("False", NO_ROOM.format(1)))])

    assert line.news(now=60.0) is None


def test_the_place_in_the_queue_is_told_and_told_again_once_it_changes() -> None:
    line = make_line(why="the reason")
    line.before = 2
    told = [line.news(now=0.0), line.news(now=1.0)]

    line.before = 0
    told.append(line.news(now=2.0))

    assert told == [
        "the Job waits in queue team, 2 others before it: the reason",
        None,
        "the Job waits in queue team, none before it: the reason",
    ]


def test_a_job_s_place_is_that_of_the_workload_which_it_owns() -> None:
    def pending(uid: str, place: int) -> dict[str, Any]:
        owned = {"metadata": {"name": "w", "ownerReferences": [{"kind": "Job", "uid": uid}]}}
        return {**owned, "positionInLocalQueue": 7, "positionInClusterQueue": place}

    summary = {"items": [pending("a", 0), pending("b", 1), {"metadata": {"name": "alone"}}]}

    assert place_of(summary, uid="b") == 1
    assert place_of(summary, uid="c") is None
    assert place_of({}, uid="a") is None


def test_another_reason_is_told_too() -> None:
    line = make_line(why=NO_ROOM.format(1))
    line.news(now=0.0)

    line.take_workloads([make_workload(QuotaReserved=("False", "ClusterQueue all is inactive"))])

    assert line.news(now=1.0) == "the Job waits in queue team: ClusterQueue all is inactive"


def test_a_wait_without_a_reason_is_told_once_it_is_long() -> None:
    line = make_line()

    assert line.news(now=TOLD_AFTER_S - 1) is None
    assert line.news(now=TOLD_AFTER_S) == "the Job waits in queue team"
    assert line.news(now=TOLD_AFTER_S + 1) is None


def test_the_end_of_a_wait_is_told_to_whom_it_was_told() -> None:
    told, untold = make_line(why="the reason"), make_line()
    told.news(now=0.0)

    for line in (told, untold):
        line.take_job(make_job(waits=False), now=1.0)

    assert told.news(now=1.0) == "queue team admitted the Job"
    assert told.news(now=2.0) is None
    assert untold.news(now=1.0) is None


def test_a_second_wait_is_told_anew() -> None:
    line = make_line(why="the reason")
    line.news(now=0.0)
    line.take_job(make_job(waits=False), now=1.0)
    line.news(now=1.0)

    line.take_job(make_job(waits=True), now=2.0)

    assert line.news(now=2.0) == "the Job waits in queue team: the reason"


def test_a_job_of_no_queue_waits_for_nobody() -> None:
    line = Line()

    line.take_job(make_job(waits=True), now=0.0)

    assert line.news(now=TOLD_AFTER_S) is None


def test_an_admission_check_is_what_a_reserved_quota_waits_for() -> None:
    checked = make_workload(QuotaReserved=("True", "Quota reserved in ClusterQueue all"))

    assert waits_for(checked) == "its quota is reserved, and an admission check is not through"


def test_nothing_is_waited_for_once_admitted_finished_or_before_kueue_says_a_word() -> None:
    reserved = {"QuotaReserved": ("True", "")}

    assert waits_for(make_workload(**reserved, Admitted=("True", ""))) == ""
    assert waits_for(make_workload(QuotaReserved=("False", "x"), Finished=("True", ""))) == ""
    assert waits_for({}) == ""
