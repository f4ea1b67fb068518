"""Follow the objects of one kind as they change, through any trouble on the way."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field

from sweep.cluster.api import Api, Away, Body, Refused

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """What changed: one object, or the whole state after it was listed anew."""

    kind: str  # name of the follower
    body: Body | None = None
    gone: bool = False
    all: tuple[Body, ...] | None = None


@dataclass
class Follower:
    """List, then watch; list anew whenever the watch is lost, with growing pauses.

    Changes go to `news`; what it could not do stands in `trouble`, empty while all is well.
    """

    name: str
    api: Api
    path: str
    news: queue.Queue[Change]
    selector: str = ""
    fields: str = ""
    trouble: str = ""
    refused: Refused | None = None
    since: float = field(default_factory=time.monotonic)  # last answer of the server
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin, in a thread that ends with the process."""
        threading.Thread(target=self._run, name=f"follow {self.name}", daemon=True).start()

    def stop(self) -> None:
        """End soon; a watch that is open ends with its next line."""
        self._ended.set()

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        version = ""
        while not self._ended.is_set():
            try:
                version = version or self._list()
                version = self._watch(version)
                wait = FIRST_WAIT_S
            except Refused as error:
                version = ""
                if error.status == 410:  # our version is too old to go on from
                    continue
                self.trouble, self.refused = str(error), error
            except Away as error:
                # After a restart the server answers a watch from an old version with silence or
                # 410: the truth is had by listing.
                version = ""
                self.trouble = str(error)
            else:
                continue
            self._ended.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    def _list(self) -> str:
        fields = {"fieldSelector": self.fields} if self.fields else {}
        found, version = self.api.list(self.path, selector=self.selector, **fields)
        self._heard()
        self.news.put(Change(self.name, all=tuple(found)))
        return version

    def _watch(self, version: str) -> str:
        fields = {"fieldSelector": self.fields} if self.fields else {}
        for kind, body in self.api.watch(
            self.path, version=version, selector=self.selector, **fields
        ):
            self._heard()
            version = body["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                self.news.put(Change(self.name, body, gone=kind == "DELETED"))
            if self._ended.is_set():
                break
        self._heard()
        return version

    def _heard(self) -> None:
        self.trouble, self.refused = "", None
        self.since = time.monotonic()
