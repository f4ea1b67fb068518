"""Talk to one MLflow experiment, and notice when it cannot be reached."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sweep.errors import BadInput, SweepError
from sweep.tracking.address import without_password
from sweep.tracking.database import artifact_root, is_database, knock
from sweep.tracking.entry import Point
from sweep.tracking.failures import (
    Away,
    Locked,
    Refused,
    failures,
    first_line,
    is_locked,
    is_refusal,
    lock_line,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
log = logging.getLogger("sweep.tracking")

REST_S = 60.0  # how long a server that did not answer is left alone
PAGE = 1000  # runs in one answer
MOST_METRICS = 800  # of one log_batch: with 100 params and 100 tags MLflow's 1,000
MOST_PARAMS = 100
MOST_TAGS = 100

# A dead server holds a caller for (1 + retries) timeouts and one backoff: at most 15 s.
# MLflow's own defaults come to several minutes. What a person has set stays.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "7",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.5",
}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
CHATTER = {  # logger to the level from which it is heard
    "alembic": logging.WARNING,
    "mlflow.pyfunc": logging.WARNING,
    "mlflow.store.db.utils": logging.CRITICAL,  # prints a stack for each locked database
    "mlflow.utils.rest_utils": logging.ERROR,
    "urllib3.connectionpool": logging.ERROR,  # prints every retry
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run as MLflow holds it; `metrics` are the newest values."""

    id: str
    name: str
    status: str
    started_ms: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def open(self) -> bool:
        """Tell whether MLflow shows the run as going on."""
        return self.status in ("RUNNING", "SCHEDULED")


def open_tracker(
    uri: str, *, experiment: str, clock: Callable[[], float] = time.monotonic
) -> Tracker:
    """Name an MLflow and an experiment in it; nothing is asked of it yet.

    Raises BadInput where MLflow does not know that kind of address.
    """
    for name, value in (PATIENCE | QUIET).items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name, level in CHATTER.items():
        logging.getLogger(name).setLevel(level)
    if not is_database(uri):
        try:
            MlflowClient(uri)
        except MlflowException as error:
            raise BadInput(
                f"tracking.uri={without_password(uri)}: MLflow cannot use this address "
                f"({first_line(error)}); write http://HOST:PORT or sqlite:///PATH/mlflow.db"
            ) from error
    return Tracker(uri, experiment=experiment, clock=clock)


class Tracker:
    """One MLflow experiment, and whether it could be reached lately.

    May be used by many threads. Every method raises Away or Refused, and nothing else that is
    not a mistake of the caller.
    """

    def __init__(self, uri: str, *, experiment: str, clock: Callable[[], float]) -> None:
        self.uri = uri
        self.experiment = experiment
        self._clock = clock
        self._lock = threading.RLock()
        self._clients = threading.local()  # one client a thread, as MLflow asks
        self._rests_until: float | None = None
        self.why_locked = ""  # what opens an MLflow that did not let us in lately
        self._experiment_id: str | None = None

    @property
    def away(self) -> bool:
        """Tell whether MLflow did not answer lately, and is left alone for now."""
        until = self._rests_until
        return until is not None and self._clock() < until

    @property
    def experiment_id(self) -> str:
        """Find the experiment, or create it."""
        with self._lock:
            if self._experiment_id is None:
                self._experiment_id = self._find_experiment() or self._create_experiment()
            return self._experiment_id

    def ask(self, act: Callable[[MlflowClient], T]) -> T:
        """Let `act` use the client of this thread, and translate what goes wrong."""
        if self.away:
            if self.why_locked:
                raise Locked(self.why_locked)
            raise Away(f"{without_password(self.uri)} did not answer lately")
        try:
            answer = act(self._client())
        except failures() as error:
            raise self._translate(error) from error
        self._rests_until = None
        self.why_locked = ""
        return answer

    def find(self, expression: str) -> list[Run]:
        """Find the runs that match a search expression, oldest first."""
        experiments, order = [self.experiment_id], ["attributes.start_time ASC"]
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self.ask(
                lambda client, token=token: client.search_runs(  # type: ignore[misc]
                    experiments, expression, max_results=PAGE, order_by=order, page_token=token
                )
            )
            runs.extend(_run(found) for found in page)
            token = page.token
            if not token:
                return runs

    def create(self, *, name: str, tags: Mapping[str, str], started_ms: int) -> str:
        """Create a run and return its id."""
        experiment = self.experiment_id
        run = self.ask(
            lambda client: client.create_run(
                experiment, start_time=started_ms, tags=dict(tags), run_name=name
            )
        )
        return str(run.info.run_id)

    def write(
        self,
        run: str,
        *,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write to a run in as few calls as MLflow's limits allow.

        Points that the run has already are not doubled.
        """
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(p.key, p.value, p.at_ms, p.step) for p in points]
        settings = [Param(name, value) for name, value in (params or {}).items()]
        labels = [RunTag(name, value) for name, value in (tags or {}).items()]
        while metrics or settings or labels:
            batch = {
                "metrics": metrics[:MOST_METRICS],
                "params": settings[:MOST_PARAMS],
                "tags": labels[:MOST_TAGS],
            }
            self.ask(lambda client, batch=batch: client.log_batch(run, **batch))  # type: ignore[misc]
            del metrics[:MOST_METRICS], settings[:MOST_PARAMS], labels[:MOST_TAGS]

    def steps(self, run: str, *, key: str) -> dict[int, int]:
        """Read at which steps a run has a value of one metric, and when each was written."""
        history = self.ask(lambda client: client.get_metric_history(run, key))
        return {point.step: point.timestamp for point in history}

    def set_status(self, run: str, *, status: str, ended_ms: int | None) -> None:
        """Set the state of a run, and when it ended."""
        if ended_ms is None:
            self.ask(lambda client: client.update_run(run, status=status))
        else:
            self.ask(lambda client: client.set_terminated(run, status, ended_ms))

    def delete(self, run: str) -> None:
        """Move a run to MLflow's bin; one that is gone already is no error."""
        try:
            self.ask(lambda client: client.delete_run(run))
        except Refused:
            log.debug("run %s was deleted by someone else", run)

    def upload(self, run: str, *, files: Mapping[str, str]) -> bool:
        """Keep texts as artifacts of a run; False where the artifact store does not take them."""
        return all(
            self.keep(lambda client, p=path, c=content: client.log_text(run, c, p))  # type: ignore[misc]
            for path, content in files.items()
        )

    def keep(self, act: Callable[[MlflowClient], object]) -> bool:
        """Let `act` send files; False where the artifact store does not take them.

        That store is often another server than MLflow, so its failure says nothing of MLflow's.
        """
        try:
            act(self._client())
        except failures() as error:
            where = without_password(self.uri)
            log.warning("tracking %s: files are not kept (%s)", where, first_line(error))
            return False
        return True

    def labels(self) -> dict[str, str]:
        """Read the tags of the experiment."""
        experiment = self.experiment_id
        return dict(self.ask(lambda client: client.get_experiment(experiment)).tags)

    def label(self, key: str, value: str | None) -> None:
        """Set a tag of the experiment; None removes it."""
        experiment = self.experiment_id
        if value is None:
            self.ask(lambda client: client.delete_experiment_tag(experiment, key))
        else:
            self.ask(lambda client: client.set_experiment_tag(experiment, key, value))

    def _client(self) -> MlflowClient:
        client: MlflowClient | None = getattr(self._clients, "client", None)
        if client is None:
            from mlflow import MlflowClient

            with self._lock:  # the first one of a database makes its tables
                if is_database(self.uri):
                    knock(self.uri)
                client = self._clients.client = MlflowClient(self.uri)
        return client

    def _find_experiment(self) -> str | None:
        found = self.ask(lambda client: client.get_experiment_by_name(self.experiment))
        if found is not None and found.lifecycle_stage == "deleted":
            raise Refused(
                f"experiment '{self.experiment}' was deleted; restore it in MLflow, or choose "
                "another one with tracking.experiment"
            )
        return None if found is None else str(found.experiment_id)

    def _create_experiment(self) -> str:
        place = artifact_root(self.uri)
        try:
            return str(
                self.ask(lambda c: c.create_experiment(self.experiment, artifact_location=place))
            )
        except Refused:  # another process was faster
            found = self._find_experiment()
            if found is None:
                raise
            return found

    def _translate(self, error: Exception) -> SweepError:
        line = lock_line(os.environ) if is_locked(error) else first_line(error)
        if is_refusal(error):
            return Refused(line)
        with self._lock:
            if not self.away:
                log.warning(
                    "tracking %s: %s; results are in the store and are filled in later; "
                    "next try in %.0f s",
                    without_password(self.uri),
                    line if is_locked(error) else f"no answer ({line})",
                    REST_S,
                )
            self._rests_until = self._clock() + REST_S
            self.why_locked = line if is_locked(error) else ""
        return Locked(line) if is_locked(error) else Away(line)


def _run(found: Any) -> Run:
    return Run(
        id=found.info.run_id,
        name=found.info.run_name,
        status=found.info.status,
        started_ms=found.info.start_time,
        tags=found.data.tags,
        params=found.data.params,
        metrics=found.data.metrics,
    )
