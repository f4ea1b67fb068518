from __future__ import annotations

import io

from report_builders import completed, diverged, failed
from rich.console import Console

from sweep.plan.trial import Record
from sweep.report.narration import Subject
from sweep.report.progress import LiveDisplay, PlainDisplay, open_display
from sweep.report.tally import Tally

SUBJECT = Subject(title="forecast-3f2a", objective="val_mse", label=lambda trial: f"lr={trial}")


class Sheet(io.StringIO):
    """A stream that remembers whether all of it was flushed."""

    flushed = ""

    def flush(self) -> None:
        self.flushed = self.getvalue()


def show(records: list[tuple[float, Record]], *, total: int = 6) -> Sheet:
    """Play records, each at its time, on what is no terminal; return what was printed."""
    sheet = Sheet()
    tally = Tally(dict.fromkeys(range(total), 1.0))
    console = Console(file=sheet, width=40, force_terminal=False)
    with open_display(tally, subject=SUBJECT, console=console, now=0) as display:
        for now, record in records:
            display.tick(running=2, now=now)
            display.add(record, now=now)
    return sheet


def test_news_is_a_line_at_once() -> None:
    lines = show([(1, completed(0, 0.3)), (2, completed(1, 0.2)), (3, failed(2))]).getvalue()

    assert lines.splitlines()[:3] == [
        "first result: val_mse 0.3000 at lr=0 (trial 0)",
        "new best: val_mse 0.2000 at lr=1 (trial 1)",
        "trial 2 failed at lr=2: MemoryError: no memory",
    ]


def test_a_divergence_is_told_with_its_remedy() -> None:
    lines = show([(1, diverged(3))]).getvalue().splitlines()

    assert lines[0] == (
        "trial 3 infeasible at lr=3: loss is not finite at epoch 3; lower the learning rate"
    )


def test_what_is_no_news_waits_for_ten_seconds() -> None:
    quiet = show([(1, completed(0, 0.3)), (9, completed(1, 0.4))]).getvalue().splitlines()
    patient = show([(1, completed(0, 0.3)), (12, completed(1, 0.4))]).getvalue().splitlines()

    assert len(quiet) == 2  # the news and the last state
    assert patient[1].startswith("1 of 6 done, 2 running; best val_mse 0.3000 at lr=0 (trial 0)")
    assert len(patient) == 3


def test_every_line_is_flushed() -> None:
    sheet = show([(1, completed(0, 0.3))])

    assert sheet.flushed == sheet.getvalue() != ""


def test_failures_of_one_kind_are_told_three_times_and_then_counted() -> None:
    lines = show([(i, failed(i, f"no memory {i}")) for i in range(6)]).getvalue().splitlines()

    assert [line[:14] for line in lines[:-1]] == [
        "trial 0 failed",
        "trial 1 failed",
        "trial 2 failed",
    ]
    assert lines[2].endswith("(from now on, trials like this are only counted)")
    assert lines[-1] == "6 of 6 done, 6 failed"


def test_the_time_left_stands_in_the_state() -> None:
    records = [
        (10.0, completed(0, 0.3, started=0, finished=10)),
        (20.0, completed(1, 0.4, started=10, finished=20)),
        (35.0, completed(2, 0.5)),
    ]

    lines = show(records).getvalue().splitlines()

    assert "about 25 s left" in lines[3]


def test_text_that_looks_like_markup_is_printed_as_it_is() -> None:
    assert "[red]no" in show([(1, failed(0, "[red]no"))]).getvalue()


def terminal(width: int = 80) -> Console:
    return Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, _environ={}
    )


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_gets_the_live_display_and_a_pipe_gets_lines() -> None:
    tally = Tally({0: 1.0})
    pipe = Console(file=io.StringIO(), force_terminal=False)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})

    kinds = [
        type(open_display(tally, subject=SUBJECT, console=console, now=0))
        for console in (terminal(), pipe, dumb)
    ]

    assert kinds == [LiveDisplay, PlainDisplay, PlainDisplay]


def test_the_live_display_ends_on_the_last_state() -> None:
    console = terminal()
    tally = Tally({0: 1.0, 1: 1.0, 2: 1.0})

    with open_display(tally, subject=SUBJECT, console=console, now=0) as display:
        display.tick(running=2, now=1)
        display.add(completed(0, 0.3), now=2)
        display.add(failed(1), now=3)
        display.add(diverged(2), now=4)

    last = printed(console).split("forecast-3f2a")[-1]
    assert "3 of 3 done, 1 infeasible, 1 failed" in last
    assert "best val_mse 0.3000 at lr=0 (trial 0)" in last


def test_failures_stay_above_the_live_display_and_results_do_not() -> None:
    console = terminal()

    with open_display(Tally({0: 1.0, 1: 1.0}), subject=SUBJECT, console=console, now=0) as display:
        display.add(completed(0, 0.3), now=1)
        display.add(failed(1), now=2)

    assert printed(console).count("trial 1 failed at lr=1: MemoryError: no memory") == 1
    assert "first result" not in printed(console)


def test_the_live_display_draws_a_few_times_a_second_at_most() -> None:
    console = terminal()

    with open_display(Tally({0: 1.0}), subject=SUBJECT, console=console, now=0) as display:
        for step in range(1000):
            display.tick(running=1, now=step / 1000)

    assert printed(console).count("forecast-3f2a") <= 7
