"""Name runs, parameters and metrics so that a person can read a table of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sweep.plan.trial import Value

LONGEST_NAME = 80
LONGEST_KEY = 250  # MLflow's limit
LONGEST_PARAM = 6000  # MLflow's limit
LONGEST_TAG = 8000  # MLflow's limit

SHORT = {
    "data.lookback": "T",
    "data.horizon": "H",
    "data.normalization": "",
    "data.layout": "",
    "model.hidden_size": "h",
    "model.num_layers": "L",
    "model.dropout": "do",
    "model.output_dropout": "od",
    "model.activation": "",
    "optim.name": "",
    "optim.lr": "lr",
    "optim.weight_decay": "wd",
    "optim.momentum": "m",
    "optim.clip_norm": "clip",
    "optim.schedule.name": "",
    "train.batch_size": "b",
    "train.epochs": "e",
    "train.seed": "s",
}


def run_name(number: int, *, varied: Mapping[str, Value], total: int) -> str:
    """Name a trial by what makes it differ: 't07 h128 lr0.001 adam'."""
    width = len(str(max(total - 1, 0)))
    words = [f"t{number:0{width}d}", *(_word(key, value) for key, value in varied.items())]
    name = " ".join(words)
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"


def key(name: str) -> str:
    """Write a name with the characters that MLflow allows in a key."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:LONGEST_KEY]


def text(value: Value, *, longest: int = LONGEST_PARAM) -> str:
    """Write a value as MLflow's tables show it, cut where MLflow would refuse it."""
    written = f"{value:g}" if _exact(value) else str(value)
    return written if len(written) <= longest else written[: longest - 1] + "…"


def _word(name: str, value: Value) -> str:
    short = SHORT.get(name)
    if short is not None:
        return short + text(value)
    return f"{name.rpartition('.')[2]}={text(value)}"


def _exact(value: Value) -> bool:
    return isinstance(value, float) and float(f"{value:g}") == value
