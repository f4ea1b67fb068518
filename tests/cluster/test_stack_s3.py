"""Both S3 implementations do what a store relies on."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from testbed.levers import killed
from testbed.s3 import Bucket, Keys

pytestmark = [pytest.mark.stack, pytest.mark.slow]

MIB = 1 << 20


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    """Make a call that has to fail; return the server's code for it."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    code: str = refused.value.response["Error"]["Code"]
    return code


def test_an_object_is_stored_and_its_parts_are_read(s3: Bucket) -> None:
    client, content = s3.client(), bytes(range(256)) * 1000
    client.put_object(Bucket=s3.name, Key="a/b", Body=content, Metadata={"written-by": "us"})

    whole = client.get_object(Bucket=s3.name, Key="a/b")
    part = client.get_object(Bucket=s3.name, Key="a/b", Range="bytes=1000-")

    assert whole["Body"].read() == content
    assert whole["Metadata"] == {"written-by": "us"}
    assert part["Body"].read() == content[1000:]


def test_more_keys_than_one_page_holds_are_listed(s3: Bucket) -> None:
    client = s3.client()
    keys = {f"many/{number:04d}/object" for number in range(1001)}
    for key in keys:
        client.put_object(Bucket=s3.name, Key=key, Body=b"")
    client.put_object(Bucket=s3.name, Key="other/object", Body=b"")

    pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=s3.name, Prefix="many/"))
    top = client.list_objects_v2(Bucket=s3.name, Delimiter="/")

    assert len(pages) == 2
    assert {found["Key"] for page in pages for found in page["Contents"]} == keys
    assert [found["Prefix"] for found in top["CommonPrefixes"]] == ["many/", "other/"]


def test_an_object_is_sent_in_parts(s3: Bucket) -> None:
    client, parts = s3.client(), [bytes([number]) * (5 * MIB) for number in range(3)]
    place = {"Bucket": s3.name, "Key": "big"}
    upload = client.create_multipart_upload(**place)["UploadId"]
    sent = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**place, UploadId=upload, PartNumber=number, Body=part)[
                "ETag"
            ],
        }
        for number, part in enumerate(parts, start=1)
    ]

    client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": sent})

    stored = client.get_object(**place)["Body"].read()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(b"".join(parts)).digest()


def test_a_presigned_address_needs_no_keys_and_cannot_be_changed(s3: Bucket) -> None:
    client = s3.client()
    client.put_object(Bucket=s3.name, Key="a", Body=b"content")
    place = {"Bucket": s3.name, "Key": "a"}
    address = client.generate_presigned_url("get_object", Params=place, ExpiresIn=60)

    with urllib.request.urlopen(address) as answer:
        read = answer.read()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    refused.value.close()

    assert read == b"content"
    assert refused.value.code == 403


def test_an_object_is_made_once(s3: Bucket) -> None:
    client = s3.client()
    client.put_object(Bucket=s3.name, Key="a", Body=b"first", IfNoneMatch="*")

    code = refusal(client.put_object, Bucket=s3.name, Key="a", Body=b"second", IfNoneMatch="*")

    assert code == "PreconditionFailed"
    assert client.get_object(Bucket=s3.name, Key="a")["Body"].read() == b"first"


def test_an_object_is_replaced_only_as_it_was_read(s3: Bucket) -> None:
    client = s3.client()
    first = client.put_object(Bucket=s3.name, Key="a", Body=b"first")["ETag"]
    client.put_object(Bucket=s3.name, Key="a", Body=b"second", IfMatch=first)

    code = refusal(client.put_object, Bucket=s3.name, Key="a", Body=b"third", IfMatch=first)

    assert code == "PreconditionFailed"
    assert client.get_object(Bucket=s3.name, Key="a")["Body"].read() == b"second"


def test_keys_that_are_wrong_are_refused(s3: Bucket) -> None:
    guessed = replace(s3, keys=Keys(s3.keys.access, "a secret that is not theirs"))
    stranger = replace(s3, keys=Keys.fresh())

    codes = [
        refusal(who.client().put_object, Bucket=s3.name, Key="a", Body=b"x")
        for who in (guessed, stranger)
    ]

    assert codes == ["SignatureDoesNotMatch", "InvalidAccessKeyId"]


def test_a_bucket_that_is_missing_is_not_made(s3: Bucket) -> None:
    code = refusal(s3.client().put_object, Bucket=f"{s3.name}-not", Key="a", Body=b"x")

    assert code == "NoSuchBucket"


def test_what_was_stored_survives_a_kill(s3: Bucket) -> None:
    s3.client().put_object(Bucket=s3.name, Key="a", Body=b"content")

    with killed(s3.server.process):
        pass

    assert s3.client().get_object(Bucket=s3.name, Key="a")["Body"].read() == b"content"
