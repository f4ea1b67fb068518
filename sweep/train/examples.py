"""Show what a trained model is asked with."""

from __future__ import annotations

from sweep.plan.settings import Data
from sweep.train import data, labelled
from sweep.train.folds import last_fold
from sweep.train.sentences import TEXT

SENTENCES = 2  # enough to see that each has an answer of its own


def example_of(settings: Data) -> dict[str, list[float] | list[str]]:
    """Give raw rows by column, as many as one prediction reads.

    Of a series the newest, of sequences the steps of the last one, of texts the last sentences.
    """
    fold = last_fold(settings)
    if settings.kind == "series":
        series = data.load(settings, fold=fold)
        rows = series.values[-settings.lookback :] * series.scaler.sd + series.scaler.mean
        return {name: rows[:, i].tolist() for i, name in enumerate(series.columns)}
    found = labelled.load(settings, fold=fold)
    if settings.kind == "text":
        return {TEXT: [" ".join(words) for words in found.texts[-SENTENCES:]]}
    assert found.scaler is not None
    steps = found.values[-1][: found.lengths[-1]] * found.scaler.sd + found.scaler.mean
    return {name: steps[:, i].tolist() for i, name in enumerate(settings.covariates)}
