"""Market data of every exchange over real sockets: what comes, and what happens when it comes wrong or not at all."""

import asyncio

from adapters.ccxt.events import BookEventKind, StreamStatus
from tests.conformance.ccxt_venue import VENUES, eventually, every_venue, market_data, venue

CLEAR, SNAPSHOT = BookEventKind.CLEAR, BookEventKind.SNAPSHOT


def whole_again(seen) -> bool:
    kinds = seen.kinds()
    return CLEAR in kinds and kinds[-1] is SNAPSHOT


@every_venue
def test_book_trades_and_quotes_arrive_exact_and_uncrossed(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as link:
            seen = place.seen
            await eventually(lambda: len(seen.books) > 10 and seen.trades and len(seen.quotes) > 3, "all three streams")
            market = link.markets[place.symbol]
            assert seen.kinds() == [SNAPSHOT]
            assert seen.crossed == 0
            assert market.taker_fee > 0
            assert all(quote.bid < quote.ask for quote in seen.quotes)
            assert all(trade.price > 0 and trade.size > 0 for trade in seen.trades)
            assert link.status(place.symbol) is StreamStatus.LIVE
            health = link.health()
            assert health["connected"]
            assert health["counters"]["frames_bad"] == health["counters"]["handler_faults"] == 0
            assert (health["counters"]["frames_typed"] > 10) is hasattr(link._dialect, "frame")
            book = link._books[place.symbol].levels
            ours = {(side, price): size for side in (1, -1) for price, size in book.sizes[side].items()}
            assert seen.levels == ours
        assert seen.kinds() == [SNAPSHOT, CLEAR]
        assert not seen.levels

    asyncio.run(main())


@every_venue
def test_when_the_market_stands_still_the_book_is_the_venues_own(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as link:
            await eventually(lambda: len(place.seen.books) > 15, "some changes")
            for task in place.running._tasks:
                task.cancel()
            shown, ours = place.running.servers[name].core.books[place.symbol].shown, link._books[place.symbol].levels
            same = lambda: all(ours.best(side, 50) == shown.side(side).top(50) for side in (1, -1))  # noqa: E731
            await eventually(same, "the venue's own book")
            assert len(ours.best(1, 50)) == 50

    asyncio.run(main())


@every_venue
def test_a_lost_update_clears_the_book_and_it_is_whole_again_by_itself(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as link:
            await place.fault("drop_updates", symbol=place.symbol)
            await eventually(lambda: CLEAR in place.seen.kinds(), "a CLEAR")
            reason = next(event.reason for event in place.seen.books if event.kind is CLEAR)
            assert VENUES[name].loss in reason
            await eventually(lambda: whole_again(place.seen), "a whole book again")
            assert link.health()["streams"][f"{place.symbol}.book"]["resyncs"] >= 1
            assert place.seen.crossed == 0

    asyncio.run(main())


@every_venue
def test_a_disconnect_clears_at_once_and_reconnects(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as link:
            await place.fault("disconnect")
            await eventually(lambda: whole_again(place.seen), "a whole book again")
            reason = next(event.reason for event in place.seen.books if event.kind is CLEAR)
            assert "disconnected" in reason
            trades = len(place.seen.trades)
            await eventually(lambda: len(place.seen.trades) > trades, "trades again")
            assert link.counters.reconnects >= 1

    asyncio.run(main())


@every_venue
def test_silence_is_stale_even_while_the_socket_lives(name):
    async def main() -> None:
        async with venue(name, max_age_ms=900) as place, market_data(place):
            await place.fault("silence", count=2)
            await eventually(lambda: CLEAR in place.seen.kinds(), "a CLEAR")
            reason = next(event.reason for event in place.seen.books if event.kind is CLEAR)
            assert "stale" in reason
            await eventually(lambda: whole_again(place.seen), "a whole book again", 20.0)

    asyncio.run(main())


@every_venue
def test_a_broken_frame_is_counted_and_the_stream_goes_on(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as link:
            await place.fault("garbage_frame", count=3, symbol=place.symbol)
            await eventually(lambda: link.counters.frames_bad >= 3, "bad frames")
            await eventually(lambda: link.status(place.symbol) is StreamStatus.LIVE, "a live book")
            books, trades = len(place.seen.books), len(place.seen.trades)
            going_on = lambda: len(place.seen.books) > books + 3 and len(place.seen.trades) > trades  # noqa: E731
            await eventually(going_on, "more messages")

    asyncio.run(main())


@every_venue
def test_a_venue_that_is_not_there_is_waited_for(name):
    async def main() -> None:
        async with venue(name) as place:
            server = place.running.servers[name]
            port = server.port
            await server.stop()
            from adapters.ccxt.link import MarketLink

            link = MarketLink(place.config, place.seen)
            link.start()
            await eventually(lambda: "cannot load markets" in link.reason, "a failed attempt", 20.0)
            assert not link.connected
            restarted = type(server)(server.core, place.running.credentials[name])
            await restarted.start(port)
            place.running.servers[name] = restarted
            await eventually(lambda: link.markets, "markets", 20.0)
            await link.stop()

    asyncio.run(main())
