"""The main job, where MLflow is not installed: the LSTM application without ten seconds of it."""

from __future__ import annotations

import sys

sys.modules["mlflow"] = None  # type: ignore[assignment]

from sweep.multirun import run_hydra  # noqa: E402

if __name__ == "__main__":
    sys.exit(run_hydra(sys.argv[1:]))
