"""Keep the winner of a study as a model that predicts from raw rows, with its own code."""

from __future__ import annotations

import hashlib
import importlib
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.plan.trial import Value
from sweep.tracking.champion import CARD
from sweep.tracking.entry import digest
from sweep.tracking.failures import Away, Refused
from sweep.tracking.info import StudyInfo
from sweep.tracking.names import key, text
from sweep.tracking.server import Tracker
from sweep.tracking.source import copy_source, source_of

log = logging.getLogger("sweep.tracking")

CODE = Path(__file__).with_name("winner_model.py")
TAG = "sweep.model"  # of the parent run: hash and id of the model that it has


@dataclass(frozen=True, slots=True, kw_only=True)
class WinnerInfo:
    """A trained model as files, and how to open and use them.

    `loader` names a function, 'module:function', that takes the folder of the files and returns
    an object whose `predict` takes a table by column name and returns an array [steps, outputs].
    """

    name: str  # of the trial, shown as the model's name
    files: Mapping[str, bytes]  # file name, or path, to content
    loader: str
    example: Mapping[str, Sequence[float] | Sequence[str]]  # raw rows: one prediction reads them
    outputs: Sequence[str] = ()  # names of the columns of a prediction
    params: Mapping[str, Value] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    register: str | None = None  # name in the model registry
    card: str = ""  # what the model is made of, as JSON; a tag of its version


def log_winner(
    tracker: Tracker, *, study: StudyInfo, parent: str, winner: WinnerInfo
) -> str | None:
    """Keep the model under the parent run, and register it where it has a name for that.

    The same winner is kept once. Returns the address 'models:/...'; None where MLflow is away or
    its artifact store does not take files. Raises what the loader raises.
    """
    content = _content(winner)
    try:
        run = tracker.ask(lambda client: client.get_run(parent))
        before, _, model_id = run.data.tags.get(TAG, "").partition(" ")
        if before != content:
            kept = _keep(tracker, study=study, parent=parent, winner=winner, ended=run.info)
            if kept is None:
                return None
            model_id = kept
            tracker.write(parent, tags={TAG: f"{content} {model_id}"})
        if winner.register is not None:
            _register(tracker, name=winner.register, model_id=model_id, card=winner.card)
        return f"models:/{model_id}"
    except (Away, Refused) as error:
        log.warning("tracking: the winner of %s is not kept as a model (%s)", study.id, error)
        return None


def import_ahead(loader: str) -> None:
    """Import what keeping a model takes, torch and pyfunc among it: a second or two."""
    with suppress(Exception):  # what cannot be imported is told by who needs it
        source_of(loader.partition(":")[0])
        _load(loader)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("mlflow.pyfunc")


def _content(winner: WinnerInfo) -> str:
    files = {name: hashlib.sha256(body).hexdigest() for name, body in winner.files.items()}
    return digest([winner.name, files, winner.loader])


def _keep(
    tracker: Tracker, *, study: StudyInfo, parent: str, winner: WinnerInfo, ended: Any
) -> str | None:
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    experiment = tracker.experiment_id
    model = tracker.ask(
        lambda client: client.create_logged_model(
            experiment,
            name=_model_name(winner.name),
            source_run_id=parent,
            tags={"sweep.study": study.id},
            params={key(name): text(value) for name, value in winner.params.items()},
        )
    )
    model_id = str(model.model_id)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder)
        _save(winner, folder=local, model=model, parent=parent)
        taken = tracker.keep(lambda c: c.log_model_artifacts(model_id, str(local / "model")))
    status = LoggedModelStatus.READY if taken else LoggedModelStatus.FAILED
    tracker.ask(lambda client: client.finalize_logged_model(model_id, status))
    if not taken:
        return None
    output = LoggedModelOutput(model_id, step=0)
    tracker.ask(lambda client: client.log_outputs(parent, models=[output]))
    at_ms = ended.end_time or ended.start_time
    metrics = [
        Metric(key(name), value, at_ms, 0, model_id=model_id)
        for name, value in winner.metrics.items()
        if math.isfinite(value)
    ]
    tracker.ask(lambda client: client.log_batch(parent, metrics=metrics))
    return model_id


def _save(winner: WinnerInfo, *, folder: Path, model: Any, parent: str) -> None:
    """Write MLflow's model folder: code as files, weights as files, nothing pickled."""
    files, code = folder / "files", folder / "code"
    files.mkdir()
    code.mkdir()
    for name, body in winner.files.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(body)
    source = source_of(winner.loader.partition(":")[0])
    predict = _load(winner.loader)(files).predict
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on type hints, from the import of pyfunc on
        import pandas as pd  # type: ignore[import-untyped]
        from mlflow.models import Model, infer_signature
        from mlflow.pyfunc import save_model

        table = pd.DataFrame(
            {
                name: [value if isinstance(value, str) else float(value) for value in column]
                for name, column in winner.example.items()
            }
        )
        predicted = pd.DataFrame(predict(table), columns=list(winner.outputs) or None)
        save_model(
            str(folder / "model"),
            mlflow_model=Model(
                artifact_path=model.artifact_location,
                model_uuid=model.model_id,
                run_id=parent,
                model_id=model.model_id,
            ),
            python_model=str(CODE),
            artifacts={"files": str(files)},
            model_config={"loader": winner.loader, "outputs": list(winner.outputs)},
            code_paths=[str(path) for path in copy_source(source, folder=code)],
            signature=infer_signature(table, predicted),
            input_example=table,
            pip_requirements=_requirements(source.packages),
        )


def _load(loader: str) -> Callable[[Path], Any]:
    module, _, function = loader.partition(":")
    found: Callable[[Path], Any] = getattr(importlib.import_module(module), function)
    return found


def _requirements(packages: Sequence[str]) -> list[str]:
    import mlflow
    import pandas as pd

    return sorted({f"mlflow=={mlflow.__version__}", f"pandas=={pd.__version__}", *packages})


def _model_name(name: str) -> str:
    """Write a trial's name without the characters that MLflow refuses in a model's."""
    return "".join("_" if sign in "/:.%\"' " else sign for sign in name)


def _register(tracker: Tracker, *, name: str, model_id: str, card: str) -> None:
    model = tracker.ask(lambda client: client.get_logged_model(model_id))
    # Not 'models:/...', nor without a run: a database of this client would look those up at the
    # tracking address of the process, which may be another.
    source, run = model.artifact_location, model.source_run_id
    versions = tracker.ask(lambda client: client.search_model_versions(f"name='{name}'"))
    if any(version.source == source for version in versions):
        return
    try:
        tracker.ask(lambda client: client.create_registered_model(name))
    except Refused:
        log.debug("model %s is registered already: this is its next version", name)
    tags = {CARD: card} if card else None
    tracker.ask(
        lambda client: client.create_model_version(name, source, run, tags=tags, model_id=model_id)
    )
