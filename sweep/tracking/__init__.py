"""Show a study in MLflow: a view of the store that can be rebuilt from it at any time."""
