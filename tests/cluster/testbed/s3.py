"""Say what a client has to know of an S3 server, and make buckets there."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from testbed.processes import Process

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Keys:
    """Who may use a server."""

    access: str
    secret: str

    @classmethod
    def fresh(cls) -> Keys:
        """Make keys that nobody else has."""
        return cls(secrets.token_hex(8), secrets.token_hex(16))


def variables(endpoint: str, keys: Keys) -> dict[str, str]:
    """Give the environment that leads any AWS client to a server, and to no other."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": keys.access,
        "AWS_SECRET_ACCESS_KEY": keys.secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket and the way there."""

    name: str
    endpoint: str
    keys: Keys
    server: S3Server

    @property
    def url(self) -> str:
        """Give the address as products write it."""
        return f"s3://{self.name}"

    @property
    def env(self) -> dict[str, str]:
        """Give the variables that every AWS client reads."""
        return variables(self.endpoint, self.keys)

    def at(self, endpoint: str) -> Bucket:
        """Reach the same bucket by another way, such as a Link's."""
        return replace(self, endpoint=endpoint)

    def client(self) -> Any:
        """Return a boto3 client that tries once and gives up soon."""
        return client(self.endpoint, self.keys)


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server; `process` has the levers."""

    process: Process
    endpoint: str
    keys: Keys

    def new_bucket(self) -> Bucket:
        """Make a bucket of its own name."""
        bucket = Bucket(f"test-{secrets.token_hex(6)}", self.endpoint, self.keys, self)
        bucket.client().create_bucket(Bucket=bucket.name)
        return bucket

    def drop_bucket(self, bucket: Bucket) -> None:
        """Remove a bucket with all that it holds."""
        s3 = bucket.client()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.name):
            names = [{"Key": found["Key"]} for found in page.get("Contents", [])]
            if names:
                s3.delete_objects(Bucket=bucket.name, Delete={"Objects": names, "Quiet": True})
        s3.delete_bucket(Bucket=bucket.name)


def client(endpoint: str, keys: Keys) -> Any:
    """Return a boto3 client for path-style addresses that tries once."""
    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        signature_version="s3v4",  # also of presigned addresses
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=keys.access,
        aws_secret_access_key=keys.secret,
        region_name=REGION,
        config=config,
    )


def takes_objects(endpoint: str, keys: Keys) -> bool:
    """Tell whether a server stores and gives back an object, in a bucket made for that."""
    s3 = client(endpoint, keys)
    try:
        if not any(bucket["Name"] == "ready" for bucket in s3.list_buckets()["Buckets"]):
            s3.create_bucket(Bucket="ready")
        s3.put_object(Bucket="ready", Key="ready", Body=b"x")
        return bool(s3.get_object(Bucket="ready", Key="ready")["Body"].read() == b"x")
    except (BotoCoreError, ClientError):
        return False
    finally:
        s3.close()
