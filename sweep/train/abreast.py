"""Keep the networks of one trial, one for each fold, at the same epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sweep.train.step import BEGINNING, Part
from sweep.train.story import Epoch, Story, mean_epoch


class Network(Protocol):
    """One network in training, whatever trains it."""

    story: Story
    part: Part  # of the epoch under way

    @property
    def over(self) -> bool:
        """Tell whether it is trained no further."""


Own = TypeVar("Own", bound=Network)


def rested(held: Sequence[Network]) -> bool:
    """Tell whether every network stands at the end of one and the same epoch."""
    at_ends = all(each.part == BEGINNING and each.story.epochs for each in held)
    going = {len(each.story.epochs) for each in held if not each.over}
    return at_ends and len(going) < 2


def behind(held: Sequence[Own]) -> list[Own]:
    """List the networks that have still to end the epoch that the last of them is in."""
    going = [each for each in held if not each.over]
    number = min((len(each.story.epochs) for each in going), default=0) + 1
    return [each for each in going if len(each.story.epochs) < number]


def newest(held: Sequence[Network]) -> Epoch:
    """Average the newest epoch over all networks."""
    stories = [each.story for each in held]
    return mean_epoch(stories, max(len(story.epochs) for story in stories))


def median(held: Sequence[Network]) -> Story:
    """Pick the fold whose best epoch is the median: what is trained on all follows it."""
    stories = sorted((each.story for each in held), key=lambda story: story.progress.best_epoch)
    return stories[(len(stories) - 1) // 2]


def under_way(networks: Sequence[Network], *, folds: int) -> int:
    """Tell which epoch is under way, from 1; a network beyond the folds is trained on all."""
    if len(networks) > folds:
        return len(networks[-1].story.epochs) + 1
    return min(len(each.story.epochs) for each in networks if not each.over) + 1
