"""Five bugs that adapters of this kind have had, each put into one desk through a named seam: the suite must see every one.

drop dedupe           an execution that stream, answer and query all bring is told each time
ignore gap            a book goes on over updates that are missing
reject on timeout     an order whose outcome is unknown is taken for never having been
resend on timeout     such an order is sent again
trust conflated       of executions that come at once, only the last is read (what `watch_*` of ccxt.pro returns)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from adapters.ccxt.account.outcomes import Failure, Verdict
from sim.servers.faults import Fault
from tests.faults.desk import Desk

Plant = Callable[[Desk], None]


def drop_dedupe(desk: Desk) -> None:
    """Seam: `AccountLink._tell`."""
    link: Any = desk.account
    tell = link._tell

    def forgetful(fill: Any) -> None:
        link._seen.clear()
        tell(fill)

    link._tell = forgetful


def ignore_gap(desk: Desk) -> None:
    """Seam: the rule of a book that joins a message to the one before it."""
    link: Any = desk.market
    make = link._dialect.book

    def careless(market: Any, depth: int) -> Any:
        book = make(market, depth)
        match type(book).__name__:
            case "BinanceBook" | "BinanceUsdmBook":
                book._joins = lambda raw: True
            case "OkxBook":
                update = book._update
                book._update = lambda raw, sequence, before, ts_ns: (
                    setattr(book, "sequence", before) or update(raw, sequence, before, ts_ns)
                )
            case "BybitBook":
                join = book._join
                book._join = lambda data, ts_ns: setattr(book, "sequence", int(data["u"]) - 1) or join(data, ts_ns)
            case "KrakenBook":
                book.checksum = lambda: Agreeing()
            case other:
                raise AssertionError(f"no gap to ignore in {other}")
        return book

    link._dialect.book = careless


class Agreeing(int):
    """A checksum that is whatever the venue says."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def reject_on_timeout(desk: Desk) -> None:
    """Seam: `AccountLink._failed`."""
    link: Any = desk.account
    failed = link._failed

    def hasty(client_order_id: str, failure: Failure) -> Failure:
        if failure.verdict is Verdict.UNKNOWN:
            failure = msgspec.structs.replace(failure, verdict=Verdict.REFUSED)
        return failed(client_order_id, failure)

    link._failed = hasty


def resend_on_timeout(desk: Desk) -> None:
    """Seam: `AccountLink._place`."""
    link: Any = desk.account
    place = link._place

    async def insistent(request: Any) -> Any:
        answer = await place(request)
        if isinstance(answer, Failure) and answer.verdict is Verdict.UNKNOWN:
            answer = await place(request)
        return answer

    link._place = insistent


def trust_conflated(desk: Desk) -> None:
    """Seam: `AccountLink._on_message`."""
    link: Any = desk.account
    read, waiting = link._on_message, []

    def last_of_a_burst(client: Any, message: Any) -> None:
        said = link._dialect.read(link._exchange, message)
        if said is None or not said.fills:
            read(client, message)
        elif not waiting:
            asyncio.get_running_loop().call_later(0.002, lambda: read(*waiting.pop()))
            waiting.append((client, message))
        else:
            waiting[0] = (client, message)

    link._on_message = last_of_a_burst


# each with the fault that brings it out, and a venue where it does
BUGS: dict[str, tuple[Plant, tuple[Fault, ...], str]] = {
    "drop dedupe": (drop_dedupe, (Fault.DISCONNECT,), "BINANCE"),
    "ignore gap": (ignore_gap, (Fault.DROP_UPDATES,), "BYBIT"),
    "reject on timeout": (reject_on_timeout, (Fault.HANG_AFTER_ACCEPT, Fault.HANG_AFTER_ACCEPT), "KRAKEN"),
    "resend on timeout": (resend_on_timeout, (Fault.HANG_AFTER_ACCEPT, Fault.HANG_AFTER_ACCEPT), "BINANCEUSDM"),
    "trust conflated": (trust_conflated, (Fault.WRONG_LEVEL,), "OKX"),
}
