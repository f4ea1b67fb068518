"""Train one trial of launcher.py and log it to MLflow, as a script does that a person writes.

Takes Hydra's words. The address of MLflow is MLFLOW_TRACKING_URI.
"""

import hydra
import mlflow
from omegaconf import DictConfig, OmegaConf

from sweep.app import configs, run, warm
from sweep.plan.application import Decision, Epoch


@hydra.main(config_path=str(configs()), config_name="config", version_base="1.3")
def main(cfg: DictConfig) -> float:
    """Train, with a run of its own: parameters first, metrics as epochs end, the objective last."""
    tree = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(tree, dict)
    warm()
    with mlflow.start_run():
        mlflow.log_params({f"{group}.{key}": value for group, key, value in _settings(tree)})

        def log(epoch: Epoch) -> Decision:
            mlflow.log_metrics(dict(epoch.metrics), step=epoch.number)
            return Decision.GO_ON

        objective = run(tree, log).objective
        assert objective is not None
        mlflow.log_metric("objective", objective)
    return objective


def _settings(tree: dict) -> list[tuple[str, str, object]]:
    return [
        (group, key, value)
        for group, settings in tree.items()
        if isinstance(settings, dict)
        for key, value in settings.items()
    ]


if __name__ == "__main__":
    main()
