"""Name the objects of one study in its store."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

STUDY = "study.json"
SEARCH = "search.json"
STORY = "story.json"
STOP = "stop.json"
BEST = "best.json"
SELECTION = "selection.json"
CONTEST = "contest.json"
BASELINES = "baselines.json"
BASELINE_ERRORS = "baseline-errors"
VERSUS = "versus.json"
ENSEMBLE = "ensemble.json"
WINNER = "winner.json"
PARENT_RUN = "parent-run.json"
LEASE = "lease.json"
SPENDING = "spending.json"
REPORT = "report/report.html"
BACKTEST = "report/backtest.json"
GATE = "report/gate.json"
GATE_SUMMARY = "report/gate.md"
GATE_JUNIT = "report/junit.xml"
REPORT_MARKDOWN = "report/report.md"
REPORT_JSON = "report/report.json"
LEADERBOARD = "report/leaderboard.csv"
PROBE = "probe"
ROUNDS = "rounds/"
PACKS = "packs/"
TRIALS = "trials/"
FAILURES = "failures/"
OFFERS = "offers/"
CLAIMS = "claims/"

_ATTEMPT = re.compile(r"packs/(\d+)/attempt-(\d+)\.json")
_CHECKPOINT = re.compile(r"trials/(\d+)/checkpoint-(\d+)-(\d+)")
_WEIGHTS = re.compile(r"trials/\d+/weights")
_RESULTS = re.compile(r"packs/(\d+)/results-(\d+)-(\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """Whose records a records file holds."""

    pack: int
    attempt: int
    part: int


def round_key(number: int) -> str:
    """Name a round."""
    return f"{ROUNDS}{number:04d}.json"


def offer_key(round_number: int, number: int) -> str:
    """Name what a client offers to the open slots of a round."""
    return f"{OFFERS}{round_number:04d}-{number:04d}.json"


def offers_of(round_number: int, keys: Iterable[str]) -> list[str]:
    """Pick the offers to a round, the first first."""
    prefix = f"{OFFERS}{round_number:04d}-"
    return sorted(key for key in keys if key.startswith(prefix) and key.endswith(".json"))


def closed_key(round_number: int) -> str:
    """Name the mark that nothing more is offered to a round."""
    return f"{OFFERS}{round_number:04d}-closed"


def claims_prefix(round_number: int) -> str:
    """Name the part that holds the claims of a round's open slots."""
    return f"{CLAIMS}{round_number:04d}/"


def claim_key(round_number: int, trial: int) -> str:
    """Name the claim of a trial that was offered to a round."""
    return f"{claims_prefix(round_number)}{trial:06d}"


def claimed(key: str) -> int:
    """Read the trial off a claim's key."""
    return int(key.rpartition("/")[2])


def pack_prefix(pack: int) -> str:
    """Name the part of the study that belongs to a pack."""
    return f"{PACKS}{pack:05d}/"


def attempt_key(pack: int, attempt: int) -> str:
    """Name an attempt."""
    return f"{pack_prefix(pack)}attempt-{attempt}.json"


def results_key(pack: int, attempt: int, part: int = 1) -> str:
    """Name a records file."""
    return f"{pack_prefix(pack)}results-{attempt}-{part:04d}.jsonl"


def log_key(pack: int) -> str:
    """Name what the workers of a pack printed."""
    return f"{pack_prefix(pack)}log"


def trial_prefix(trial: int) -> str:
    """Name the part of the study that belongs to a trial."""
    return f"{TRIALS}{trial:06d}/"


def weights_key(trial: int) -> str:
    """Name the weights of a trial's best epoch."""
    return f"{trial_prefix(trial)}weights"


def output_prefix(trial: int) -> str:
    """Name the part that holds what a trial's job wrote in a pod."""
    return f"{trial_prefix(trial)}output/"


def checkpoint_key(trial: int, *, pack: int, attempt: int) -> str:
    """Name where an attempt keeps how far a trial is."""
    return f"{trial_prefix(trial)}checkpoint-{pack:05d}-{attempt}"


def checkpoint_of(key: str) -> tuple[int, int] | None:
    """Read pack and attempt off a checkpoint's key: the later the larger; None for another."""
    match = _CHECKPOINT.fullmatch(key)
    return (int(match[2]), int(match[3])) if match else None


def model_prefix(trial: int) -> str:
    """Name the part that holds a winner's model."""
    return f"{trial_prefix(trial)}model/"


def is_weights(key: str) -> bool:
    """Tell whether a key names a trial's weights; a winner's model may have a file of that name."""
    return _WEIGHTS.fullmatch(key) is not None


def failure_key(trial: int) -> str:
    """Name the mark of a failed trial; marks are counted without reading records."""
    return f"{FAILURES}{trial:06d}"


def attempt_of(key: str) -> int | None:
    """Read the attempt's number off its key; None for another kind of object."""
    match = _ATTEMPT.fullmatch(key)
    return int(match[2]) if match else None


def pack_of(key: str) -> int:
    """Read the pack's number off the key of something that belongs to it."""
    return int(key.removeprefix(PACKS).partition("/")[0])


def results_of(key: str) -> ResultsFile | None:
    """Read pack, attempt and part off a records file's key; None for another kind of object."""
    match = _RESULTS.fullmatch(key)
    return ResultsFile(int(match[1]), int(match[2]), int(match[3])) if match else None
