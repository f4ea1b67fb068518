"""Follow a round to its end: take in what happens, show it, and stop it where that is enough."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sweep.clock import CLOCK
from sweep.cluster import Cluster, PackEvent, Stage
from sweep.errors import BadInput, Interrupted
from sweep.plan import layout
from sweep.plan.exits import Exit, Verdict
from sweep.report.progress import Display
from sweep.study.going_on import how_to_go_on
from sweep.study.stopping import CANCELLED, ask_to_stop, asked_to_stop
from sweep.study.studied import Studied

LOOK_EVERY_S = 0.25
REMOTE_LOOK_EVERY_S = 2.0
GRACE_S = 5.0
PROBE_BYTES = 1 << 16  # an empty file fits on a full disk

Enough = Callable[[Studied, Collection[int]], str | None]


@dataclass(slots=True, kw_only=True)
class Following:
    """A round under way, as a client sees it.

    `enough` is asked why the study should stop, with the packs that run; None for a client that
    only looks on. `echo` is called with each pack that ended.
    """

    state: Studied
    cluster: Cluster
    display: Display
    enough: Enough | None = None
    echo: Callable[[int], None] | None = None
    running: set[int] = field(default_factory=set)
    problems: dict[int, str] = field(default_factory=dict)  # pack to why it was given up
    lost: set[int] = field(default_factory=set)  # packs whose node went silent
    stopping: bool = False
    grow: Callable[[Studied], Studied] | None = None  # takes in what is added to the round

    def to_the_end(self) -> None:
        """Follow until nothing runs or waits.

        Raises Interrupted where a person cancels the study, BadInput where no pack can run,
        StoreLost, Unreachable.
        """
        while not self.cluster.finished:
            self._look(self._observe())
            self._stop_where_enough()
            if self.grow is not None and not self.stopping:
                self.state = self.grow(self.state)
            if asked_to_stop(self.state.place) == CANCELLED:
                self._stop_pods()
                raise Interrupted(how_to_go_on(self.state, "cancelled"))

    def _observe(self) -> set[int]:
        ended: set[int] = set()
        wait_s = REMOTE_LOOK_EVERY_S if self.cluster.lasting else LOOK_EVERY_S
        for event in self.cluster.observe(wait_s):
            if event.stage is Stage.NOTE:
                self.display.note(event.text, now=CLOCK.now())
            else:
                ended |= self._note(event)
        return ended

    def _look(self, ended: Collection[int]) -> None:
        # A store that is not on this machine is listed once, not once a pack.
        packs = None if self.cluster.lasting else sorted({*self.running, *ended})
        for record in self.state.reader.look(packs):
            self.display.add(record, now=CLOCK.now())
        self.display.tick(running=len(self.running), now=CLOCK.now())

    def _stop_where_enough(self) -> None:
        if self.enough is None or self.stopping:
            return
        why = self.enough(self.state, self.running)
        if why is not None:
            self.stopping = True
            self.display.note(why, now=CLOCK.now())
            ask_to_stop(self.state.place, why)
            self._stop_pods()

    def _stop_pods(self) -> None:
        # Local workers read the store's word themselves; pods that wait would be started for it.
        if self.cluster.lasting:
            self.cluster.stop(GRACE_S)

    def _note(self, event: PackEvent) -> set[int]:
        if event.verdict is Verdict.FAIL_ROUND:
            raise BadInput(f"no pack can run here: {event.text}; see the packs' logs in the store")
        assert event.pack is not None
        if event.stage is Stage.STARTED:
            self.running.add(event.pack)
            return set()
        self.running.discard(event.pack)
        if event.verdict is Verdict.LOST:
            self.lost.add(event.pack)
        if event.verdict is Verdict.FAIL_PACK:
            self.problems[event.pack] = event.text
        if event.code == Exit.STORE_AWAY:  # raises where we cannot write either
            self.state.place.write(layout.PROBE, bytes(PROBE_BYTES))
        if self.echo is not None:
            self.echo(event.pack)
        return {event.pack}
