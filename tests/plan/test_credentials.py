"""What looks like a credential, and what only sounds like one."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.plan.credentials import NAMES, refuse, settings_in, why
from sweep.schema import ADAPTERS

# Made up; joined here so that no scanner takes this file for a leak.
AWS = "AKIA" + "ABCDEFGHIJKLMNOP"
JWT = ".".join(["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NSJ9", "c2lnbmF0dXJlLWhlcmU"])
PEM = "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIE\n-----END"

SECRET = [
    ("db.password", "hunter2"),
    ("db.password", 12345678),
    ("DB_PASSWORD", "x"),
    ("mysql_passwd", "x"),
    ("ssh.passphrase", "a b c"),
    ("client_secret", "x"),
    ("auth.clientSecret", "x"),
    ("aws_secret_access_key", "x"),
    ("AWS_SECRET_ACCESS_KEY", "x"),
    ("openai.api_key", "x"),
    ("wandb.apiKey", "x"),
    ("APIKEY", "x"),
    ("hub.access_token", "x"),
    ("hf_token", "x"),
    ("GITHUB_TOKEN", "x"),
    ("hub.token", "a1B2c3D4e5F6g7H8i9"),
    ("storage.account_key", "x"),
    ("logins", {"root": {"password": "x"}}),
    ("logins", [{"password": "x"}]),
    ("note", AWS),
    ("note", f"use {AWS} here"),
    ("note", PEM),
    ("note", JWT),
    ("uri", "postgresql://me:pw@db/mlflow"),
    ("uri", "redis://:pw@cache:6379"),
    ("uris", ["http://a", "https://me:pw@b"]),
    ("note", "ghp_" + "a1" * 18),
    ("note", "hf_" + "aB" * 17),
    ("note", "xoxb-" + "1234567890-abc"),
    ("note", "sk-" + "a1" * 24),
    ("note", "sk-proj-" + "a1" * 12),
    ("password", "${oc.env:USER}hunter2"),
]
HARMLESS = [
    ("model.token_embedding", 128),
    ("model.token_embedding", "sinusoidal-positions-2017"),
    ("data.tokens", 512),
    ("data.tokens", "all-the-words-of-wikipedia-2024"),
    ("tokenizer", "bert-base-uncased"),
    ("tokenizer.pad_token", "[PAD]"),
    ("tokenizer.eos_token", "<|endoftext|>"),
    ("token", "cls"),
    ("token", "<s>"),
    ("token", 5),
    ("max_tokens", 4096),
    ("generation.new_tokens", 20),
    ("password_length", 12),
    ("data.password_column", "pw"),
    ("password_file", "/run/secrets/pw"),
    ("secret_name", "aws"),
    ("secretary", "ann"),
    ("model.key", "q"),
    ("attention.key_dim", 64),
    ("monkey", "x"),
    ("data.keys", ["a", "b"]),
    ("db.password", None),
    ("db.password", ""),
    ("db.password", "???"),
    ("db.password", "${oc.env:DB_PASSWORD}"),
    ("db.password", "${secrets.db}"),
    ("db.use_password", False),
    ("secret", 0.5),
    ("uri", "http://localhost:5000"),
    ("uri", "http://host:8080/path@version"),
    ("uri", "postgresql://me:${oc.env:PW}@db/mlflow"),
    ("uri", "postgresql://me@db/mlflow"),
    ("image", "docker://alpine:3.19@sha256:" + "ab" * 32),
    ("image", "registry:5000/trainer@sha256:" + "ab" * 32),
    ("sha256", "ab" * 32),
    ("git", "3f" * 20),
    ("model.name", "sk-learn-random-forest-classifier-2"),
    ("path", "s3://bucket/a/b.csv"),
    ("time", "12:00@noon"),
    ("optim.lr", 1e-3),
]


@pytest.mark.parametrize(("key", "value"), SECRET)
def test_a_credential_is_found(key: str, value: object) -> None:
    assert why(key, value) is not None


@pytest.mark.parametrize(("key", "value"), HARMLESS)
def test_what_only_sounds_like_one_is_let_through(key: str, value: object) -> None:
    assert why(key, value) is None


@pytest.mark.parametrize(("key", "value"), SECRET)
def test_a_refusal_names_the_key_and_never_the_value(key: str, value: object) -> None:
    with pytest.raises(BadInput) as refused:
        refuse([("optim.lr", 0.1), (key, value)])

    line = str(refused.value)
    assert line.startswith(f"{key} looks like a credential")
    assert "hydra.launcher.env_from" in line
    if isinstance(value, str) and len(value) > 6:
        assert value not in line


@given(
    st.lists(st.sampled_from(["db", "my", "aws", "x1"]), max_size=3),
    st.sampled_from(NAMES),
    st.sampled_from(["snake", "camel", "upper", "kebab"]),
)
def test_every_name_is_found_however_it_is_written(
    before: list[str], name: tuple[str, ...], style: str
) -> None:
    words = [*before, *name]
    key = {
        "snake": "_".join(words),
        "camel": words[0] + "".join(word.title() for word in words[1:]),
        "upper": "_".join(words).upper(),
        "kebab": "-".join(words),
    }[style]

    assert why(f"group.{key}", "x") is not None
    assert why(f"group.{key}_length", "x") is None


@given(st.sampled_from(sorted(ADAPTERS)), st.integers() | st.floats() | st.booleans() | st.none())
def test_no_setting_of_our_own_is_taken_for_one(key: str, value: object) -> None:
    assert why(key, value) is None


@given(st.text(string.printable, max_size=30).filter(lambda text: "://" not in text))
def test_text_of_any_kind_is_let_through_where_no_service_calls_it_a_secret(text: str) -> None:
    assert why("note", text) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("db.password=hunter2", "db.password"),
        ("+db.password='hunter2'", "db.password"),
        ("defaults:\n  - a\ndb:\n  password: hunter2  # mine\n", "password"),
        ('  "password": "hunter2"', "password"),
        ("- password: 12345", "password"),
        (f"x: 1\nfree text {AWS}", "a line"),
        (f"uris: [http://a, {AWS}]", "uris"),
    ],
)
def test_texts_are_read_line_by_line(text: str, key: str) -> None:
    with pytest.raises(BadInput, match=f"^{key} looks") as refused:
        refuse(settings_in(text))

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "password: null",
        "password: ${oc.env:PW}",
        "password: ???",
        "# password: hunter2",
        "secret:\n  name: x",
        "password: true",
        "db.password=null",
        "optim.lr=0.1,0.2",
        "secret: 0.5",
    ],
)
def test_texts_without_a_credential_are_let_through(text: str) -> None:
    refuse(settings_in(text))
