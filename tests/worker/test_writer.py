"""Records go to files that stay small, and that no two workers share."""

from __future__ import annotations

from pathlib import Path

from sweep.plan import layout
from sweep.store.folder import FolderStore
from sweep.worker.attempt import claim
from sweep.worker.settling import TRIALS_A_FILE, Writer


def test_a_long_pack_begins_a_new_file_now_and_then(tmp_path: Path) -> None:
    attempt = claim(FolderStore(tmp_path), 3)
    first, second = (Writer(attempt=1, part=part, fence=attempt.fence(1)) for part in (1, 2))

    files = [[w.next_file(3) for _ in range(2 * TRIALS_A_FILE + 1)] for w in (first, second)]

    assert [len(set(names)) for names in files] == [3, 3]
    assert not set(files[0]) & set(files[1])
    assert all(layout.results_of(name) is not None for name in (*files[0], *files[1]))
    assert files[0].count(files[0][0]) == TRIALS_A_FILE
