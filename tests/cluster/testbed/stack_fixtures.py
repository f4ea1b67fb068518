"""Fixtures of the stack: S3, PostgreSQL, MLflow."""
