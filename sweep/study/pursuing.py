"""Go on with a search from its store alone, without the command line that began it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from sweep.clock import CLOCK
from sweep.compose import compose
from sweep.plan.application import Application
from sweep.plan.budget import Budget
from sweep.plan.records import resolve_twins
from sweep.plan.story import Search, Story
from sweep.plan.trial import Record, State
from sweep.search.choosing import HALVING
from sweep.sources import Composer, unfolded
from sweep.study.halving import Halving
from sweep.study.launching import Session, Way, follow_round, launch_next
from sweep.study.offering import Offerer, slots_of
from sweep.study.opening import add_round
from sweep.study.requesting import Request, outline_of
from sweep.study.searching import CONTINUOUS, Quest, ask, keep_story, pursue, quest_of, read_story
from sweep.study.siting import Site
from sweep.study.spending import BUDGET, budget_of
from sweep.study.studied import Studied, studied

RequestOf = Callable[[Sequence[tuple[str, ...]], int], Request]  # override lists, first number


def width_of(site: Site) -> int:
    """Say how many trials run at a time."""
    return site.workers * site.lanes


def first_words(quest: Quest, site: Site) -> list[tuple[str, ...]]:
    """List the overrides of what a search tries first."""
    asked = ask(
        quest,
        Story(),
        records={},
        most=max(1, width_of(site) // quest.seeds),
        elapsed_s=0.0,
        direction="minimize",
        say=lambda _: None,
    )
    return asked.words


def results_of(session: Session) -> Mapping[int, Record]:
    """Read what the trials of a session came to, twins included."""
    state = studied(session.place, session.study, session.rounds)
    twins = ((trial.number, trial.same_as) for trial in state.trials)
    return resolve_twins(state.records, twins)


def pursue_openly(
    session: Session,
    quest: Quest,
    *,
    request_of: RequestOf,
    console: Console,
    way: Way,
    story: Story | None = None,
    records: Mapping[int, Record] | None = None,
) -> None:
    """Go on with a search that is asked again as each trial ends, in one round of open slots.

    The caller holds the study's lease. Raises BadInput, Unreachable, Interrupted.
    """
    study, site, rounds = session.study, session.site, session.rounds
    story = story or Story()
    since = time.monotonic() - story.elapsed_s
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    asked = ask(
        quest,
        story,
        records=records or {},
        most=max(1, width_of(site) // quest.seeds),
        elapsed_s=story.elapsed_s,
        direction=study.direction,
        say=say,
    )
    keep_story(session.place, asked.story)
    if not asked.words:
        return
    slots = slots_of(site, trials=quest.stops.max_trials)
    first_pack = 1 + max((pack.number for each in rounds for pack in each.packs), default=-1)
    plan = outline_of(
        replace(request_of(asked.words, asked.first), slots=slots),
        site=site,
        number=len(rounds) + 1,
        first_pack=first_pack,
    )
    cluster = site.note | ({BUDGET: asdict(way.budget)} if way.budget else {})
    plan = replace(plan, round=replace(plan.round, cluster=cluster))
    add_round(session.place, plan.round)
    rounds.append(plan.round)
    offerer = Offerer(
        quest=quest,
        place=session.place,
        rounds=rounds,
        story=asked.story,
        width=width_of(site),
        plan=lambda words, first: outline_of(request_of(words, first), site=site),
        keep=partial(keep_story, session.place),
        say=say,
        direction=study.direction,
        enough=partial(_too_many, study.limits.get("max_failed")),
        now=time.monotonic,
        since=since,
    )
    state = studied(session.place, study, rounds)
    follow_round(state, plan, rounds, way, offerer=offerer)


def _too_many(most: int | None, records: Mapping[int, Record]) -> bool:
    failed = sum(record.state is State.FAILED for record in records.values())
    return most is not None and failed > most


def until(quest: Quest, story: Story) -> float | None:
    """Say when the time of a search is over, in UTC seconds; None: never."""
    limit = quest.stops.max_time_s
    return None if limit is None else CLOCK.now() + max(0.0, limit - story.elapsed_s)


@dataclass(slots=True)
class Pursuit:
    """A search that a later client goes on with."""

    session: Session
    search: Search
    application: Application | None
    console: Console
    budget: Budget | None = None
    _until: float | None = None  # UTC seconds after which nothing new begins

    def go_on(self, state: Studied) -> Story:
        """Ask and launch until the search is over or more failed than may.

        The caller holds the study's lease. Raises BadInput, Unreachable, Interrupted.
        """
        study, rounds = self.session.study, self.session.rounds
        self.budget = self.budget or budget_of(study, rounds[-1])
        story = read_story(self.session.place, trials=len(state.trials))
        quest = quest_of(self.search, gpu_hours=self.budget.gpu_hours, limits=story.limits)
        self._until = until(quest, story)
        twins = ((trial.number, trial.same_as) for trial in state.trials)
        records = resolve_twins(state.records, twins)
        with unfolded(self.search.hydra) as composer:
            if self.search.batch == CONTINUOUS:
                way = Way(
                    self.application,
                    self.session.cluster,
                    self.session.site,
                    self.console,
                    self.budget,
                )
                pursue_openly(
                    self.session,
                    quest,
                    request_of=partial(self._request, composer),
                    console=self.console,
                    way=way,
                    story=story,
                    records=records,
                )
                return read_story(self.session.place)
            return pursue(
                quest,
                launch=partial(self._launch, composer),
                keep=partial(keep_story, self.session.place),
                say=partial(self.console.print, markup=False, highlight=False, soft_wrap=True),
                direction=study.direction,
                story=story,
                records=records,
                enough=self._too_many_failed,
            )

    def _launch(
        self, composer: Composer, words: Sequence[tuple[str, ...]], first: int
    ) -> Sequence[Record]:
        records = launch_next(
            self.session,
            self._request(composer, words, first),
            console=self.console,
            last=False,
            budget=self.budget,
        )
        lost = (Record(n, State.FAILED) for n in range(first, first + len(words)))
        return [records.get(item.trial, item) for item in lost]

    def _request(self, composer: Composer, words: Sequence[tuple[str, ...]], first: int) -> Request:
        study = self.session.study
        composition = compose(
            words, loader=composer.loader, master=composer.master(), first_number=first
        )
        hydra: dict[str, Any] = {}
        if self.application is None:
            jobs = {str(first + place): list(own) for place, own in enumerate(words)}
            hydra = {**self.search.hydra, "plain": composition.plain, "jobs": jobs}
        limits = study.limits
        return Request(
            task=study.task,
            application=self.application,
            job=study.job,
            composition=composition,
            overrides=study.overrides,
            options={
                "max_attempts": limits.get("max_attempts"),
                "max_failed": limits.get("max_failed"),
                "pack": {"size": limits.get("pack_size")},
            },
            env=os.environ,
            cwd=Path(study.directory or "."),
            now=time.time(),
            tail="",
            direction=study.direction,
            hydra=hydra,
            halving=self._halving(),
        )

    def _halving(self) -> Halving | None:
        """Give new trials the rungs of those before them: they climb among themselves."""
        known = [round_.rungs for round_ in self.session.rounds if round_.rungs is not None]
        if self.search.strategy != HALVING or not known:
            return None
        return Halving(
            least=known[0].brackets[0][0],
            factor=known[0].factor,
            brackets=len(known[0].brackets),
            seeds=max(1, len(self.search.seeds)),
            until=self._until,
        )

    def _too_many_failed(self, records: Sequence[Record]) -> bool:
        found = {record.trial: record for record in records}
        return _too_many(self.session.study.limits.get("max_failed"), found)
