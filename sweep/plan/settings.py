"""Name every setting of one trial of the LSTM application, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RESERVED_WORDS = 2  # of a vocabulary: what pads a sentence, and any word that is not in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Which series, which windows of it, and how each window is normalised.

    Or which sequences or sentences, each with its class.
    """

    name: str = "jfk"
    kind: Literal["series", "sequences", "text"] = "series"
    path: str | None = None  # a file of its kind; null: the vendored data set `name`
    sha256: str | None = None  # refuse the file where its hash differs; of several, joined
    test_path: str | None = None  # sequences: the file of the test part
    negative_path: str | None = None  # text: sentences of the first class; `path`: of the second
    groups_path: str | None = None  # text: a corpus that names the group of each sentence
    classes: list[str] = field(default_factory=list)  # sequences and text: what is told apart
    vocabulary: int = 20_000  # text: as many words of the training part, the most frequent
    longest: int | None = None  # sequences and text: no example has more steps; null: unknown
    time: str = "time"  # column that orders the rows
    frequency: str = "1h"  # step of the time grid: a whole number and one of s, min, h, d
    target: list[str]  # columns to predict
    covariates: list[str] = field(default_factory=list)  # further input columns
    lookback: int = 24  # time steps in, the guide's sequence length
    horizon: int = 24  # time steps out
    split: list[float] = field(default_factory=lambda: [0.7, 0.1, 0.2])  # shares, or rows
    folds: int = 1  # of cross-validation; 1: none
    normalization: Literal["none", "last", "revin"] = "none"  # per window
    layout: Literal["joint", "channel"] = "joint"  # channel: each target alone, shared weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The network, named as torch.nn.LSTM names it."""

    hidden_size: int = 50
    num_layers: int = 1
    dropout: float = 0.0  # between layers
    output_dropout: float = 0.0  # before the head
    bidirectional: bool = False  # a second pass from the end, of sequences and texts
    activation: Literal["tanh", "relu"] = "tanh"  # of candidate and output; gates stay sigmoid
    head: Literal["linear", "sigmoid", "softmax"] = "linear"  # forecasts; two classes; several
    pooling: Literal["last", "max", "mean"] = "last"  # of the last layer's states over time
    segment: int | None = None  # time steps that are one input of the first layer; null: one
    embedding: Literal["random", "glove"] | None = None  # where the vectors of words begin
    embedding_size: int = 50  # numbers of a word's vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How the learning rate moves over the epochs."""

    name: Literal["constant", "step", "exponential", "cosine", "plateau"] = "constant"
    warmup_epochs: int = 0  # linear from 0, counted within the epochs
    gamma: float | None = None  # a reduction's factor; null: step .5, exponential .95, plateau .5
    step_epochs: int | None = None  # step: epochs between reductions; null: a third of the epochs
    min_factor: float = 0.0  # cosine: the share of the rate that is left at the end
    patience: int = 3  # plateau: epochs without improvement before a reduction


@dataclass(frozen=True, slots=True, kw_only=True)
class Optim:
    """The optimiser; weight_decay is the guide's L2."""

    name: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    l1: float = 0.0
    momentum: float = 0.0  # sgd only
    clip_norm: float | None = None
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """How long, in which batches, from which seed, on what."""

    batch_size: int = 32
    epochs: int = 50  # the schedule's horizon; early stopping only cuts it
    patience: int | None = 5  # epochs without improvement before the stop; null: never
    min_delta: float = 0.0  # what counts as improvement
    seed: int = 0
    loss: Literal["mse", "mae", "quantile", "bce", "cross_entropy"] = "mse"
    quantiles: list[float] = field(default_factory=lambda: [0.1, 0.5, 0.9])  # of loss quantile
    class_weights: list[float] | None = None  # of the loss, one a class; null: all alike
    backend: Literal["auto", "torch", "array"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "tf32", "bfloat16", "float64"] = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Where MLflow is, and what goes there."""

    uri: str | None = None  # null: MLFLOW_TRACKING_URI, else sqlite in the working directory
    experiment: str | None = None  # null: the study's job name
    register: str | None = None  # name under which the winner is registered
    ensemble: int | None = None  # of so many of its seeds, the best; null: the best seed alone
    children: str | None = None  # all, top:N or none; null: all, above 5,000 trials top:1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What `python -m sweep gate` goes by; no trial's numbers depend on it."""

    min_effect: float = 0.0  # in units of the objective; a smaller difference is nobody's concern
    seeds: int = 5  # fresh ones, that winner and champion are trained with
    alias: str = "champion"  # in MLflow's registry
    nights: int = 0  # hold against the winners of so many nights before; 0: against the champion


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One whole configuration."""

    data: Data
    model: Model = field(default_factory=Model)
    optim: Optim = field(default_factory=Optim)
    train: Train = field(default_factory=Train)
    tracking: Tracking = field(default_factory=Tracking)
    gate: Gate = field(default_factory=Gate)
