"""Trials that another study of the store has trained are not trained again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from plan_builders import make_round, make_study, make_trial

from sweep.plan import layout, shared
from sweep.plan.packing import Pack
from sweep.plan.records import to_line
from sweep.plan.round import Round
from sweep.plan.trial import Failure, Record, State
from sweep.store.folder import FolderStore
from sweep.study.opening import add_round, open_study
from sweep.study.reading import read_rounds, read_study
from sweep.study.reusing import Taken, count_taken, find_taken, note_contents, take_over
from sweep.study.studied import studied

CONTEXT = "c0ffee"
DATA = {"jfk": "1"}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def trained(
    store: FolderStore,
    name: str,
    records: Mapping[int, Record],
    *,
    contents: Mapping[int, str] | None = None,
    context: str = CONTEXT,
    data: Mapping[str, str] = DATA,
) -> None:
    """Write a study of one round with these records; a trial's content is its number's letter."""
    place = open_study(store, make_study(name, facts={"data": dict(data)}))
    add_round(place, make_round(trials=[make_trial(number) for number in records]))
    for record in records.values():
        place.append(layout.results_key(0, 1), to_line(record))
    known = contents or {number: "abcdefgh"[number] for number in records}
    note_contents(store, context=context, contents=known, study=name, round_number=1)


def done(trial: int, objective: float = 0.5, **more: object) -> Record:
    record = Record(trial, State.COMPLETED, objective, cpu_seconds=9.0, device="cuda", attempt=3)
    return dataclasses.replace(record, **more)


def find(
    store: FolderStore, contents: Mapping[int, str], *, context: str | None = CONTEXT
) -> dict[int, Taken]:
    return find_taken(
        store, context=context, contents=contents, study="new", round_number=1, data=DATA
    )


def launched(store: FolderStore, taken: Mapping[int, Taken], *, trials: int = 3) -> Round:
    """Open the new study as a launch does: what is left stands in packs."""
    place = open_study(store, make_study("new"))
    left = tuple(number for number in range(trials) if number not in taken)
    round_ = dataclasses.replace(
        make_round(trials=[make_trial(number) for number in range(trials)]),
        packs=[Pack(0, left)] if left else [],
    )
    add_round(place, round_)
    take_over(store, study="new", round_=round_, taken=list(taken.values()))
    return round_


def records(store: FolderStore, name: str = "new") -> Mapping[int, Record]:
    place = store.at(name)
    return studied(place, read_study(place), read_rounds(place)).records


def test_a_trial_that_was_trained_is_taken_over_and_every_reader_sees_it(
    store: FolderStore,
) -> None:
    trained(store, "old", {0: done(0, 0.1), 1: done(1, 0.2)})

    launched(store, find(store, {0: "b", 1: "x", 2: "a"}))

    found = records(store)
    assert {number: record.objective for number, record in found.items()} == {0: 0.2, 2: 0.1}
    assert {number: record.reused_from for number, record in found.items()} == {
        0: "old/1",
        2: "old/0",
    }
    assert found[0].device == "cuda"
    assert sum(record.cpu_seconds for record in found.values()) == 0
    assert count_taken(found.values()) == 2


def test_a_trial_that_diverged_is_a_result_and_one_that_failed_is_not(store: FolderStore) -> None:
    failure = Failure("Diverged", "loss is nan")
    others = [State.FAILED, State.CANCELLED, State.PRUNED]
    old = {0: done(0, state=State.INFEASIBLE, objective=None, error=failure)}
    old |= {number: done(number, state=state) for number, state in enumerate(others, start=1)}
    trained(store, "old", old)

    taken = find(store, {number: "abcd"[number] for number in range(4)})

    assert list(taken) == [0]
    assert taken[0].record.error == failure


def test_a_trial_without_a_record_is_trained(store: FolderStore) -> None:
    trained(store, "old", {0: done(0)}, contents={0: "a", 1: "b"})

    assert list(find(store, {5: "b", 6: "a"})) == [6]


@pytest.mark.parametrize("context", ["another", None])
def test_other_code_is_not_looked_at(store: FolderStore, context: str | None) -> None:
    trained(store, "old", {0: done(0)})

    assert find(store, {0: "a"}, context=context) == {}


def test_a_study_does_not_take_from_itself(store: FolderStore) -> None:
    trained(store, "new", {0: done(0)})

    assert find(store, {0: "a"}) == {}


def test_the_last_result_of_a_trial_counts_as_it_does_in_its_study(store: FolderStore) -> None:
    trained(store, "old", {0: done(0, 0.9)})
    place = store.at("old")
    add_round(place, make_round(2, trials=[make_trial(0)]))
    place.append(layout.results_key(1, 1), to_line(done(0, 0.1, round=2, pack=1)))

    assert find(store, {0: "a"})[0].record.objective == 0.1


def test_one_that_was_taken_over_is_taken_over_again(store: FolderStore) -> None:
    trained(store, "old", {0: done(0)})
    launched(store, find(store, {0: "a"}), trials=1)
    note_contents(store, context=CONTEXT, contents={0: "a"}, study="new", round_number=1)
    (store.root / "old" / "study.json").unlink()
    (store.root / "old" / "rounds" / "0001.json").unlink()

    taken = find_taken(
        store, context=CONTEXT, contents={4: "a"}, study="third", round_number=1, data=DATA
    )

    assert taken[4].record.reused_from == "old/0"


def test_a_round_without_packs_has_its_records_too(store: FolderStore) -> None:
    trained(store, "old", {0: done(0), 1: done(1)})

    round_ = launched(store, find(store, {0: "a", 1: "b"}), trials=2)

    assert round_.packs == []
    assert sorted(records(store)) == [0, 1]


def test_later_rounds_keep_what_earlier_ones_took_over(store: FolderStore) -> None:
    trained(store, "old", {0: done(0), 1: done(1)})
    launched(store, find(store, {0: "a"}), trials=1)
    second = dataclasses.replace(make_round(2, trials=[make_trial(1)]), packs=[])
    add_round(store.at("new"), second)

    taken = find_taken(
        store, context=CONTEXT, contents={1: "b"}, study="new", round_number=2, data=DATA
    )
    take_over(store, study="new", round_=second, taken=list(taken.values()))

    assert {number: record.round for number, record in records(store).items()} == {0: 1, 1: 2}


def test_weights_that_were_kept_come_along(store: FolderStore) -> None:
    key = layout.weights_key(1)
    trained(store, "old", {0: done(0, weights=layout.weights_key(0)), 1: done(1, weights=key)})
    store.at("old").write(key, b"weights of 1")  # those of 0 were removed: it did not win

    launched(store, find(store, {2: "b", 0: "a"}))

    found = records(store)
    assert found[0].weights is None
    assert found[2].weights == layout.weights_key(2)
    assert store.at("new").read(layout.weights_key(2)) == b"weights of 1"


@pytest.mark.parametrize(("data", "kept"), [(DATA, True), ({"jfk": "2"}, False)])
def test_baselines_come_along_where_the_data_are_the_same(
    store: FolderStore, data: Mapping[str, str], kept: bool
) -> None:
    trained(store, "old", {0: done(0)}, data=data)
    store.at("old").write(layout.BASELINES, b'{"mean": {}}')

    launched(store, find(store, {0: "a"}), trials=1)

    assert (layout.BASELINES in store.at("new").sizes("")) is kept


def test_a_study_that_cannot_be_read_is_passed_over(
    store: FolderStore, caplog: pytest.LogCaptureFixture
) -> None:
    trained(store, "a-broken", {0: done(0)})
    store.at("a-broken").write(layout.round_key(1), b"{}")
    note_contents(store, context=CONTEXT, contents={0: "a"}, study="b-gone", round_number=1)
    store.write(shared.contents_key(CONTEXT, study="c-torn", round_number=1), b"{")
    trained(store, "old", {0: done(0)})

    taken = find(store, {0: "a"})

    assert taken[0].study == "old"
    assert len(caplog.messages) == 3


class CountingStore(FolderStore):
    """A folder that counts what it is asked."""

    asked = 0

    def read(self, key: str, start: int = 0) -> bytes:
        CountingStore.asked += 1
        return super().read(key, start)

    def sizes(self, prefix: str) -> dict[str, int]:
        CountingStore.asked += 1
        return super().sizes(prefix)

    def at(self, prefix: str) -> CountingStore:
        return CountingStore(self.root / prefix, part=True)


def test_a_look_at_thousands_of_trials_is_a_handful_of_requests(store: FolderStore) -> None:
    place = open_study(store, make_study("old", facts={"data": dict(DATA)}))
    add_round(place, make_round(trials=[make_trial(number) for number in range(5000)]))
    lines = b"".join(to_line(done(number)) for number in range(5000))
    place.write(layout.results_key(0, 1), lines)
    contents = {number: f"{number:064x}" for number in range(5000)}
    note_contents(store, context=CONTEXT, contents=contents, study="old", round_number=1)

    taken = find(CountingStore(store.root), contents)

    assert len(taken) == 5000
    assert CountingStore.asked < 15


def test_records_are_written_in_files_of_a_size_that_can_be_read(store: FolderStore) -> None:
    trained(store, "old", {0: done(0)})
    one = find(store, {0: "a"})[0]
    taken = {
        number: dataclasses.replace(one, record=dataclasses.replace(one.record, trial=number))
        for number in range(5001)
    }

    launched(store, taken, trials=5001)

    files = [key for key in store.at("new").sizes(layout.PACKS) if layout.results_of(key)]
    assert [layout.results_of(key) for key in files] == [
        layout.ResultsFile(0, 0, 1),
        layout.ResultsFile(0, 0, 2),
    ]
    assert len(records(store)) == 5001


def test_what_was_trained_is_listed_in_one_object(store: FolderStore) -> None:
    trained(store, "old", {0: done(0)})

    key = shared.contents_key(CONTEXT, study="old", round_number=1)
    assert list(store.sizes(shared.ROOT)) == [key]
    assert json.loads(store.read(key))["contents"] == {"0": "a"}


def test_a_trial_that_is_equal_in_effect_to_another_has_no_record_of_its_own(
    store: FolderStore,
) -> None:
    trained(store, "old", {0: done(0)})
    taken = find(store, {0: "a", 1: "a"})
    place = open_study(store, make_study("new"))
    twin = dataclasses.replace(make_trial(1), same_as=0)
    round_ = dataclasses.replace(make_round(trials=[make_trial(0), twin]), packs=[])
    add_round(place, round_)

    take_over(store, study="new", round_=round_, taken=list(taken.values()))

    assert list(records(store)) == [0]
