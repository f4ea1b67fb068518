"""Train one trial each in several processes at once, the other way to fill a device."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from lanes.alone import Alone
from lanes.shapes import Shape
from lanes.timing import Bench
from lanes.work import settings_of, task_of
from sweep.train.precision import arithmetic

SCRIPT = Path(__file__).parents[1] / "array_gpu.py"


def several_processes(shape: Shape, bench: Bench, *, count: int) -> float:
    """Let some processes train a trial each at once; seconds a trial-step, all together."""
    words = [sys.executable, str(SCRIPT), "--alone", json.dumps(vars(shape))]
    words += ["--cpu-smoke"] if bench.smoke else []
    started = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    rates = [json.loads(each.communicate()[0]) for each in started]
    return 1 / sum(rates)


def alone(shape: Shape, bench: Bench) -> None:
    """Be one of several processes: say when ready, then train for a while."""
    settings = settings_of(shape, precision="float32", device=str(bench.place.type))
    task = task_of(settings, rows=bench.rows, validation=bench.validation, place=bench.place)
    with arithmetic(settings, mixed=False):
        own = Alone(settings, task, graph=False)
        for _ in range(3):
            own.step()
        bench.wait()
        print("ready", flush=True)
        sys.stdin.readline()
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < (0.1 if bench.smoke else 5.0):
            bench.seconds(own.step, 20)
            done += 20
    print(json.dumps(done / (time.perf_counter() - begun)))
