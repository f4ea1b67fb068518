"""Read what the store says of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.errors import BadInput, UnknownName
from sweep.plan import layout
from sweep.plan.records import Ledger, lines_of
from sweep.plan.round import Round, Study, joined, round_from_bytes, study_from_bytes
from sweep.plan.trial import Record
from sweep.store import Store


def find_study(store: Store, name: str) -> Store:
    """Return the part of the store that holds a study.

    Raises UnknownName, with the nearest names, where there is none.
    """
    place = store.at(name)
    if not exists(place, layout.STUDY):
        known = list_studies(store)
        raise UnknownName("study", name, known, hint=f" (store {store.url})")
    return place


def list_studies(store: Store) -> list[str]:
    """Name the studies of a store."""
    return [name for name in store.folders() if exists(store.at(name), layout.STUDY)]


def read_study(store: Store) -> Study:
    """Read study.json; BadInput names its place where it is absent or corrupt."""
    where = f"{store.url}/{layout.STUDY}"
    try:
        return study_from_bytes(store.read(layout.STUDY), where=where)
    except KeyError:
        raise BadInput(f"{where} does not exist; is the study's name right?") from None


def read_round(store: Store, number: int) -> Round:
    """Read one round; BadInput names its place where it is absent or corrupt."""
    key = layout.round_key(number)
    try:
        round_ = round_from_bytes(store.read(key), where=f"{store.url}/{key}")
    except KeyError:
        raise BadInput(f"{store.url}/{key} does not exist; restore the file") from None
    return offered_to(store, round_)


def offered_to(store: Store, round_: Round) -> Round:
    """Add to a round what was offered to its open slots since it was read.

    Raises CorruptPlan.
    """
    if round_.offers is None:
        return round_
    keys = layout.offers_of(round_.number, store.sizes(layout.OFFERS))
    for key in keys[round_.offers.joined :]:
        offered = round_from_bytes(store.read(key), where=f"{store.url}/{key}")
        round_ = joined(round_, offered)
    return round_


def read_rounds(store: Store) -> list[Round]:
    """Read all rounds of a study, in order.

    Raises BadInput where there is none, or one is absent or corrupt; names its place.
    """
    written = len(store.sizes(layout.ROUNDS))
    if not written:
        raise BadInput(
            f"{store.url}: nothing was planned; its client ended before that, or the folder "
            f"{layout.ROUNDS} is gone: restore it, or start the multirun again"
        )
    return [read_round(store, number) for number in range(1, written + 1)]


def exists(store: Store, key: str) -> bool:
    """Tell whether an object is there."""
    try:
        store.read(key)
    except KeyError:
        return False
    return True


def open_ends(store: Store) -> dict[str, int]:
    """Name the records files of attempts that were never closed, with their sizes now."""
    sizes = store.sizes(layout.PACKS)
    open_: set[tuple[int, int]] = set()
    found: dict[str, int] = {}
    for key in sizes:
        attempt = layout.attempt_of(key)
        if attempt is not None and b'"closed"' not in store.read(key):
            open_.add((layout.pack_of(key), attempt))
            found[layout.results_key(layout.pack_of(key), attempt)] = 0
    for key, size in sizes.items():
        file = layout.results_of(key)
        if file is not None and (file.pack, file.attempt) in open_:
            found[key] = size
    return found


@dataclass(slots=True)
class Reader:
    """Follow the records files of a study: each look reads only what is new."""

    store: Store
    fences: Mapping[str, int] = field(default_factory=dict)  # file to the bytes of it that count
    ledger: Ledger = field(default_factory=Ledger)
    _used: dict[str, tuple[int, int]] = field(default_factory=dict)  # key to lines, bytes

    def look(self, packs: list[int] | None = None) -> list[Record]:
        """Take in what was written since the last look; return the new terminal records.

        `packs` limits the look to some packs, for a study with many.
        """
        fresh: list[Record] = []
        for key, size in sorted(self._files(packs).items()):
            file = layout.results_of(key)
            if file is None:
                continue
            count, start = self._used.get(key, (0, 0))
            end = self._fence(key, size)
            if end <= start:
                continue
            lines, corrupt, count, used = lines_of(
                self.store.read(key, start)[: end - start],
                where=f"{self.store.url}/{key}",
                attempt=file.attempt,
                part=file.part,
                first_line=count,
            )
            self._used[key] = (count, start + used)
            self.ledger.corrupt.extend(corrupt)
            for line in lines:
                record = self.ledger.add(line)
                if record is not None:
                    fresh.append(record)
        return fresh

    def _fence(self, key: str, size: int) -> int:
        # What a given-up attempt writes after another round took its trials does not count, nor
        # does a file that it began since.
        if key in self.fences:
            return min(size, self.fences[key])
        file = layout.results_of(key)
        if file is not None and layout.results_key(file.pack, file.attempt) in self.fences:
            return 0
        return size

    def torn(self) -> int:
        """Count the files that end in the middle of a line, as a kill leaves them."""
        sizes = self._files(None)
        return sum(
            self._fence(key, sizes.get(key, 0)) > used for key, (_, used) in self._used.items()
        )

    def _files(self, packs: list[int] | None) -> dict[str, int]:
        if packs is None:
            return self.store.sizes(layout.PACKS)
        found: dict[str, int] = {}
        for pack in packs:
            found.update(self.store.sizes(layout.pack_prefix(pack)))
        return found
