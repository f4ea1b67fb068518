"""Turn a matplotlib figure into an SVG that stands inside a page and scales with it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any, cast

from sweep.report.drawing.colors import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches; a panel is as wide as a phone, so its letters keep their size there.
PANEL = (3.6, 2.4)
PAGE = 11.2  # a figure as wide as the page
EDGES = (0.74, 0.46, 0.12, 0.2)  # left, bottom, right, top: room for ticks and titles
FONT = 9  # points; 12 pixels where a panel is shown at its own size

MANY = 1500  # marks or lines from which a figure holds a picture of them instead
DPI = 150  # of that picture

STYLE = {
    "svg.fonttype": "none",  # letters stay letters: small, sharp, found by a search
    "svg.hashsalt": "sweep",  # the same results give the same bytes
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": FONT,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": "#eaeef2",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": FONT,
    "ytick.labelsize": FONT,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.4,
    "path.simplify": True,
}

Drawing = Callable[["Axes"], None]

# Of ids only those that something refers to are needed; the others would repeat on the page.
_IDS = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*pt"')
_HEIGHT = re.compile(r'(<svg[^>]*?) height="[^"]*pt"')
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def panel(
    draw: Drawing,
    *,
    title: str,
    size: tuple[float, float] = PANEL,
    edges: tuple[float, float, float, float] = EDGES,
) -> str:
    """Draw one pair of axes and return it as SVG; `title` is read to those who cannot see it."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(cast(Any, STYLE)):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        (width, height), (left, bottom, right, top) = size, edges
        # Known edges: letting matplotlib find them doubles the time of a figure.
        place = (left / width, bottom / height, 1 - (left + right) / width)
        draw(figure.add_axes((*place, 1 - (bottom + top) / height)))
        return _svg(figure, title)


def _svg(figure: Figure, title: str) -> str:
    file = io.StringIO()
    figure.savefig(
        file,
        format="svg",
        dpi=DPI,
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for pattern in (_SIZE, _HEIGHT):
        text = pattern.sub(r"\1", text)
    text = _METADATA.sub("", _IDS.sub("", text))
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
