import pytest

from sweep.tracking.names import LONGEST_NAME, LONGEST_PARAM, key, run_name, text


def test_a_run_is_named_by_its_varied_settings_only() -> None:
    varied = {
        "model.hidden_size": 128,
        "model.num_layers": 2,
        "optim.lr": 1e-3,
        "optim.name": "adam",
    }

    assert run_name(7, varied=varied, total=18) == "t07 h128 L2 lr0.001 adam"


def test_a_setting_of_another_application_is_named_by_its_last_word() -> None:
    assert run_name(3, varied={"db.pool.size": 4}, total=4) == "t3 size=4"


def test_numbers_are_as_wide_as_the_last_one() -> None:
    assert run_name(5, varied={}, total=1001) == "t0005"
    assert run_name(0, varied={}, total=1) == "t0"


def test_a_long_name_is_cut() -> None:
    name = run_name(0, varied={f"group.key{n}": "value" for n in range(30)}, total=1)

    assert len(name) <= LONGEST_NAME
    assert name.endswith("…")


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0001, "0.0001"), (1e-5, "1e-05"), (1 / 3, str(1 / 3)), (True, "True"), ([1, 2], "[1, 2]")],
)
def test_a_value_is_short_where_nothing_is_lost(value: object, written: str) -> None:
    assert text(value) == written


def test_a_value_that_mlflow_would_refuse_is_cut() -> None:
    assert len(text("x" * 7000)) == LONGEST_PARAM


def test_a_key_keeps_only_what_mlflow_allows() -> None:
    assert key("data.target[0]@pkg") == "data.target_0__pkg"
