"""Measure the Kubernetes launcher on a real control plane, whose nodes are played by this machine.

    python benchmarks/cluster.py [noop large verbs] [--trials 1000]

`noop`: trials that do nothing, from the command to its end, beside as many Jobs of one trial each
in the same cluster, ten pods at a time. The pods of those Jobs start the same script, once a trial;
then once more at best, where they run nothing at all: the least that any Job costs. `large`: a
study of the whole grid is opened, submitted, and its (synthetic) records collected. `verbs`:
`status` and `attach` on a study of 10,000 trials.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bed import NAMESPACE, Requests, Stage, said, stage
from kubernetes import client
from testbed.workloads import make_job, make_pod

from sweep.plan import layout
from sweep.plan.records import to_line
from sweep.plan.round import Round
from sweep.plan.trial import Record, State
from sweep.store import open_store
from sweep.study.reading import read_rounds

PEERS = Path(__file__).parent / "peers"
KNOWN, ANY = PEERS / "noop_known.py", PEERS / "noop.py"
PODS = 10  # at a time, for every method
OURS = ("hydra/launcher=kubernetes", "hydra/sweeper=grid", "hydra.launcher.cluster=kubernetes")
QUIET = ("hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none")
UNTRACKED = "import sys; sys.modules['mlflow'] = None; from sweep.__main__ import main; main()"
WRITERS = 16
EPOCHS = 20
DETACHED = 75


def main() -> None:
    """Run the chosen parts on one stage and print what each took."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder, stage(pods=PODS) as here:
        if "noop" in options.parts:
            noop(here, Path(folder), trials=options.trials)
        if "large" in options.parts:
            large(here, Path(folder))
        if "verbs" in options.parts:
            verbs(here, Path(folder), trials=options.studied)


def noop(here: Stage, folder: Path, *, trials: int) -> None:
    """Launch trials that do nothing, by one Job and by one Job each."""
    own = _measured(
        here,
        trials,
        "one Job",
        lambda: said(here.run(*_command(KNOWN, trials, "noop"), folder=folder)).wall_s,
    )
    command = ["python", str(ANY), "x=1", *QUIET]
    each = _measured(
        here, trials, "a Job a trial", lambda: _job_a_trial(here, trials, command=command)
    )
    _print(f"ratio: {each / own:.1f} (goal: 5)")
    least = _measured(
        here,
        trials,
        "a Job a trial, nothing runs",
        lambda: _job_a_trial(here, trials, plays="exit"),
    )
    _print(f"ratio: {least / own:.1f} at the very least")


def _measured(here: Stage, trials: int, what: str, do: Callable[[], float]) -> float:
    """Tell what launching trials took and asked of the API server; return ms a trial."""
    asked: list[Requests] = []
    with here.meter(asked):
        wall_s = do()
    each_ms = 1000 * wall_s / trials
    _tell(f"{what}, {trials:,}: {wall_s:.1f} s, {each_ms:.1f} ms a trial", asked[0], trials)
    return each_ms


def large(here: Stage, folder: Path) -> None:
    """Open, submit and collect the guide's whole grid; its pods run nothing."""
    words = ["+experiment=forecast", "guide=full", *_here("large"), "hydra.launcher.detach=true"]
    words += ["hydra.launcher.command=['true']", "-m"]
    took = said(here.run("-c", UNTRACKED, *words, folder=folder), expected=[DETACHED])
    (round_,) = read_rounds(open_store(here.store).at("large"))
    trials = len(round_.trials)
    _print(f"open and submit {trials:,} trials in {len(round_.packs):,} packs: {took.figures}")
    written = _timed(lambda: _write_records(here.store, "large", round_))
    _print(f"(synthetic records written in {written:.0f} s)")
    took = said(here.run("-m", "sweep", "status", "large", folder=folder))
    _print(
        f"collect {trials:,} records: {took.figures}, "
        f"{1000 * took.cpu_s / trials:.2f} CPU-ms a trial"
    )


def verbs(here: Stage, folder: Path, *, trials: int) -> None:
    """Ask how a study of many trials stands, then follow it to its end."""
    words = _command(
        KNOWN, trials, "verbs", "hydra.launcher.detach=true", "hydra.launcher.command=['true']"
    )
    took = said(here.run(*words, folder=folder), expected=[DETACHED])
    _print(f"open and submit {trials:,} trials: {took.figures}")
    (round_,) = read_rounds(open_store(here.store).at("verbs"))
    _write_records(here.store, "verbs", round_)
    for verb in ("status", "attach"):
        took = said(here.run("-m", "sweep", verb, "verbs", folder=folder))
        _print(f"{verb}, {trials:,} trials: {took.figures}")


def _command(script: Path, trials: int, study: str, *words: str) -> list[str]:
    sweep = ["hydra.sweep.dir=out", "hydra.sweep.subdir=.", f"x=range(0,{trials})", "-m"]
    return [str(script), *QUIET, *OURS, *_here(study), *words, *sweep]


def _here(study: str) -> list[str]:
    return [
        f"hydra.launcher.study={study}",
        f"hydra.launcher.parallelism={PODS}",
        "hydra.launcher.cluster=kubernetes",
    ]


def _job_a_trial(here: Stage, count: int, **pod: object) -> float:
    """Create a Job a trial and wait until all are complete; return seconds."""
    batch = client.BatchV1Api(here.api)
    body = make_pod(resources={"cpu": "1"}, **pod)  # type: ignore[arg-type]

    def create(number: int) -> None:
        batch.create_namespaced_job(NAMESPACE, make_job(body, name=f"trial-{number:05d}"))

    begun = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(count)))
    while _complete(batch) < count:
        time.sleep(0.5)
    took = time.perf_counter() - begun
    batch.delete_collection_namespaced_job(NAMESPACE, propagation_policy="Background")
    while batch.list_namespaced_job(NAMESPACE).items:
        time.sleep(0.5)
    return took


def _complete(batch: client.BatchV1Api) -> int:
    jobs = batch.list_namespaced_job(NAMESPACE, resource_version="0").items
    return sum(bool(job.status.succeeded) for job in jobs if job.metadata.name.startswith("trial-"))


def _write_records(store: str, study: str, round_: Round) -> None:
    place = open_store(store).at(study)
    curve = [1 / (1 + epoch) for epoch in range(EPOCHS)]

    def write(index: int) -> None:
        pack = round_.packs[index]
        lines = [
            to_line(
                Record(
                    trial=number,
                    state=State.COMPLETED,
                    objective=1 / (1 + number),
                    metrics={"val_loss": 1 / (1 + number), "epochs": float(EPOCHS)},
                    history={"loss": curve, "val_loss": curve, "lr": curve},
                    pack=pack.number,
                )
            )
            for number in pack.trials
        ]
        body = {"claimed": 0.0, "closed": 1.0, "reason": "done"}
        place.write(layout.attempt_key(pack.number, 1), json.dumps(body).encode())
        place.write(layout.results_key(pack.number, 1), b"".join(lines))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(len(round_.packs))))


def _timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


def _tell(text: str, asked: Requests, trials: int) -> None:
    _print(
        f"{text}; {asked.by_all / trials:.2f} API requests a trial by everybody, "
        f"{asked.writes_by_all / trials:.2f} of them writes; by the client {asked.own}, "
        f"{asked.own_writes} of them writes ({asked.own_writes / trials:.4f} a trial, goal 0.02)"
    )


def _print(text: str) -> None:
    print(text, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["noop", "large", "verbs"], help="all three")
    parser.add_argument("--trials", type=int, default=1000, help="of noop, by every method")
    parser.add_argument("--studied", type=int, default=10_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
