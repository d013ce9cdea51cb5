"""Fault knobs of a loopback exchange: what `POST /_control` and a fault file (`fault_file.py`) may ask for, and how often.

Orders and requests (`scope`: "order" = only what places orders, "amend" = what amends; `symbol` narrows `reject` and `hang_after_accept`)
{"fault": "reject", "count": 2}                      the next two orders are refused
{"fault": "hang_after_accept"}                       the next order is accepted and matched, its answer never comes
{"fault": "http_502_after", "scope": "order"}        the next request is carried out, its answer is a gateway's 502
{"fault": "reset_after", "scope": "order"}           the next request is carried out, then its connection is torn down
{"fault": "http_503", "count": 3, "scope": "order"}  the next requests get the venue's 503 and do nothing
{"fault": "http_502", "count": 3}                    the same with a gateway's page
{"fault": "http_429", "count": 3}                    the next requests are too many, in the venue's words and headers
{"fault": "slow_rest", "count": 3, "ms": 1500}       the next requests wait so long before anything happens

Frames (`symbol`; `scope`: "market" or "private")
{"fault": "drop_updates", "count": 2}                book updates are not sent although the sequence goes on: a gap
{"fault": "drop_frames", "count": 2}                 the next frames are not sent
{"fault": "duplicate_frames", "count": 2}            the next frames are sent twice
{"fault": "reorder_frames"}                          the next frame is sent after the one that follows it on its stream
{"fault": "truncate_frame", "count": 3}              the next frames are cut in the middle
{"fault": "garbage_frame", "count": 3}               the next frames are noise
{"fault": "wrong_level", "count": 3}                 the next book updates tell another size of a level, ids in order: only a
                                                     checksum or a look at the whole book can find it

Sockets and clocks
{"fault": "disconnect"}                              every WebSocket is torn down now
{"fault": "disconnect_storm", "ms": 2000}            the same, and for so long every new one as soon as it is open
{"fault": "half_open"}                               the WebSockets of this moment stay open, but nothing goes in or out of them any more
{"fault": "silence", "ms": 3000}                     for so long nothing is sent on any WebSocket, pongs included
{"fault": "maintenance", "ms": 3000}                 for so long the venue is closed: sockets end with its notice, requests get its words
{"fault": "clock_skew", "ms": -5000}                 the venue's clock is so far ahead of the true time (behind, when negative); 0 ends it
{"fault": "restart_ids"}                             the ids of a book's messages begin again, as after maintenance (OKX)
{"fault": "clear"}                                   forget all pending faults

`silence` also takes whole seconds as `count`.
"""

from __future__ import annotations

import time
from enum import StrEnum

import msgspec

LONGEST_MS = 3_600_000


class Fault(StrEnum):
    """A fault that can be ordered."""

    REJECT = "reject"
    HANG_AFTER_ACCEPT = "hang_after_accept"
    HTTP_502_AFTER = "http_502_after"
    RESET_AFTER = "reset_after"
    HTTP_503 = "http_503"
    HTTP_502 = "http_502"
    HTTP_429 = "http_429"
    SLOW_REST = "slow_rest"
    DROP_UPDATES = "drop_updates"
    DROP_FRAMES = "drop_frames"
    DUPLICATE_FRAMES = "duplicate_frames"
    REORDER_FRAMES = "reorder_frames"
    TRUNCATE_FRAME = "truncate_frame"
    GARBAGE_FRAME = "garbage_frame"
    WRONG_LEVEL = "wrong_level"
    DISCONNECT = "disconnect"
    DISCONNECT_STORM = "disconnect_storm"
    HALF_OPEN = "half_open"
    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    CLOCK_SKEW = "clock_skew"
    RESTART_IDS = "restart_ids"
    CLEAR = "clear"


SCOPES = ("", "order", "amend", "market", "private")


class FaultOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request to `/_control`. `symbol` and `scope` narrow it; empty = all. `venue`, when given, must be the server's own."""

    fault: Fault
    count: int = 1
    ms: int = 0
    symbol: str = ""
    scope: str = ""
    venue: str = ""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count: {self.count} is less than once")
        if abs(self.ms) > LONGEST_MS or (self.ms < 0 and self.fault is not Fault.CLOCK_SKEW):
            raise ValueError(f"ms: {self.ms} is no time for {self.fault}")
        if self.fault in (Fault.DISCONNECT_STORM, Fault.MAINTENANCE, Fault.SLOW_REST) and not self.ms:
            raise ValueError(f"ms: {self.fault} needs to know how long")
        if self.scope not in SCOPES:
            raise ValueError(f"scope: {self.scope!r} is none of {', '.join(SCOPES[1:])}")

    @property
    def lasts_s(self) -> float:
        """How long a lasting fault lasts."""
        return (self.ms or 1000 * self.count) / 1000


class Faults:
    """Pending faults of one server, and how long it is silent, stormy or closed."""

    def __init__(self) -> None:
        self._pending: list[list] = []  # [order, left]
        self._until: dict[Fault, float] = {}
        self.skew_ns = 0

    def order(self, wanted: FaultOrder) -> None:
        """Remember a fault (what concerns the sockets of this moment is done by the server itself, at once)."""
        match wanted.fault:
            case Fault.CLEAR:
                self._pending.clear()
                self._until.clear()
                self.skew_ns = 0
            case Fault.CLOCK_SKEW:
                self.skew_ns = wanted.ms * 1_000_000
            case Fault.SILENCE | Fault.DISCONNECT_STORM | Fault.MAINTENANCE as lasting:
                self._until[lasting] = time.monotonic() + wanted.lasts_s
            case Fault.DISCONNECT | Fault.HALF_OPEN:
                pass
            case _:
                self._pending.append([wanted, wanted.count])

    def take(self, fault: Fault, *, symbol: str = "", scope: str = "") -> FaultOrder | None:
        """The order that makes this fault happen now, or None; counts it down."""
        for entry in self._pending:
            wanted, left = entry
            if wanted.fault is not fault or (wanted.symbol and symbol and wanted.symbol != symbol):
                continue
            if wanted.scope and wanted.scope != scope:
                continue
            entry[1] = left - 1
            if entry[1] <= 0:
                self._pending.remove(entry)
            return wanted
        return None

    def lasting(self, fault: Fault) -> bool:
        """Whether a fault that was ordered for some time is going on."""
        return time.monotonic() < self._until.get(fault, 0.0)

    @property
    def silent(self) -> bool:
        """Whether WebSockets are to say nothing now."""
        return self.lasting(Fault.SILENCE)

    def spoiled(self, rows: list[tuple[int, ...]], symbol: str) -> list[tuple[int, ...]]:
        """Rows of a book update, the size (last) of the last one that has any doubled when `wrong_level` is to happen."""
        at = next((at for at in reversed(range(len(rows))) if rows[at][-1]), None)
        if at is None or self.take(Fault.WRONG_LEVEL, symbol=symbol, scope="market") is None:
            return rows
        wrong = (*rows[at][:-1], 2 * rows[at][-1])
        return [*rows[:at], wrong, *rows[at + 1 :]]

    def pending(self) -> dict[str, int]:
        """What is still to come or going on, by fault: times, or milliseconds."""
        now = time.monotonic()
        going_on = {str(fault): int(1000 * (until - now)) for fault, until in self._until.items() if until > now}
        if self.skew_ns:
            going_on[str(Fault.CLOCK_SKEW)] = self.skew_ns // 1_000_000
        return going_on | {str(wanted.fault): left for wanted, left in self._pending}
