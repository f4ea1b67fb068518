"""Tell a kill for memory from a kill by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
MACHINE = Path("/proc/vmstat")


class MemoryWatch:
    """Count the kernel's kills for memory, of this machine and of our own control group."""

    def __init__(self, counters: Sequence[Path] | None = None) -> None:
        self._counters = list(counters) if counters is not None else _counters()
        self._seen = self._count()

    def ran_out(self) -> bool:
        """Tell whether there was such a kill since the last look."""
        before, self._seen = self._seen, self._count()
        return self._seen > before

    def _count(self) -> int:
        return sum(_kills(path) for path in self._counters)


def _counters() -> list[Path]:
    places = [MACHINE]
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return places
    for line in lines:
        _, controllers, path = line.split(":", 2)
        own = path.lstrip("/")
        if not controllers:
            places.append(CGROUPS / own / "memory.events")
        elif "memory" in controllers.split(","):
            places.append(CGROUPS / "memory" / own / "memory.oom_control")
    return places


def _kills(path: Path) -> int:
    try:
        words = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return 0
    return sum(int(word[1]) for word in words if len(word) == 2 and word[0] == "oom_kill")
