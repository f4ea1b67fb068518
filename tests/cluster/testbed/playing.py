"""What tests, KWOK's stages and the player agree upon."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

KIND = "testbed/kind"  # label of a node: fake or real
LOST = "testbed/lost"  # label of a node nobody hears of: `on` if its processes go on, else `off`
PLAYS = "testbed/plays"  # annotation of pods that KWOK's stages play: they have no process
COMMAND = "testbed/command"  # annotation: JSON list of words, instead of the container's own
CONTAINER_ID = "testbed://"  # begins those of pods on fake nodes


@dataclass(frozen=True, slots=True)
class Playing:
    """What the player is told, as its file holds it."""

    server: str
    ca: str
    certificate: str
    key: str
    host: str  # where logs are served, at `port`
    port: int
    folder: str  # of the pods'
    entrypoint: list[str]  # of every image

    def save(self, file: Path) -> Path:
        """Write it."""
        file.write_text(json.dumps(asdict(self)))
        return file

    @classmethod
    def load(cls, file: Path) -> Playing:
        """Read it."""
        return cls(**json.loads(file.read_text()))
