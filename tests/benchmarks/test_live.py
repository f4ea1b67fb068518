"""A live search is the product's own, scored by what it never trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recordings import OURS
from replay.live import Wanted, search
from replay.recording import ROWS, Curve, Recording, load


def one_epoch() -> Recording:
    whole = load(OURS)
    return replace(
        whole,
        curves={
            key: {s: Curve(c.val[:1], c.train[:1], c.cpu_s[:1]) for s, c in own.items()}
            for key, own in whole.curves.items()
        },
    )


def test_a_search_is_read_from_words() -> None:
    assert Wanted.read("tpe:17:5x1") == Wanted("tpe", 17, "5x1")
    assert Wanted.read("random:25") == Wanted("random", 25)
    assert str(Wanted.read("tpe:17:5x1")) == "tpe:17:5x1"
    with pytest.raises(ValueError, match="unpack"):
        Wanted.read("random")


@pytest.mark.slow
def test_what_the_product_recommends_is_scored_by_a_seed_it_never_trained() -> None:
    recording = one_epoch()

    ended = search(recording, Wanted("random", 3, "2x1"), 0, rows=ROWS)

    scores = [min(own[2].val) for own in recording.curves.values()]  # it trains with 0, confirms 1
    assert ended.score in scores
    costs = [sum(curve.cpu_s) for own in recording.curves.values() for curve in own.values()]
    assert 5 * min(costs) <= ended.cpu_s <= 5 * max(costs)  # three, and the best two again
