"""Train the trials of launcher.py by Ray Tune, one CPU each, in the environment that has it.

Takes one JSON argument: the resolved configuration, the number of trials, and the CPUs.
"""

import json
import sys
from typing import Any

import ray
from ray import tune


def train(config: dict[str, Any]) -> dict[str, float]:
    """Train one trial in a Ray worker, by the same code."""
    """Train one trial and return its objective."""
    from sweep.app import run, warm

    warm()
    tree = {**config["tree"], "train": {**config["tree"]["train"], "seed": config["seed"]}}
    objective = run(tree, lambda _: None).objective
    assert objective is not None
    return {"objective": objective}


def main() -> None:
    """Run the trials and print the best objective."""
    given = json.loads(sys.argv[1])
    ray.init(num_cpus=given["cpus"], include_dashboard=False, configure_logging=False)
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={
            "tree": given["tree"],
            "seed": tune.grid_search(list(range(given["trials"]))),
        },
        run_config=tune.RunConfig(storage_path=given["storage"], verbose=0),
    )
    results = tuner.fit()
    assert results.num_errors == 0, results.errors
    best = results.get_best_result("objective", "min").metrics
    assert best is not None
    print(best["objective"])


if __name__ == "__main__":
    main()
