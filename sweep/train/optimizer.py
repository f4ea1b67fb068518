"""Make the optimiser of a configuration."""

from __future__ import annotations

import torch
import torch._dynamo  # any optimiser imports it, 1.4 s: here, so that a warm parent pays once
from torch import nn

from sweep.plan.settings import Optim
from sweep.train import model


def build(optim: Optim, *, network: nn.Module) -> torch.optim.Optimizer:
    """Make the optimiser; weight decay is torch's: coupled, and decoupled for AdamW."""
    groups = [
        {"params": model.penalised(network), "weight_decay": optim.weight_decay},
        {"params": model.exempt(network), "weight_decay": 0.0},
    ]
    # fused and single-tensor kernels were the fastest on one CPU thread for these few tensors.
    if optim.name == "adam":
        return torch.optim.Adam(groups, lr=optim.lr, fused=True)
    if optim.name == "adamw":
        return torch.optim.AdamW(groups, lr=optim.lr, fused=True)
    if optim.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=optim.lr, foreach=False)
    return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, *, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
