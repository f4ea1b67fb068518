from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.train import criterion, data, ensemble, model, predict, score
from sweep.train.ensemble import Ensemble, _mean_of_classes
from sweep.train.model import Weights

Make = Callable[..., Settings]


def of_seed(settings: Settings, seed: int) -> Weights:
    """Initial weights of a seed: as good as trained ones for what is shown here."""
    own = replace(settings, train=replace(settings.train, seed=seed))
    return model.arrays(model.build(own, device=torch.device("cpu")))


def raw_rows(settings: Settings) -> dict[str, Any]:
    series = data.load(settings.data)
    rows = series.values[-settings.data.lookback :] * series.scaler.sd + series.scaler.mean
    return dict(zip(series.columns, rows.T, strict=True))


def test_an_ensemble_of_one_scores_as_that_one_does(make_settings: Make) -> None:
    settings = make_settings()
    weights = of_seed(settings, 1)

    alone = score.score(settings, weights=weights, part="test")

    assert ensemble.score(settings, weights=[weights]) == alone


def test_the_squared_error_of_a_mean_is_below_the_mean_of_squared_errors(
    make_settings: Make,
) -> None:
    settings = make_settings()
    weights = [of_seed(settings, seed) for seed in (1, 2, 3)]

    together = ensemble.score(settings, weights=weights)["test_mse"]

    alone = [score.score(settings, weights=each, part="test")["test_mse"] for each in weights]
    assert together < float(np.mean(alone))


def test_stored_members_answer_with_their_mean(make_settings: Make, tmp_path: Path) -> None:
    settings = make_settings()
    members = [predict.predictor(settings, weights=of_seed(settings, seed)) for seed in (1, 2)]
    for number, member in enumerate(members):
        member.save(tmp_path / f"trial-{number:06d}")

    loaded = ensemble.load(tmp_path)

    rows = raw_rows(settings)
    expected = (members[0].predict(rows) + members[1].predict(rows)) / 2
    assert np.allclose(loaded.predict(rows), expected)
    assert isinstance(loaded, Ensemble)
    assert loaded.outputs == ["temp"]


def test_a_folder_without_members_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no member of an ensemble"):
        ensemble.load(tmp_path)


@pytest.mark.parametrize("classes", [1, 3])
def test_classes_are_told_by_the_mean_of_probabilities(classes: int) -> None:
    torch.manual_seed(0)
    outputs = [torch.randn(6, classes) * 3 for _ in range(4)]

    joined = criterion.chances(_mean_of_classes(outputs))

    expected = torch.stack([criterion.chances(output) for output in outputs]).mean(0)
    assert torch.allclose(joined, expected, atol=1e-6)
