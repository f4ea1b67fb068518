"""Run the time steps of an LSTM layer for all lanes at once, forward and backward.

Sequences are [K, T, B, .]: lane, time step, row of the batch. A lane is multiplied by its own
weights alone, so nothing passes from one lane to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class States:
    """What a layer's time steps leave."""

    gates: Tensor  # [K, T, B, 4 H]: i, f, g, o after their activation
    c: Tensor  # [K, T, B, H]
    h: Tensor  # [K, T, B, H]


class Engine(Protocol):
    """Runs the part of a layer that is bound to the order of time."""

    def forward(
        self, projected: Tensor, weight: Tensor, *, relu: Tensor, begun: tuple[Tensor, Tensor]
    ) -> States:
        """Run all steps from the states `begun`, h and c [K, B, H].

        `projected` [K, T, B, 4 H] holds the inputs' share of the gates and both biases, `weight`
        [K, 4 H, H] is the recurrent one, `relu` [K] marks lanes whose candidate and output use
        relu in place of tanh.
        """
        ...

    def backward(
        self,
        states: States,
        weight: Tensor,
        *,
        relu: Tensor,
        along: Tensor | None,
        last: Tensor | None,
    ) -> Tensor:
        """Return the gradient of the gates before their activation, [K, T, B, 4 H].

        `along` [K, T, B, H] is the gradient of all states h, `last` [K, B, H] what the last one
        gets besides. The states before the first step are taken for zeros.
        """
        ...


class Operations:
    """The plain form, in torch's own operations, for every processor and precision."""

    def forward(
        self, projected: Tensor, weight: Tensor, *, relu: Tensor, begun: tuple[Tensor, Tensor]
    ) -> States:
        """Run all steps."""
        lanes, length, rows, width = projected.shape
        hidden = width // 4
        h, c = begun
        gates = torch.empty_like(projected)
        cs = c.new_empty(lanes, length, rows, hidden)
        hs = h.new_empty(lanes, length, rows, hidden)
        across, relu = weight.transpose(1, 2), relu[:, None, None]
        for t in range(length):
            before = multiply_and_add(projected[:, t], h, across).to(c.dtype)
            i, f, g, o = before.chunk(4, dim=2)
            i, f, o = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o)
            g = _bend(g, relu)
            c = f * c + i * g
            h = (o * _bend(c, relu)).to(h.dtype)
            gates[:, t] = torch.cat([i, f, g, o], dim=2)
            cs[:, t], hs[:, t] = c, h
        return States(gates, cs, hs)

    def backward(
        self,
        states: States,
        weight: Tensor,
        *,
        relu: Tensor,
        along: Tensor | None,
        last: Tensor | None,
    ) -> Tensor:
        """Run all steps in reverse."""
        lanes, length, rows, hidden = states.c.shape
        relu = relu[:, None, None]
        d_h = states.c.new_zeros(lanes, rows, hidden) if last is None else last.to(states.c.dtype)
        d_c = torch.zeros_like(d_h)
        result = torch.empty_like(states.gates)
        for t in reversed(range(length)):
            if along is not None:
                d_h = d_h + along[:, t]
            i, f, g, o = states.gates[:, t].to(d_h.dtype).chunk(4, dim=2)
            bent = _bend(states.c[:, t], relu)
            d_c = d_c + d_h * o * _slope(bent, relu)
            before = states.c[:, t - 1] if t else torch.zeros_like(d_c)
            step = torch.cat(
                [
                    d_c * g * i * (1 - i),
                    d_c * before * f * (1 - f),
                    d_c * i * _slope(g, relu),
                    d_h * bent * o * (1 - o),
                ],
                dim=2,
            ).to(result.dtype)
            result[:, t] = step
            d_c = d_c * f
            d_h = multiply(step, weight).to(d_h.dtype)
        return result


class Layer(torch.autograd.Function):
    """One layer of all lanes: inputs to all states h, and the last one."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,  # [K, T, B, I]
        weight_ih: Tensor,  # [K, 4 H, I]
        weight_hh: Tensor,  # [K, 4 H, H]
        bias_ih: Tensor,  # [K, 4 H]
        bias_hh: Tensor,  # [K, 4 H]
        relu: Tensor,  # [K]
        engine: Engine,
    ) -> tuple[Tensor, Tensor]:
        """Run the layer from zero states."""
        nothing = weight_hh.new_zeros(len(x), x.shape[2], weight_hh.shape[2])
        begun = nothing.to(x.dtype), nothing
        states = run(
            x, (weight_ih, weight_hh, bias_ih, bias_hh), relu=relu, begun=begun, engine=engine
        )
        ctx.engine = engine
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight_ih, weight_hh, relu, states.gates, states.c, states.h)
        return states.h, states.h[:, -1].clone()

    @staticmethod
    def backward(ctx: Any, along: Tensor | None, last: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of inputs, weights and biases."""
        x, weight_ih, weight_hh, relu, gates, c, h = ctx.saved_tensors
        factors, dtype = x.dtype, weight_hh.dtype
        d_gates = ctx.engine.backward(
            States(gates, c, h), weight_hh.to(factors), relu=relu, along=along, last=last
        )
        lanes, length, rows, width = d_gates.shape
        flat = d_gates.view(lanes, length * rows, width)
        d_ih = product(flat.transpose(1, 2), x.reshape(lanes, length * rows, -1), dtype)
        # The first step has no state before it.
        d_hh = product(
            flat[:, rows:].transpose(1, 2), h.view(lanes, length * rows, -1)[:, :-rows], dtype
        )
        d_bias = flat.sum(1, dtype=dtype)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = multiply(flat, weight_ih.to(factors)).view(x.shape)
        return d_x, d_ih, d_hh, d_bias, d_bias, None, None


def run(
    x: Tensor,
    parameters: tuple[Tensor, Tensor, Tensor, Tensor],
    *,
    relu: Tensor,
    begun: tuple[Tensor, Tensor],
    engine: Engine,
) -> States:
    """Project inputs [K, T, B, I] of all steps at once, then run the steps."""
    weight_ih, weight_hh, bias_ih, bias_hh = parameters
    factors = x.dtype
    lanes, length, rows, inputs = x.shape
    projected = multiply_and_add(
        (bias_ih + bias_hh).to(factors).unsqueeze(1),
        x.reshape(lanes, length * rows, inputs),
        weight_ih.to(factors).transpose(1, 2),
    ).view(lanes, length, rows, -1)
    return engine.forward(projected, weight_hh.to(factors), relu=relu, begun=begun)


def product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """Multiply lane by lane, with sums of the wider type where the processor gives them out."""
    if a.dtype is not dtype and a.is_cuda:
        return torch.bmm(a, b, out_dtype=dtype)
    return multiply(a, b).to(dtype)


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Multiply [K, M, I] by [K, I, N], each lane with the same bits whatever K is."""
    if _takes_another_way(a, b):
        return torch.bmm(_twice(a), _twice(b))[:1]
    return torch.bmm(a, b)


def multiply_and_add(bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add [K, 1 or M, N] to what `multiply` gives."""
    if _takes_another_way(a, b):
        return torch.baddbmm(_twice(bias), _twice(a), _twice(b))[:1]
    return torch.baddbmm(bias, a, b)


def _takes_another_way(a: Tensor, b: Tensor) -> bool:
    """Tell whether a processor's library would multiply a lone lane as vectors."""
    return len(a) == 1 and not a.is_cuda and 1 in (*a.shape[1:], b.shape[2])


def _twice(lone: Tensor) -> Tensor:
    return lone.expand(2, -1, -1)


def _bend(x: Tensor, relu: Tensor) -> Tensor:
    return torch.where(relu, torch.relu(x), torch.tanh(x))


def _slope(bent: Tensor, relu: Tensor) -> Tensor:
    """Give the derivative by the function's own value."""
    return torch.where(relu, (bent > 0).to(bent.dtype), 1 - bent * bent)
