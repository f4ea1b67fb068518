"""Tell what looks like a credential, so that no plan carries one.

Names and values are judged apart. A name counts by its last words, so that `auth.token` does and
`model.token_embedding` does not; what machine learning calls a token is let through. Patterns of
values are those that the services themselves publish for secret scanning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sweep.errors import BadInput
from sweep.plan.trial import Value

# The last words of a key that name a secret whatever stands before them.
NAMES = (
    ("password",),
    ("passwd",),
    ("passphrase",),
    ("secret",),
    ("apikey",),
    ("api", "key"),
    ("secret", "key"),
    ("access", "key"),
    ("private", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("account", "key"),
    ("access", "token"),
    ("auth", "token"),
    ("api", "token"),
    ("bearer", "token"),
    ("refresh", "token"),
    ("session", "token"),
    ("secret", "token"),
    ("hf", "token"),
    ("github", "token"),
    ("gitlab", "token"),
    ("gh", "token"),
)
OPAQUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_.~-]{16,}")  # what a bare `token` holds

VALUES = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a JSON web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
    "an address with a password": r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@${}]*:[^\s/@${}]+@(?!sha256:)[^\s/]",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,})",
    "a GitLab token": r"\bglpat-[\w-]{20,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "a Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a Google API key": r"\bAIza[\w-]{35}",
    "an API key": r"\bsk-(?:(?:proj|ant|svcacct|admin|or)-[\w-]{20,}|[A-Za-z0-9]{40,})",
}
_VALUES = {what: re.compile(pattern) for what, pattern in VALUES.items()}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_REFERENCE = re.compile(r"\$\{[^{}]*\}")


def why(key: str, value: Value) -> str | None:
    """Say why a setting looks like a credential, None where it does not.

    Never repeats the value. What refers to one, as `${oc.env:NAME}` does, is none.
    """
    if isinstance(value, dict):
        parts = (why(f"{key}.{name}", item) for name, item in value.items())
        return next(filter(None, parts), None)
    if isinstance(value, list):
        return next(filter(None, (why(key, item) for item in value)), None)
    if isinstance(value, str):
        for what, pattern in _VALUES.items():
            if pattern.search(value):
                return f"its value looks like {what}"
    return "its name says so" if _named(key, value) else None


def refuse(settings: Iterable[tuple[str, Value]]) -> None:
    """Refuse settings that look like credentials.

    Raises BadInput, which names the first key and never its value.
    """
    for key, value in settings:
        reason = why(key, value)
        if reason:
            raise BadInput(
                f"{key} looks like a credential ({reason}), and a plan can be read by all who read "
                "the store; keep it in a Secret, name that by hydra.launcher.env_from=[NAME], and "
                f"write {key}='${{oc.env:VARIABLE}}'"
            )


def settings_in(text: str) -> Iterator[tuple[str, Value]]:
    """Read overrides and lines such as `key: value` off a text, roughly, to be judged."""
    for line in text.splitlines():
        match = re.match(r"[\s\-+~]*[\"']?([\w./@-]+)[\"']?\s*[:=]\s*(.*)", line)
        key, value = (match[1], match[2]) if match else ("a line", line)
        yield key, _plain(value)


def _named(key: str, value: Value) -> bool:
    if value is None or isinstance(value, bool | float) or value in ("", "???"):
        return False
    if isinstance(value, str) and not _REFERENCE.sub("", value).strip():
        return False
    words = tuple(word.lower() for word in _WORDS.findall(re.split(r"[./@]", key)[-1]))
    if any(words[-len(name) :] == name for name in NAMES):
        return True
    return words == ("token",) and isinstance(value, str) and bool(OPAQUE.fullmatch(value))


def _plain(text: str) -> Value:
    text = re.sub(r"\s+#.*$", "", text).strip()
    quoted = re.fullmatch(r"\"(.*)\"|'(.*)'", text)
    if quoted:
        return quoted[1] or quoted[2] or ""
    if text.lower() in ("null", "~", "true", "false", "none") or text[:1] in ("{", "[", "&", "*"):
        return None if not _any_value(text) else text
    if re.fullmatch(r"[-+]?\d+\.\d*(?:[eE][-+]?\d+)?", text):
        return float(text)
    return text


def _any_value(text: str) -> bool:
    return any(pattern.search(text) for pattern in _VALUES.values())
