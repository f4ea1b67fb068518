"""Triton's interpreter runs the kernels on CPU tensors; what they give is what torch gives.

It proves their arithmetic and their bounds, not that they run or are fast on a GPU. That Triton's
compiler takes them for one is shown apart.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from sweep.plan.settings import Optim, Settings
from sweep.train import draws
from sweep.train.array import rates
from sweep.train.array.block import update
from sweep.train.array.engines import Tools, choose, difference, same_at_any_width
from sweep.train.array.form import Form, form_of
from sweep.train.array.recurrence import Operations
from sweep.train.schedule import Plateau

Make = Callable[..., Settings]
NAME = "sweep.train.array.kernels"


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    pytest.importorskip("triton", reason="a build of torch for CPUs alone comes without it")
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    sys.modules.pop(NAME, None)
    try:
        return importlib.import_module(NAME)
    finally:
        del os.environ["TRITON_INTERPRET"]
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before


def form(make_settings: Make, *, hidden: int, batch: int, precision: str = "float32") -> Form:
    own = {"batch_size": batch, "precision": precision}
    return form_of(make_settings(model={"hidden_size": hidden}, train=own))


@pytest.mark.parametrize(("hidden", "batch"), [(5, 3), (16, 17), (20, 4)])
@pytest.mark.parametrize("kind", ["fused", "persistent"])
def test_forward_and_backward_are_those_of_float64(
    make_settings: Make, kernels: ModuleType, kind: str, hidden: int, batch: int
) -> None:
    engine = kernels.Fused() if kind == "fused" else kernels.Persistent(product="ieee")
    own = form(make_settings, hidden=hidden, batch=batch)

    assert difference(engine, own, device=torch.device("cpu"), lanes=3) < 2e-6


@pytest.mark.parametrize("kind", ["fused", "persistent"])
def test_a_lane_has_the_same_bits_alone(
    make_settings: Make, kernels: ModuleType, kind: str
) -> None:
    engine = kernels.Fused() if kind == "fused" else kernels.Persistent(product="ieee")
    own = form(make_settings, hidden=6, batch=4)

    assert same_at_any_width(engine, own, device=torch.device("cpu"), lanes=4)
    assert same_at_any_width(Operations(), own, device=torch.device("cpu"), lanes=4)


@pytest.mark.parametrize("count", [1, 16, 100])
def test_masks_are_those_that_numpy_draws(kernels: ModuleType, count: int) -> None:
    seeds, rate = [0, 7, 2**63 - 1], 0.3

    found = kernels.kept(
        torch.tensor(seeds),
        torch.tensor([0, 3, 40]),
        torch.tensor([11]),
        2,
        torch.full((3,), draws.dropped_levels(rate), dtype=torch.int32),
        count,
    )

    for seed, epoch, lane in zip(seeds, (0, 3, 40), found, strict=True):
        expected = draws.kept(seed, epoch=epoch, step=11, site=2, shape=[count], rate=rate)
        np.testing.assert_array_equal(lane.bool().numpy(), expected)


OPTIMS = [
    Optim(name="adam", weight_decay=1e-2, l1=1e-3),
    Optim(name="adamw", weight_decay=0.1, clip_norm=0.5),
    Optim(name="rmsprop", clip_norm=0.1),
    Optim(name="sgd", momentum=0.9),
    Optim(name="adam"),  # at rest
]


def test_an_update_is_torchs_formula(make_settings: Make, kernels: ModuleType) -> None:
    lanes, size = len(OPTIMS), 300
    source = torch.Generator().manual_seed(0)
    weights, first, second, gradient = torch.randn(4, lanes, size, generator=source)
    second = second.abs()
    fixed = torch.tensor([rates.fixed(optim) for optim in OPTIMS]).T.contiguous()
    moving = torch.tensor(
        np.stack(
            [
                rates.moving(
                    make_settings(optim={"name": optim.name, "weight_decay": optim.weight_decay}),
                    epoch=1,
                    steps=4,
                    begun=0,
                    done=4,
                    plateau=Plateau(),
                )[2]
                for optim in OPTIMS
            ],
            axis=1,
        ),
        dtype=torch.float32,
    )
    moving[3, -1] = 0.0
    marks = (torch.arange(size) % 3 != 0).float()
    ours = tuple(rows.clone() for rows in (weights, first, second))
    theirs = tuple(rows.clone() for rows in (weights, first, second))

    kernels.update(gradient.clone(), ours, penalised=marks, fixed=fixed, moving=moving)
    update(gradient.clone(), theirs, penalised=marks, fixed=fixed, moving=moving)

    for mine, other, before in zip(ours, theirs, (weights, first, second), strict=True):
        torch.testing.assert_close(mine, other, rtol=2e-5, atol=1e-6)
        assert torch.equal(mine[-1], before[-1])


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("fused", {}),
        ("persistent", {}),
        ("fused", {"pooling": "mean", "bidirectional": True}),
        ("persistent", {"pooling": "max", "bidirectional": True}),
    ],
)
def test_a_training_on_the_kernels_is_one_on_torch(
    make_settings: Make,
    kernels: ModuleType,
    train_at_once: Any,
    close: Any,
    kind: str,
    form: dict[str, Any],
) -> None:
    engine = kernels.Fused() if kind == "fused" else kernels.Persistent(product="ieee")
    tools = Tools(engine, kernels.kept, kernels.update)
    configs = [
        make_settings(
            data={"lookback": 3, "split": [60, 20, 20]},
            model={"hidden_size": 4, "num_layers": 2, "dropout": dropout, "activation": bend}
            | form,
            optim={"name": name, "clip_norm": 0.5, "l1": 1e-4},
            train={"epochs": 1, "batch_size": 20},
        )
        for name, dropout, bend in (("adam", 0.3, "tanh"), ("sgd", 0.0, "relu"))
    ]

    for ours, theirs in zip(
        train_at_once(configs, tools=tools), train_at_once(configs), strict=True
    ):
        close(ours, theirs, tolerance=1e-4)


def test_a_classifier_on_the_kernels_is_one_on_torch(
    kernels: ModuleType, make_settings: Make, train_at_once: Any, close: Any
) -> None:
    tools = Tools(kernels.Fused(), kernels.kept, kernels.update)
    base = make_settings(
        data={
            "name": "japanese_vowels",
            "kind": "sequences",
            "target": ["speaker"],
            "covariates": [f"lpc{n}" for n in range(1, 13)],
            "classes": [str(n) for n in range(1, 10)],
            "lookback": 13,
            "split": [0.1, 0.9, 0],  # 7 of 27 sequences are shorter
        },
        model={"hidden_size": 4, "num_layers": 2, "head": "softmax"},
        train={"epochs": 1, "batch_size": 27, "loss": "cross_entropy"},
    )
    configs = [
        replace(base, model=replace(base.model, dropout=rate), train=replace(base.train, seed=seed))
        for rate, seed in ((0.4, 0), (0.0, 1))
    ]

    for ours, theirs in zip(
        train_at_once(configs, tools=tools), train_at_once(configs), strict=True
    ):
        close(ours, theirs, tolerance=1e-4)


def test_without_a_gpu_torchs_own_operations_are_chosen(make_settings: Make) -> None:
    own = form(make_settings, hidden=8, batch=4)

    chosen = choose(own, device=torch.device("cpu"))

    assert isinstance(chosen.engine, Operations)
    assert (chosen.draw, chosen.update) == (None, None)


def test_what_a_persistent_program_keeps_near_bounds_its_units(kernels: ModuleType) -> None:
    assert kernels.fits(64, torch.float32)
    assert not kernels.fits(100, torch.float32)
    assert kernels.fits(100, torch.bfloat16)
    assert not kernels.fits(200, torch.bfloat16)
    assert kernels.padded(3) == 16
    assert kernels.padded(100) == 128


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from sweep.train.array import kernels as k


def compiled(function, kinds, **fixed):
    names = function.arg_names
    open_ = iter(kinds.split())
    kinds = {n: "constexpr" if n in fixed else next(open_) for n in names}
    values = {(names.index(name),): value for name, value in fixed.items()}
    made = triton.compile(ASTSource(function, kinds, values), target=GPUTarget("cuda", 90, 32))
    assert made.asm["cubin"]
    assert made.metadata.shared <= 227 << 10


f, b, n, i1 = "*fp32 ", "*bf16 ", "i32 ", "*i1 "
compiled(k._cell_forward, f * 5 + i1 + n * 5, BLOCK=256)
compiled(k._cell_backward, b + f * 2 + b * 2 + f + b + i1 + n * 5, FIRST=0, ALONG=1, BLOCK=256)
compiled(k._kept, "*i64 " * 3 + "*i32 *i8 " + n * 2, PURPOSE=2, BLOCK=256)
compiled(k._kept, "*i64 " * 3 + "*i32 *i8 " + n, site=1, PURPOSE=2, BLOCK=256)
compiled(k._penalise, f * 4 + n, BLOCK=256)
compiled(k._update, f * 8 + n * 2, BLOCK=256)
compiled(k._update, f * 8 + n, lanes=1, BLOCK=256)
small = {"HIDDEN": 16, "ROWS": 16, "PRODUCT": "ieee"}
compiled(k._run_forward, b * 3 + f + b + f + b + i1 + n * 3, **small)
compiled(k._run_backward, b + f + b * 4 + i1 + n * 3, ALONG=1, **small)
"""


@pytest.mark.slow
def test_the_compiler_takes_every_kernel_for_a_gpu_that_need_not_be_there() -> None:
    pytest.importorskip("triton", reason="a build of torch for CPUs alone comes without it")
    kept = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}

    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=kept, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr[-2000:]
