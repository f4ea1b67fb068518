from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.train import data
from sweep.train.folds import Fold, by_group, folds, forward_chaining, last_fold, stratified

Make = Callable[..., Settings]


@given(rows=st.integers(50, 5000), count=st.integers(2, 10))
def test_each_fold_of_a_series_validates_on_what_follows_what_it_trains_on(
    rows: int, count: int
) -> None:
    found = [forward_chaining(Fold(n, count), rows=rows) for n in range(count + 1)]

    for (_, val_end), (next_train, _) in pairwise(found):
        assert val_end == next_train
    assert all(0 < train < val for train, val in found[:-1])
    assert found[-1] == (rows, rows)  # the refit holds nothing out


@given(labels=st.lists(st.integers(0, 3), min_size=10, max_size=80), count=st.integers(2, 5))
def test_classes_stay_in_proportion(labels: list[int], count: int) -> None:
    own = np.array(labels)

    found = stratified(own, count=count)

    for label in set(labels):
        sizes = np.bincount(found[own == label], minlength=count)
        assert sizes.max() - sizes.min() <= 1


@given(
    groups=st.lists(st.sampled_from("abcdefgh"), min_size=5, max_size=80), count=st.integers(2, 4)
)
def test_a_group_is_never_divided(groups: list[str], count: int) -> None:
    found = by_group(groups, count=count)

    assert all(len({found[i] for i, own in enumerate(groups) if own == g}) == 1 for g in groups)
    sizes = np.bincount(found, minlength=count)
    assert sizes.max() - sizes.min() <= max(groups.count(g) for g in groups)


def test_each_fold_is_standardised_by_what_it_trains_on(make_settings: Make) -> None:
    settings = make_settings(data={"folds": 3})  # 260 rows: four blocks of 65

    for fold in folds(settings.data):
        series = data.load(settings.data, fold=fold)
        places = data.windows(series, settings.data)
        assert (series.train_end, series.val_end) == (
            65 * (fold.number + 1),
            65 * fold.number + 130,
        )
        np.testing.assert_allclose(series.values[: series.train_end].mean(axis=0), 0, atol=1e-9)
        assert places.val[0] == series.train_end
        assert places.val[-1] + settings.data.horizon == series.val_end


def test_folds_do_not_touch_the_test_part(make_settings: Make) -> None:
    settings = make_settings(data={"folds": 3})
    plain = data.windows(data.load(replace(settings.data, folds=1)), settings.data)
    whole = data.load(settings.data, fold=last_fold(settings.data))

    places = data.windows(whole, settings.data)

    assert places.test.tolist() == plain.test.tolist()
    assert len(places.val) == 0
    assert places.train[-1] + settings.data.horizon == plain.test[0]


def test_folds_that_are_too_short_are_refused(make_settings: Make) -> None:
    settings = make_settings(data={"folds": 20})

    with pytest.raises(BadInput, match=r"need 18 training rows.*make data\.folds=20 smaller"):
        data.windows(data.load(settings.data, fold=Fold(0, 20)), settings.data)
