from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep.report.drawing.axes import Axis, Frame, epoch_axis, score_axis
from sweep.report.drawing.canvas import CROWD, MOST_DOTS, Sheet
from sweep.report.drawing.colors import (
    DARK,
    DARK_RANKS,
    LIGHT,
    LIGHT_RANKS,
    SHADES,
    palette,
    shade,
)

finite = st.floats(-1e9, 1e9, allow_nan=False)


def test_what_is_written_is_escaped() -> None:
    sheet = Sheet(10, 10)
    sheet.text((1, 2), "<a & b>")
    sheet.dot((1, 2), radius=1, look="tried", hint='"<>"')

    picture = ET.fromstring(sheet.svg("a < b"))

    assert picture.attrib["aria-label"] == "a < b"
    assert [item.text for item in picture if item.tag.endswith("text")] == ["<a & b>"]


def test_many_dots_are_one_shape_of_few_bytes() -> None:
    sheet = Sheet(300, 200)
    sheet.cloud([(i / 10, i / 20) for i in range(CROWD + 1)], look="tried")

    [shape] = sheet.parts
    assert shape.startswith('<path class="dots tried crowd"')
    assert len(shape) < 15 * CROWD


def test_of_very_many_points_some_are_drawn() -> None:
    sheet = Sheet(300, 200)
    sheet.cloud([(1.0, 1.0)] * (2 * MOST_DOTS + 1), look="tried")

    assert sheet.parts[0].count("h0") == (2 * MOST_DOTS + 1 + 2) // 3


def test_nothing_to_draw_draws_nothing() -> None:
    sheet = Sheet(10, 10)
    sheet.dots([], look="tried")
    sheet.lines([[]], look="tried")

    assert sheet.parts == []


@settings(deadline=None)
@example([1e9 + 1e-6, 1e9 + 2e-6])
@example([1e-310, 1e9])
@example([5e-324, 1.0])
@given(st.lists(finite, min_size=1, max_size=20))
def test_every_score_has_a_place_inside_its_axis(scores: list[float]) -> None:
    axis = score_axis(scores, title="loss")

    assert all(0 <= axis.place(score) <= 1 for score in scores)
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value, _ in axis.ticks)


@settings(deadline=None)
@given(st.integers(1, 500))
def test_epochs_are_whole_and_have_at_least_one_tick(epochs: int) -> None:
    axis = epoch_axis(epochs)

    assert axis.ticks
    assert all(text == str(int(value)) for value, text in axis.ticks)
    assert 0 < axis.place(1) < 1


def test_texts_that_would_touch_are_left_out_and_the_last_stays() -> None:
    crowded = Axis(0, 10, [(i, "100,000") for i in range(11)])
    frame = Frame(Sheet(346, 200), crowded, Axis(0, 1, []))

    frame.draw()

    xs = [
        float(x)
        for x in re.findall(r'<text class="middle" x="([\d.]+)"', "".join(frame.sheet.parts))
    ]
    assert len(xs) < 11
    assert all(later - earlier > 43 for earlier, later in itertools.pairwise(xs))
    assert xs[-1] > 310


def test_the_first_rank_has_the_last_shade() -> None:
    assert (shade(0.0), shade(0.5), shade(1.0)) == (0, SHADES // 2, SHADES - 1)


@pytest.mark.parametrize(
    ("colors", "ranks"), [(LIGHT, LIGHT_RANKS), (DARK, DARK_RANKS)], ids=["light", "dark"]
)
def test_a_palette_names_every_colour_and_every_shade(
    colors: dict[str, str], ranks: tuple[str, str]
) -> None:
    found = palette(colors, ranks)

    assert found.keys() == palette(LIGHT, LIGHT_RANKS).keys()
    assert all(re.fullmatch(r"#[0-9a-f]{6}", color) for color in found.values())
    assert (found["rank-0"], found[f"rank-{SHADES - 1}"]) == ranks


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    "name", ["ink", "soft", "link", "best", "tried", "rung", "infeasible", "failed", "baseline"]
)
def test_letters_of_every_colour_can_be_read_on_the_page(colors: dict[str, str], name: str) -> None:
    lighter, darker = sorted((luminance(colors[name]), luminance(colors["paper"])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5  # WCAG 2, level AA
