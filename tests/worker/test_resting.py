"""Where the checkpoint of a resting trial lies."""

from __future__ import annotations

from pathlib import Path

from sweep.plan import layout
from sweep.plan.trial import Trial
from sweep.store import Store, open_store
from sweep.worker.checkpoint import Keeper, Seconds, clear_checkpoints
from sweep.worker.fence import Fence
from sweep.worker.notice import Notice


def keeper(store: Store, *, pack: int = 0, most_bytes: int = 1000) -> Keeper:
    return Keeper(
        store,
        Trial(7, 0, {}),
        key=layout.checkpoint_key(7, pack=pack, attempt=1),
        configuration=lambda: "same",
        versions={},
        fence=Fence(store, round_number=1, pack=pack, attempt=1),
        notice=Notice(30.0),
        spent=lambda: Seconds(cpu=1.5),
        most_bytes=most_bytes,
    )


def test_a_small_one_is_in_the_store_and_replaces_the_one_before(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    keeper(store, pack=5).rest(b"first")

    second = keeper(store, pack=2)
    second.find()
    second.rest(b"second")

    found = keeper(store)
    found.find()
    assert second.last == b"first"
    assert found.last == b"second"
    assert found.carried == Seconds(cpu=3.0)
    assert len(store.sizes(layout.trial_prefix(7))) == 1


def test_a_large_one_stays_on_this_machine_until_its_trial_is_over(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    keeper(store, most_bytes=10).rest(b"large")

    found = keeper(store)
    found.find()
    clear_checkpoints(store, 7)
    gone = keeper(store)
    gone.find()

    assert not store.sizes(layout.trial_prefix(7))
    assert found.last == b"large"
    assert gone.last is None  # as on another machine: it begins from its seed
