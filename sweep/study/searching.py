"""Ask a strategy what to try next, have it trained, take the results in, and keep the story."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from sweep.plan import layout
from sweep.plan.rungs import never_began
from sweep.plan.story import (
    Begun,
    Decided,
    Search,
    Story,
    search_from_bytes,
    search_to_bytes,
    story_from_bytes,
    story_to_bytes,
)
from sweep.plan.trial import Record, State, Value
from sweep.search.choosing import choose
from sweep.search.space import Point
from sweep.search.stops import Stops
from sweep.search.strategy import Strategy, Tried, tried
from sweep.search.written import space_from_json
from sweep.store import Store

# Override lists and the number of the first: the records in that order; nothing after a dry run.
Launch = Callable[[Sequence[tuple[str, ...]], int], Sequence[Record]]

CONTINUOUS = 0  # a batch of none: asked again as each trial ends
THROUGH = "the strategy is through"
STOPPED = "the study was stopped"


@dataclass(frozen=True, slots=True)
class Quest:
    """A search as it is pursued: its definition, and what asks and stops."""

    search: Search
    strategy: Strategy
    stops: Stops

    @property
    def seeds(self) -> int:
        """Count the trials of one configuration."""
        return max(1, len(self.search.seeds))

    def overrides(self, point: Point) -> list[tuple[str, ...]]:
        """List the overrides of a configuration, once a seed."""
        words = [*self.search.fixed, *(self._word(key, value) for key, value in point.items())]
        if not self.search.seeds:
            return [tuple(words)]
        key = self.search.seed_key
        return [(*words, self._word(key, seed)) for seed in self.search.seeds]

    def _word(self, key: str, value: object) -> str:
        return f"{key}={self.search.texts.get(key, {}).get(repr(value), value)}"


def quest_of(
    search: Search,
    *,
    gpu_hours: float | None = None,
    limits: Mapping[str, Value] = MappingProxyType({}),
) -> Quest:
    """Read a search's definition.

    `gpu_hours` and `limits`, max_trials and max_time_s, replace those that it was begun with.
    Raises BadInput.
    """
    options = {**search.options, **limits}
    strategy = choose(
        search.strategy,
        space_from_json(search.space),
        start=search.start,
        seed=int(options["seed"]),
        first=search.first,
    )
    stops = Stops(
        max_trials=options.get("max_trials"),
        max_time_s=options.get("max_time_s"),
        gpu_hours=gpu_hours if gpu_hours is not None else options.get("gpu_hours"),
    )
    return Quest(search, strategy, stops)


def pursue(
    quest: Quest,
    *,
    launch: Launch,
    keep: Callable[[Story], None],
    say: Callable[[str], None],
    direction: str,
    story: Story | None = None,
    records: Mapping[int, Record] | None = None,
    enough: Callable[[Sequence[Record]], bool] = lambda _: False,
    now: Callable[[], float] = time.monotonic,
) -> Story:
    """Go on with a search until it is over, or `enough` of its records says so.

    `story` and `records` are what is known of its beginning. The story is kept before each round
    and at the end.
    """
    story = story or Story()
    since = now() - story.elapsed_s
    results = dict(records or {})
    while True:
        asked = ask(
            quest,
            story,
            records=results,
            most=quest.search.batch,
            elapsed_s=now() - since,
            direction=direction,
            say=say,
        )
        story = asked.story
        keep(story)
        if not asked.words:
            return story
        got = launch(asked.words, asked.first)
        if not got:
            return story
        numbers = range(asked.first, asked.first + len(asked.words))
        results.update(zip(numbers, got, strict=True))
        if any(record.state is State.CANCELLED and not never_began(record) for record in got):
            keep(replace(story, ended=STOPPED, elapsed_s=now() - since))
            return story
        if enough([results[number] for number in sorted(results)]):
            return story


@dataclass(frozen=True, slots=True)
class Asked:
    """What a strategy answered: override lists, from which trial on, and the story with them."""

    story: Story
    words: list[tuple[str, ...]]
    first: int
    waits: bool = False  # nothing new before another result


def ask(
    quest: Quest,
    story: Story,
    *,
    records: Mapping[int, Record],
    most: int,
    elapsed_s: float,
    direction: str,
    say: Callable[[str], None],
) -> Asked:
    """Ask what to try next, at most `most` configurations, and tell what was decided."""
    past = [_tried(quest, *item, records, direction) for item in enumerate(story.begun)]
    reason = quest.stops.reached(past, elapsed_s=elapsed_s, seeds=quest.seeds)
    room = quest.stops.room(past, seeds=quest.seeds)
    found = quest.strategy.suggest(
        past, most=0 if reason else most if room is None else min(most, room)
    )
    told = len(story.decisions)
    story = replace(story.telling(found.decisions), elapsed_s=elapsed_s, ended="")
    for decision in story.decisions[told:]:
        say(sentence_of(decision))
    first = len(past) * quest.seeds
    if reason or not found.points:
        waits = not reason and any(not item.ended for item in past)
        if not waits:
            story = replace(story, ended=reason or THROUGH)
            say(f"search   {story.ended}")
        return Asked(story, [], first, waits)
    words = [own for point in found.points for own in quest.overrides(point)]
    starts = range(first, first + len(words), quest.seeds)
    fresh = tuple(
        Begun(dict(point), tuple(range(start, start + quest.seeds)))
        for start, point in zip(starts, found.points, strict=True)
    )
    # Where these are the last that can begin, nobody has to ask again.
    begun = [*past, *(Tried(len(past) + i, item.point) for i, item in enumerate(fresh))]
    last = quest.stops.reached(begun, elapsed_s=elapsed_s, seeds=quest.seeds)
    return Asked(replace(story, begun=(*story.begun, *fresh), ended=last or ""), words, first)


def sentence_of(item: Decided) -> str:
    """Tell a decision, with the guide's words for it."""
    section = f"section {item.section}" if item.section else "the conclusion"
    return f"decided  {item.stage}: {item.decided}\n         {section}: {item.guide}"


def is_over(story: Story) -> bool:
    """Tell whether a search has ended for a reason of its own, rather than been stopped."""
    return story.ended not in ("", STOPPED)


def line_of(search: Search, story: Story) -> str:
    """Say where a search stands."""
    count = len(story.begun)
    begun = f"{count:,} configuration{'' if count == 1 else 's'} begun"
    return f"search {search.strategy}: {begun}; {story.ended or 'it is not over'}"


def keep_search(place: Store, search: Search) -> None:
    """Write what a search is, once."""
    place.create(layout.SEARCH, search_to_bytes(search))


def keep_story(place: Store, story: Story) -> None:
    """Write how far a search is."""
    place.write(layout.STORY, story_to_bytes(story))


def read_search(place: Store) -> Search | None:
    """Read what search a study is; None for one that is none.

    Raises CorruptPlan.
    """
    try:
        data = place.read(layout.SEARCH)
    except KeyError:
        return None
    return search_from_bytes(data, where=f"{place.url}/{layout.SEARCH}")


def read_story(place: Store, *, trials: int | None = None) -> Story:
    """Read how far a search is; of `trials` that were planned, those beyond were never begun.

    Raises CorruptPlan.
    """
    try:
        data = place.read(layout.STORY)
    except KeyError:
        return Story()
    story = story_from_bytes(data, where=f"{place.url}/{layout.STORY}")
    if trials is None:
        return story
    return replace(story, begun=tuple(b for b in story.begun if max(b.trials) < trials))


def _tried(
    quest: Quest, number: int, item: Begun, records: Mapping[int, Record], direction: str
) -> Tried:
    own = [records[trial] for trial in item.trials if trial in records]
    return tried(number, item.point, own, seeds=quest.seeds, direction=direction)
