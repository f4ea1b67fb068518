"""Hand layers that buildah has unpacked to containerd, by hard links instead of archives."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its digest, uncompressed, and where it lies as overlayfs wants it."""

    digest: str
    folder: Path


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image in buildah's storage."""

    name: str
    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """Give the digest of its configuration, which names every layer."""
        return _digest(self.config)


def chain(digests: Sequence[str]) -> str:
    """Name layers on top of each other, as the OCI image specification's ChainID does."""
    name = digests[0]
    for digest in digests[1:]:
        name = _digest(f"{name} {digest}".encode())
    return name


def layer_lines(image: BuiltImage) -> str:
    """List chain id, parent's chain id and folder of every layer, lowest first."""
    digests = [layer.digest for layer in image.layers]
    chains = [chain(digests[: place + 1]) for place in range(len(digests))]
    return "".join(
        f"{own}\t{parent}\t{layer.folder}\n"
        for own, parent, layer in zip(chains, ["", *chains], image.layers, strict=False)
    )


def write_outline(image: BuiltImage, archive: Path) -> None:
    """Write an OCI archive of the image without its layers, for a store that has them unpacked."""
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": OCI_MANIFEST,
                "digest": _digest(image.manifest),
                "size": len(image.manifest),
                "annotations": {"io.containerd.image.name": image.name},
            }
        ],
    }
    files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps(index).encode(),
        f"blobs/sha256/{_hex(image.manifest)}": image.manifest,
        f"blobs/sha256/{_hex(image.config)}": image.config,
    }
    with tarfile.open(archive, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def _digest(data: bytes) -> str:
    return f"sha256:{_hex(data)}"


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
