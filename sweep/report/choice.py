"""Tell whether the winner is better than its rivals, or only luckier."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.plan.trial import Value
from sweep.report.formats import count, decimals, show_list, show_score, show_value
from sweep.report.leaderboard import Configuration, Leaderboard
from sweep.report.paired import MIN_SEEDS, Paired, differences, has_scipy, holm_intervals
from sweep.report.resampling import Resampled
from sweep.report.table import settings

MOST_RIVALS = 9  # that the winner is compared with where nothing was confirmed
MOST_SHOWN = 5
NO_SCIPY = (
    "Whether the best differ is not computed without SciPy: "
    "pip install 'hydra-kubernetes-sweep[report]'."
)


@dataclass(frozen=True, slots=True)
class Rival:
    """A configuration beside the winner."""

    configuration: Configuration
    gap: Paired | None  # how much worse it is, seed by seed; None: too few seeds to tell

    @property
    def differs(self) -> bool | None:
        """Tell whether it is another than the winner; None where nobody knows."""
        return None if self.gap is None else self.gap.differs


@dataclass(frozen=True, slots=True)
class Choice:
    """The winner beside those that it was chosen from."""

    winner: Configuration
    rivals: tuple[Rival, ...]  # the best first
    seeds: tuple[Value, ...]  # of the winner

    @property
    def confirmed(self) -> bool:
        """Tell whether fresh seeds decided."""
        return self.winner.confirmed

    @property
    def alike(self) -> tuple[Rival, ...]:
        """List the rivals of which no difference is known."""
        return tuple(rival for rival in self.rivals if rival.differs is False)


def choose(board: Leaderboard) -> Choice | None:
    """Compare the winner with its rivals: paired by seed, 95 % t-intervals, corrected by Holm.

    Rivals are the other configurations that fresh seeds confirmed; where none did, the next ones.
    None without a rival that kept all its seeds.
    Raises BadInput where SciPy is not installed and seeds are enough to compare.
    """
    if board.best is None:
        return None
    winner = board.best
    others = [item for item in board.ranked[1:] if item.confirmed == winner.confirmed]
    others = [item for item in others if not item.infeasible]
    others = others if winner.confirmed else others[:MOST_RIVALS]
    if not others:
        return None
    sign = 1 if board.direction == "minimize" else -1
    gaps = [
        [sign * gap for gap in differences(item.by_seed, winner.by_seed).values()]
        for item in others
    ]
    intervals = holm_intervals(gaps)
    rivals = tuple(Rival(item, gap) for item, gap in zip(others, intervals, strict=True))
    return Choice(winner, rivals, tuple(winner.by_seed))


def choice_lines(board: Leaderboard) -> list[str]:
    """Say what is known of the winner's lead, in sentences."""
    confirmed = [item for item in board.ranked if item.confirmed]
    lines = [_how(confirmed)] if confirmed else []
    enough = board.best is not None and len(board.best.by_seed) >= MIN_SEEDS
    if enough and not has_scipy():
        return [
            *lines,
            NO_SCIPY,
        ]
    choice = choose(board)
    if choice is None or not (enough or confirmed):
        return lines
    return [*lines, *_rival_lines(choice, board)]


def versus_lines(versus: Mapping[str, Resampled], *, board: Leaderboard) -> list[str]:
    """Say of each baseline whether the winner beats it on the test part, in sentences."""
    sign = 1 if board.direction == "minimize" else -1
    lines = []
    for name, found in versus.items():
        places = decimals(found.mean)
        side = -sign if sign * found.mean < 0 else sign  # how far ahead whoever is ahead is
        ends = sorted((side * found.low, side * found.high))
        interval = f"{_signed(ends[0], places)} to {_signed(ends[1], places)}"
        level, block = f"{found.level * 100:.0f} %", count(found.block, "window")
        how = f"{level} interval {interval}, blocks of {block}"
        if found.mcnemar is not None:
            how = f"McNemar's test of the median seed: p {found.mcnemar:.2g}; interval {interval}"
        size = show_score(abs(found.mean), places=places)
        if not found.differs:
            lines.append(f"No difference from {name} is known on the test part ({how}).")
        elif sign * found.mean < 0:
            lines.append(f"The winner beats {name} by {size} in {board.test} ({how}).")
        else:
            lines.append(f"{name} beats the winner by {size} in {board.test} ({how}).")
    return lines


def _how(confirmed: Sequence[Configuration]) -> str:
    seeds = [show_value(seed) for seed in confirmed[0].by_seed]
    line = (
        f"The best {len(confirmed)} of the search were trained again with the seeds "
        f"{show_list(seeds)}, which alone decide."
    )
    winner = confirmed[0]
    if winner.screened and winner.mean is not None:
        places = decimals(winner.mean)
        line += (
            f" The winner had {show_score(statistics.fmean(winner.screened), places=places)} in "
            f"the search, and has {show_score(winner.mean, places=places)} now."
        )
    return line


def _rival_lines(choice: Choice, board: Leaderboard) -> list[str]:
    lines = []
    for rival in choice.rivals[:MOST_SHOWN]:
        name = settings(rival.configuration, board) or "the other"
        if rival.gap is None:
            shared = len(differences(rival.configuration.by_seed, choice.winner.by_seed))
            lines.append(
                f"Whether {name} differs is unknown: "
                f"{count(shared, 'seed')} in common, {MIN_SEEDS} are needed."
            )
            continue
        places = decimals(rival.gap.mean)
        interval = f"{_signed(rival.gap.low, places)} to {_signed(rival.gap.high, places)}"
        size = show_score(abs(rival.gap.mean), places=places)
        if rival.gap.differs and rival.gap.mean > 0:
            lines.append(f"Better than {name} by {size} (95 % interval {interval}).")
        elif rival.gap.differs:
            lines.append(f"Worse than {name} by {size} on the seeds of both ({interval}).")
        else:
            lines.append(f"No difference from {name} is known (95 % interval {interval}).")
    more = choice.rivals[MOST_SHOWN:]
    if more:
        alike = sum(rival.differs is False for rival in more)
        known = f"no difference is known of {alike} of them" if alike else "all are worse"
        lines.append(f"{count(len(more), 'more rival')}: {known}.")
    return lines


def _signed(value: float, places: int) -> str:
    return f"{value:.{places}f}" if abs(value) >= 10.0**-places or value == 0 else f"{value:.2g}"
