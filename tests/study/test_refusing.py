"""No credential gets into a plan that leaves this machine."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.errors import BadInput
from sweep.plan.trial import Trial
from sweep.study.refusing import refuse_credentials

WORD = "hunter2-hunter2"
PLAN: dict[str, Any] = {
    "flats": [{"optim.lr": 0.1, "model.token_embedding": 4, "data.tokens": "words"}],
    "trials": [Trial(i, 0, {"optim.lr": i / 10, "tokenizer": "bpe"}) for i in range(9)],
    "env": {"LOG_LEVEL": "debug", "TOKENIZERS_PARALLELISM": "false"},
    "overrides": ["optim.lr=0.1,0.2", "+experiment=forecast"],
    "hydra": {
        "argv": ["app.py", "-m", "optim.lr=0.1"],
        "search_path": [
            {"provider": "main", "path": "conf", "files": {"db/a.yaml": "password: ${oc.env:PW}"}},
            {"provider": "schema", "path": "structured://"},
        ],
    },
}


def refused(**changes: Any) -> str:
    with pytest.raises(BadInput) as error:
        refuse_credentials(**{**PLAN, **changes})
    return str(error.value)


def test_a_plan_without_one_passes() -> None:
    refuse_credentials(**PLAN)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("db.password", {"flats": [{"x": 1}, {"db.password": WORD}]}),
        ("db.password", {"trials": [Trial(0, 0, {"x": 1}), Trial(1, 0, {"db.password": WORD})]}),
        ("hydra.launcher.env.WANDB_API_KEY", {"env": {"WANDB_API_KEY": WORD}}),
        ("+db.password", {"overrides": [f"+db.password={WORD}"]}),
        ("api_key", {"hydra": {"argv": ["app.py", f"api_key={WORD}"]}}),
        (
            "db/b.yaml: password",
            {"hydra": {"search_path": [{"files": {"db/b.yaml": f"user: me\npassword: {WORD}"}}]}},
        ),
    ],
)
def test_one_is_found_wherever_it_stands_and_never_repeated(
    key: str, changes: dict[str, Any]
) -> None:
    line = refused(**changes)

    assert line.startswith(key.lstrip("+"))
    assert WORD not in line


def test_a_value_that_only_one_trial_has_is_found() -> None:
    values: list[object] = [None, "", "${oc.env:PW}", 0.5, WORD]

    line = refused(trials=[Trial(i, 0, {"db.password": v}) for i, v in enumerate(values)])

    assert line.startswith("db.password")
