from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sweep.errors import BadInput
from sweep.plan.settings import Settings
from sweep.train.backend import fused_on
from sweep.train.loop import train

Make = Callable[..., Settings]


@pytest.mark.parametrize(
    ("backend", "device", "expected"),
    [
        ("torch", "auto", set()),
        ("auto", "auto", {"cuda"}),
        ("auto", "cuda", {"cuda"}),
        ("auto", "cpu", set()),  # nn.LSTM in a process of its own is faster there
        ("array", "auto", {"cpu", "cuda"}),
        ("array", "cpu", {"cpu"}),
    ],
)
def test_auto_takes_the_array_on_a_gpu_alone(backend: str, device: str, expected: set[str]) -> None:
    assert fused_on(backend=backend, device=device) == expected


def test_tf32_without_a_gpu_is_refused_with_one_line(make_settings: Make) -> None:
    with pytest.raises(BadInput, match=r"train\.precision=tf32 is of GPUs alone.*say float32"):
        train(make_settings(train={"precision": "tf32"}))


def test_bfloat16_multiplies_in_it_and_keeps_its_weights_in_float32(make_settings: Make) -> None:
    exact, rough = (
        train(make_settings(train={"precision": precision, "epochs": 6}))
        for precision in ("float32", "bfloat16")
    )

    assert rough.objective != exact.objective
    assert rough.objective == pytest.approx(exact.objective, rel=0.05)
    assert {values.dtype.name for values in rough.weights.values()} == {"float32"}
    assert not torch.is_autocast_enabled("cpu")
