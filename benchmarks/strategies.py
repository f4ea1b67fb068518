"""Score strategies by regret against CPU-seconds, on a recording of our own grid.

    python benchmarks/strategies.py record FILE [--minutes 600] [--rows 1500] [--workers 2]
    python benchmarks/strategies.py replay FILE [--repeats 100] [--trials 25] [--plot PICTURE]
    python benchmarks/strategies.py live FILE [--strategies staged random] [--runs 5]

`record` trains 240 configurations with three seeds, nine epochs each, on the first 1,500 hours of
JFK, keeps every epoch, and tells what the whole takes. It can be stopped and run again: it goes on.
The core of the grid comes first, so a recording that was cut short can be replayed as a smaller
grid.

`replay` prints each strategy's regret at equal budget, beside random search with twice that budget.
A search sees one seed of every configuration, and a second one of those that it confirms; what it
would have shown is scored with the third, which nothing has looked at. Regret is that score above
the value of the grid's best configuration (mean over seeds), as a share of the distance from there
to the grid's median. `live` trains for real, a few times, what was replayed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from peers.environments import NotInstallable, beside
from replay.live import search
from replay.racing import OURS, TWICE, Clock, Racer, at, optuna_loop
from replay.recording import ROWS, Recording, load, record

from sweep.search.space import Point

Steps = list[tuple[float, float]]
RAY = ("ray[tune]",)  # as launcher.py has it, so that both share an environment


def main() -> None:
    """Record, or replay."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    recorder = verbs.add_parser("record")
    recorder.add_argument("file", type=Path)
    recorder.add_argument("--minutes", type=float, default=600)
    recorder.add_argument("--grid", default="full", choices=("full", "small"))
    recorder.add_argument("--epochs", type=int, default=9)
    recorder.add_argument("--rows", type=int, default=ROWS, help="hours that are trained on")
    recorder.add_argument("--workers", type=int, default=1)
    replayer = verbs.add_parser("replay")
    replayer.add_argument("file", type=Path)
    replayer.add_argument("--repeats", type=int, default=100)
    replayer.add_argument("--trials", type=float, default=25, help="budget, in whole trainings")
    replayer.add_argument("--plot", type=Path)
    real = verbs.add_parser("live")
    real.add_argument("file", type=Path)
    real.add_argument("--runs", type=int, default=5)
    real.add_argument("--trials", type=float, default=25, help="budget, in whole trainings")
    real.add_argument("--most", type=int, default=60, help="trainings of one search")
    real.add_argument("--rows", type=int, default=ROWS, help="as recorded")
    real.add_argument("--strategies", nargs="+", default=["staged", "random"])
    given = parser.parse_args()
    if given.verb == "record":
        taken = record(
            given.file, grid=given.grid, epochs=given.epochs, rows=given.rows,
            workers=given.workers, minutes=given.minutes,
        )  # fmt: skip
        print(f"{taken.done:,} of {taken.wanted:,} trainings are recorded in {given.file}")
        print(
            f"they took {taken.cpu_minutes:.1f} CPU-minutes; the whole takes about "
            f"{taken.whole_cpu_minutes:.0f}"
        )
        return
    if given.verb == "live":
        confirm(load(given.file), given)
        return
    replay(load(given.file), repeats=given.repeats, trials=given.trials, plot=given.plot)


def replay(recording: Recording, *, repeats: int, trials: float, plot: Path | None) -> None:
    """Race everyone and print what each would have shown."""
    budget_s = trials * _mean_cost(recording)
    racers: dict[str, Racer] = {**OURS, "Optuna's loop": optuna_loop}
    found = {
        name: [racer(recording, number, 2 * budget_s).steps for number in range(repeats)]
        for name, racer in racers.items()
    }
    try:
        found["Ray's ASHA"] = _ray(recording, repeats=repeats, budget_s=2 * budget_s)
    except NotInstallable as error:
        print(f"Ray Tune is left out: {error}")
    regrets = _regrets(recording)

    def twice(racer: Racer, moment_s: float) -> list[Steps]:
        return [racer(recording, number, moment_s).steps for number in range(repeats)]

    random_s = regrets(found["random"], 2 * budget_s)
    print(f"{recording.space.size} configurations, {repeats} replays, {budget_s:.0f} CPU-seconds")
    print(f"{'random, twice the budget':24} regret {_mean(random_s)}")
    for name, steps in found.items():
        print(f"{name:24} regret {_mean(regrets(steps, budget_s))}", flush=True)
    for name, racer in TWICE.items():
        print(f"{name:24} regret {_mean(regrets(twice(racer, budget_s), budget_s))}", flush=True)
    if plot is not None:
        moments = [budget_s * share / 10 for share in range(1, 21)]
        lines = {n: [statistics.fmean(regrets(s, m)) for m in moments] for n, s in found.items()}
        for name, racer in TWICE.items():
            lines[name] = [statistics.fmean(regrets(twice(racer, m), m)) for m in moments]
        _draw(lines, moments, plot)


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} +/- {statistics.stdev(values) / len(values) ** 0.5:.3f}"


def confirm(recording: Recording, given: argparse.Namespace) -> None:
    """Search for real, and print each search's regret beside that of its replay."""
    regrets, budget_s = _regrets(recording), given.trials * _mean_cost(recording)

    def regret(steps: Sequence[Steps], moment_s: float) -> float:
        return statistics.fmean(regrets(steps, moment_s))

    print(
        f"{given.trials:g} trainings' worth of CPU-seconds; seeds and starts are the replays' own"
    )
    for name in given.strategies:
        alive, again = [], []
        for number in range(given.runs):
            alive.append(search(recording, name, number, rows=given.rows, trials=given.most).steps)
            again.append(OURS[name](recording, number, 2 * budget_s).steps)
            moments = (budget_s, 2 * budget_s)
            shown = [f"{regret([own], m):.4f}" for own in (alive[-1], again[-1]) for m in moments]
            print(f"{name} {number}: live {shown[0]}, {shown[1]} at twice; replay {shown[2]}, "
                  f"{shown[3]}", flush=True)  # fmt: skip
        print(f"{name}: live {regret(alive, budget_s):.4f}, {regret(alive, 2 * budget_s):.4f} at "
              f"twice; replay {regret(again, budget_s):.4f}, "
              f"{regret(again, 2 * budget_s):.4f}")  # fmt: skip


def _regrets(recording: Recording) -> Callable[[Sequence[Steps], float], list[float]]:
    """Make what gives the regret of each of several searches at a moment, in CPU-seconds."""
    values = [recording.value(point) for point in _points(recording)]
    best, median = min(values), statistics.median(values)

    def regrets(steps: Sequence[Steps], moment_s: float) -> list[float]:
        shown = [next(at(own, moment_s), max(values)) for own in steps]
        return [(loss - best) / (median - best) for loss in shown]

    return regrets


def _draw(lines: dict[str, list[float]], moments: Sequence[float], plot: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, line in lines.items():
        axes.plot(moments, [max(value, 1e-4) for value in line], label=name)
    axes.set(xlabel="CPU-seconds", ylabel="mean regret", yscale="log")
    axes.legend(frameon=False)
    figure.savefig(plot, dpi=150)


def _ray(recording: Recording, *, repeats: int, budget_s: float) -> list[Steps]:
    points = _points(recording)
    clocks = [Clock(recording, number) for number in range(len(recording.seeds))]
    given = {
        "epochs": recording.epochs,
        "factor": 3,
        "budget_s": budget_s,
        "repeats": repeats,
        "worth": [
            [
                [recording.worth(point, epochs=e + 1, seed=seed) for e in range(recording.epochs)]
                for point in points
            ]
            for seed in recording.seeds
        ],
        "curves": [
            [
                {"val": list(clock.curve(point).val), "cpu_s": list(clock.curve(point).cpu_s)}
                for point in points
            ]
            for clock in clocks
        ],
    }
    script = Path(__file__).parent / "replay" / "ray_asha.py"
    done = subprocess.run(
        [beside(RAY), script], input=json.dumps(given), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    steps: list[Steps] = json.loads(done.stdout.splitlines()[-1])
    return steps


def _points(recording: Recording) -> list[Point]:
    return [recording.space.crossed(index) for index in range(recording.space.size or 0)]


def _mean_cost(recording: Recording) -> float:
    curves = [curve for own in recording.curves.values() for curve in own.values()]
    return statistics.fmean(sum(curve.cpu_s[: recording.epochs]) for curve in curves)


if __name__ == "__main__":
    main()
