from pathlib import Path

import pytest

from sweep.plan.settings import Data
from sweep.train.profile import profile

ROWS = """time,temp,wind
2020-01-01 00:00,1.0,5
2020-01-01 01:00,,7
2020-01-01 03:00,4.0,6
"""


def test_columns_are_described_before_anything_is_filled(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(ROWS)

    found = profile(Data(path=str(file), target=["temp"], covariates=["wind"]))

    assert found["rows"] == 4  # of the time grid: 02:00 is not in the file
    assert list(found["columns"]) == ["temp", "wind"]
    temp = found["columns"]["temp"]
    assert (temp["low"], temp["high"], temp["mean"]) == (1.0, 4.0, 2.5)
    assert (temp["missing"], found["columns"]["wind"]["missing"]) == (0.5, 0.25)
    assert temp["sd"] == pytest.approx(1.5)
