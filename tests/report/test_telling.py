from __future__ import annotations

from dataclasses import replace
from typing import Any

from report_builders import make_results, make_trials, scored

from sweep.plan.story import Begun, Decided, Story
from sweep.report.results import Results
from sweep.report.telling import SHORT, Step, ended, in_short, steps, tell

RATE = "Use 0.0001 to 0.01."


def told(*decisions: Decided, direction: str = "minimize", **more: Any) -> Results:
    """Make a search over three rates, one trial each, that decided something."""
    trials = make_trials({"optim.lr": [1e-3, 1e-2, 1e-1]})
    begun = tuple(Begun(trial.values, (trial.number,)) for trial in trials)
    results = make_results(trials, scored(trials, lambda v: v["optim.lr"]), direction=direction)
    return replace(
        results, strategy="staged", story=Story(begun=begun, decisions=decisions, **more)
    )


def decided(stage: str = "rate", **evidence: Any) -> Decided:
    return Decided(stage, 3, RATE, evidence, "keep optim.lr=0.01")


def step(results: Results) -> Step:
    [found] = steps(results)
    return found


def test_a_decision_shows_the_guides_sentence_and_what_it_compared() -> None:
    evidence = {"trials": [0, 1], "costs": [0.5, 0.25], "optim.lr": [0.001, 0.01]}

    found = step(told(decided(**evidence)))

    assert (found.decided, found.guide, found.section) == ("keep optim.lr=0.01", RATE, "section 3")
    assert [(item.name, item.score, item.best) for item in found.evidence] == [
        ("lr=0.001 (trial 0)", "0.500000", False),
        ("lr=0.01 (trial 1)", "0.250000", True),
    ]


def test_costs_are_shown_as_scores_where_more_is_better() -> None:
    found = step(told(decided(trials=[0], costs=[-0.9]), direction="maximize"))

    assert found.evidence[0].score == "0.9000"


def test_a_configuration_without_a_result_is_told_so() -> None:
    found = step(told(decided(trials=[0, 1], costs=[None, 0.25])))

    assert [item.score for item in found.evidence] == ["no result", "0.250000"]


def test_shares_are_told_in_per_cent_and_other_numbers_as_they_are() -> None:
    assert step(told(decided(trials=[0], costs=[1.0], rise=0.234))).numbers == "rise 23%"


def test_decisions_of_one_stage_stand_together() -> None:
    stages = tell(told(decided("rate"), decided("rate"), decided("capacity"), decided("rate")))

    assert [(stage.name, len(stage.steps)) for stage in stages] == [
        ("rate", 2),
        ("capacity", 1),
        ("rate", 1),
    ]


def test_a_long_story_is_cut_in_its_middle() -> None:
    lines = in_short(told(*[decided(f"stage {i}") for i in range(SHORT + 5)]))

    assert len(lines) == SHORT + 1
    assert lines[0].startswith("stage 0: keep optim.lr=0.01 (section 3)")
    assert lines[SHORT // 2] == "... 5 further decisions ..."
    assert lines[-1].startswith(f"stage {SHORT + 4}")


def test_evidence_that_names_what_never_began_is_no_error() -> None:
    found = step(told(decided(trials=[7], costs=[0.1], more=[])))

    assert [(item.name, item.score) for item in found.evidence] == [("", "0.100000")]


def test_a_grid_has_no_story() -> None:
    trials = make_trials({"a": [1, 2]})
    results = make_results(trials, scored(trials, lambda v: v["a"]))

    assert tell(results) == []
    assert ended(results) == ""
