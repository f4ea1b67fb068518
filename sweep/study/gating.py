"""Judge a study against the champion: the verb `gate`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from sweep.errors import BadInput, Unreachable
from sweep.plan import layout
from sweep.plan.application import Application
from sweep.plan.contest import (
    Champion,
    Contest,
    Side,
    contest_to_bytes,
    seeds_of_a_night,
    take_on,
)
from sweep.plan.records import resolve_twins
from sweep.plan.round import Round
from sweep.plan.selection import with_seeds
from sweep.plan.trial import Record, State, Trial, Value
from sweep.report.baselines import Baseline
from sweep.report.drift import drift
from sweep.report.failures import find_reasons
from sweep.report.judgement import Judgement, sentence
from sweep.report.leaderboard import Configuration
from sweep.report.paired import MIN_SEEDS, has_scipy
from sweep.report.summary import reason_lines
from sweep.report.verdict import Check, Scores, Verdict, compare, overall
from sweep.schema import flatten
from sweep.store import Store, open_store
from sweep.study.asking import runs
from sweep.study.champions import (
    card_of,
    champions_of,
    code_of,
    crown_champion,
    judgements_before,
    read_judgement,
)
from sweep.study.confirming import next_number, seeds_used
from sweep.study.crowning import tree_of
from sweep.study.fetching import Files, cache_folder, reading
from sweep.study.finishing import report_of
from sweep.study.following import GRACE_S
from sweep.study.holding import held
from sweep.study.launching import Way, follow_round
from sweep.study.opening import add_round
from sweep.study.outline import Outline
from sweep.study.reading import find_study, read_rounds, read_study
from sweep.study.rounds import costs_of, files_of, next_round
from sweep.study.siting import Site, open_cluster
from sweep.study.studied import Studied, grown, read_contest, studied
from sweep.study.verdicts import keep, show

UNSET = ("min_effect", "seeds", "alias", "nights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a gate goes by."""

    min_effect: float = 0.0
    seeds: int = MIN_SEEDS
    alias: str = "champion"
    nights: int = 0


def read_rule(state: Studied, given: Mapping[str, Value]) -> Rule:
    """Read the rule from the study's own configuration; what a person gives goes before it.

    Raises BadInput.
    """
    group = state.bases[0].config.get("gate") if state.bases else None
    own = dict(group) if isinstance(group, Mapping) else {}
    words = {key: value for key, value in given.items() if value is not None}
    known = {key: value for key, value in {**own, **words}.items() if key in UNSET}
    rule = Rule(**known)
    if rule.seeds < MIN_SEEDS:
        raise BadInput(f"gate.seeds={rule.seeds}: fewer than {MIN_SEEDS} cannot tell a difference")
    if rule.min_effect < 0 or rule.nights < 0:
        raise BadInput("gate.min_effect and gate.nights cannot be negative")
    return rule


def gate(
    name: str,
    *,
    address: str,
    application: Application | None,
    site: Site,
    console: Console,
    given: Mapping[str, Value],
) -> Judgement:
    """Train winner and champion with the same fresh seeds, judge, and move the champion's name.

    A gate that was cut short goes on; one that has judged says the same again.
    Raises BadInput for a study that cannot be judged, Unreachable where infrastructure failed:
    neither says anything of the model.
    """
    if not has_scipy():
        raise BadInput("the gate needs SciPy; pip install 'hydra-kubernetes-sweep[report]'")
    store = open_store(address)
    place = find_study(store, name)
    study = read_study(place)
    if application is None:
        raise BadInput(f"study {name}: task {study.task} does not say how it is trained and scored")
    with held(place, console=console):
        kept = read_judgement(place)
        if kept is not None:
            console.print(f"study {name} was judged already")
            return kept
        rounds = read_rounds(place)
        files = Files(cache_folder(os.environ), store, files_of(study, rounds))
        application = reading(application, files)
        state = studied(place, study, rounds)
        rule = read_rule(state, given)
        judgement = _judge(state, rounds, store, application, site, console, rule)
        keep(place, judgement)
        show(state, judgement)
        return judgement


def _judge(
    state: Studied,
    rounds: list[Round],
    store: Store,
    application: Application,
    site: Site,
    console: Console,
    rule: Rule,
) -> Judgement:
    best = _winner(state)
    if best is None:
        text = "Every trial of tonight diverged."
        return _judgement(state, rule, Verdict.REGRESSION, text=text, before=None, inputs={})
    contest = read_contest(state.place)
    if contest is None:
        champions = champions_of(state, store=store, alias=rule.alias, nights=rule.nights)
        contest = _contest(state, best, champions, application=application, seeds=rule.seeds)
        state.place.create(layout.CONTEST, contest_to_bytes(contest))
        contest = read_contest(state.place) or contest
        state = replace(state, aside=contest.numbers)
    state = _train(state, rounds, contest, application, site, console)
    records = _records(state, contest)
    winner = _scores(contest.winner, records)
    checks = [
        compare(
            winner,
            _scores(side, records),
            name=f"tonight's winner against {champion.name}",
            against=champion.name,
            direction=state.study.direction,
            min_effect=rule.min_effect,
            tests=len(contest.sides),
        )
        for champion, side in zip(contest.champions, contest.sides, strict=True)
    ]
    again = _again(state, contest, records, rule)
    verdict = overall(checks, again=again)
    card = card_of(state, best, scores=list(winner.by_seed.items()))
    before = _card_before(state, contest, records, rule)
    now: Mapping[str, Value] | None = before
    notes = list(contest.notes)
    if verdict in (Verdict.FIRST, Verdict.PROMOTED) and not (rule.nights and contest.champions):
        notes += crown_champion(state, card, alias=rule.alias, study=state.study.name, again=False)
        now = card
    elif before is not None and verdict is Verdict.NO_DIFFERENCE and not rule.nights:
        crown_champion(state, before, alias=rule.alias, study=state.study.name, again=True)
    profile = application.profile
    inputs = dict(profile(tree_of(state, best.trials[0]))) if profile else {}
    last = next((item.inputs for item in judgements_before(state, store) if item.inputs), None)
    return _judgement(
        state,
        rule,
        verdict,
        text=sentence(checks, again, verdict),
        before=last,
        inputs=inputs,
        contest=contest,
        checks=checks,
        again=again,
        winner=card,
        champion=now,
        notes=notes,
    )


def _winner(state: Studied) -> Configuration | None:
    """Find tonight's winner; None where every trial diverged.

    Raises BadInput where the study is not done, Unreachable where its trials crashed.
    """
    name = state.study.name
    own = [t.number for t in state.trials if t.same_as is None and t.number not in state.aside]
    records = state.records
    open_ = sum(n not in records or records[n].state is State.CANCELLED for n in own)
    if open_:
        raise BadInput(
            f"study {name} is not done: {open_} of {len(own)} trials have no result; "
            f"`python -m sweep resume {name}` trains them"
        )
    best = state.board().best
    if best is None and any(records[n].state is State.FAILED for n in own):
        reasons = reason_lines(find_reasons({n: records[n] for n in own}))
        raise Unreachable(f"study {name}: no trial completed, and some failed: {reasons[0]}")
    return best


def _contest(
    state: Studied,
    best: Configuration,
    champions: Sequence[Champion],
    *,
    application: Application,
    seeds: int,
) -> Contest:
    trial = next(trial for trial in state.trials if trial.number == best.trials[0])
    tonight = flatten(tree_of(state, trial.number))
    tonight.pop(state.study.seed, None)
    used = [*seeds_used(state), *(seed for item in champions for seed, _ in item.scores)]
    fresh = seeds_of_a_night(state.study.name, used, seeds)
    trials: list[Trial] = []

    def side(name: str, values: Mapping[str, Value], own: Sequence[Value]) -> Side:
        made = with_seeds(
            replace(trial, values={**trial.values, **values}, same_as=None),
            key=state.study.seed,
            seeds=own,
            first_number=next_number(state) + len(trials),
        )
        trials.extend(made)
        return Side(name=name, trials=tuple(item.number for item in made), seeds=tuple(own))

    winner = side("tonight's winner", {}, fresh)
    sides, notes, again = [], [], None
    for champion in champions:
        values, told = take_on(champion.config, tonight=tonight, question=application.question)
        sides.append(side(champion.name, values, fresh))
        notes += [f"{champion.name} {line}" for line in told]
        if again is None and _as_it_was(state, champion):
            again = side(f"{champion.name}, again", values, [seed for seed, _ in champion.scores])
    return Contest(
        winner=winner,
        champions=tuple(champions),
        sides=tuple(sides),
        again=again,
        trials=tuple(trials),
        notes=tuple(notes),
    )


def _as_it_was(state: Studied, champion: Champion) -> bool:
    """Tell whether the champion can be held against its own numbers.

    On the same data, with enough seeds, and by another code: the same code gives the same bits.
    """
    same_data = dict(state.study.facts.get("data", {})) == dict(champion.data)
    return (
        bool(champion.data)
        and same_data
        and len(champion.scores) >= MIN_SEEDS
        and code_of(state.study) != dict(champion.code)
    )


def _train(
    state: Studied,
    rounds: list[Round],
    contest: Contest,
    application: Application,
    site: Site,
    console: Console,
) -> Studied:
    way = Way(application, open_cluster(site), site, console)
    try:
        return _train_by(state, rounds, contest, way)
    finally:
        if not way.cluster.lasting:
            way.cluster.stop(GRACE_S)


def _train_by(state: Studied, rounds: list[Round], contest: Contest, way: Way) -> Studied:
    missing = [trial for trial in contest.trials if not _has_result(state, trial.number)]
    if missing and runs(state.study.name, rounds[-1], context=way.site.context):
        plan = Outline(rounds[-1], costs_of(rounds[-1], way.application), {})
        follow_round(state, plan, rounds, way, adopt=True)
        state = grown(state, rounds)
        missing = [trial for trial in contest.trials if not _has_result(state, trial.number)]
    twins = {t.number for t in state.trials if t.same_as is not None}
    missing = [trial for trial in missing if trial.number not in twins]
    for trial in missing:
        state.place.delete(layout.failure_key(trial.number))
    if missing:
        plan = next_round(state, rounds, missing, way.application, site=way.site)
        add_round(state.place, plan.round)
        rounds.append(plan.round)
        state = grown(state, rounds)
        told = f"gate     {len(contest.trials)} trials, {plan.trained} of them to be trained"
        way.console.print(told, highlight=False)
        follow_round(state, plan, rounds, way)
    lost = [n for n in contest.numbers if not _has_result(state, n)]
    if lost:
        records = {n: state.records[n] for n in lost if n in state.records}
        reasons = reason_lines(find_reasons(records)) or ["their workers ended without a word"]
        raise Unreachable(
            f"study {state.study.name}: {len(lost)} of the gate's trials have no result: "
            f"{reasons[0]} Run the gate again"
        )
    return state


def _has_result(state: Studied, number: int) -> bool:
    record = _records(state, None).get(number)
    return record is not None and record.state in (State.COMPLETED, State.INFEASIBLE)


def _records(state: Studied, contest: Contest | None) -> Mapping[int, Record]:
    wanted = contest.numbers if contest else state.aside
    twins = ((t.number, t.same_as) for t in state.trials if t.number in wanted)
    return resolve_twins(state.records, twins)


def _scores(side: Side, records: Mapping[int, Record]) -> Scores:
    found = {seed: records[number] for seed, number in zip(side.seeds, side.trials, strict=True)}
    completed = {
        seed: record.objective
        for seed, record in found.items()
        if record.state is State.COMPLETED and record.objective is not None
    }
    return Scores(by_seed=completed, diverged=len(found) - len(completed))


def _again(
    state: Studied, contest: Contest, records: Mapping[int, Record], rule: Rule
) -> Check | None:
    if contest.again is None:
        return None
    champion = contest.champions[0]
    return compare(
        _scores(contest.again, records),
        Scores(by_seed=dict(champion.scores)),
        name=f"{champion.name} against its own night",
        against="on its own night",
        direction=state.study.direction,
        min_effect=rule.min_effect,
        who=f"{champion.name}, trained again on the same data by tonight's code,",
    )


def _card_before(
    state: Studied, contest: Contest, records: Mapping[int, Record], rule: Rule
) -> dict[str, Value] | None:
    """Give the card of the champion that stays; its scores are tonight's where data are other."""
    if not contest.champions or rule.nights:
        return None
    champion = contest.champions[0]
    data = dict(state.study.facts.get("data", {}))
    same = dict(champion.data) == data and bool(champion.scores)
    scores = champion.scores if same else list(_scores(contest.sides[0], records).by_seed.items())
    return {
        "study": champion.study,
        "trial": champion.trial,
        "config": dict(champion.config),
        "scores": [list(pair) for pair in scores],
        "data": data,
        "code": dict(champion.code) if same else code_of(state.study),
    }


def _judgement(
    state: Studied,
    rule: Rule,
    verdict: Verdict,
    *,
    text: str,
    before: Mapping[str, Value] | None,
    inputs: Mapping[str, Value],
    contest: Contest | None = None,
    checks: Sequence[Check] = (),
    again: Check | None = None,
    winner: Mapping[str, Value] | None = None,
    champion: Mapping[str, Value] | None = None,
    notes: Sequence[str] = (),
) -> Judgement:
    lines, looks = drift(inputs, before)
    baselines: Sequence[Baseline] = report_of(state).results.baselines
    return Judgement(
        study=state.study.name,
        job=state.study.job,
        verdict=verdict,
        text=text,
        objective=state.study.objective,
        direction=state.study.direction,
        min_effect=rule.min_effect,
        seeds=list(contest.winner.seeds) if contest else [],
        checks=checks,
        again=again,
        winner=winner or {},
        champion=champion,
        baselines=baselines,
        inputs=inputs,
        drift=lines,
        looks=looks,
        notes=notes,
    )
