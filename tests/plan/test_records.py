import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from plan_builders import completed, records

from sweep.plan.records import Ledger, Line, lines_of, resolve_twins, to_line
from sweep.plan.trial import Record, State, from_json

places = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 4))


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    """Lines of few trials and rounds, so that they compete; no two stand at one place."""
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(1, 3), places),
            unique=True,
            max_size=12,
        )
    )
    return [
        Line(completed(trial, float(i), round=number), order)
        for i, (trial, number, order) in enumerate(rows)
    ]


def ledger_of(found: list[Line]) -> Ledger:
    ledger = Ledger()
    for line in found:
        ledger.add(line)
    return ledger


def read(data: bytes, *, first_line: int = 0) -> tuple[list[Line], list[str], int, int]:
    return lines_of(data, where="results", attempt=1, part=1, first_line=first_line)


@given(lines(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(found: list[Line], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)

    one, other = ledger_of(found), ledger_of(shuffled)

    assert one.records == other.records
    assert one.spare == other.spare == len(found) - len(one.records)


@given(lines())
def test_the_newest_round_counts_and_in_it_the_first_line(found: list[Line]) -> None:
    ledger = ledger_of(found)

    for trial in {line.record.trial for line in found}:
        own = [line for line in found if line.record.trial == trial]
        best = min(own, key=lambda line: (-line.record.round, line.order))
        assert ledger.records[trial] == best.record


@given(lines())
def test_a_line_tells_whether_it_counts_so_far(found: list[Line]) -> None:
    ledger = Ledger()

    for line in found:
        taken = ledger.add(line)
        assert (taken is line.record) is (ledger.records[line.record.trial] is line.record)


def test_a_trial_under_way_has_no_result() -> None:
    ledger = ledger_of([Line(Record(3, State.RUNNING), (1, 1, 1))])

    assert ledger.records == {}
    assert list(ledger.running) == [3]


def test_states_are_counted() -> None:
    failed = [Line(Record(number, State.FAILED), (1, 1, number)) for number in range(3)]
    ledger = ledger_of([*failed, Line(completed(7), (1, 1, 9))])

    assert ledger.count(State.FAILED) == 3
    assert ledger.count(State.FAILED, among={1, 7}) == 1


@given(st.lists(records, max_size=5))
def test_lines_come_back_as_they_were_written(written: list[Record]) -> None:
    data = b"".join(map(to_line, written))

    found, corrupt, count, used = read(data)

    assert [line.record for line in found] == written
    assert [line.order for line in found] == [(1, 1, i + 1) for i in range(len(written))]
    assert (corrupt, count, used) == ([], len(written), len(data))


def test_a_torn_last_line_waits_for_its_end() -> None:
    whole, torn = to_line(completed(0)), to_line(completed(1))

    found, corrupt, _, used = read(whole + torn[:-1])

    assert [line.record.trial for line in found] == [0]
    assert corrupt == []
    assert used == len(whole)


@given(st.lists(records, min_size=1, max_size=4), st.data())
def test_reading_on_from_any_place_gives_the_same(
    written: list[Record], data: st.DataObject
) -> None:
    whole = b"".join(map(to_line, written))
    place = data.draw(st.integers(0, len(whole)))

    first, _, count, used = read(whole[:place])
    second, _, total, _ = read(whole[used:], first_line=count)

    assert [*first, *second] == read(whole)[0]
    assert total == len(written)


def test_a_line_that_is_no_record_is_named_and_the_others_count() -> None:
    good = [to_line(completed(number)) for number in range(3)]
    broken = [b"\x00\xff\n", json.dumps({"trial": 1}).encode() + b"\n"]

    found, corrupt, count, _ = read(b"".join([good[0], broken[0], good[1], broken[1], good[2]]))

    assert [line.record.trial for line in found] == [0, 1, 2]
    assert corrupt == ["results, line 2", "results, line 4"]
    assert count == 5


def test_twins_get_the_result_of_the_trial_that_was_trained() -> None:
    known = {0: completed(0), 2: completed(2)}

    full = resolve_twins(known, [(0, None), (1, 0), (2, None), (3, 9)])

    assert full == {0: known[0], 1: known[0], 2: known[2]}


def test_what_attempts_spent_is_added_up_and_tells_what_was_lost() -> None:
    cut = Record(0, State.PAUSED, attempt=1, cpu_seconds=30.0, attempt_cpu_seconds=30.0)
    killed = Record(0, State.PAUSED, attempt=2, attempt_cpu_seconds=7.0)
    ended = completed(0, attempt=3, cpu_seconds=40.0, attempt_cpu_seconds=10.0)

    ledger = ledger_of([Line(record, (record.attempt, 1, 1)) for record in (cut, killed, ended)])

    assert ledger.cpu_spent[0] == 47.0
    assert ledger.cpu_spent[0] - ledger.records[0].cpu_seconds == 7.0


def test_a_record_of_an_older_version_spent_what_it_cost() -> None:
    old = {"trial": 0, "state": "COMPLETED", "cpu_seconds": 3.0}

    assert from_json(old).attempt_cpu_seconds == 3.0
