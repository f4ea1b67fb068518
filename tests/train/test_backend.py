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
def test_auto_takes_the_array_on_a_gpu_alone(
    make_settings: Make, backend: str, device: str, expected: set[str]
) -> None:
    assert fused_on(make_settings(train={"backend": backend, "device": device})) == expected


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("data", "kind", "text"),
        ("model", "bidirectional", True),
        ("model", "pooling", "mean"),
        ("model", "head", "softmax"),
        ("train", "loss", "quantile"),
    ],
)
def test_what_the_array_has_no_form_for_is_refused_by_name_and_left_to_torch_by_auto(
    make_settings: Make, group: str, key: str, value: object
) -> None:
    def options(backend: str) -> dict[str, dict[str, object]]:
        return {"train": {"backend": backend, **({key: value} if group == "train" else {})}} | (
            {group: {key: value}} if group != "train" else {}
        )

    with pytest.raises(BadInput, match=rf"train\.backend=array: .*{group}\.{key}=.*say .*torch"):
        fused_on(make_settings(**options("array")))
    assert fused_on(make_settings(**options("auto"))) == set()


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
