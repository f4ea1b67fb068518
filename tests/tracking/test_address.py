from pathlib import Path

import pytest

from sweep.tracking.address import command, default_uri, is_server, opening, page

CWD = Path("/home/ada/sweeps")


def test_a_given_address_beats_the_environment() -> None:
    env = {"MLFLOW_TRACKING_URI": "http://other:5000"}

    assert default_uri("http://mine:5000", env=env, cwd=CWD) == "http://mine:5000"


def test_the_environment_beats_the_file() -> None:
    env = {"MLFLOW_TRACKING_URI": "http://other:5000"}

    assert default_uri(None, env=env, cwd=CWD) == "http://other:5000"


@pytest.mark.parametrize("env", [{}, {"MLFLOW_TRACKING_URI": ""}])
def test_without_either_it_is_a_file_in_the_working_directory(env: dict[str, str]) -> None:
    assert default_uri(None, env=env, cwd=CWD) == "sqlite:////home/ada/sweeps/mlflow.db"


def test_a_page_of_a_server_is_an_address_that_shows_no_password() -> None:
    path = page("https://ada:secret@mlflow.example.org/base/", "#/experiments/1")

    assert path == "https://mlflow.example.org/base/#/experiments/1"


def test_a_file_is_opened_by_a_command() -> None:
    assert opening("sqlite:////x/mlflow.db") == (
        f"{command()} ui --backend-store-uri sqlite:////x/mlflow.db"
    )
    assert page("sqlite:////x/mlflow.db", "#/experiments/1") == "#/experiments/1"
    assert not is_server("sqlite:////x/mlflow.db")
