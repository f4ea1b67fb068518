"""Write where a trial stands as bytes, so that another process goes on with the same bits.

The form is numpy's npz, without pickle: reading it executes nothing. Every random draw is made by
seed, epoch and step, so the position is all that there is to keep of the generator.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.train import model
from sweep.train.schedule import Plateau, Progress
from sweep.train.step import Bench, Part
from sweep.train.story import Epoch, Story

FORMAT = 1
ABOUT, NETWORK, BEST, OPTIMIZER = "about", "network/", "best/", "optimizer/"
Arrays = dict[str, NDArray[Any]]
UNREADABLE = (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


class NoCheckpoint(ValueError):
    """Tell why bytes are no checkpoint of this trial."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a trial stands, whatever trains it."""

    network: Mapping[str, NDArray[Any]]  # by parameter name
    optimizer: Mapping[str, NDArray[Any]]  # "number of the parameter/name of the state"
    story: Story
    part: Part  # of the epoch under way


def to_bytes(bench: Bench, *, story: Story, part: Part, data: str) -> bytes:
    """Write network, optimiser, story and the steps done of the epoch under way.

    `data` is the hash of what is trained on.
    """
    optimizer = {
        f"{index}/{key}": value.cpu().numpy()
        for index, state in enumerate(bench.optimizer.states())
        for key, value in state.items()
    }
    return write(Standing(model.arrays(bench.network), optimizer, story, part), data=data)


def restore(bench: Bench, *, data: str, kept: bytes) -> tuple[Story, Part]:
    """Put network and optimiser back as they stood, and return the rest.

    Raises NoCheckpoint before anything is changed.
    """
    shapes = {name: tuple(p.shape) for name, p in bench.network.named_parameters()}
    standing = read(kept, data=data, shapes=shapes)
    states = _optimizer_state(standing.optimizer)
    try:
        bench.optimizer.check(states)
    except ValueError as error:
        raise NoCheckpoint(str(error)) from None
    network = {name: torch.tensor(array) for name, array in standing.network.items()}
    bench.network.load_state_dict(network)
    bench.optimizer.restore(states)
    return standing.story, standing.part


def write(standing: Standing, *, data: str) -> bytes:
    """Write where a trial stands; `data` is the hash of what it is trained on."""
    story = standing.story
    about = {
        "format": FORMAT,
        "data": data,
        "part": asdict(standing.part),
        "best": dict(story.best),
        "epochs": [asdict(epoch) for epoch in story.epochs],
        "progress": asdict(story.progress),
        "plateau": asdict(story.plateau),
    }
    arrays: Arrays = {ABOUT: np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
    arrays |= {NETWORK + name: array for name, array in standing.network.items()}
    arrays |= {BEST + name: array for name, array in story.weights.items()}
    arrays |= {OPTIMIZER + name: array for name, array in standing.optimizer.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def read(kept: bytes, *, data: str, shapes: Mapping[str, Sequence[int]]) -> Standing:
    """Read where a trial of a network with parameters of these shapes stood.

    Raises NoCheckpoint.
    """
    try:
        with np.load(io.BytesIO(kept), allow_pickle=False) as file:
            arrays: Arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays[ABOUT].tobytes())
        _check(arrays, about, data=data, shapes=shapes)
        story = Story(
            weights=_below(BEST, arrays),
            best={str(name): float(value) for name, value in about["best"].items()},
            epochs=tuple(Epoch(**epoch) for epoch in about["epochs"]),
            progress=Progress(**about["progress"]),
            plateau=Plateau(**about["plateau"]),
        )
        return Standing(
            network=_below(NETWORK, arrays),
            optimizer=_below(OPTIMIZER, arrays),
            story=story,
            part=Part(**about["part"]),
        )
    except NoCheckpoint:
        raise
    except UNREADABLE as error:
        raise NoCheckpoint(f"it cannot be read ({type(error).__name__}: {error})") from None


def join(kept: Sequence[bytes]) -> bytes:
    """Put the checkpoints of several networks into one."""
    buffer = io.BytesIO()
    parts = {str(place): np.frombuffer(own, dtype=np.uint8) for place, own in enumerate(kept)}
    np.savez(buffer, **parts)  # type: ignore[arg-type]
    return buffer.getvalue()


def split(kept: bytes) -> list[bytes]:
    """Take apart what `join` put together.

    Raises NoCheckpoint.
    """
    try:
        with np.load(io.BytesIO(kept), allow_pickle=False) as file:
            return [file[str(place)].tobytes() for place in range(len(file.files))]
    except UNREADABLE as error:
        raise NoCheckpoint(f"it cannot be read ({type(error).__name__}: {error})") from None


def _check(
    arrays: Arrays, about: dict[str, Any], *, data: str, shapes: Mapping[str, Sequence[int]]
) -> None:
    if about["format"] != FORMAT:
        raise NoCheckpoint(f"it has format {about['format']}, this version reads {FORMAT}")
    if about["data"] != data:
        raise NoCheckpoint("it was trained on other data")
    expected = {name: tuple(shape) for name, shape in shapes.items()}
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


def _optimizer_state(arrays: Mapping[str, NDArray[Any]]) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = torch.tensor(array)
    return state
