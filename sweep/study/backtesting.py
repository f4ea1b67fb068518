"""Roll a study's winner through its test part: the verb `backtest`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from sweep.errors import BadInput
from sweep.plan import layout
from sweep.plan.application import Application
from sweep.plan.trial import Value
from sweep.store import open_store
from sweep.study.crowning import tree_of
from sweep.study.fetching import Files, cache_folder, reading
from sweep.study.reading import find_study, read_rounds, read_study
from sweep.study.studied import studied

Found = Mapping[str, Any]  # as `Application.backtest` says it


def backtest(
    name: str, *, address: str, application: Application | None, origins: int, console: Console
) -> Found:
    """Train the winner's configuration anew at each origin, in this process; keep what came of it.

    Raises BadInput for a study without a winner, or whose data are no series.
    """
    store = open_store(address)
    place = find_study(store, name)
    study = read_study(place)
    if application is None or application.backtest is None:
        raise BadInput(f"study {name}: task {study.task} does not say how it is rolled forward")
    files = Files(cache_folder(os.environ), store, study.facts.get("files", {}))
    state = studied(place, study, read_rounds(place))
    best = state.board().best
    if best is None:
        raise BadInput(f"study {name}: no trial completed yet; there is no winner to roll forward")
    tree = tree_of(state, best.trials[0])
    application = reading(application, files)
    application.warm()
    assert application.backtest is not None
    found = application.backtest(
        tree, origins, lambda known: console.print(f"origin after {known:,} rows: done")
    )
    kept = {"trial": best.trials[0], **found}
    place.write(layout.BACKTEST, json.dumps(kept, indent=2).encode())
    return kept


def table(found: Found) -> Table:
    """Lay out the origins, each with the network's score and the baselines'."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("rows known", justify="right")
    grid.add_column("tested", justify="right")
    names = list(found["origins"][0]["scores"])
    for title in names:
        grid.add_column(title, justify="right")
    for origin in found["origins"]:
        scores = [_shown(origin["scores"].get(title)) for title in names]
        grid.add_row(f"{origin['known']:,}", f"{origin['tested']:,}", *scores)
    means = [_mean([origin["scores"].get(title) for origin in found["origins"]]) for title in names]
    grid.add_section()
    grid.add_row("mean", "", *means, style="bold")
    return grid


def by_step(found: Found, *, most: int = 8) -> str:
    """Say the error at some steps ahead, the first and the last among them."""
    steps: Sequence[float] = found["by_step"]
    if not steps:
        return ""
    count = min(most, len(steps))
    places = sorted({round(i * (len(steps) - 1) / max(1, count - 1)) for i in range(count)})
    said = ", ".join(f"{place + 1}: {steps[place]:.3g}" for place in places)
    return f"MSE by step ahead: {said}"


def _mean(values: Sequence[Value]) -> str:
    numbers = [float(value) for value in values if value is not None]
    return _shown(sum(numbers) / len(numbers) if numbers else None)


def _shown(value: float | None) -> str:
    return "diverged" if value is None or math.isnan(value) else f"{value:.4g}"
