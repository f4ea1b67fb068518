"""Draw what replays would have shown, as lines of mean regret against CPU-seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from replay.racing import DEAR, FRESH, TWICE

# Okabe and Ito 2008: eight colours that people with any colour vision can tell apart.
COLOURS = {
    "halving": "#0072B2",
    "staged": "#009E73",
    "sobol": "#CC79A7",
    "tpe": "#D55E00",
    "gp": "#E69F00",
}
FRESH_RANDOM = "#56B4E9"
PEERS = {"Optuna's loop": "--", "Ray's ASHA": ":"}
CHANCE = {"random": "-", TWICE: (0, (1, 1))}


def draw(
    means: Mapping[str, Sequence[float]], moments: Sequence[float], *, plot: Path, most_s: float
) -> None:
    """Draw searches alone on the left, with a fresh seed for their best on the right.

    The peers and random alone are in both; beyond `most_s` nothing dear was raced.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    for axes, title, suffix in (
        (panels[0], "the search alone", ""),
        (panels[1], "30 % of the time for a fresh seed of its best", FRESH),
    ):
        for name, style in CHANCE.items():
            axes.plot(moments, means[name], color="#888888", linestyle=style, label=name)
        for name, style in PEERS.items():
            if name in means:
                axes.plot(moments, means[name], color="black", linestyle=style, label=name)
        for name, colour in COLOURS.items():
            line = means[f"{name}{suffix}"]
            until = [m for m in moments if m <= most_s or name not in DEAR]
            axes.plot(until, line[: len(until)], color=colour, linewidth=2, label=name)
        if suffix:
            line = means[f"random{suffix}"]
            [fresh] = axes.plot(moments, line, color=FRESH_RANDOM, linewidth=2, label="random too")
            axes.legend(handles=[fresh], frameon=False)
        axes.set(xlabel="CPU-seconds", title=title, ylim=(0.25, 1.0))
        axes.grid(color="#dddddd")
    panels[0].set(ylabel="mean regret (0: best of the grid, 1: its median)")
    panels[0].legend(frameon=False, ncols=2)
    figure.savefig(plot, dpi=130)
    plt.close(figure)
