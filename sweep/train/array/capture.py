"""Record what the device does once, and have it done again without the host.

No GPU has run this yet; on the CPU the work itself is what is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

Work = Callable[[], None]
Replay = Callable[[], None]
WARM_UPS = 3  # so that kernels are compiled and workspaces are there before recording


def apart(device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """Give a stream of its own, so that blocks need not wait for each other; no-op on a CPU."""
    if device.type != "cuda":
        return nullcontext
    torch.cuda.synchronize(device)  # what was laid out so far is there
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return lambda: torch.cuda.stream(stream)


def captured(work: Work, *, reset: Work, device: torch.device) -> Replay:
    """Return what does `work`: a recorded graph on a GPU.

    `work` reads and writes tensors that stay where they are, asks the device for nothing, and is
    done a few times on what lies there now, after a `reset` each time.
    """
    if device.type != "cuda":
        return work
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            work()
            reset()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        work()
    return graph.replay
