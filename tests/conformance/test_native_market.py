"""The engine's own adapters on the loopback exchanges: the same books, trades and terms under our names, and the same word of faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import msgspec
import pytest
from nautilus_trader.common.component import LiveClock
from nautilus_trader.model.identifiers import TraderId

from adapters.ccxt.events import BookEventKind, Stream, StreamStatus
from adapters.native.catalogue import DEPTHS, EXCHANGES
from adapters.native.market import NativeMarket
from tests.conformance.ccxt_venue import SYMBOL, Venue, eventually, market_data, venue

LONG = bool(os.environ.get("KERB_LONG_TESTS"))
NAMES = [exchange.upper() for exchange in EXCHANGES]
every_native = pytest.mark.parametrize("name", NAMES)
some_native = pytest.mark.parametrize("name", NAMES if LONG else ["BINANCE", "OKX"])


@contextlib.asynccontextmanager
async def native(place: Venue) -> AsyncIterator[NativeMarket]:
    """A started native market whose book is whole. What is public needs no keys."""
    clock, trader = LiveClock(), TraderId("KERB-001")
    config = msgspec.structs.replace(place.config, api_key="", secret="", password="")
    link = NativeMarket(config, place.seen, loop=asyncio.get_running_loop(), clock=clock, trader_id=trader)
    link.start()
    try:
        await eventually(lambda: place.seen.levels, "a whole book")
        yield link
    finally:
        await link.stop()


def same_book(place: Venue, link: NativeMarket, depth: int) -> bool:
    """Whether the link's book, and the one its events make, are the venue's own."""
    shown, ours = place.running.servers[place.config.venue].core.books[SYMBOL].shown, link._books[SYMBOL].levels
    told = {(side, price): size for side in (1, -1) for price, size in ours.sizes[side].items()}
    return place.seen.levels == told and all(ours.best(side, depth) == shown.side(side).top(depth) for side in (1, -1))


@every_native
def test_books_trades_and_prices_are_the_venues_own(name: str) -> None:
    async def main() -> None:
        async with venue(name) as place, native(place) as link:
            seen = place.seen
            await eventually(lambda: len(seen.books) > 10 and seen.trades and len(seen.quotes) > 3, "all three streams")
            assert seen.kinds() == [BookEventKind.SNAPSHOT]
            assert seen.crossed == 0
            assert all(quote.bid < quote.ask for quote in seen.quotes)
            assert all(trade.price > 0 and trade.size > 0 for trade in seen.trades)
            assert [link.status(SYMBOL, stream) for stream in (Stream.BOOK, Stream.QUOTES)] == [StreamStatus.LIVE] * 2
            health = link.health()
            assert health["connected"] and health["counters"]["frames_bad"] == 0
            for task in place.running._tasks:
                task.cancel()
            await eventually(
                lambda: same_book(place, link, min(100, DEPTHS[place.config.exchange])), "the venue's own book"
            )
            place.seen.books.clear()
            link.replay_book(SYMBOL)
            assert [event.kind for event in place.seen.books] == [BookEventKind.SNAPSHOT]
        assert place.seen.kinds() == [BookEventKind.SNAPSHOT, BookEventKind.CLEAR]
        assert not place.seen.levels

    asyncio.run(main())


@every_native
def test_the_market_is_what_the_ccxt_adapter_says_it_is(name: str) -> None:
    async def main() -> None:
        async with venue(name) as place:
            async with market_data(place) as link:
                theirs = link.markets[SYMBOL]
            async with native(place) as link:
                ours = link.markets[SYMBOL]
        for field in ("symbol", "base", "quote", "tick", "lot", "price_decimals", "size_decimals", "min_quantity"):
            assert getattr(ours, field) == getattr(theirs, field), field
        assert ours.maker_fee <= ours.taker_fee

    asyncio.run(main())


@some_native
def test_after_a_disconnect_the_book_is_whole_again_and_never_wrong(name: str) -> None:
    async def main() -> None:
        async with venue(name, max_age_ms=1_500) as place, native(place) as link:
            await place.fault("disconnect")
            await asyncio.sleep(0)
            snapshots = place.seen.kinds().count(BookEventKind.SNAPSHOT)
            await eventually(
                lambda: place.seen.kinds().count(BookEventKind.SNAPSHOT) > snapshots, "a new snapshot", 25.0
            )
            await eventually(lambda: link.status(SYMBOL) is StreamStatus.LIVE, "a live book")
            changes = len(place.seen.books)
            await eventually(lambda: len(place.seen.books) > changes + 5, "changes again")
            for task in place.running._tasks:
                task.cancel()
            await eventually(lambda: same_book(place, link, 50), "the venue's own book")
            assert place.seen.crossed == 0

    asyncio.run(main())


@every_native
def test_a_book_that_is_wrong_is_found_by_looking_at_the_venues_own(name: str) -> None:
    async def main() -> None:
        async with venue(name, audit_s=0) as place, native(place) as link:
            link._audit._settle_s = 0.1
            book = link._books[SYMBOL]
            for task in place.running._tasks:
                task.cancel()
            await eventually(lambda: same_book(place, link, 50), "the venue's own book")
            assert await link._audit.look(book) is True
            price, size = book.levels.best(1, 8)[-1]
            book.levels.set(1, price, size + 1)  # as if an update had been lost
            assert await link._audit.look(book) is False
            assert not book.whole
            assert place.seen.kinds()[-1] is BookEventKind.CLEAR
            await eventually(lambda: same_book(place, link, 50), "the venue's own book again")

    asyncio.run(main())


@pytest.mark.parametrize("name", NAMES if LONG else ["OKX"])
def test_after_lost_updates_there_is_a_new_snapshot_and_the_venues_own_book(name: str) -> None:
    """OKX's adapter sees it; with the others the book crosses, contradicts the best prices, or an audit finds it."""

    async def main() -> None:
        async with venue(name, audit_s=2.0) as place, native(place) as link:
            link._audit._settle_s = 0.2
            await place.fault("drop_updates", count=3, symbol=SYMBOL)
            await eventually(lambda: place.seen.kinds().count(BookEventKind.SNAPSHOT) > 1, "a new snapshot", 30.0)
            for task in place.running._tasks:
                task.cancel()
            await eventually(lambda: same_book(place, link, 50), "the venue's own book")

    asyncio.run(main())


@some_native
def test_silence_is_stale(name: str) -> None:
    async def main() -> None:
        async with venue(name, max_age_ms=900) as place, native(place):
            await place.fault("silence", count=2)
            await eventually(lambda: BookEventKind.CLEAR in place.seen.kinds(), "a CLEAR")
            reason = next(event.reason for event in place.seen.books if event.kind is BookEventKind.CLEAR)
            assert "stale" in reason
            await eventually(lambda: place.seen.kinds()[-1] is BookEventKind.SNAPSHOT, "a whole book again", 25.0)

    asyncio.run(main())


def test_a_symbol_that_is_not_listed_is_named() -> None:
    async def main() -> None:
        async with venue("BINANCE") as place:
            config = msgspec.structs.replace(place.config, symbols=("NO/SUCH",))
            clock, trader = LiveClock(), TraderId("KERB-001")
            link = NativeMarket(config, place.seen, loop=asyncio.get_running_loop(), clock=clock, trader_id=trader)
            link.start()
            await eventually(lambda: "NO/SUCH" in link.reason, "the symbol's name", 20.0)
            assert not link.connected
            await link.stop()

    asyncio.run(main())
