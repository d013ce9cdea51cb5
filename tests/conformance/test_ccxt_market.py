"""Market data on a market that moves, and of a venue that is not there yet (the cards, on one that stands still, have all else)."""

import asyncio

from adapters.ccxt.events import BookEventKind, StreamStatus
from sim.servers.faults import Fault, FaultOrder
from tests.conformance.ccxt_venue import eventually, every_venue, market_data, venue
from tests.faults.soak import fast

CLEAR, SNAPSHOT = BookEventKind.CLEAR, BookEventKind.SNAPSHOT


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
def test_a_venue_that_is_not_there_is_waited_for(name):
    async def main() -> None:
        async with venue(name) as place:
            server = place.running.servers[name]
            port = server.port
            await server.stop()
            from adapters.ccxt.market.link import MarketLink

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


def test_dials_that_a_closed_venue_refuses_are_no_lost_sockets():
    async def main() -> None:
        async with venue("BINANCE", audit_s=0) as place, market_data(place) as link:
            await eventually(
                lambda: all(link.status(place.symbol, one) is StreamStatus.LIVE for one in link._streams), "all"
            )
            server = place.running.servers["BINANCE"]
            refused = 0
            closed = server.closed

            def counted():
                nonlocal refused
                refused += 1
                return closed()

            server.closed = counted
            server.disturb(FaultOrder(fault=Fault.MAINTENANCE, ms=400))
            await eventually(lambda: link.status(place.symbol) is not StreamStatus.LIVE, "a lost book")
            await eventually(lambda: refused > 5, "dials")
            await eventually(lambda: link.status(place.symbol) is StreamStatus.LIVE, "a live book")
            assert link.counters.reconnects == len(link._streams)  # a socket each

    with fast():
        asyncio.run(main())
