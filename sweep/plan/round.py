"""Write a study and its rounds as JSON that can be read, compared and replayed by hand."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from sweep.errors import BadInput, CorruptPlan
from sweep.plan.document import read_document
from sweep.plan.packing import Pack
from sweep.plan.rungs import Rungs, rungs_from_json, rungs_to_json
from sweep.plan.trial import Trial, Value

FORMAT = 1
STUDY_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One multirun and everything that came of it: what all its rounds have in common."""

    name: str
    created: float  # UTC seconds since 1970
    task: str  # module:function, or path.py:function
    job: str  # Hydra's job name
    directory: str = ""  # where the client stood; paths of data are relative to it
    direction: str = "minimize"
    objective: str = "objective"  # what the number is called
    test: str = ""  # what the same number on the test part is called
    seed: str = "train.seed"  # key of the axis that makes no new configuration
    overrides: tuple[str, ...] = ()  # what the person typed
    choosing: tuple[str, ...] = ()  # of what was typed for Hydra: what decides what is tried
    config_dirs: tuple[str, ...] = ()  # that were named by --config-dir
    grid: Mapping[str, list[Value]] = field(default_factory=dict)  # varied key to its values
    limits: Mapping[str, Value] = field(default_factory=dict)  # max_attempts, max_failed, pack_size
    tracking: Mapping[str, Value] = field(default_factory=dict)  # uri, experiment, register
    facts: Mapping[str, Value] = field(default_factory=dict)  # data hash, git sha, versions, device
    confirm: str | None = None  # KxN: the best K are trained again with N fresh seeds


@dataclass(frozen=True, slots=True)
class Base:
    """One composed configuration, without the values that vary; nothing in it is resolved."""

    overrides: tuple[str, ...]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offers:
    """How much of a round stood in its file; the rest was offered to its open slots since."""

    bases: int
    trials: int
    joined: int = 0  # offers that were added since


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one launch or one resume added to a study."""

    number: int
    bases: Sequence[Base]
    trials: Sequence[Trial]
    packs: Sequence[Pack]
    hydra: Mapping[str, Any] = field(default_factory=dict)  # what workers compose from, if they do
    fences: Mapping[str, int] = field(default_factory=dict)  # records file to the bytes that count
    cluster: Mapping[str, Value] = field(default_factory=dict)  # kind, and where its Job is
    rungs: Rungs | None = None  # its packs are empty, and workers choose from them what to train
    files: Mapping[str, Value] = field(default_factory=dict)  # of data, that earlier ones lacked
    offers: Offers | None = None  # its packs are empty, and take trials that are offered to them

    @property
    def open(self) -> bool:
        """Tell whether its packs are open slots, any of which may take any trial."""
        return self.rungs is not None or self.offers is not None

    def numbers_of(self, pack: Pack) -> tuple[int, ...]:
        """List the trials that a pack may train."""
        if not self.open:
            return pack.trials
        return tuple(trial.number for trial in self.trials if trial.same_as is None)


def joined(round_: Round, offered: Round) -> Round:
    """Add what was offered to a round."""
    assert round_.offers is not None
    shift = len(round_.bases)
    return replace(
        round_,
        offers=replace(round_.offers, joined=round_.offers.joined + 1),
        bases=[*round_.bases, *offered.bases],
        trials=[*round_.trials, *(replace(t, base=t.base + shift) for t in offered.trials)],
    )


def check_study_name(name: str) -> str:
    """Refuse a study id that is no DNS label of at most 40 characters.

    Raises BadInput.
    """
    if not STUDY_NAME.fullmatch(name):
        raise BadInput(
            f"hydra.launcher.study={name}: a study's name has at most 40 characters, lower-case "
            "letters, digits and '-', begins with a letter and does not end with '-'"
        )
    return name


def study_name(job: str, *, stamp: str, tail: str) -> str:
    """Make a study id of the job's name, a time like 20261122-170100 and four hex digits."""
    stem = re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-") or "study"
    if not stem[0].isalpha():
        stem = f"s-{stem}"
    return check_study_name(f"{stem[:19].rstrip('-')}-{stamp}-{tail}")


def study_to_bytes(study: Study) -> bytes:
    """Write study.json."""
    body = {"format": FORMAT, **asdict(study)}
    return _dump({**body, "hash": digest(body)})


def study_from_bytes(data: bytes, *, where: str) -> Study:
    """Read study.json and check it against its own hash.

    Raises CorruptPlan, naming `where`.
    """
    body = _load(data, where)
    known = {f.name for f in fields(Study)}
    try:
        values = {k: v for k, v in body.items() if k in known}
        for key in ("overrides", "choosing", "config_dirs"):
            values[key] = tuple(values.get(key, ()))
        return Study(**values)
    except TypeError as error:
        raise CorruptPlan(f"{where}: not a study ({error}); restore the file") from None


def round_to_bytes(round_: Round) -> bytes:
    """Write one round; trials stand as rows, their keys once per shape."""
    body = _round_body(round_)
    body["hash"] = digest(body)
    return _dump(body)


def round_hash(round_: Round) -> str:
    """Hash a round, as its file and its Job carry it."""
    return digest(_round_body(round_))


def _round_body(round_: Round) -> dict[str, Value]:
    offers = {}
    if round_.offers is not None:  # its file never changes
        offers = {"offers": {"bases": round_.offers.bases, "trials": round_.offers.trials}}
        round_ = replace(
            round_,
            bases=round_.bases[: round_.offers.bases],
            trials=round_.trials[: round_.offers.trials],
        )
    shapes: dict[tuple[str, ...], int] = {}
    rows: list[list[Value]] = []
    for trial in round_.trials:
        shape = shapes.setdefault(tuple(trial.values), len(shapes))
        rows.append([trial.number, trial.base, shape, trial.same_as, *trial.values.values()])
    body: dict[str, Value] = {
        "format": FORMAT,
        "round": round_.number,
        "bases": [{"overrides": list(b.overrides), "config": b.config} for b in round_.bases],
        "keys": [list(shape) for shape in shapes],
        "columns": ["number", "base", "keys", "same_as", "values..."],
        "trials": rows,
        "packs": [[p.number, list(p.trials)] for p in round_.packs],
        "hydra": round_.hydra,
        "fences": round_.fences,
        "cluster": round_.cluster,
        **rungs_to_json(round_.rungs),
        **offers,
    }
    # Left out where there are none: the workers of an older image know no such keys.
    fused = [pack.number for pack in round_.packs if pack.fused]
    rest = {"files": round_.files, "fused": fused}
    return {**body, **{key: value for key, value in rest.items() if value}}


def round_from_bytes(data: bytes, *, where: str) -> Round:
    """Read one round and check it against its own hash.

    Raises CorruptPlan, naming `where`.
    """
    body = _load(data, where)
    try:
        keys, fused = body["keys"], frozenset(body.get("fused", ()))
        return Round(
            number=body["round"],
            bases=[Base(tuple(b["overrides"]), b["config"]) for b in body["bases"]],
            trials=[
                Trial(number, base, dict(zip(keys[shape], values, strict=True)), same_as)
                for number, base, shape, same_as, *values in body["trials"]
            ],
            packs=[Pack(n, tuple(trials), n in fused) for n, trials in body["packs"]],
            hydra=body["hydra"],
            fences=body["fences"],
            cluster=body.get("cluster", {}),
            rungs=rungs_from_json(body.get("rungs")),
            offers=Offers(**body["offers"]) if "offers" in body else None,
            files=body.get("files", {}),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CorruptPlan(f"{where}: not a round ({error!r}); restore the file") from None


def digest(body: Value) -> str:
    """Hash a JSON value independently of the order of its keys."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def set_values(config: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """Copy a nested configuration and set dotted keys in the copy."""
    tree = _copy(config)
    for key, value in values.items():
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node[part]
        node[last] = _copied(value)
    return tree


def all_trials(rounds: Iterable[Round]) -> tuple[list[Base], list[Trial]]:
    """Join the rounds of a study: every trial once, as its newest round has it."""
    bases: list[Base] = []
    trials: dict[int, Trial] = {}
    for round_ in rounds:
        shift = len(bases)
        bases.extend(round_.bases)
        for t in round_.trials:
            trials[t.number] = Trial(t.number, t.base + shift, t.values, t.same_as)
    return bases, [trials[number] for number in sorted(trials)]


def _copy(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) for key, value in config.items()}


def _copied(value: Any) -> Any:
    # Lists too: a task may change its own, and the next trial is given the same base.
    if isinstance(value, Mapping):
        return _copy(value)
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _dump(body: Value) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _load(data: bytes, where: str) -> dict[str, Any]:
    body = read_document(data, where=where, expected=FORMAT)
    expected = body.pop("hash", None)
    if digest(body) != expected:
        raise CorruptPlan(f"{where}: its content does not match its hash; restore the file")
    return body
