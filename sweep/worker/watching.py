"""Show a worker's trials in MLflow as they go."""

from __future__ import annotations

from sweep.plan.application import Epoch
from sweep.plan.round import Round, Study
from sweep.plan.trial import Record, Trial
from sweep.store import Store
from sweep.study.showing import Cast, cast_of, parent_run, study_info, tracker_of
from sweep.study.siting import KUBERNETES
from sweep.study.studied import purposes_of
from sweep.tracking.address import is_server
from sweep.worker.settling import Watcher


class Silent:
    """Show nothing."""

    def began(self, trial: Trial, record: Record) -> None:
        """Hear that a trial begins."""

    def epoch(self, trial: Trial, epoch: Epoch) -> None:
        """Hear that an epoch ended."""

    def ended(self, trial: Trial, record: Record) -> None:
        """Hear of a terminal record."""

    def widen(self, round_: Round) -> None:
        """Hear that trials were added to the round."""


class InMlflow:
    """Write each trial's run: its curve while it is long, all of it when it ends.

    Nothing is written before the conductor made the parent run; it then writes what is missing.
    """

    def __init__(self, store: Store, study: Study, cast: Cast) -> None:
        from sweep.tracking.live import LiveRuns

        tracker = tracker_of(study)
        assert tracker is not None
        self._store = store
        self._tracker = tracker
        self._study = study_info(study)
        self._cast = cast
        self._parent: str | None = None
        self._live: LiveRuns | None = None

    def began(self, trial: Trial, record: Record) -> None:
        """Hear that a trial begins."""
        from sweep.tracking.live import LiveRuns

        if self._parent is None:
            self._parent = parent_run(self._store)
        if self._live is None and self._parent is not None:
            self._live = LiveRuns(self._tracker, study=self._study, parent=self._parent)
        if self._live is not None:
            self._live.begin(self._cast.info(trial.number), record=record)

    def epoch(self, trial: Trial, epoch: Epoch) -> None:
        """Hear that an epoch ended."""
        if self._live is not None:
            self._live.epoch(trial.number, epoch=epoch.number, metrics=epoch.metrics)

    def ended(self, trial: Trial, record: Record) -> None:
        """Hear of a terminal record."""
        from sweep.tracking.publish import publish

        if self._live is not None:
            self._live.end(trial.number)
        if self._parent is None:
            self._parent = parent_run(self._store)
        if self._parent is not None:
            info = self._cast.info(trial.number)
            publish(self._tracker, study=self._study, trials=[(info, record)], parent=self._parent)

    def widen(self, round_: Round) -> None:
        """Hear that trials were added to the round."""
        self._cast = _cast(self._store, self._cast.study, round_)


def watcher_for(store: Store, study: Study, round_: Round) -> Watcher:
    """Choose who watches: MLflow where every trial is shown.

    Where only the best are, the conductor writes them, who knows which these are; as it does where
    a pod cannot.
    """
    uri = str(study.tracking.get("uri") or "")
    if not uri or study.tracking.get("children") != "all":
        return Silent()
    if round_.cluster.get("kind") == KUBERNETES and not is_server(uri):
        return Silent()  # a file of the client's, which no pod sees
    return InMlflow(store, study, _cast(store, study, round_))


def _cast(store: Store, study: Study, round_: Round) -> Cast:
    return cast_of(study, round_.bases, round_.trials, purposes=purposes_of(store))
