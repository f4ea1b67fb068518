"""Keep what a gate found where people and a CI look for it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.errors import BadInput, Unreachable
from sweep.plan import layout
from sweep.report.judgement import Judgement, as_json, junit, markdown, unjudged
from sweep.store import Store
from sweep.study.showing import parent_run, tracker_of
from sweep.study.studied import Studied


def keep(place: Store, judgement: Judgement) -> None:
    """Write the verdict beside the study's report."""
    files = texts_of(judgement)
    place.write(layout.GATE_SUMMARY, files["gate.md"].encode())
    place.write(layout.GATE_JUNIT, files["junit.xml"].encode())
    place.write(layout.GATE, files["gate.json"].encode())  # last: it says that all is done


def show(state: Studied, judgement: Judgement) -> None:
    """Keep the summary in MLflow beside the study's report, where it is tracked."""
    tracker, run = tracker_of(state.study), parent_run(state.place)
    if tracker is not None and run is not None:
        files = texts_of(judgement)
        tracker.upload(run, files={name: files[name] for name in ("gate.md", "gate.json")})


def texts_of(judgement: Judgement) -> dict[str, str]:
    """Write a judgement as the files that a CI takes."""
    return {
        "gate.json": json.dumps(as_json(judgement), indent=2) + "\n",
        "gate.md": markdown(judgement),
        "junit.xml": junit(judgement),
    }


@contextmanager
def told_to_ci(study: str, folder: Path | None) -> Iterator[None]:
    """Leave an error in the folder where the study could not be judged, and raise it on.

    What an earlier gate left there goes: it would be taken for tonight's.
    """
    try:
        yield
    except (BadInput, Unreachable) as error:
        if folder is not None:
            with suppress(BadInput, OSError):  # the first error is the one to tell
                (folder / "gate.json").unlink(missing_ok=True)
                write_files(unjudged(study, kind=type(error).__name__, why=str(error)), folder)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder, and see that files can be written there.

    Raises BadInput.
    """
    with _told_of(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def write_files(texts: Mapping[str, str], folder: Path) -> None:
    """Write files into a folder.

    Raises BadInput.
    """
    with _told_of(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")


@contextmanager
def _told_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"--output {folder}: {error.strerror}; name a folder that can be written"
        ) from None
