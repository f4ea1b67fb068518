"""Write where a trial stands as bytes, so that another process goes on with the same bits.

The form is numpy's npz, without pickle: reading it executes nothing. Every random draw is made by
seed, epoch and step, so the position is all that there is to keep of the generator.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.train import model
from sweep.train.schedule import Plateau, Progress
from sweep.train.score import Score
from sweep.train.step import Bench, Part
from sweep.train.story import Epoch, Story

FORMAT = 1
ABOUT, NETWORK, BEST, OPTIMIZER = "about", "network/", "best/", "optimizer/"
Arrays = dict[str, NDArray[Any]]
UNREADABLE = (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


class NoCheckpoint(ValueError):
    """Tell why bytes are no checkpoint of this trial."""


def to_bytes(bench: Bench, *, story: Story, part: Part, data: str) -> bytes:
    """Write network, optimiser, story and the steps done of the epoch under way.

    `data` is the hash of what is trained on.
    """
    about = {
        "format": FORMAT,
        "data": data,
        "part": asdict(part),
        "best": asdict(story.best),
        "epochs": [asdict(epoch) for epoch in story.epochs],
        "progress": asdict(story.progress),
        "plateau": asdict(story.plateau),
    }
    arrays: Arrays = {ABOUT: np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
    arrays |= {NETWORK + name: array for name, array in model.arrays(bench.network).items()}
    arrays |= {BEST + name: array for name, array in story.weights.items()}
    for index, state in enumerate(bench.optimizer.states()):
        for key, value in state.items():
            arrays[f"{OPTIMIZER}{index}/{key}"] = value.cpu().numpy()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def restore(bench: Bench, *, data: str, kept: bytes) -> tuple[Story, Part]:
    """Put network and optimiser back as they stood, and return the rest.

    Raises NoCheckpoint before anything is changed.
    """
    try:
        with np.load(io.BytesIO(kept), allow_pickle=False) as file:
            arrays: Arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays[ABOUT].tobytes())
        _check(bench, arrays, about, data)
        story = Story(
            weights=_below(BEST, arrays),
            best=Score(**about["best"]),
            epochs=tuple(Epoch(**epoch) for epoch in about["epochs"]),
            progress=Progress(**about["progress"]),
            plateau=Plateau(**about["plateau"]),
        )
        part = Part(**about["part"])
        states = _optimizer_state(arrays)
        bench.optimizer.check(states)
    except NoCheckpoint:
        raise
    except UNREADABLE as error:
        raise NoCheckpoint(f"it cannot be read ({type(error).__name__}: {error})") from None
    network = {name: torch.tensor(array) for name, array in _below(NETWORK, arrays).items()}
    bench.network.load_state_dict(network)
    bench.optimizer.restore(states)
    return story, part


def _check(bench: Bench, arrays: Arrays, about: dict[str, Any], data: str) -> None:
    if about["format"] != FORMAT:
        raise NoCheckpoint(f"it has format {about['format']}, this version reads {FORMAT}")
    if about["data"] != data:
        raise NoCheckpoint("it was trained on other data")
    expected = {name: p.shape for name, p in bench.network.named_parameters()}
    for prefix in (NETWORK, BEST):
        found = {name: array.shape for name, array in _below(prefix, arrays).items()}
        if found != expected:
            raise NoCheckpoint("it is of a network of another shape")


def _below(prefix: str, arrays: Arrays) -> Arrays:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _optimizer_state(arrays: Arrays) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in _below(OPTIMIZER, arrays).items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = torch.tensor(array)
    return state
