"""Show what workers printed: from their pods while these live, from the store after."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from sweep.errors import BadInput, Unreachable
from sweep.plan import layout
from sweep.plan.packing import Pack
from sweep.plan.round import Round
from sweep.store import Store
from sweep.study.reading import read_rounds
from sweep.study.siting import KUBERNETES, site_again

LOOK_EVERY_S = 1.0


def pack_logs(place: Store, *, trial: int | None = None) -> Iterator[str]:
    """Yield the logs of a study's packs, each under a line that names its trials.

    Raises BadInput for a trial that the study does not have.
    """
    for pack in _packs(place, read_rounds(place), trial):
        text = _stored(place, pack.number)
        if text:
            yield _title(pack)
            yield text.rstrip("\n")


def live_logs(
    place: Store,
    *,
    env: Mapping[str, str],
    trial: int | None = None,
    context: str | None = None,
    follow: bool = False,
) -> Iterator[str]:
    """Yield the logs as `pack_logs` does, those of pods that live from the pods themselves.

    `follow` goes on until nothing of the study runs. Raises BadInput, Unreachable.
    """
    rounds = read_rounds(place)
    packs = _packs(place, rounds, trial)
    if rounds[-1].cluster.get("kind") != KUBERNETES:
        yield from pack_logs(place, trial=trial)
        if follow:
            yield from _growing(place, packs)
        return
    yield from _of_pods(place, rounds[-1], packs, env=env, context=context, follow=follow)


def _of_pods(
    place: Store,
    round_: Round,
    packs: Sequence[Pack],
    *,
    env: Mapping[str, str],
    context: str | None,
    follow: bool,
) -> Iterator[str]:
    from sweep.cluster.api import Away, Refused, open_api
    from sweep.cluster.pods import follow_all, pods_of, tail

    site = site_again(round_.cluster, env=env, context=context)
    api = open_api(context=site.context, namespace=site.namespace)
    places = {pack.number: index for index, pack in enumerate(round_.packs)}
    study = place.url.rpartition("/")[2]
    try:
        pods = pods_of(api, study, round_.number)
        living: dict[int, str] = {}
        for pack in packs:
            pod = pods.get(places.get(pack.number, -1))
            stored = _stored(place, pack.number)
            if pod is not None and (follow or not stored):
                living[pack.number] = pod
                continue
            if stored:
                yield _title(pack)
                yield stored.rstrip("\n")
        if follow:
            for number, line in follow_all(api, living):
                yield f"[pack {number}] {line}"
            return
        for pack in packs:
            if pack.number in living:
                yield _title(pack)
                yield from tail(api, living[pack.number], follow=False)
    except Refused as error:
        raise BadInput(f"{api.where}, namespace {api.namespace}: {error}") from None
    except Away as error:
        raise Unreachable(str(error)) from error


def _growing(place: Store, packs: Sequence[Pack]) -> Iterator[str]:
    seen = {pack.number: len(_stored(place, pack.number)) for pack in packs}
    while place.held(layout.LEASE):
        time.sleep(LOOK_EVERY_S)
        for pack in packs:
            text = _stored(place, pack.number)
            if len(text) > seen[pack.number]:
                yield f"[pack {pack.number}] {text[seen[pack.number] :].rstrip()}"
                seen[pack.number] = len(text)


def _packs(place: Store, rounds: Sequence[Round], trial: int | None) -> list[Pack]:
    packs = [pack for round_ in rounds for pack in round_.packs]
    if trial is None:
        return packs
    open_ = {pack.number for round_ in rounds if _climbs(round_, trial) for pack in round_.packs}
    packs = [pack for pack in packs if trial in pack.trials or pack.number in open_]
    if not packs:
        raise BadInput(f"trial {trial} is in no pack of {place.url}; is it another's twin?")
    return packs


def _climbs(round_: Round, trial: int) -> bool:
    # Any of its slots may have trained it.
    return round_.open and any(item.number == trial for item in round_.trials)


def _stored(place: Store, pack: int) -> str:
    try:
        return place.read(layout.log_key(pack)).decode(errors="replace")
    except KeyError:
        return ""


def _title(pack: Pack) -> str:
    trials = f"trials {', '.join(map(str, pack.trials))}" if pack.trials else "an open slot"
    return f"== pack {pack.number}: {trials}"
