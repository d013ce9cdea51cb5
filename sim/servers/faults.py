"""Fault knobs of a loopback venue: what `POST /_control` may ask for, and how often.

{"fault": "reject", "count": 2}                      the next two orders are refused
{"fault": "hang_after_accept"}                       the next order is accepted and matched, its answer never comes
{"fault": "http_503", "count": 3, "scope": "order"}  the next requests (of all, or of "order") get 503 and do nothing
{"fault": "disconnect"}                              every WebSocket is torn down now
{"fault": "garbage_frame", "symbol": "BTC/USDT"}     the next market frame is cut in the middle
{"fault": "drop_updates", "count": 2}                book updates are not sent although the sequence goes on: a gap
{"fault": "restart_ids"}                             the ids of a book's messages begin again, as after maintenance (OKX)
{"fault": "silence", "count": 3}                     for so many seconds nothing is sent on any WebSocket, pongs included
{"fault": "clear"}                                   forget all pending faults
"""

from __future__ import annotations

import time
from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """A fault that can be ordered."""

    HANG_AFTER_ACCEPT = "hang_after_accept"
    REJECT = "reject"
    HTTP_503 = "http_503"
    DISCONNECT = "disconnect"
    GARBAGE_FRAME = "garbage_frame"
    DROP_UPDATES = "drop_updates"
    RESTART_IDS = "restart_ids"
    SILENCE = "silence"
    CLEAR = "clear"


class FaultOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request to `/_control`. `symbol` and `scope` narrow it; empty = all. `venue`, when given, must be the server's own."""

    fault: Fault
    count: int = 1
    symbol: str = ""
    scope: str = ""
    venue: str = ""


class Faults:
    """Pending faults of one server."""

    def __init__(self) -> None:
        self._pending: list[list] = []  # [order, left]
        self._silent_until = 0.0

    def order(self, wanted: FaultOrder) -> None:
        """Remember a fault (a disconnect is done by the server itself, at once)."""
        match wanted.fault:
            case Fault.CLEAR:
                self._pending.clear()
                self._silent_until = 0.0
            case Fault.SILENCE:
                self._silent_until = time.monotonic() + wanted.count
            case Fault.DISCONNECT:
                pass
            case _:
                self._pending.append([wanted, wanted.count])

    def take(self, fault: Fault, *, symbol: str = "", scope: str = "") -> bool:
        """Whether this fault is to happen now; counts it down."""
        for entry in self._pending:
            wanted, left = entry
            if wanted.fault is not fault or (wanted.symbol and symbol and wanted.symbol != symbol):
                continue
            if wanted.scope and wanted.scope != scope:
                continue
            entry[1] = left - 1
            if entry[1] <= 0:
                self._pending.remove(entry)
            return True
        return False

    @property
    def silent(self) -> bool:
        """Whether WebSockets are to say nothing now."""
        return time.monotonic() < self._silent_until

    def pending(self) -> dict[str, int]:
        """What is still to come, by fault."""
        return {wanted.fault: left for wanted, left in self._pending}
