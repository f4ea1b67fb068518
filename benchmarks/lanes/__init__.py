"""The parts of `benchmarks/array_gpu.py`, which needs torch, NumPy and this repository alone."""
