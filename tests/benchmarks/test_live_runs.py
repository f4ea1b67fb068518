"""A live search is the product's own, scored by what it never trained."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from recordings import OURS
from replay.live import Wanted, search
from replay.recording import ROWS, Curve, Recording, load

from sweep.search.choosing import choose
from sweep.search.space import identity


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

    points = choose("random", recording.space, start={}, seed=0).suggest([], most=3).points
    own = [recording.curves[identity(point)] for point in points]
    assert ended.score in [curves[2].val[0] for curves in own]  # it trains with 0, confirms with 1
    spent = [
        sum(curves[0].cpu_s[0] for curves in own) + sum(curves[1].cpu_s[0] for curves in best)
        for best in itertools.combinations(own, 2)
    ]
    assert any(ended.cpu_s == pytest.approx(cost) for cost in spent)
