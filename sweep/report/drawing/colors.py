"""Give the same thing the same colour in every figure, table and legend of the report.

From Okabe and Ito's palette, which people with any kind of colour vision tell apart, darkened
where a thin line on white paper needs it.
"""

BEST = "#c44e00"  # the winning configuration
TRIED = "#0072b2"  # any other configuration
INFEASIBLE = "#a8528a"  # diverged
FAILED = "#1a1a1a"
BASELINE = "#5c6b00"  # no network
INK = "#24292f"
FAINT = "#d0d7de"

RANKS = ("#cfe3f1", "#0b3c5d")  # from the last rank to the first: one hue, so grey prints too
