"""Start a worker: one pack by the environment, as in a pod, or the parent of local ones.

In a pod SWEEP_STORE, SWEEP_STUDY, SWEEP_ROUND and JOB_COMPLETION_INDEX name the pack. The local
cluster starts `python -m sweep.worker warm FD` instead.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence

from sweep.plan.exits import Exit


def main(arguments: Sequence[str]) -> int:
    """Run the worker and return its exit code."""
    # To look for GPUs must not start CUDA, which does not outlive a fork.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    gc.disable()  # until the imports are made: it takes a sixth of their time and finds nothing
    if arguments and arguments[0] == "warm":
        from sweep.worker.warm import serve

        return serve(int(arguments[1]))
    # The first process of a container ignores what it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.TOLD_TO_STOP))
    from sweep.worker.pod import run_pod

    return run_pod(os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
