"""Go on with a search from its store alone, without the command line that began it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from sweep.compose import compose
from sweep.plan.application import Application
from sweep.plan.budget import Budget
from sweep.plan.records import resolve_twins
from sweep.plan.story import Search, Story
from sweep.plan.trial import Record, State
from sweep.sources import Composer, unfolded
from sweep.study.launching import Session, launch_next
from sweep.study.requesting import Request
from sweep.study.searching import keep_story, pursue, quest_of, read_story
from sweep.study.spending import budget_of
from sweep.study.studied import Studied


@dataclass(slots=True)
class Pursuit:
    """A search that a later client goes on with."""

    session: Session
    search: Search
    application: Application | None
    console: Console
    budget: Budget | None = None

    def go_on(self, state: Studied) -> Story:
        """Ask and launch until the search is over or more failed than may.

        The caller holds the study's lease. Raises BadInput, Unreachable, Interrupted.
        """
        study, rounds = self.session.study, self.session.rounds
        self.budget = self.budget or budget_of(study, rounds[-1])
        quest = quest_of(self.search, gpu_hours=self.budget.gpu_hours)
        twins = ((trial.number, trial.same_as) for trial in state.trials)
        with unfolded(self.search.hydra) as composer:
            return pursue(
                quest,
                launch=partial(self._launch, composer),
                keep=partial(keep_story, self.session.place),
                say=partial(self.console.print, markup=False, highlight=False, soft_wrap=True),
                direction=study.direction,
                story=read_story(self.session.place, trials=len(state.trials)),
                records=resolve_twins(state.records, twins),
                enough=self._too_many_failed,
            )

    def _launch(
        self, composer: Composer, words: Sequence[tuple[str, ...]], first: int
    ) -> Sequence[Record]:
        session, study = self.session, self.session.study
        composition = compose(
            words, loader=composer.loader, master=composer.master(), first_number=first
        )
        hydra: dict[str, Any] = {}
        if self.application is None:
            jobs = {str(first + place): list(own) for place, own in enumerate(words)}
            hydra = {**self.search.hydra, "plain": composition.plain, "jobs": jobs}
        limits = study.limits
        request = Request(
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
        )
        records = launch_next(
            session, request, console=self.console, last=False, budget=self.budget
        )
        lost = (Record(n, State.FAILED) for n in range(first, first + len(words)))
        return [records.get(item.trial, item) for item in lost]

    def _too_many_failed(self, records: Sequence[Record]) -> bool:
        most = self.session.study.limits.get("max_failed")
        failed = {record.trial for record in records if record.state is State.FAILED}
        return most is not None and len(failed) > most
