"""Score strategies by regret against CPU-seconds, on a recording of our own grid.

    python benchmarks/strategies.py record FILE [--minutes 600] [--rows 1500] [--workers 2]
    python benchmarks/strategies.py replay FILE [--repeats 102] [--trials 10 25] [--plot PICTURE]
    python benchmarks/strategies.py live FILE [--searches halving:27:3x1 random:10] [--runs 5]

`record` trains 240 configurations with three seeds, nine epochs each, on the first 1,500 hours of
JFK, keeps every epoch, and tells what the whole takes. It can be stopped and run again: it goes on.
The core of the grid comes first, so a recording that was cut short can be replayed as a smaller
grid. `--seeds 3 4` adds seeds to it.

`replay` prints each strategy's regret at equal budget, and its lead over random search with twice
that budget. A search sees one seed of every configuration, and a second one of those that it
confirms; what it would have shown is scored with the others, which nothing has looked at. Regret is
that score above the value of the grid's best configuration (mean over seeds), as a share of the
distance from there to the grid's median. `live` trains for real, a few times, and scores what the
product recommends in the same way.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from peers.environments import NotInstallable, beside
from replay.drawing import draw
from replay.live import Wanted, search
from replay.racing import DEAR, FRESH, OURS, TWICE, Roles, Steps, at, optuna_loop
from replay.recording import ROWS, SEEDS, Recording, load, record

from sweep.search.space import Point, identity

Shown = Callable[[float], float | None]  # CPU-seconds: the score of what is shown then
RAY = ("ray[tune]",)  # as launcher.py has it, so that both share an environment
SEARCHES = ("halving:27:3x1", "random:10")


def main() -> None:
    """Record, or replay, or search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    recorder = verbs.add_parser("record")
    recorder.add_argument("file", type=Path)
    recorder.add_argument("--minutes", type=float, default=600)
    recorder.add_argument("--grid", default="full", choices=("full", "small"))
    recorder.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    recorder.add_argument("--epochs", type=int, default=9)
    recorder.add_argument("--rows", type=int, default=ROWS, help="hours that are trained on")
    recorder.add_argument("--workers", type=int, default=1)
    replayer = verbs.add_parser("replay")
    replayer.add_argument("file", type=Path)
    replayer.add_argument("--repeats", type=int, default=102, help="of each; take a multiple of 6")
    replayer.add_argument(
        "--trials", type=float, nargs="+", default=(10, 25), help="budgets, in whole trainings"
    )
    replayer.add_argument("--plot", type=Path)
    real = verbs.add_parser("live")
    real.add_argument("file", type=Path)
    real.add_argument("--runs", type=int, default=5)
    real.add_argument("--rows", type=int, default=ROWS, help="as recorded")
    real.add_argument(
        "--searches", type=Wanted.read, nargs="+", default=[*map(Wanted.read, SEARCHES)],
        help="STRATEGY:TRIALS, or STRATEGY:TRIALS:KxN to confirm",
    )  # fmt: skip
    given = parser.parse_args()
    match given.verb:
        case "record":
            _record(given)
        case "replay":
            recording = load(given.file)
            replay(recording, repeats=given.repeats, trials=given.trials, plot=given.plot)
        case "live":
            live(load(given.file), given.searches, runs=given.runs, rows=given.rows)


def _record(given: argparse.Namespace) -> None:
    taken = record(
        given.file, grid=given.grid, seeds=given.seeds, epochs=given.epochs, rows=given.rows,
        workers=given.workers, minutes=given.minutes,
    )  # fmt: skip
    print(f"{taken.done:,} of {taken.wanted:,} trainings are recorded in {given.file}")
    print(
        f"they took {taken.cpu_minutes:.1f} CPU-minutes; the whole takes about "
        f"{taken.whole_cpu_minutes:.0f}"
    )


def replay(
    recording: Recording, *, repeats: int, trials: Sequence[float], plot: Path | None
) -> None:
    """Race everyone and print what each would have shown."""
    budgets_s = [count * _mean_cost(recording) for count in trials]
    most_s = max(budgets_s)
    races: dict[str, list[Shown]] = {}
    for name, racer in {**OURS, "Optuna's loop": optuna_loop}.items():
        until_s = most_s if name in DEAR else 2 * most_s
        clocks = [racer(recording, number, until_s) for number in range(repeats)]
        races[name] = [clock.shown for clock in clocks]
        if name in OURS:
            races[f"{name}{FRESH}"] = [clock.confirmed for clock in clocks]
    try:
        steps = _ray(recording, repeats=repeats, budget_s=2 * most_s)
        races["Ray's ASHA"] = [partial(at, own) for own in steps]
    except NotInstallable as error:
        print(f"Ray Tune is left out: {error}")
    for suffix in ("", FRESH):
        races[TWICE + suffix] = [partial(_at_twice, shown) for shown in races[f"random{suffix}"]]
    regrets = _regrets(recording)
    print(f"{recording.space.size} configurations, seeds {recording.seeds}, {repeats} replays")
    for count, budget_s in zip(trials, budgets_s, strict=True):
        print(f"{count:g} trainings, {budget_s:.0f} CPU-seconds: regret; less than random at twice")
        for line in _table({name: regrets(own, budget_s) for name, own in races.items()}):
            print(f"  {line}", flush=True)
    if plot is not None:
        moments = [most_s * share / 20 for share in range(2, 41)]
        means = {
            n: [statistics.fmean(regrets(own, m)) for m in moments] for n, own in races.items()
        }
        draw(means, moments, plot=plot, most_s=most_s)


def _table(regrets: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Write a line a racer: mean regret, and its lead over random at twice, replay by replay."""
    for name, own in sorted(regrets.items(), key=lambda item: statistics.fmean(item[1])):
        leads = [theirs - mine for mine, theirs in zip(own, regrets[TWICE], strict=True)]
        yield f"{name:27} {_mean(own)}; {_mean(leads)}"


def _at_twice(shown: Shown, moment_s: float) -> float | None:
    return shown(2 * moment_s)


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} +/- {statistics.stdev(values) / len(values) ** 0.5:.3f}"


def live(recording: Recording, searches: Sequence[Wanted], *, runs: int, rows: int) -> None:
    """Search for real, and print the regret of what each search recommends at its end."""
    mean_s, regrets = _mean_cost(recording), _regrets(recording)
    for wanted in searches:
        ended = [search(recording, wanted, number, rows=rows) for number in range(runs)]
        own = regrets([partial(_always, each.score) for each in ended], 0.0)
        spent = statistics.fmean(each.cpu_s for each in ended) / mean_s
        each = ", ".join(f"{value:.2f}" for value in own)
        print(f"{wanted}: regret {_mean(own)} ({each}), worth {spent:.1f} trainings", flush=True)


def _always(score: float, _: float) -> float:
    return score


def _regrets(recording: Recording) -> Callable[[Sequence[Shown], float], list[float]]:
    """Make what gives the regret of each of several searches at a moment, in CPU-seconds."""
    values = [recording.value(point) for point in _points(recording)]
    best, median = min(values), statistics.median(values)

    def regrets(races: Sequence[Shown], moment_s: float) -> list[float]:
        scores = [shown(moment_s) for shown in races]
        shown = [max(values) if score is None else score for score in scores]
        return [(loss - best) / (median - best) for loss in shown]

    return regrets


def _ray(recording: Recording, *, repeats: int, budget_s: float) -> list[Steps]:
    points, seeds = _points(recording), recording.seeds
    given = {
        "epochs": recording.epochs,
        "factor": 3,
        "budget_s": budget_s,
        "repeats": repeats,
        "roles": [
            {
                "seen": seeds.index(roles.seen),
                "worth": [
                    [
                        recording.worth(point, epochs=e + 1, seeds=roles.unseen)
                        for e in range(recording.epochs)
                    ]
                    for point in points
                ],
            }
            for roles in Roles.all(seeds)
        ],
        "curves": [
            [
                {"val": list(own[seed].val), "cpu_s": list(own[seed].cpu_s)}
                for own in (recording.curves[identity(point)] for point in points)
            ]
            for seed in seeds
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
