"""How products are computed on a GPU is the whole process', so threads take turns."""

from __future__ import annotations

import threading

import torch

from sweep.train.precision import products_in


def tf32() -> bool:
    return bool(torch.backends.cuda.matmul.allow_tf32)


def test_a_thread_waits_for_another_and_the_setting_is_as_before() -> None:
    before, seen = tf32(), []
    waiting = threading.Event()

    def in_float32() -> None:
        waiting.set()
        with products_in(tf32=False):
            seen.append(tf32())

    other = threading.Thread(target=in_float32)
    with products_in(tf32=True):
        other.start()
        waiting.wait()
        other.join(0.2)  # it cannot end yet
        assert other.is_alive()
        assert tf32()
    other.join()

    assert seen == [False]
    assert tf32() == before


def test_one_thread_may_hold_it_twice() -> None:
    with products_in(tf32=True):
        with products_in(tf32=False):
            assert not tf32()
        assert tf32()
