"""Tune LSTMs by Hydra multirun: on this machine, or as one Kubernetes Indexed Job."""

__version__ = "0.1.0"
