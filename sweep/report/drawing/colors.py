"""Give the same thing the same colour in every figure, table and legend of the report.

From Okabe and Ito's palette, which people with any kind of colour vision tell apart: darkened where
a thin line on white paper needs it, lightened for a dark screen. Figures name a colour; the page
says which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SHADES = 12  # of the ranks

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "ink": "#24292f",
    "soft": "#57606a",
    "faint": "#d0d7de",
    "grid": "#eaeef2",
    "box": "#f6f8fa",
    "link": "#0550ae",
    "warning": "#bf8700",
    "best": "#c44e00",  # the winning configuration
    "tried": "#0072b2",  # any other configuration
    "rung": "#7a6a53",  # stopped at a rung: never trained to the end
    "infeasible": "#a8528a",  # diverged
    "failed": "#1a1a1a",
    "baseline": "#5c6b00",  # no network
}
DARK: Mapping[str, str] = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "soft": "#9aa4af",
    "faint": "#3d444d",
    "grid": "#21262d",
    "box": "#161b22",
    "link": "#6cb6ff",
    "warning": "#d4a72c",
    "best": "#ff9d5c",
    "tried": "#58b0ea",
    "rung": "#b8a584",
    "infeasible": "#dd8fc3",
    "failed": "#c9d1d9",
    "baseline": "#b5c24a",
}
# One hue, so grey prints too: from the last rank to the first.
LIGHT_RANKS = ("#cfe3f1", "#0b3c5d")
DARK_RANKS = ("#1d3346", "#9fd4f7")


def palette(colors: Mapping[str, str], ranks: tuple[str, str]) -> dict[str, str]:
    """Name all colours of a page, the shades of the ranks among them as `rank-0`, `rank-1`, ..."""
    return {**colors, **{f"rank-{i}": color for i, color in enumerate(_between(*ranks))}}


def shade(share: float) -> int:
    """Choose the shade of a rank; `share` is 0 for the last and 1 for the first."""
    return min(SHADES - 1, int(share * SHADES))


def _between(first: str, last: str) -> Sequence[str]:
    ends = zip(
        *([int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (first, last)), strict=True
    )
    parts = [[round(a + (b - a) * i / (SHADES - 1)) for i in range(SHADES)] for a, b in ends]
    return ["#" + "".join(f"{part:02x}" for part in color) for color in zip(*parts, strict=True)]
