from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sweep.errors import BadInput, UnknownName
from sweep.plan.settings import Data, Model, Settings, Train
from sweep.train import data, model, predict
from sweep.train.examples import example_of
from sweep.train.feed import open_feed
from sweep.train.predict import Forecaster

Make = Callable[..., Settings]
CASES: list[dict[str, Any]] = [
    {},
    {"model": {"num_layers": 2, "dropout": 0.5, "output_dropout": 0.5, "activation": "relu"}},
    {"data": {"normalization": "revin"}, "train": {"precision": "float64"}},
    {"data": {"layout": "channel", "target": ["temp", "dewp"], "covariates": ["humid"]}},
]


def trained(settings: Settings) -> Any:
    """A forecaster with the initial weights: as good as trained ones for what is shown here."""
    network = model.build(settings, device=torch.device("cpu"))
    return predict.predictor(settings, weights=model.arrays(network))


def raw_rows(settings: Settings, *, end: int, count: int) -> dict[str, np.ndarray]:
    series = data.load(settings.data)
    rows = series.values[end - count : end] * series.scaler.sd + series.scaler.mean
    return dict(zip(series.columns, rows.T, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_raw_rows_give_the_forecast_that_was_scored_in_raw_units(
    make_settings: Make, case: dict[str, Any]
) -> None:
    settings = make_settings(**case)
    one = trained(settings)
    examples = open_feed(settings)
    feed, windows = examples.feed, examples.windows
    start = windows.test[:1]
    network = model.build(settings, device=torch.device("cpu"), weights=one.weights)
    with torch.no_grad():
        expected = network(feed.batch(start)[0])[0].double().numpy()
    targets = len(settings.data.target)

    forecast = one.predict(raw_rows(settings, end=int(start[0]), count=20))

    assert forecast.shape == (6, targets)
    scaled = (forecast - one.scaler.mean[:targets]) / one.scaler.sd[:targets]
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-5)


def test_only_the_newest_rows_count(make_settings: Make) -> None:
    one = trained(make_settings())
    exactly = raw_rows(one.settings, end=250, count=12)
    more = raw_rows(one.settings, end=250, count=40)

    np.testing.assert_allclose(one.predict(exactly), one.predict(more))


def test_a_missing_value_repeats_the_one_before(make_settings: Make) -> None:
    one = trained(make_settings())
    whole = raw_rows(one.settings, end=250, count=12)
    whole["dewp"][5] = whole["dewp"][4]
    gapped = {name: values.tolist() for name, values in whole.items()}
    gapped["dewp"][5] = None

    np.testing.assert_array_equal(one.predict(gapped), one.predict(whole))


@pytest.mark.parametrize("case", CASES)
def test_a_forecaster_is_saved_and_read_back(
    make_settings: Make, tmp_path: Path, case: dict[str, Any]
) -> None:
    one = trained(make_settings(**case))
    rows = raw_rows(one.settings, end=250, count=12)

    one.save(tmp_path / "model")
    again = predict.load(tmp_path / "model")

    assert again.settings == one.settings
    np.testing.assert_array_equal(again.predict(rows), one.predict(rows))


def test_a_forecaster_can_be_pickled(make_settings: Make) -> None:
    one = trained(make_settings())
    rows = raw_rows(one.settings, end=250, count=12)

    again = pickle.loads(pickle.dumps(one))

    np.testing.assert_array_equal(again.predict(rows), one.predict(rows))


def test_a_forecaster_does_not_need_its_data_again(make_settings: Make, tmp_path: Path) -> None:
    one = trained(make_settings())
    rows = raw_rows(one.settings, end=250, count=12)
    moved = replace(one.settings, data=replace(one.settings.data, path="gone.csv"))

    np.testing.assert_array_equal(replace(one, settings=moved).predict(rows), one.predict(rows))


def test_a_model_from_a_gpu_forecasts_without_one(make_settings: Make) -> None:
    one = trained(make_settings())
    rows = raw_rows(one.settings, end=250, count=12)
    cuda = replace(one.settings, train=replace(one.settings.train, device="cuda"))

    np.testing.assert_array_equal(replace(one, settings=cuda).predict(rows), one.predict(rows))


def test_a_pandas_frame_is_a_table_too(make_settings: Make) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas comes with mlflow")
    one = trained(make_settings())
    rows = raw_rows(one.settings, end=250, count=12)
    frame = pandas.DataFrame(rows)

    np.testing.assert_array_equal(one.predict(frame), one.predict(rows))
    with pytest.raises(UnknownName, match="column 'humid' does not exist; did you mean humidity"):
        one.predict(frame.rename(columns={"humid": "humidity"}))


def test_too_few_rows_are_refused(make_settings: Make) -> None:
    one = trained(make_settings())

    with pytest.raises(BadInput, match="11 rows given; this model reads the last 12, one per 1h"):
        one.predict(raw_rows(one.settings, end=250, count=11))


def test_a_missing_column_names_the_nearest(make_settings: Make) -> None:
    one = trained(make_settings())
    rows = raw_rows(one.settings, end=250, count=12)
    rows["humidity"] = rows.pop("humid")

    with pytest.raises(UnknownName, match="column 'humid' does not exist; did you mean humidity"):
        one.predict(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temp": ["warm"] * 12}, "column temp holds something that is not a number"),
        ({"temp": [1.0] * 13}, "differ in length"),
        ({"temp": [[1.0]] * 12}, "column temp is not a list of numbers"),
    ],
)
def test_rows_that_make_no_table_are_refused(
    make_settings: Make, change: dict[str, Any], message: str
) -> None:
    one = trained(make_settings())
    rows = raw_rows(one.settings, end=250, count=12) | change

    with pytest.raises(BadInput, match=message):
        one.predict(rows)


def test_a_folder_without_a_forecaster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a stored model"):
        predict.load(tmp_path)


def test_quantiles_have_a_column_each_in_raw_units(make_settings: Make) -> None:
    settings = make_settings(
        data={"target": ["temp", "dewp"], "covariates": ["humid"]},
        train={"loss": "quantile", "quantiles": [0.1, 0.9]},
    )
    one = trained(settings)
    assert isinstance(one, Forecaster)
    examples = open_feed(settings)
    start = examples.windows.test[:1]
    network = model.build(settings, device=torch.device("cpu"), weights=one.weights)
    with torch.no_grad():
        expected = network(examples.feed.batch(start)[0])[0].double().numpy()  # [F, D, Q]

    forecast = one.predict(raw_rows(settings, end=int(start[0]), count=12))

    assert one.outputs == ["temp_q0.1", "temp_q0.9", "dewp_q0.1", "dewp_q0.9"]
    assert forecast.shape == (6, 4)
    scaled = (forecast.reshape(6, 2, 2) - one.scaler.mean[:2, None]) / one.scaler.sd[:2, None]
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-5)


VOWELS = Settings(
    data=Data(
        name="japanese_vowels",
        kind="sequences",
        target=["speaker"],
        covariates=[f"lpc{n}" for n in range(1, 13)],
        classes=[str(n) for n in range(1, 10)],
        split=[0.8, 0.2, 0],
        lookback=20,
    ),
    model=Model(hidden_size=6, head="softmax", pooling="mean", bidirectional=True),
    train=Train(loss="cross_entropy", device="cpu"),
)


def of_sentences(folder: Path) -> Settings:
    (folder / "good").write_text("a fine film\n" * 10)
    (folder / "bad").write_text("a poor film .\n" * 10)
    data = Data(
        kind="text",
        path=str(folder / "good"),
        negative_path=str(folder / "bad"),
        target=["s"],
        classes=["no", "yes"],
        split=[0.6, 0.2, 0.2],
    )
    own = Model(hidden_size=6, head="sigmoid", embedding="random", embedding_size=4)
    return Settings(data=data, model=own, train=Train(loss="bce", device="cpu"))


def test_the_steps_of_one_sequence_give_the_chances_of_its_classes(tmp_path: Path) -> None:
    one = trained(VOWELS)
    examples = open_feed(VOWELS)
    place = examples.windows.test[-1:]
    network = model.build(VOWELS, device=torch.device("cpu"), weights=one.weights)
    with torch.no_grad():
        expected = torch.softmax(network(examples.feed.batch(place)[0]), dim=1).numpy()

    one.save(tmp_path)
    found = predict.load(tmp_path).predict(example_of(VOWELS.data))

    assert one.outputs == VOWELS.data.classes
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.sum() == pytest.approx(1)


def test_each_sentence_has_a_row_of_chances(tmp_path: Path) -> None:
    settings = of_sentences(tmp_path)
    one = trained(settings)

    one.save(tmp_path / "model")
    again = predict.load(tmp_path / "model")
    found = again.predict({"text": ["A fine film", "unknown words", ""]})

    assert found.shape == (3, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(found, one.predict({"text": ["a fine film", "other things", ""]}))
    assert example_of(settings.data) == {"text": ["a fine film"] * 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"texts": ["a"]}, "column 'text' does not exist; did you mean texts"),
        ({"text": [1.0]}, "column text holds something that is no text"),
        ({"text": []}, "column text holds something that is no text"),
    ],
)
def test_what_is_no_sentence_is_refused(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        trained(of_sentences(tmp_path)).predict(rows)


def test_a_step_that_is_missing_is_refused() -> None:
    rows: dict[str, Any] = dict(example_of(VOWELS.data))
    rows["lpc3"] = [float("nan"), *rows["lpc3"][1:]]

    with pytest.raises(BadInput, match="a step is missing or not a number"):
        trained(VOWELS).predict(rows)
