"""Published numbers that need no training come out of our data, split, scaler and windows.

DLinear (Zeng et al., AAAI 2023), table 2, row "Repeat": the last value of a window of 96, repeated.
Its test loader dropped the last partial batch of 32, so the test does too.
"""

from __future__ import annotations

from pathlib import Path

import hydra
import numpy as np
import pytest
from omegaconf import OmegaConf

from sweep.app import configs
from sweep.errors import BadInput
from sweep.plan.settings import Data
from sweep.schema import parse
from sweep.train.data import load, outputs, windows

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"
BATCH = 32
REPEAT = {  # data set and horizon to MSE and MAE
    ("etth1", 96): (1.295, 0.713),
    ("etth1", 192): (1.325, 0.733),
    ("etth1", 336): (1.323, 0.744),
    ("etth1", 720): (1.339, 0.756),
    ("etth2", 96): (0.432, 0.422),
    ("etth2", 192): (0.534, 0.473),
    ("etth2", 336): (0.591, 0.508),
    ("etth2", 720): (0.588, 0.517),
}


def settings(name: str, *words: str) -> Data:
    with hydra.initialize_config_dir(str(configs()), version_base="1.3"):
        config = hydra.compose("config", [f"data={name}", *words])
    tree = OmegaConf.to_container(config, resolve=True)
    assert isinstance(tree, dict)
    return parse({str(key): value for key, value in tree.items()}).data


def file_of(name: str) -> Path:
    path = SHARED / f"{name.replace('etth', 'ETTh')}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project: its licence forbids shipping it")
    return path


@pytest.mark.parametrize(("name", "horizon"), REPEAT)
def test_repeating_the_last_value_scores_as_published(name: str, horizon: int) -> None:
    data = settings(name, f"data.path={file_of(name)}", f"data.horizon={horizon}")
    series = load(data)
    starts = windows(series, data).test
    kept = starts[: len(starts) // BATCH * BATCH]

    error = outputs(series, horizon=horizon)[kept] - series.values[kept - 1][:, None]

    published_mse, published_mae = REPEAT[name, horizon]
    assert np.square(error).mean() == pytest.approx(published_mse, abs=1e-3)
    assert np.abs(error).mean() == pytest.approx(published_mae, abs=1e-3)


def test_the_split_is_the_benchmark_s_and_later_rows_are_left_out() -> None:
    data = settings("etth1", f"data.path={file_of('etth1')}")
    series = load(data)
    places = windows(series, data)

    assert len(series.values) == 14_400  # of 17,420
    assert [len(part) for part in (places.train, places.val, places.test)] == [8449, 2785, 2785]
    train = series.values[:8640]
    assert train.mean(axis=0) == pytest.approx(np.zeros(7), abs=1e-12)
    assert train.std(axis=0) == pytest.approx(np.ones(7))


@pytest.mark.parametrize("name", ["etth1", "etth2"])
def test_the_file_is_a_path_of_the_person_s_own(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"curl .* data\.path=ETTh"):
        load(settings(name))
    with pytest.raises(BadInput, match=r"absent\.csv: No such file .*; set data\.path"):
        load(settings(name, f"data.path={tmp_path}/absent.csv"))


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "ETTh1.csv"
    other.write_text("date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\n2016-07-01 00:00:00,1,2,3,4,5,6,7\n")

    with pytest.raises(BadInput, match=r"ETTh1\.csv: sha256 is [0-9a-f]{64}, not f18de3ad"):
        load(settings("etth1", f"data.path={other}"))
