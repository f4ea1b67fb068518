"""Score rules without a network that tell classes apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from sweep.plan.settings import Data
from sweep.train.baseline import Baseline
from sweep.train.data import Array, Index
from sweep.train.folds import folds, last_fold
from sweep.train.labelled import Labelled, load
from sweep.train.sentences import Words

PENALTIES = tuple(10.0**power for power in range(-2, 4))  # lambdas that ridge tries
Rule = Callable[[Index], Index]  # examples to their classes
Fit = Callable[[Labelled], Rule]


def baselines(data: Data) -> dict[str, Baseline]:
    """Score the commonest class; of sentences naive Bayes, of sequences ridge on their means.

    Raises BadInput for data that cannot be used.
    """
    last = last_fold(data)
    divisions = [load(data, fold=f) for f in ([None] if last is None else [*folds(data), last])]
    found = [_scored("commonest class", "of the training part", divisions, commonest)]
    if data.kind == "text":
        for name, longest in (("naive Bayes", 1), ("naive Bayes of pairs", 2)):
            detail = "binarised, one added; words" + (" and pairs of words" if longest > 1 else "")
            found.append(_scored(name, detail, divisions, naive_bayes(longest)))
    else:
        found.append(_ridge(divisions))
    return {baseline.name: baseline for baseline in found}


def commonest(examples: Labelled) -> Rule:
    """Tell every example to be of the class that most training examples have."""
    label = int(np.bincount(examples.labels[examples.windows.train]).argmax())
    return lambda places: np.full(len(places), label)


def naive_bayes(longest: int) -> Fit:
    """Fit multinomial naive Bayes on which words, and pairs of them, a sentence has.

    Classes count alike beforehand, one is added to each count, and what the training part lacks is
    skipped (Wang & Manning, ACL'12, binarise so; no fitting, so its scores can be repeated).
    """

    def fit(examples: Labelled) -> Rule:
        classes = range(int(examples.labels.max()) + 1)
        counts: list[Counter[Words]] = [Counter() for _ in classes]
        for place in examples.windows.train:
            counts[examples.labels[place]].update(_features(examples.texts[place], longest))
        known = set().union(*counts)
        totals = [sum(own.values()) + len(known) for own in counts]

        def tell(places: Index) -> Index:
            found = []
            for place in places:
                own = [f for f in _features(examples.texts[place], longest) if f in known]
                chances = [
                    sum(np.log((counts[label][f] + 1) / totals[label]) for f in own)
                    for label in classes
                ]
                found.append(int(np.argmax(chances)))
            return np.array(found)

        return tell

    return fit


def _features(words: Words, longest: int) -> Iterable[Words]:
    found: set[Words] = {(word,) for word in words}
    if longest > 1:
        found |= set(pairwise(words))
    return sorted(found)


def _ridge(divisions: Sequence[Labelled]) -> Baseline:
    """Score ridge regression of the classes on mean and deviation of every channel."""

    def scored(penalty: float) -> Baseline:
        detail = f"mean and deviation of each channel, lambda {penalty:g}"
        return _scored("ridge on means", detail, divisions, lambda own: _linear(own, penalty))

    return min(map(scored, PENALTIES), key=lambda baseline: baseline.scores["val_error"])


def _linear(examples: Labelled, penalty: float) -> Rule:
    inside = np.arange(examples.values.shape[1]) < examples.lengths[:, None]
    size = examples.lengths[:, None]
    mean = (examples.values * inside[..., None]).sum(axis=1) / size  # [N, C]
    square = (np.square(examples.values) * inside[..., None]).sum(axis=1) / size
    x = np.concatenate([mean, np.sqrt(np.maximum(square - mean**2, 0))], axis=1)
    wanted = np.eye(int(examples.labels.max()) + 1)[examples.labels]
    train = examples.windows.train
    middle, level = x[train].mean(axis=0), wanted[train].mean(axis=0)
    centred: Array = x - middle
    gram = centred[train].T @ centred[train] + penalty * np.eye(x.shape[1])
    slope = np.linalg.solve(gram, centred[train].T @ (wanted[train] - level))
    return lambda places: (centred[places] @ slope + level).argmax(axis=1)


def _scored(name: str, detail: str, divisions: Sequence[Labelled], fit: Fit) -> Baseline:
    rules = [fit(examples) for examples in divisions]
    both = list(zip(divisions, rules, strict=True))
    wrong = [_wrong(own, rule, own.windows.val).mean() for own, rule in both[:-1] or both]
    last, kept = both[-1]
    val, test = float(np.mean(wrong)), float(_wrong(last, kept, last.windows.test).mean())

    def errors(part: Literal["val", "test"]) -> Array:
        return _wrong(last, kept, last.windows.test if part == "test" else last.windows.val)

    scores = {
        "val_error": val,
        "val_accuracy": 1 - val,
        "test_error": test,
        "test_accuracy": 1 - test,
    }
    return Baseline(name, detail, scores, errors)


def _wrong(examples: Labelled, rule: Rule, places: Index) -> Array:
    found: Array = (rule(places) != examples.labels[places]).astype(np.float64)
    return found
