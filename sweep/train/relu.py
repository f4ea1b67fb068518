"""An LSTM layer whose candidate and output use relu."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ReluLSTM(nn.Module):
    """One LSTM layer with relu in place of tanh; the gates stay sigmoid.

    Parameters have the names and shapes of a one-layer `torch.nn.LSTM`. Cost: the library's kernel
    knows only tanh, so the time steps are a loop here; the input projection is taken out of it.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh_l0 = nn.Parameter(torch.empty(4 * hidden_size))

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map [B, T, I] to the states [B, T, H], with the last hidden and cell state [1, B, H]."""
        projected = functional.linear(x, self.weight_ih_l0, self.bias_ih_l0)
        h = c = x.new_zeros(len(x), self.hidden_size)
        states = []
        for step in projected.unbind(1):
            gates = step + functional.linear(h, self.weight_hh_l0, self.bias_hh_l0)
            i, f, g, o = gates.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.relu(g)
            h = torch.sigmoid(o) * torch.relu(c)
            states.append(h)
        return torch.stack(states, dim=1), (h.unsqueeze(0), c.unsqueeze(0))
