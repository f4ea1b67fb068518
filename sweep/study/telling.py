"""Say what is about to run, before it runs."""

from __future__ import annotations

from rich.console import Console

from sweep.compose import Composition
from sweep.plan.round import Study
from sweep.store import Store
from sweep.study.outline import Outline, grid
from sweep.tracking.address import opening


def announce(
    study: Study, plan: Outline, *, store: Store, workers: int, where: str, console: Console
) -> None:
    """Print the study, its size, its cost, and where it goes."""
    _say(console, f"study    {study.name}")
    _say(console, f"trials   {trials(plan)}")
    if plan.data:
        _say(console, f"cost     {cost(plan)}")
    _say(console, f"runs     {where}: {workers} workers, one thread each")
    _say(console, f"store    {store.url.removeprefix('file://')}")
    if study.tracking.get("uri"):
        _say(console, f"MLflow   {opening(str(study.tracking['uri']))}")
    else:
        _say(console, "MLflow   off (not installed, or no MLFLOW_TRACKING_URI)")


def describe(
    plan: Outline, composition: Composition, *, workers: int, where: str, console: Console
) -> None:
    """Print a plan that is not carried out."""
    _say(console, f"trials   {trials(plan)}")
    for key, values in grid(composition.trials).items():
        shown = ", ".join(str(value) for value in values[:8])
        more = f", ... ({len(values)})" if len(values) > 8 else ""
        _say(console, f"  {key}: {shown}{more}")
    if plan.data:
        _say(console, f"cost     {cost(plan)}")
    _say(console, f"runs     {where}: {workers} workers, one thread each")
    for title, trial in (("first", composition.trials[0]), ("last", composition.trials[-1])):
        line = " ".join(f"{key}={value}" for key, value in trial.values.items())
        _say(console, f"{title:8} trial {trial.number}: {line or '(nothing varies)'}")
    _say(console, "nothing was written or started")


def trials(plan: Outline) -> str:
    """Count trials, those that are equal in effect, and packs."""
    every, trained = len(plan.round.trials), plan.trained
    same = f", {trained:,} distinct in effect" if trained < every else ""
    return f"{every:,}{same}, in {len(plan.round.packs):,} packs"


def cost(plan: Outline) -> str:
    """Say what the trials cost at most."""
    return f"at most {plan.epochs:,} trial-epochs, {_flop(plan.flop)} of training"


def _flop(flop: float) -> str:
    for size, unit in ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP")):
        if flop >= size:
            return f"{flop / size:.3g} {unit}"
    return f"{flop / 1e6:.3g} MFLOP"


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
