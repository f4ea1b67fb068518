"""Plan a round whose workers choose what to train next: rungs, and open slots."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.errors import BadInput
from sweep.plan.packing import CPU_LANES, GPU_LANES, Pack
from sweep.plan.round import Round
from sweep.plan.rungs import Rungs
from sweep.plan.trial import Trial
from sweep.search.brackets import brackets
from sweep.study.outline import Outline
from sweep.study.siting import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Halving:
    """What a search by halving asks of its round."""

    least: int = 1  # epochs of the first rung
    factor: int = 3  # of those that reach a rung one in so many goes on
    brackets: int | None = 1  # that begin to halve later; None: all of Hyperband's
    seeds: int = 1  # trials of one configuration, which stand beside each other
    until: float | None = None  # UTC seconds after which nothing new begins


def with_rungs(plan: Outline, halving: Halving, *, site: Site) -> Outline:
    """Let the round's workers choose by rungs, in slots as many as run at a time.

    Raises BadInput where its trials have no common number of epochs.
    """
    found = sorted({cost.epochs for cost in plan.costs.values()})
    if len(found) != 1:
        raise BadInput(
            f"hydra.sweeper.strategy=halving compares at equal epochs, and trials have {found}: "
            "give all one train.epochs"
        )
    ladder = brackets(
        least=halving.least, most=found[0], factor=halving.factor, count=halving.brackets
    )
    rungs = Rungs(
        brackets=tuple(bracket.rungs for bracket in ladder),
        factor=halving.factor,
        units=tuple(_units(plan.round.trials, halving.seeds)),
        until=halving.until,
    )
    return replace(plan, round=opened(plan.round, rungs, site=site))


def opened(round_: Round, rungs: Rungs, *, site: Site) -> Round:
    """Replace the packs of a round by open slots."""
    first = round_.packs[0].number if round_.packs else 0
    trials = sum(len(pack.trials) for pack in round_.packs)
    fused = any(pack.fused for pack in round_.packs)
    lanes, most = site.lanes, site.workers
    if fused:
        lanes = GPU_LANES * site.gpus_of_a_pack if site.has_gpu else CPU_LANES
        most = min(most, len(site.gpus) or most)
    slots = max(1, min(most, math.ceil(trials / lanes)))
    packs = [Pack(first + place, (), fused) for place in range(slots)]
    return replace(round_, rungs=rungs, packs=packs)


def rungs_again(rounds: Iterable[Round], missing: Sequence[Trial]) -> Rungs | None:
    """Find the rungs that trials of a later round go on with; None where they have none."""
    for round_ in rounds:
        if round_.rungs is not None:
            climbing = {number for unit in round_.rungs.units for number in unit}
            if climbing.issuperset(trial.number for trial in missing):
                return round_.rungs
    return None


def read_halving(options: Mapping[str, object], *, seeds: int, until: float | None) -> Halving:
    """Read hydra.sweeper.halving.

    Raises BadInput.
    """
    values: dict[str, int | None] = {}
    for key, least in (("least", 1), ("factor", 2), ("brackets", 1)):
        value = options.get(key)
        if value is None and key == "brackets":
            values[key] = None
        elif isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise BadInput(
                f"hydra.sweeper.halving.{key}={value}: must be a whole number of at least {least}"
            )
        else:
            values[key] = value
    return Halving(
        least=values["least"] or 1,
        factor=values["factor"] or 3,
        brackets=values["brackets"],
        seeds=seeds,
        until=until,
    )


def _units(trials: Sequence[Trial], seeds: int) -> Iterable[tuple[int, ...]]:
    for start in range(0, len(trials), seeds):
        own = trials[start : start + seeds]
        unit = tuple(trial.number for trial in own if trial.same_as is None)
        if unit:  # else it is equal in effect to one before
            yield unit
