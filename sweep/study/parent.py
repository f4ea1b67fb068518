"""Make the study's run in MLflow while the first trials already train."""

from __future__ import annotations

import json
import threading

from sweep.plan import layout
from sweep.plan.round import Study
from sweep.store import Store
from sweep.study.showing import parent_run, study_info, tracker_of

PATIENCE_S = 30.0


class ParentRun:
    """Open the parent run in a thread: a first use of MLflow can take ten seconds."""

    def __init__(self, place: Store, study: Study) -> None:
        self._place = place
        self._study = study
        self._thread = threading.Thread(target=self._open, name="parent-run", daemon=True)

    def start(self) -> None:
        """Begin, unless the run is known or the study is not tracked."""
        if self._study.tracking.get("uri") and parent_run(self._place) is None:
            self._thread.start()

    def join(self) -> None:
        """Wait for the end, for a while."""
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_S)

    def _open(self) -> None:
        from sweep.tracking.parent import open_parent

        tracker = tracker_of(self._study)
        if tracker is None:
            return
        run = open_parent(tracker, study=study_info(self._study))
        if run is not None:
            body = {"id": run, **self._study.tracking}
            self._place.create(layout.PARENT_RUN, json.dumps(body).encode())
