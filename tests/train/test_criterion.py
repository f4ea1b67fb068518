from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sweep.train.criterion import Criterion, chances, told


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


LABELS = torch.tensor([0, 1, 1, 0, 1])


def test_the_losses_of_classes_are_the_librarys() -> None:
    two, three = random(5, 1), random(5, 3)

    bce = functional.binary_cross_entropy_with_logits(two[:, 0], LABELS.double())
    entropy = functional.cross_entropy(three, LABELS)

    torch.testing.assert_close(Criterion("bce").loss(two, LABELS), bce)
    torch.testing.assert_close(Criterion("cross_entropy").loss(three, LABELS), entropy)


@pytest.mark.parametrize("kind", ["bce", "cross_entropy"])
def test_a_class_weight_multiplies_the_loss_of_its_examples(kind: str) -> None:
    output = random(5, 1 if kind == "bce" else 2)
    plain, weighted = Criterion(kind), Criterion(kind, weights=(1.0, 3.0))

    each = [plain.loss(output[[i]], LABELS[[i]]).item() * (1, 3)[LABELS[i]] for i in range(5)]

    assert weighted.loss(output, LABELS).item() == pytest.approx(np.mean(each))
    assert weighted.sums(output, LABELS)["error"] == plain.sums(output, LABELS)["error"]


def test_classes_are_told_by_the_largest_chance() -> None:
    two, three = random(50, 1), random(50, 3)

    assert torch.equal(told(two), chances(two).argmax(dim=1))
    assert torch.equal(told(three), chances(three).argmax(dim=1))
    torch.testing.assert_close(chances(two).sum(dim=1), torch.ones(50, dtype=torch.float64))


def test_scores_of_batches_add_up_to_those_of_the_whole() -> None:
    output, criterion = random(5, 3), Criterion("cross_entropy")
    whole = criterion.mean(criterion.sums(output, LABELS))
    parts = [criterion.sums(output[rows], LABELS[rows]) for rows in (slice(0, 2), slice(2, 5))]

    joined = criterion.mean({name: sum(part[name] for part in parts) for name in parts[0]})

    assert joined == pytest.approx(whole)
    assert whole["accuracy"] == 1 - whole["error"]
    assert criterion.each(output, LABELS).mean() == pytest.approx(whole["error"])


@pytest.mark.parametrize("kind", ["mse", "mae", "quantile"])
def test_the_objective_of_each_window_averages_to_the_score(kind: str) -> None:
    criterion = Criterion(kind, quantiles=(0.1, 0.5, 0.9) if kind == "quantile" else ())
    output = random(4, 6, 2, 3) if kind == "quantile" else random(4, 6, 2)
    targets = random(4, 6, 2, seed=1)

    scores = criterion.mean(criterion.sums(output, targets))

    assert criterion.each(output, targets).mean() == pytest.approx(scores[criterion.objective])
    assert criterion.loss(output, targets).item() == pytest.approx(scores[kind])


@given(level=st.floats(0.05, 0.95), seed=st.integers(0, 20))
def test_the_pinball_loss_is_least_at_its_quantile(level: float, seed: int) -> None:
    sample = random(501, 1, 1, seed=seed)
    criterion = Criterion("quantile", quantiles=(level,))
    best = float(np.quantile(sample.numpy(), level, method="inverted_cdf"))

    def loss(at: float) -> float:
        return criterion.loss(torch.full((501, 1, 1, 1), at, dtype=torch.float64), sample).item()

    assert loss(best) <= min(loss(best - 0.1), loss(best + 0.1))


def test_the_errors_of_quantiles_are_those_of_the_middle_one() -> None:
    criterion = Criterion("quantile", quantiles=(0.1, 0.45, 0.9))
    output, targets = random(4, 6, 2, 3), random(4, 6, 2, seed=1)

    found = criterion.mean(criterion.sums(output, targets))

    plain = Criterion("mse").mean(Criterion("mse").sums(output[..., 1], targets))
    assert found["mse"] == plain["mse"]


def test_without_an_input_the_shares_of_the_classes_are_told() -> None:
    expected = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))

    assert Criterion("bce").of_a_constant(LABELS) == pytest.approx(expected)
    assert Criterion("cross_entropy").of_a_constant(LABELS) == pytest.approx(expected)
