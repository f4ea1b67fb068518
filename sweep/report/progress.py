"""Show a study under way: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from sweep.plan.trial import Record
from sweep.report.narration import Narrator, Subject, counts_of, score_of, state_line, time_left
from sweep.report.tally import News, Tally

LINE_EVERY_S = 10.0  # between plain lines that bring nothing new
REFRESH_EVERY_S = 0.2  # of the live display
BAR_WIDTH = 40


class Display(Protocol):
    """Where a conductor reports; `now` is UTC seconds, in the clock of the records."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """End, leaving the last state in sight."""

    def add(self, record: Record, *, now: float) -> None:
        """Take in a terminal record."""

    def note(self, line: str, *, now: float) -> None:
        """Say something that is no result, at once."""

    def tick(self, *, running: int, now: float) -> None:
        """Tell how many trials are under way; to be called a few times a second."""


def open_display(tally: Tally, *, subject: Subject, console: Console, now: float) -> Display:
    """Choose the display that suits the console; `tally` may hold records from before."""
    kind = LiveDisplay if console.is_interactive else PlainDisplay
    return kind(tally, subject=subject, console=console, now=now)


class PlainDisplay:
    """Lines for a log: one for each piece of news, else one every ten seconds."""

    def __init__(self, tally: Tally, *, subject: Subject, console: Console, now: float) -> None:
        self._tally, self._subject, self._console = tally, subject, console
        self._narrator = Narrator(subject)
        self._spoke = self._now = now
        self._shown = ""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Say the last state."""
        self._say(state_line(self._tally, subject=self._subject, now=self._now))

    def add(self, record: Record, *, now: float) -> None:
        """Take in a terminal record; say it at once where it is news."""
        self._now = now
        line = self._narrator.line(self._tally.add(record), record)
        if line:
            self._say(line)
        else:
            self._say_state_in_time()

    def note(self, line: str, *, now: float) -> None:
        """Say something that is no result, at once."""
        self._now = now
        self._say(line)

    def tick(self, *, running: int, now: float) -> None:
        """Say the state where nothing was said for long."""
        self._now = now
        self._tally.running = running
        self._say_state_in_time()

    def _say_state_in_time(self) -> None:
        if self._now - self._spoke >= LINE_EVERY_S:
            self._say(state_line(self._tally, subject=self._subject, now=self._now))

    def _say(self, line: str) -> None:
        self._spoke = self._now
        if line != self._shown:
            self._shown = line
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A bar with counts, the best so far and the time left; failures scroll by above it."""

    def __init__(self, tally: Tally, *, subject: Subject, console: Console, now: float) -> None:
        self._tally, self._subject = tally, subject
        self._narrator = Narrator(subject)
        self._drawn = self._now = now
        # No thread of its own: whoever follows the study ticks, and a forked worker sees no lock.
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._draw)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        """Draw the last state, and leave it."""
        self._live.refresh()
        self._live.stop()

    def add(self, record: Record, *, now: float) -> None:
        """Take in a terminal record; a failure gets a line that stays."""
        news = self._tally.add(record)
        line = self._narrator.line(news, record)
        if line and news in (News.FAILED, News.INFEASIBLE):
            style = "red" if news is News.FAILED else "yellow"
            self._live.console.print(Text(line, style=style))
        self._draw_in_time(now)

    def note(self, line: str, *, now: float) -> None:
        """Say something that is no result, in a line that stays."""
        self._live.console.print(Text(line, style="yellow"))
        self._draw_in_time(now)

    def tick(self, *, running: int, now: float) -> None:
        """Draw anew, a few times a second at most."""
        self._tally.running = running
        self._draw_in_time(now)

    def _draw_in_time(self, now: float) -> None:
        self._now = now
        if now - self._drawn >= REFRESH_EVERY_S:
            self._drawn = now
            self._live.refresh()

    def _draw(self) -> RenderableType:
        tally = self._tally
        bar = ProgressBar(total=max(1, tally.total), completed=tally.done, width=BAR_WIDTH)
        line = Grid.grid(padding=(0, 2, 0, 0))
        line.add_row(bar, time_left(tally, now=self._now))
        best = f"best {score_of(tally.best, self._subject)}" if tally.best else "no result yet"
        title = Text(self._subject.title, style="bold")
        return Group(title, line, Text(counts_of(tally)), Text(best))
