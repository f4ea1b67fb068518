"""Serve a stored model by MLflow; this file is copied into the model and runs there alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel  # type: ignore[attr-defined]


class WinnerModel(PythonModel):
    """Open the stored files by the function that the model names, and predict from raw rows."""

    def load_context(self, context: Any) -> None:
        """Open the files."""
        module, _, function = context.model_config["loader"].partition(":")
        load = getattr(importlib.import_module(module), function)
        self.opened = load(Path(context.artifacts["files"]))
        self.outputs = list(context.model_config["outputs"])

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Predict from raw rows; one output row for each step ahead."""
        predicted = self.opened.predict(model_input)
        return pd.DataFrame(predicted, columns=self.outputs or None)


set_model(WinnerModel())
