"""One trial at a time as it is best done without the array: the library's stacked LSTM."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sweep.plan.settings import Settings
from sweep.train.array.block import Task


class Alone:
    """A multi-layer `nn.LSTM` with a fused optimiser, its data on the device, no wait per step.

    With `graph` the whole step is recorded once and replayed.
    """

    def __init__(self, settings: Settings, task: Task, *, graph: bool) -> None:
        own, form = settings.model, task.form
        device = task.feed.device
        self.task = task
        self.precision = settings.train.precision
        self.lstm = nn.LSTM(
            form.columns, own.hidden_size, own.num_layers, batch_first=True,
            dropout=own.dropout if own.num_layers > 1 else 0.0,
        ).to(device)  # fmt: skip
        self.head = nn.Linear(own.hidden_size, form.horizon * form.targets).to(device)
        self.parameters = [*self.lstm.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=settings.optim.lr, fused=True, capturable=device.type == "cuda"
        )
        self.clip = settings.optim.clip_norm
        self.starts = torch.tensor(task.train, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.loss = torch.zeros((), device=device)
        self.step: Callable[[], None] = self._step
        if graph:
            self.step = self._recorded()

    def _step(self) -> None:
        rows = self.task.form.batch
        index = torch.arange(rows, device=self.place.device)
        index = (self.place * rows + index) % len(self.starts)
        batch = self.task.feed.batches(self.starts[index].unsqueeze(0))
        with torch.autocast(
            self.place.device.type,
            dtype=torch.bfloat16,
            enabled=self.precision == "bfloat16",
            cache_enabled=False,
        ):
            states, _ = self.lstm(batch.inputs[0].transpose(0, 1))
            found = self.head(states[:, -1])
        loss = (found.float() - batch.targets[0].flatten(1)).square().mean()
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        self.optimizer.step()
        self.place.add_(1)
        self.loss.copy_(loss.detach())

    def _recorded(self) -> Callable[[], None]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph.replay

    def last_loss(self) -> Tensor:
        """Give the loss of the newest step."""
        return self.loss
