"""Say in one line what a record brings, and where a study stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sweep.plan.trial import Record, State
from sweep.report.failures import one_line
from sweep.report.formats import decimals, show_score, show_span
from sweep.report.tally import News, Tally

MOST_ALIKE = 3  # failures of one type that get a line each; the counts tell of the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is under way, and the words for it."""

    title: str
    objective: str  # its name, such as val_mse
    label: Callable[[int], str]  # a trial's varied settings: 'lr=0.001 hidden_size=200'


class Narrator:
    """Word the news of a study, without saying the same thing for ever."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._said: Counter[tuple[News, str]] = Counter()

    def line(self, news: News, record: Record) -> str | None:
        """Word what a record brings; None where that is not worth a line."""
        if news is News.NOTHING:
            return None
        if news in (News.FIRST, News.BEST):
            return f"{'first result' if news is News.FIRST else 'new best'}: " + score_of(
                record, self._subject
            )
        kind = record.error.type if record.error else ""
        self._said[news, kind] += 1
        said = self._said[news, kind]
        if said > MOST_ALIKE:
            return None
        more = "" if said < MOST_ALIKE else " (from now on, trials like this are only counted)"
        return failure_of(record, self._subject) + more


def state_line(tally: Tally, *, subject: Subject, now: float) -> str:
    """Tell in one line where a study stands."""
    parts = [counts_of(tally)]
    if tally.best is not None:
        parts.append(f"best {score_of(tally.best, subject)}")
    left = time_left(tally, now=now)
    return "; ".join([*parts, left] if left else parts)


def counts_of(tally: Tally) -> str:
    """Count what is done and running, and what did not complete."""
    parts = [f"{tally.done:,} of {tally.total:,} done"]
    if tally.done < tally.total:
        parts.append(f"{tally.running:,} running")
    others = (State.INFEASIBLE, State.PRUNED, State.FAILED, State.CANCELLED)
    parts += [f"{tally.counts[s]:,} {s.value.lower()}" for s in others if tally.counts[s]]
    return ", ".join(parts)


def time_left(tally: Tally, *, now: float) -> str:
    """Tell the time that is left, where it is known."""
    left = tally.left(now=now)
    return f"about {show_span(left)} left" if left else ""


def score_of(record: Record, subject: Subject) -> str:
    """Name a trial's objective, its varied settings and its number."""
    score = show_score(record.objective, places=decimals(record.objective))
    label = subject.label(record.trial)
    where = f" at {label}" if label else ""
    return f"{subject.objective} {score}{where} (trial {record.trial})"


def failure_of(record: Record, subject: Subject) -> str:
    """Name a trial that did not complete, and why."""
    label = subject.label(record.trial)
    who = f"trial {record.trial} {record.state.value.lower()}" + (f" at {label}" if label else "")
    if record.error is None:
        return who
    kind = f"{record.error.type}: " if record.state is State.FAILED else ""
    remedy = one_line(record.error.remedy)
    text = f"{who}: {kind}{one_line(record.error.text)}"
    return f"{text.rstrip('.')}; {remedy}" if remedy else text
