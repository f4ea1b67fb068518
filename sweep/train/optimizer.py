"""Move the weights of one trial by torch's optimisers, without importing its compiler.

A `torch.optim.Optimizer` imports torch._dynamo when it is made, over a second of every process
that trains; the functions that it calls for a step do not. State has torch's names and bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from sweep.plan.settings import Optim
from sweep.train import model

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters under one weight decay, and the state of each."""

    params: Sequence[nn.Parameter]
    weight_decay: float
    states: Sequence[State]


Rule = Callable[[Group, float], None]  # takes one step of a group at a rate


@dataclass(slots=True)
class Optimizer:
    """Parameters, their state, and the rule that moves both."""

    parameters: Sequence[nn.Parameter]  # in the network's order
    groups: Sequence[Group]
    rule: Rule
    rate: float = field(default=0.0)  # of the next step

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def clip(self, most: float) -> None:
        """Shorten the gradients, as one vector, to a norm of at most `most`.

        What torch.nn.utils.clip_grad_norm_ computes, at half its cost for so few tensors.
        """
        with torch.no_grad():
            gradients = _gradients(self.parameters)
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            torch._foreach_mul_(gradients, (most / (norm + 1e-6)).clamp(max=1.0))

    def step(self) -> None:
        """Move every parameter along its gradient."""
        with torch.no_grad():
            for group in self.groups:
                if group.params:
                    self.rule(group, self.rate)

    def states(self) -> list[State]:
        """Give the state of each parameter, in the order of the groups."""
        return [state for group in self.groups for state in group.states]

    def check(self, states: Mapping[int, State]) -> None:
        """Compare what was kept with what this optimiser keeps.

        Raises ValueError where places, names or shapes differ.
        """
        if _shapes(states) != _shapes(dict(enumerate(self.states()))):
            raise ValueError("it is of another optimiser")

    def restore(self, states: Mapping[int, State]) -> None:
        """Put states back by the place of their parameter."""
        for place, own in enumerate(self.states()):
            for name, tensor in states.get(place, {}).items():
                own[name].copy_(tensor)


def build(optim: Optim, *, network: nn.Module) -> Optimizer:
    """Make the optimiser; weight decay is torch's: coupled, and decoupled for AdamW."""
    rule, names = _rule(optim)
    groups = [
        Group(params, decay, [_fresh(p, names, name=optim.name) for p in params])
        for params, decay in (
            (model.penalised(network), optim.weight_decay),
            (model.exempt(network), 0.0),
        )
    ]
    return Optimizer(tuple(network.parameters()), groups, rule, optim.lr)


# fused and single-tensor kernels were the fastest on one CPU thread for these few tensors.
def _rule(optim: Optim) -> tuple[Rule, Sequence[str]]:
    """Choose the rule by name, and what it keeps of each parameter beside the count of steps."""
    # torch's own `adam` calls this kernel, and takes longer to prepare the call than to make it.
    fused_adam = torch._fused_adamw_ if optim.name == "adamw" else torch._fused_adam_

    def by_adam(group: Group, rate: float) -> None:
        steps = _kept(group, "step")
        torch._foreach_add_(steps, 1)
        fused_adam(
            list(group.params),
            _gradients(group.params),
            _kept(group, "exp_avg"),
            _kept(group, "exp_avg_sq"),
            [],
            steps,
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=group.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def by_rmsprop(group: Group, rate: float) -> None:
        rmsprop(
            list(group.params),
            _gradients(group.params),
            _kept(group, "square_avg"),
            [],
            [],
            _kept(group, "step"),
            foreach=False,
            lr=rate,
            alpha=0.99,
            eps=1e-8,
            weight_decay=group.weight_decay,
            momentum=0.0,
            centered=False,
        )

    def by_sgd(group: Group, rate: float) -> None:
        # From zeros momentum begins as torch's does: with the first gradient.
        buffers: list[Tensor | None] = [*_kept(group, "momentum_buffer")] if optim.momentum else []
        sgd(
            list(group.params),
            _gradients(group.params),
            buffers,
            fused=True,
            weight_decay=group.weight_decay,
            momentum=optim.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )

    if optim.name in ("adam", "adamw"):
        return by_adam, ("step", "exp_avg", "exp_avg_sq")
    if optim.name == "rmsprop":
        return by_rmsprop, ("step", "square_avg")
    return by_sgd, ("momentum_buffer",) if optim.momentum else ()


def _fresh(parameter: nn.Parameter, names: Sequence[str], *, name: str) -> State:
    # The fused kernels count steps beside the weights, RMSprop's counts on the processor.
    place = parameter.device if name != "rmsprop" else torch.device("cpu")
    values = {key: torch.zeros_like(parameter, requires_grad=False) for key in names}
    return values | ({"step": torch.zeros((), device=place)} if "step" in names else {})


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _kept(group: Group, name: str) -> list[Tensor]:
    return [state[name] for state in group.states]


def _shapes(states: Mapping[int, State]) -> dict[tuple[int, str], torch.Size]:
    return {
        (place, name): tensor.shape for place, own in states.items() for name, tensor in own.items()
    }
