"""Remember Ctrl-C: amid imports a library may swallow it, or complain of what it caused."""

from __future__ import annotations

import signal
from types import FrameType

_came = False


def remember() -> None:
    """Begin to remember; it is raised as ever, or ignored where whoever started us wants that."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise)


def came() -> bool:
    """Tell whether a person has pressed it, whatever has become of that."""
    return _came


def check() -> None:
    """Raise KeyboardInterrupt where a person has pressed it and nobody heard."""
    if _came:
        raise KeyboardInterrupt


def _raise(_number: int, _frame: FrameType | None) -> None:
    global _came
    _came = True
    raise KeyboardInterrupt
