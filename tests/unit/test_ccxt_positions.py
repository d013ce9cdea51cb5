"""Funding of our positions: each payment once, whenever the venue lists it and whether or not it said that there is one."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from adapters.ccxt.account import positions as module
from adapters.ccxt.account.positions import Positions
from adapters.ccxt.events import FundingPayment, PositionEvent

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
NOW_NS = time.time_ns()


def payment(symbol: str, payment_id: str, ts_ns: int) -> FundingPayment:
    return FundingPayment(symbol=symbol, payment_id=payment_id, amount=Decimal(-1), currency="USDT", ts_event_ns=ts_ns)


class Venue:
    """What the venue lists, and what the desk was told."""

    def __init__(self) -> None:
        self.listed: list[FundingPayment] = []
        self.told: list[str] = []
        self.asked = self.fails = 0

    async def funding_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FundingPayment]:
        return [one for one in self.listed if one.ts_event_ns >= since_ns]

    async def positions(self, exchange: Any, symbols: tuple[str, ...]) -> list[PositionEvent]:
        self.asked += 1
        if self.asked <= self.fails:
            raise ConnectionError("502")
        return []

    def on_positions(self, positions: list[PositionEvent], agreed: bool) -> None: ...

    def on_liquidation(self, event: Any) -> None: ...

    def on_funding_payment(self, payment: FundingPayment) -> None:
        self.told.append(payment.payment_id)


def test_positions_whose_query_failed_are_asked_for_again_soon(monkeypatch):
    """The next look was a quarter of a minute away: so long the desk held what was no more."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    monkeypatch.setattr(module, "RETRY_S", 0.01)

    async def main() -> None:
        venue = Venue()
        venue.fails = 2
        held = Positions("V", venue, venue)  # type: ignore[arg-type]
        keeping = asyncio.create_task(held.run(lambda: (None, (BTC,))))
        held.stale()  # somebody traded
        await until(lambda: venue.asked == 3)
        keeping.cancel()

    asyncio.run(main())


async def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_a_payment_that_is_listed_after_a_younger_one_is_told():
    async def main() -> None:
        venue = Venue()
        held = Positions("V", venue, venue)  # type: ignore[arg-type]
        venue.listed = [payment(BTC, "1", NOW_NS)]
        assert await held.fetch_funding(None, (BTC, ETH)) == 1
        venue.listed.append(payment(ETH, "2", NOW_NS - 4_000_000))  # of the same settlement, four milliseconds before
        assert await held.fetch_funding(None, (BTC, ETH)) == 1
        assert await held.fetch_funding(None, (BTC, ETH)) == 0
        assert venue.told == ["1", "2"]

    asyncio.run(main())


def test_a_payment_that_nobody_announced_is_told(monkeypatch):
    monkeypatch.setattr(module, "FUNDING_EVERY_S", 0.05)
    monkeypatch.setattr(module, "FUNDING_PAUSES_S", (0.0,))

    async def main() -> None:
        venue = Venue()
        held = Positions("V", venue, venue)  # type: ignore[arg-type]
        keeping = asyncio.create_task(held.run(lambda: (None, (BTC,))))
        venue.listed = [payment(BTC, "1", NOW_NS)]
        await until(lambda: venue.told == ["1"])
        keeping.cancel()

    asyncio.run(main())
