"""What goes wrong with the test bed itself."""

from __future__ import annotations


class BedError(Exception):
    """A part of the test bed could not be built, started or reached; the text says what to do."""
