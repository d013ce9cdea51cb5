"""What is seen of a node while it runs: when each book was whole as its link told it, when the desk used it, when its venue was disturbed,
and that an order whose outcome is unknown keeps its exposure.

The links' own words are taken at the link, before engine and desk have them: a price is held against these, not against what the desk
believes. Times are ns since the epoch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import time_ns
from typing import Any

import msgspec

from adapters.ccxt.events import BookEvent, BookEventKind, StreamStatus
from adapters.nautilus import topics
from risk.decision import Stage
from router.orders import ChildOrder, ChildState
from sim.servers.faults import Fault
from tests.faults.node.place import Place, traded
from tests.faults.node.truth import Truth

SAMPLE_S = 0.02
KEPT = 1_000  # samples
AFTER_429_NS = 1_000_000_000  # the venues' own Retry-After
OPEN_NS = 1 << 62
NEAR_NS = 50_000_000
HEARD_NS = 200_000_000  # how long a whole book may be on its way to the desk


class Loss(msgspec.Struct, kw_only=True):
    """A book that the desk could not use for a while. `disturbed_ns`: the last moment its venue was disturbed before it came back."""

    venue: str
    lost_ns: int
    live_ns: int = 0
    disturbed_ns: int = 0

    @property
    def recovery_s(self) -> float:
        """From the end of the disturbance, or the loss when that came later."""
        return (self.live_ns - max(self.lost_ns, self.disturbed_ns)) / 1e9


class Dark(msgspec.Struct, kw_only=True):
    """No venue could be priced from. `calm_ns`: when the first of them was not disturbed any more."""

    from_ns: int
    to_ns: int = 0
    calm_ns: int = 0

    @property
    def recovery_s(self) -> float:
        """From then, or from the beginning when that came later."""
        return (self.to_ns - max(self.from_ns, self.calm_ns)) / 1e9


class Witness:
    """`spans[venue]`: [whole from, to) by the link. `losses`, `darks`: by the desk's own books. `wrong`: reservations that were not
    there."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.truth = Truth(place)
        self.spans: dict[str, list[list[int]]] = {venue: [] for venue in place.venues}
        self.reasons: list[str] = []
        self.losses: list[Loss] = []
        self.darks: list[Dark] = []
        self.accounts: list[Loss] = []  # the same as losses, of the connection to an account
        self.wrong: list[str] = []
        self.unknown: set[str] = set()  # child orders that were unknown at some moment
        self._disturbed = dict.fromkeys(place.venues, 0)
        self._lost: dict[str, Loss] = {}
        self._away: dict[str, Loss] = {}
        self._dark: Dark | None = None
        self._seen: deque[tuple[int, frozenset[str]]] = deque(maxlen=KEPT)
        for venue, client in place.market.items():
            self._listen(venue, client)
        assert place.desk.node is not None
        place.desk.node.msgbus.subscribe(topics.CHILD, self._on_child)
        self._task = asyncio.create_task(self._watch(), name="witness")

    def begin(self) -> None:
        """A new episode: earlier losses are told."""
        self.losses, self.darks, self.accounts, self.wrong, self.reasons = [], [], [], [], []
        self.unknown.clear()

    async def stop(self) -> None:
        """See no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # ---- what is asked ----

    def whole(self, venue: str, at_ns: int) -> bool:
        """Whether the link had told a whole book and not taken it back."""
        return any(begin <= at_ns < end for begin, end in reversed(self.spans[venue]))

    def dark(self, from_ns: int, to_ns: int) -> bool:
        """Whether no venue's link had a whole book at any moment of a span."""
        return not any(
            begin < to_ns and from_ns < end for venue in self._place.spot for begin, end in self.spans[venue]
        )

    def lit(self, from_ns: int, to_ns: int) -> bool:
        """Whether some venue's link had a whole book from well before a span to its end, and the desk used it at every sample."""
        samples = [used for at_ns, used in self._seen if from_ns - NEAR_NS <= at_ns <= to_ns + NEAR_NS]
        return any(
            begin <= from_ns - HEARD_NS and to_ns < end and samples and all(venue in used for used in samples)
            for venue in self._place.spot
            for begin, end in self.spans[venue]
        )

    def missing(self) -> list[str]:
        """Venues whose book the desk does not use now."""
        return [venue for venue in self._place.venues if not self._place.live(venue)]

    # ---- what is seen ----

    def _listen(self, venue: str, client: Any) -> None:
        tell, spans = client.on_book, self.spans[venue]
        if client.link.status(traded(venue)) is StreamStatus.LIVE:
            spans.append([time_ns(), OPEN_NS])

        def on_book(event: BookEvent) -> None:
            if event.kind is BookEventKind.CLEAR:
                self.reasons.append(f"{venue}: {event.reason}")
            if event.kind is not BookEventKind.UPDATE and spans and spans[-1][1] == OPEN_NS:
                spans[-1][1] = time_ns()
            if event.kind is BookEventKind.SNAPSHOT:
                spans.append([time_ns(), OPEN_NS])
            tell(event)

        client.on_book = on_book

    async def _watch(self) -> None:
        while True:
            self._look(time_ns())
            await asyncio.sleep(SAMPLE_S)

    def _look(self, now_ns: int) -> None:
        place = self._place
        for venue, server in place.servers.items():
            if pending := server.faults.pending():
                self._disturbed[venue] = now_ns + (AFTER_429_NS if Fault.HTTP_429 in pending else 0)
        used = frozenset(venue for venue in place.venues if place.live(venue))
        self._seen.append((now_ns, used))
        for venue in place.venues:
            self._count(venue, venue in used, now_ns, self._lost, self.losses)
            self._count(venue, place.connected(venue), now_ns, self._away, self.accounts)
        self._count_dark(any(venue in used for venue in place.spot), now_ns)
        self._reserved()

    def _count(self, venue: str, used: bool, now_ns: int, lost: dict[str, Loss], over: list[Loss]) -> None:
        if not used:
            lost.setdefault(venue, Loss(venue=venue, lost_ns=now_ns))
        elif (loss := lost.pop(venue, None)) is not None:
            loss.live_ns, loss.disturbed_ns = now_ns, min(self._disturbed[venue], now_ns)
            over.append(loss)

    def _count_dark(self, lit: bool, now_ns: int) -> None:
        if not lit:
            self._dark = self._dark or Dark(from_ns=now_ns)
        elif (dark := self._dark) is not None:
            self._dark, dark.to_ns = None, now_ns
            dark.calm_ns = min(min(self._disturbed[venue] for venue in self._place.spot), now_ns)
            self.darks.append(dark)

    def _on_child(self, child: ChildOrder) -> None:
        """The router's word, and what is still so at a sample."""
        if child.state is ChildState.UNKNOWN:
            self.unknown.add(child.child_id)
            held = self._place.desk.parts.gate.state.reservations.get((Stage.CHILD, child.child_id))
            if held is None or held.quantity != child.leaves:
                said = f"{held and held.quantity} is held of {child.leaves}"
                self.wrong.append(f"{child.child_id} is unknown and {said}")

    def _reserved(self) -> None:
        """What an unknown order may still fill is held by the gate, and no part of it is free to be planned again."""
        for run in self._place.desk.parts.router._runs.working():
            work = run.work
            for child in work.open:
                if child.state is not ChildState.UNKNOWN:
                    continue
                self._on_child(child)
                if work.parent.quantity - work.parent.filled - child.leaves < work.free:
                    self.wrong.append(f"{child.child_id} is unknown and may be planned again")
