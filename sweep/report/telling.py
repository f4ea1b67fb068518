"""Tell the story of a search: each decision, the guide's sentence for it, and its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.story import Decided
from sweep.plan.trial import Value
from sweep.report.climbing import find_landings, sentence
from sweep.report.formats import count, decimals, show_score, show_value
from sweep.report.results import Results
from sweep.report.table import settings
from sweep.report.varied import short_names

SHORT = 12  # decisions told where there is little room: the first and the last
SHARES = ("rise", "jump")  # numbers of the evidence that are shares of a loss


@dataclass(frozen=True, slots=True)
class Evidence:
    """One configuration that a decision rests on."""

    name: str  # what was set, and which trials these are
    score: str
    best: bool  # of those that the decision rests on


@dataclass(frozen=True, slots=True)
class Step:
    """One decision as a person reads it."""

    stage: str
    decided: str
    guide: str  # the guide's own words; empty where no sentence of it decided
    section: str  # where it says so
    evidence: tuple[Evidence, ...]
    numbers: str  # what else it rests on
    begun: int | None  # configurations that had begun by then


@dataclass(frozen=True, slots=True)
class Stage:
    """Decisions of one stage, one after the other."""

    name: str
    steps: tuple[Step, ...]


def tell(results: Results) -> list[Stage]:
    """Tell the whole story, stage by stage; empty where nothing was decided on the way."""
    stages: list[Stage] = []
    for step in steps(results):
        if stages and stages[-1].name == step.stage:
            stages[-1] = Stage(step.stage, (*stages[-1].steps, step))
        else:
            stages.append(Stage(step.stage, (step,)))
    return stages


def steps(results: Results) -> list[Step]:
    """Tell every decision, in the order in which they were made; then rung by rung, bottom up."""
    decisions = results.story.decisions if results.story else ()
    return [*(_step(item, results) for item in decisions), *_climbed(results)]


def intro(results: Results) -> str:
    """Say how the strategy decides."""
    score = results.board.objective
    if not results.ladders:
        return f"in the guide's own words, and the scores ({score}) that each decision rests on"
    return (
        f"rung by rung: of the trials that reach one, the best in {results.ladders[0].factor} by "
        f"{score} go on, some before the others have come"
    )


def rolled_name(results: Results) -> str:
    """Name the configuration that a backtest rolled, and say where it is not the best by now."""
    board = results.board
    trial = results.rolled.trial if results.rolled else None
    item = next((i for i in [*board.ranked, *board.unranked] if trial in i.trials), None)
    if item is None:
        return ""
    name = f"{settings(item, board)} (trial {trial})".lstrip()
    best = board.best is not None and board.best.trials == item.trials
    return name if best else f"{name}, which is not the best any more"


def ended(results: Results) -> str:
    """Say why nothing new began; empty while the search goes on, or where there was none."""
    return results.story.ended if results.story else ""


def in_short(results: Results) -> list[str]:
    """Tell the story in few lines, with the guide's sections alone; what is left out is counted."""
    lines = [_line(step) for step in steps(results)]
    if len(lines) > SHORT:
        half = SHORT // 2
        left = count(len(lines) - SHORT, "further decision")
        lines = [*lines[:half], f"... {left} ...", *lines[-half:]]
    return lines


def _line(step: Step) -> str:
    if step.section:
        return f"{step.stage}: {step.decided} ({step.section})"
    best = "".join(f"; best {item.score} with {item.name}" for item in step.evidence)
    return f"{step.stage}: {step.decided}{best}"


def _climbed(results: Results) -> list[Step]:
    """Tell what became of the trials at each rung of a search by halving."""
    board, found = results.board, []
    places = decimals(board.best.mean if board.best else None)
    for ladder in results.ladders:
        which = f"{ladder.name}, " if ladder.name else ""
        landings = find_landings(ladder, board=board, records=results.records)
        for rung, landing in enumerate(landings, start=1):
            own = landing.configuration
            name = f"{settings(own, board)} ({_which(own.trials)})" if own else ""
            best = Evidence(name, show_score(landing.best, places=places), best=True)
            found.append(
                Step(
                    stage=f"{which}rung {rung}: {count(landing.epoch, 'epoch')}",
                    decided=sentence(landing),
                    guide="",
                    section="",
                    evidence=(best,) if own else (),
                    numbers="",
                    begun=None,
                )
            )
    return found


def _step(item: Decided, results: Results) -> Step:
    return Step(
        stage=item.stage,
        decided=item.decided,
        guide=item.guide,
        section=f"section {item.section}" if item.section else "the conclusion",
        evidence=tuple(_evidence(item, results)),
        numbers=", ".join(_numbers(item.evidence)),
        begun=item.begun,
    )


def _evidence(item: Decided, results: Results) -> list[Evidence]:
    """Name the configurations, with what the decision compares them by, and their scores."""
    assert results.story is not None
    board, begun = results.board, results.story.begun
    places = decimals(board.best.mean if board.best else None)
    numbers = _whole(item.evidence.get("trials"))
    costs = list(item.evidence.get("costs") or [])
    costs += [None] * (len(numbers) - len(costs))
    known = [own for own in costs if own is not None]
    compared = {
        key: values
        for key, values in item.evidence.items()
        if key not in ("trials", "costs") and isinstance(values, list)
    }
    names = {**short_names(compared), **board.names}
    found = []
    for i, (number, own) in enumerate(zip(numbers, costs, strict=True)):
        trials = begun[number].trials if number < len(begun) else ()
        what = [f"{names[k]}={show_value(v[i])}" for k, v in compared.items() if i < len(v)]
        which = _which(trials) if trials else ""
        name = f"{' '.join(what)} ({which})" if what and which else " ".join(what) or which
        score = None if own is None else own if board.direction == "minimize" else -own
        shown = show_score(score, places=places) or "no result"
        found.append(Evidence(name, shown, best=own is not None and own == min(known)))
    return found


def _which(trials: Sequence[int]) -> str:
    first, *more = trials
    return f"trials {first} to {trials[-1]}" if more else f"trial {first}"


def _numbers(evidence: Mapping[str, Value]) -> list[str]:
    found = []
    for name, value in evidence.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = f"{value:.0%}" if name in SHARES else show_value(value)
            found.append(f"{name} {shown}")
    return found


def _whole(values: Value) -> list[int]:
    return [value for value in values or [] if isinstance(value, int)]
