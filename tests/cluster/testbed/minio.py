"""Run MinIO, built from its Go module."""

from __future__ import annotations

from pathlib import Path

from testbed.binaries import binary
from testbed.processes import Process, free_port
from testbed.s3 import Keys, S3Server, takes_objects


def start_minio(folder: Path) -> S3Server:
    """Start MinIO on a free port of 127.0.0.1, its data in the bed's folder.

    Raises BedError where it cannot be built or does not come up.
    """
    keys, endpoint = Keys.fresh(), f"127.0.0.1:{free_port()}"
    command = [str(binary("minio")), "server", "--address", endpoint]
    command += ["--console-address", f"127.0.0.1:{free_port()}", str(folder / "minio")]
    env = {
        "MINIO_ROOT_USER": keys.access,
        "MINIO_ROOT_PASSWORD": keys.secret,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",  # it would ask its maker for a newer version
        "MINIO_CI_CD": "1",  # data may lie on the root file system
        "TZ": "UTC",  # MinIO's own main sets it: all its operations must be in UTC
    }
    url = f"http://{endpoint}"
    process = Process("minio", command, folder, env=env, ready=lambda: takes_objects(url, keys))
    process.start()
    return S3Server(process, url, keys)
