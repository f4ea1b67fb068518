"""Say what an application may tell sweep about itself, by an attribute of its task function."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sweep.plan.facets import Facet, Flat
from sweep.plan.trial import Failure, State, Value

Tree = Mapping[str, Any]  # nested groups, resolved
Scores = Mapping[str, Mapping[str, float]]  # baseline to {"val_mse": ..., "test_mse": ...}

ATTRIBUTE = "sweep_application"
CPU, GPU = "cpu", "cuda"  # processors, as torch names them


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trial costs at most."""

    epochs: int
    flop: float  # floating-point operations of training


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the training of one trial came to."""

    state: State
    objective: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: Mapping[str, list[float | None]] = field(default_factory=dict)
    failure: Failure | None = None
    weights: bytes | None = None  # in a form that the application itself reads
    device: str = "cpu"
    value: Value = None  # what the task returned, encoded; None: the objective
    checkpoint: bytes | None = None  # of a PAUSED trial: what `Checkpoints.last` gives it later
    numbers: Mapping[str, str] = field(default_factory=dict)  # what else decides about its digits


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch of a trial came to, as it ends."""

    number: int  # from 1
    metrics: Mapping[str, float]


class Decision(StrEnum):
    """What becomes of a trial after an epoch."""

    GO_ON = "go on"
    PAUSE = "pause"  # rest at this epoch's end, with a checkpoint
    STOP = "stop"  # train no more: somebody ended the study


# Asked after each epoch; where a trial goes on at an epoch's end, about that epoch once more: what
# was to rest there rests. After its last epoch a trial is over, whatever the answer.
OnEpoch = Callable[[Epoch], Decision]


class Checkpoints(Protocol):
    """Lets a trial go on where an earlier attempt stood; the bytes are the application's own.

    They must be in a form whose reading executes nothing.
    """

    @property
    def last(self) -> bytes | None:
        """What was last kept of this trial, None where it is to begin."""

    def reject(self, why: str) -> None:
        """Say that `last` is of no use, so that the trial begins from its seed."""

    def wanted(self) -> bool:
        """Tell whether to keep a checkpoint now: to be asked often, at a consistent point."""

    def keep(self, state: bytes) -> None:
        """Keep a checkpoint; does not return where this process has to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One trial of a pack whose trials are trained at once."""

    tree: Tree
    on_epoch: OnEpoch
    checkpoints: (
        Checkpoints  # of which the application looks at `last`, and keeps when all are kept
    )
    end: Callable[[Result | Exception], None]  # to be told once


class Turns(Protocol):
    """Hands out the trials of a pack to whoever trains many at once."""

    def left(self) -> int:
        """Say how many trials it may still hand out before one ends."""

    def next(self) -> Turn | None:
        """Give the next trial; None where there is none now."""

    def wanted(self) -> bool:
        """Tell whether to keep checkpoints of all trials now: to be asked often."""

    def kept(self) -> None:
        """Hear that all are kept; does not return where this process has to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """What is kept of the winning configuration, one of its seeds."""

    metrics: Mapping[str, float]  # on the test part
    model: Mapping[str, bytes]  # file name to content: all that prediction needs
    # Raw rows by column, numbers or texts, as many as one prediction reads
    example: Mapping[str, Sequence[float] | Sequence[str]]
    outputs: Sequence[str]  # names of the columns of a prediction


@dataclass(frozen=True, slots=True)
class Paired:
    """Errors of the winner and of the baselines on the same test windows, in the order of time."""

    own: Sequence[Sequence[float]]  # [S, W], by seed
    others: Mapping[str, Sequence[float]]  # baseline to [W]
    overlap: int = 1  # windows that share what they are scored on


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What sweeper, launcher and worker may do with a task beyond calling it."""

    scores: Callable[[Flat], tuple[str, str]]  # what objective and test score are called
    direction: str = "minimize"
    seed_key: str = "train.seed"
    check_value: Callable[[str, Value], None]  # raises BadInput
    rules: Sequence[Facet[None]]  # settings that must fit together; raise BadInput
    effect: Facet[Hashable]  # equal for trials that are equal in effect, other settings being so
    shape: Facet[Hashable]  # equal for trials that may share a pack
    cost: Facet[Cost]
    data: Facet[Mapping[str, str]]  # reads the data: name to hash; raises BadInput
    paths: Sequence[str] = ()  # keys that name files of data, which other machines need too
    warm: Callable[[], None]  # imports what every trial needs
    run: Callable[[Tree, OnEpoch], Result]
    baselines: Callable[[Tree], Scores]
    # The test score and the model, from stored weights; several threads ask for several seeds.
    crown: Callable[[Tree, bytes], Winner]
    tracking: Callable[[Tree], Mapping[str, Value]]  # uri, experiment, register
    loader: str  # module:function that opens the files of Winner.model
    # A configuration trained anew at later and later origins: how many, and who hears of each.
    backtest: Callable[[Tree, int, Callable[[int], None]], Mapping[str, Any]] | None = None
    # What its data cannot tell whatever is tried: sentences for the report.
    notes: Callable[[Flat], Sequence[str]] | None = None
    # The test metrics of several seeds joined, and what opens their files, a folder a member.
    together: Callable[[Tree, Sequence[bytes]], Mapping[str, float]] | None = None
    together_loader: str = ""
    # The errors of the baselines on each test window, in a form that `paired_errors` reads.
    baseline_errors: Callable[[Tree], bytes] | None = None
    # A winner's configuration, the weights of its seeds, and what `baseline_errors` gave, if kept.
    paired_errors: Callable[[Tree, Sequence[bytes], bytes | None], Paired] | None = None
    # Settings that say what is asked rather than how it is answered; 'GROUP.' stands for a group.
    question: Sequence[str] = ()
    # What the inputs look like, so that the next study can tell what changed; {}: nothing to say.
    profile: Callable[[Tree], Mapping[str, Value]] | None = None
    rests: bool = False  # obeys a Decision to pause: its result is then PAUSED
    # As `run`, but goes on from a checkpoint; without it an interrupted trial begins anew.
    run_on: Callable[[Tree, OnEpoch, Checkpoints], Result] | None = None
    # Trains the trials of a fused pack at once.
    run_pack: Callable[[Turns], None] | None = None
    # The processors on which trials are fused: some of CPU and GPU. Raises BadInput.
    fuses: Facet[frozenset[str]] | None = None
