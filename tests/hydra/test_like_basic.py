"""A stranger's application leaves the same through our launcher as through Hydra's own, in an
environment without torch, MLflow, kubernetes and numpy."""

from __future__ import annotations

import pytest
from comparing import Desk, Ran, lines
from environments import bare

SCRIPT, MODULE = "any_app/app.py", "-m any_app.app"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    root = tmp_path_factory.mktemp("like-basic")
    without = ("torch", "mlflow", "kubernetes", "numpy")
    return Desk(root, bare(root / "bare", without=without))


def assert_alike(basic: Ran, ours: Ran) -> None:
    assert list(ours.files) == list(basic.files)
    for name, content in basic.files.items():
        assert ours.files[name] == content, name


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(f"{SCRIPT} -m x=1,2 colour=BLUE hydra.job.chdir=true", id="typed"),
        pytest.param(f"{MODULE} -m x=1,2 db@database=mysql,postgres", id="a module"),
        pytest.param(f"{SCRIPT} -cn=untyped -m x=1,2 +more.y=1.5 layers.0.size=7,8", id="untyped"),
        pytest.param(
            f"{MODULE} -cn=far -m x=1,5 other=a,b db@database=sqlite hydra.job.chdir=true "
            "hydra.sweep.dir=elsewhere/${now:%Y}",
            id="a search path",
        ),
        pytest.param(
            f"{SCRIPT} -cn=untyped -m hydra.searchpath=[file://any_app/extra] nothing=null,[1,2] "
            "db@database=sqlite,mysql colour='a,b',c",
            id="a search path of the command line",
        ),
        pytest.param(
            f"{SCRIPT} -m x=1,2 hydra/job_logging=own hydra.sweep.subdir=${{x}}-${{colour}}",
            id="logging of its own",
        ),
        pytest.param(
            f"{MODULE} -m x=2 hydra.verbose=[__main__] hydra.output_subdir=null",
            id="a verbose logger",
        ),
    ],
)
def test_all_files_are_those_of_the_basic_launcher(desk: Desk, words: str) -> None:
    basic, ours = desk.both(*words.split(" "))

    assert basic.code == 0, basic.err
    assert ours.code == 0, ours.err
    assert sum(name.endswith("seen.json") for name in basic.files) >= 1
    assert_alike(basic, ours)


def test_everything_printed_is_shown(desk: Desk) -> None:
    basic, ours = desk.both(SCRIPT, "-m", "x=1,2")

    said = [line for line in lines(basic.out) if "HYDRA" not in line]
    assert said
    assert sorted(line for line in lines(ours.out) if line in said) == sorted(said)
    assert ours.err == basic.err == ""


def test_a_failing_job_fails_alike(desk: Desk) -> None:
    basic, ours = desk.both(SCRIPT, "-m", "x=1,3,2")

    assert ours.code == basic.code == 1
    assert_alike(basic, ours)
    job_end = "".join(next(v for k, v in ours.files.items() if "/1/watcher-job_end" in k))
    assert '"FAILED", "Refused(' in job_end
    for text in ("Error executing job with overrides: ['x=3']", "Refused: x=3 is three\n"):
        assert text in basic.err
        assert text in ours.err
    assert "raise Refused(cfg.x, " in ours.err  # where it was raised


def test_one_time_stands_in_every_job(desk: Desk) -> None:
    ran = desk.run(SCRIPT, "-m", "x=1,2", "hydra/launcher=kubernetes")

    [folder] = {name.split("/")[2] for name in ran.names if name.endswith("seen.json")}
    written = [text for name, text in ran.texts.items() if "written-" in name]
    assert [f"when: {folder}" in text for text in written] == [True, True]
