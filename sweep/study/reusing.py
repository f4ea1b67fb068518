"""Take over what other studies of the store have trained already."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.errors import BadInput
from sweep.plan import layout, shared
from sweep.plan.records import to_line
from sweep.plan.reuse import (
    RESULTS,
    contents_from_bytes,
    contents_to_bytes,
    matches,
    taken_over,
)
from sweep.plan.round import Round
from sweep.plan.trial import Record, Value
from sweep.store import Store
from sweep.study.reading import Reader, read_rounds, read_study

log = logging.getLogger(__name__)

RECORDS_A_FILE = 5000


@dataclass(frozen=True, slots=True)
class Taken:
    """A trial that need not be trained."""

    record: Record  # as it stands in this study
    study: str  # that has it
    weights: str | None  # their key in that study, where they are there
    baselines: bytes | None = None  # of that study, where its data are the same


def find_taken(
    store: Store,
    *,
    context: str | None,
    contents: Mapping[int, str],
    study: str,
    round_number: int,
    data: Mapping[str, Value],
) -> dict[int, Taken]:
    """Find trials with a result in another study of the same task, code and surroundings.

    One listing, then what studies with such trials hold: never a request a trial. `data` are the
    hashes that this study reads, by name. A study that cannot be read is passed over.
    """
    found: dict[int, Taken] = {}
    if context is None:
        return found
    for key in sorted(store.sizes(shared.contents_prefix(context))):
        source = shared.study_of_contents(key)
        if source == study:
            continue
        try:
            known = contents_from_bytes(store.read(key), where=f"{store.url}/{key}")
            pairs = list(matches(contents, known, done=found))
            if pairs:
                found.update(_take(store, source, pairs, round_number=round_number, data=data))
        except (BadInput, KeyError) as error:
            log.warning("study %s is not reused: %s", source, error)
        if len(found) == len(contents):
            break
    return found


def take_over(store: Store, *, study: str, round_: Round, taken: Sequence[Taken]) -> None:
    """Write taken trials into this study as records of the round: attempt 0, which no worker has.

    Weights that the other study kept come along, so that a winner need not be trained again.
    """
    twins = {trial.number for trial in round_.trials if trial.same_as is not None}
    own = [item for item in taken if item.record.trial not in twins]  # twins share a record
    if not own:
        return
    place = store.at(study)
    first = round_.packs[0].number if round_.packs else 0
    part = 1 + max((f.part for f in _own_files(place, first)), default=0)
    records = [_with_weights(store, place, item) for item in own]
    for start in range(0, len(records), RECORDS_A_FILE):
        lines = b"".join(map(to_line, records[start : start + RECORDS_A_FILE]))
        place.write(layout.results_key(first, 0, part), lines)
        part += 1
    baselines = next((item.baselines for item in own if item.baselines), None)
    if baselines is not None:
        place.create(layout.BASELINES, baselines)


def note_contents(
    store: Store,
    *,
    context: str | None,
    contents: Mapping[int, str],
    study: str,
    round_number: int,
) -> None:
    """List what the trials of a round are, so that later studies find those that completed."""
    if context is not None and contents:
        key = shared.contents_key(context, study=study, round_number=round_number)
        store.create(key, contents_to_bytes(contents))


def count_taken(records: Iterable[Record]) -> int:
    """Count the records that were taken over."""
    return sum(record.reused_from is not None for record in records)


def _take(
    store: Store,
    source: str,
    pairs: Sequence[tuple[int, int]],
    *,
    round_number: int,
    data: Mapping[str, Value],
) -> dict[int, Taken]:
    place = store.at(source)
    rounds = read_rounds(place)
    reader = Reader(place, {key: size for each in rounds for key, size in each.fences.items()})
    reader.look()
    records = reader.ledger.records
    usable = [(n, records[old]) for n, old in pairs if old in records and _is_result(records[old])]
    kept = place.sizes(layout.TRIALS) if any(record.weights for _, record in usable) else {}
    baselines = _baselines(place) if usable and _same_data(place, data) else None
    return {
        number: Taken(
            record=taken_over(record, study=source, trial=number, round_number=round_number),
            study=source,
            weights=record.weights if record.weights in kept else None,
            baselines=baselines,
        )
        for number, record in usable
    }


def _is_result(record: Record) -> bool:
    return record.state in RESULTS


def _same_data(place: Store, data: Mapping[str, Value]) -> bool:
    return dict(read_study(place).facts.get("data", {})) == dict(data)


def _baselines(place: Store) -> bytes | None:
    try:
        return place.read(layout.BASELINES)
    except KeyError:
        return None


def _with_weights(store: Store, place: Store, item: Taken) -> Record:
    if item.weights is None:
        return item.record
    key = layout.weights_key(item.record.trial)
    try:
        place.write(key, store.at(item.study).read(item.weights))
    except KeyError:  # removed since it was listed
        return item.record
    return replace(item.record, weights=key)


def _own_files(place: Store, pack: int) -> list[layout.ResultsFile]:
    found = (layout.results_of(key) for key in place.sizes(layout.pack_prefix(pack)))
    return [file for file in found if file is not None and file.attempt == 0]
