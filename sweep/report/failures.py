"""Group the trials that did not complete by their reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.plan.trial import Record, State


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some trials did not complete, in the words of the first of them."""

    state: State
    type: str
    text: str  # one line
    remedy: str
    trials: tuple[int, ...]


def find_reasons(records: Mapping[int, Record]) -> list[Reason]:
    """Group failed and infeasible trials by their error's type; failed first, then by size.

    A twin's copy of a record counts once, under the number of the trained trial.
    """
    groups: dict[tuple[State, str], dict[int, Record]] = defaultdict(dict)
    for record in records.values():
        if record.state in (State.FAILED, State.INFEASIBLE):
            kind = record.error.type if record.error else record.state.value.lower()
            groups[record.state, kind][record.trial] = record
    reasons = [_reason(state, kind, members) for (state, kind), members in groups.items()]
    return sorted(reasons, key=lambda r: (r.state is not State.FAILED, -len(r.trials), r.trials))


def one_line(text: str) -> str:
    """Take the first line of a message."""
    return text.strip().partition("\n")[0].strip()


def _reason(state: State, kind: str, members: Mapping[int, Record]) -> Reason:
    numbers = sorted(members)
    error = members[numbers[0]].error
    return Reason(
        state=state,
        type=kind,
        text=one_line(error.text) if error else "no reason was recorded",
        remedy=one_line(error.remedy) if error else "",
        trials=tuple(numbers),
    )
