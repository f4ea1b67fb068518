"""Read sentences of two classes from two files, one sentence a line."""

from __future__ import annotations

import bz2
import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import BadInput, UnknownName
from sweep.plan.settings import RESERVED_WORDS

TOKEN = re.compile(r"[a-z0-9']+|[!?.,;:()]")
NO_LETTER = re.compile(r"[^a-z0-9]+")
PADDING, UNKNOWN = 0, 1  # numbers of no word
TEXT, GROUP = "text", "movie_name"  # columns of a corpus that names groups

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences as words: those of the first class, then those of the second."""

    words: list[Words]
    labels: list[int]
    content: bytes  # of both files, the second class first, as data.path stands before the other

    @property
    def sha256(self) -> str:
        """Hash both files."""
        return hashlib.sha256(self.content).hexdigest()


def read(first: Path, second: Path) -> Sentences:
    """Read the sentences of data.negative_path and data.path.

    UTF-8, or else Latin-1. Lines end with a line feed alone: other line breaks of Unicode stand
    within sentences of the polarity corpus. Raises BadInput.
    """
    words: list[Words] = []
    labels: list[int] = []
    contents = []
    for label, (key, path) in enumerate((("data.negative_path", first), ("data.path", second))):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(
                f"{path}: {error.strerror}; set {key} to a file with one sentence a line"
            ) from None
        found = [split(line) for line in _text(content).split("\n") if line.strip()]
        if not found:
            raise BadInput(f"{path}: no sentence in it; set {key} to a file with one a line")
        words += found
        labels += [label] * len(found)
        contents.append(content)
    return Sentences(words, labels, contents[1] + contents[0])


def split(sentence: str) -> Words:
    """Split a sentence into words and signs, in lower case."""
    return tuple(TOKEN.findall(sentence.lower()))


def vocabulary(sentences: Iterable[Words], *, most: int) -> Words:
    """List the most frequent words, the first the most; equally frequent ones by the alphabet."""
    counts = Counter(word for words in sentences for word in words)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word))[:most])


def numbers(words: Words, known: dict[str, int]) -> list[int]:
    """Turn words into numbers from RESERVED_WORDS on; a sentence without any is one unknown."""
    return [known.get(word, UNKNOWN) for word in words] or [UNKNOWN]


def numbered(words: Sequence[str]) -> dict[str, int]:
    """Give each word of a vocabulary its number."""
    return {word: number for number, word in enumerate(words, start=RESERVED_WORDS)}


def groups(path: Path, sentences: Sequence[Words]) -> list[str]:
    """Look up the group of each sentence in a corpus; one that it lacks is a group of its own.

    The corpus is a CSV file, perhaps in bzip2, with columns `text` and `movie_name`. Sentences are
    the same that have the same letters and digits: signs and spaces differ from corpus to corpus.
    Raises BadInput, and UnknownName for a column that it lacks.
    """
    try:
        content = path.read_bytes()
        text = (bz2.decompress(content) if path.suffix == ".bz2" else content).decode("utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}; set data.groups_path to a CSV file") from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    for name in (TEXT, GROUP):
        if name not in (rows.fieldnames or []):
            raise UnknownName("column", name, rows.fieldnames or [], hint=f" ({path})")
    group = {_letters(row[TEXT] or ""): str(row[GROUP]) for row in rows}
    return [
        group.get(_letters(" ".join(words)), f"sentence {place}")
        for place, words in enumerate(sentences)
    ]


def _letters(text: str) -> str:
    return NO_LETTER.sub("", text.lower())


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
