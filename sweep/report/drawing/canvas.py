"""Draw shapes as SVG that stands inside a page, takes its colours and scales with it.

Written by hand: a plotting library takes longer to import than all figures of a small study take to
be drawn, and its figures are ten times as large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]  # pixels, from the upper left corner

PANEL = 346.0  # as wide as a phone shows, so that letters keep their size there
PAGE = 1075.0  # a figure as wide as the page
CROWD = 1500  # dots from which they become small
MOST_DOTS = 10_000  # of one figure
LETTER = 7.0  # width of a digit in the widest of the usual fonts
LINE = 12.0  # height of a line of text


@dataclass(slots=True)
class Sheet:
    """What is drawn so far; a `look` names classes of the page's style sheet."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def lines(self, lines: Iterable[Sequence[Point]], *, look: str) -> None:
        """Draw lines from point to point, as one shape."""
        path = "".join(_line(points) for points in lines if points)
        if path:
            self.parts.append(f'<path class="{look}" d="{path}"/>')

    def dots(self, points: Iterable[Point], *, look: str) -> None:
        """Draw dots in few bytes: strokes without a length, whose round ends meet."""
        path = "".join(f"M{_number(x)} {_number(y)}h0" for x, y in points)
        if path:
            self.parts.append(f'<path class="dots {look}" d="{path}"/>')

    def cloud(self, points: Sequence[Point], *, look: str) -> None:
        """Draw a dot for each configuration, the more of them the smaller; of very many, some."""
        kind = "crowd" if len(points) > CROWD else "many"
        self.dots(points[:: one_dot_in(len(points))], look=f"{look} {kind}")

    def dot(self, at: Point, *, radius: float, look: str, hint: str = "") -> None:
        """Draw one dot; `hint` is shown where a pointer rests on it."""
        x, y = map(_number, at)
        shape = f'<circle class="{look}" cx="{x}" cy="{y}" r="{_number(radius)}"'
        self.parts.append(
            f"{shape}><title>{escape(hint)}</title></circle>" if hint else f"{shape}/>"
        )

    def text(self, at: Point, text: str, *, look: str = "", turned: bool = False) -> None:
        """Write text; its look says from where it runs: start, middle or end."""
        x, y = map(_number, at)
        turn = f' transform="rotate(-90 {x} {y})"' if turned else ""
        kind = f' class="{look}"' if look else ""
        self.parts.append(f'<text{kind} x="{x}" y="{y}"{turn}>{escape(text)}</text>')

    def svg(self, title: str) -> str:
        """Give the picture; `title` is read to those who cannot see it."""
        box = f"0 0 {_number(self.width)} {_number(self.height)}"
        label = escape(title)
        return f'<svg viewBox="{box}" role="img" aria-label="{label}">{"".join(self.parts)}</svg>'


def one_dot_in(points: int) -> int:
    """Tell of how many points one is drawn as a dot."""
    return max(1, math.ceil(points / MOST_DOTS))


def _line(points: Sequence[Point]) -> str:
    (x, y), *rest = points
    return f"M{_number(x)} {_number(y)}" + "".join(f"L{_number(a)} {_number(b)}" for a, b in rest)


def _number(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0")
