"""The test bed: a real Kubernetes, S3 and MLflow on one machine, for tests alone."""
