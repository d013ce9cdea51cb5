"""What only Coinbase does, over sockets: numbers of a connection, executions by query, two kinds of keys, one book under two names."""

import asyncio
import time
from decimal import Decimal

import msgspec
import numpy as np

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import AmendRequest, CancelRequest
from adapters.ccxt.events import BookEventKind, OrderEvent, StreamStatus, VenueOrderState
from adapters.ccxt.market.link import MarketLink
from sim.events import ASK, BID, EventKind, VenueEvent
from sim.servers.coinbase.auth import ed25519_credentials
from sim.servers.coinbase.server import CoinbaseServer
from sim.servers.coinbase.wire import CoinbaseError
from sim.servers.venues import start_venues
from tests.conformance.ccxt_venue import SYMBOL, Recorder, Venue, account, eventually, market_data, venue

CLEAR, SNAPSHOT = BookEventKind.CLEAR, BookEventKind.SNAPSHOT


def still(place: Venue) -> None:
    """From here on the market does only what the test says."""
    for task in place.running._tasks:
        task.cancel()


def happens(place: Venue, kind: EventKind, levels: list | None = None, symbol: str = SYMBOL, **fields: object) -> None:
    now = time.time_ns()
    rows = [[BID, 6_000_000, 50_000_000], [ASK, 6_000_010, 50_000_000]] if levels is None else levels
    rows = np.array(rows, dtype=np.int64).reshape(-1, 3)
    event = VenueEvent(
        kind=kind, symbol=symbol, ts_event_ns=now, ts_init_ns=now, levels=rows, reason="a test", **fields
    )
    server_of(place).on_market(event)


def server_of(place: Venue) -> CoinbaseServer:
    return place.running.servers["COINBASE"]


def test_a_loss_in_any_channel_breaks_every_book_and_only_the_books_are_made_anew():
    async def main() -> None:
        running = await start_venues(seed=7, venues=("COINBASE",), symbols=("BTC/USDT", "ETH/USDT"))
        urls = running.urls["COINBASE"]
        config = ExchangeConfig(
            venue="COINBASE", exchange="coinbase", symbols=("BTC/USDT", "ETH/USDT"), rest_url=urls.rest, ws_url=urls.ws
        )
        seen = Recorder()
        link = MarketLink(config, seen)
        link.start()
        try:
            live = lambda: all(link.status(symbol) is StreamStatus.LIVE for symbol in config.symbols)  # noqa: E731
            await eventually(lambda: len(link._states) == 4 and live(), "two live books")
            server = running.servers["COINBASE"]
            for peer in server.peers:
                server._next(peer)  # a number that nobody will see
            cleared = lambda: {event.symbol for event in seen.books if event.kind is CLEAR}  # noqa: E731
            await eventually(lambda: cleared() == set(config.symbols), "both books cleared")
            assert all("sequence gap" in event.reason for event in seen.books if event.kind is CLEAR)
            await eventually(live, "two live books again")
            assert link.counters.reconnects == 0
        finally:
            await link.stop()
            await running.stop()

    asyncio.run(main())


def test_a_quiet_book_stays_live_while_heartbeats_vouch_for_it():
    async def main() -> None:
        async with venue("COINBASE", max_age_ms=1_100) as place, market_data(place) as link:
            still(place)
            await asyncio.sleep(0.3)  # what is under way arrives
            told = len(place.seen.books)
            await asyncio.sleep(2.4)  # two ages
            assert link.status(SYMBOL) is StreamStatus.LIVE
            assert len(place.seen.books) == told  # nothing was said of it, and nothing was lost
            assert link.counters.resyncs == 0

    asyncio.run(main())


def test_a_book_that_does_not_move_when_trades_are_done_grows_stale():
    async def main() -> None:
        async with venue("COINBASE", max_age_ms=1_500) as place, market_data(place) as link:
            still(place)
            await asyncio.sleep(0.3)
            happens(place, EventKind.TRADE, [], price=6_000_000, size=1_000, side=1, trade_id="1")
            await eventually(lambda: CLEAR in place.seen.kinds(), "a CLEAR")
            assert "stale" in next(event.reason for event in place.seen.books if event.kind is CLEAR)
            await eventually(lambda: link.status(SYMBOL) is StreamStatus.LIVE, "a whole book again")

    asyncio.run(main())


def test_best_prices_are_the_books_own():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place):
            seen = place.seen
            still(place)
            happens(place, EventKind.SNAPSHOT)
            happens(place, EventKind.UPDATE, [[BID, 5_000_000, 7]])  # far from the best
            happens(place, EventKind.UPDATE, [[ASK, 6_000_010, 0], [ASK, 6_000_020, 9]])
            await eventually(lambda: seen.best(-1) == 6_000_020, "the last change")
            last = [(quote.bid, quote.bid_size, quote.ask, quote.ask_size) for quote in seen.quotes[-2:]]
            assert last == [(6_000_000, 50_000_000, 6_000_010, 50_000_000), (6_000_000, 50_000_000, 6_000_020, 9)]

    asyncio.run(main())


def test_executions_of_a_resting_order_are_told_as_they_come_each_once():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place) as data, account(place) as link:
            still(place)
            happens(place, EventKind.SNAPSHOT)
            await eventually(lambda: place.seen.best(-1) == 6_000_010, "the market of the test")
            order = msgspec.structs.replace(
                place.limit(data, "c-part-1", "buy", "1", -1, "GTC"), price="60000.05", post_only=True
            )
            assert isinstance(await link.place(order), OrderEvent)
            for filled in ("0.25", "0.5", "1"):
                size = int(Decimal(filled) * 100_000_000) - int(place.seen.filled("c-part-1") * 100_000_000)
                happens(place, EventKind.UPDATE, [[ASK, 6_000_005, size]])  # it reaches our price
                await eventually(lambda f=filled: place.seen.filled("c-part-1") == Decimal(f), f"{filled} filled")
                happens(place, EventKind.UPDATE, [[ASK, 6_000_005, 0]])
            await eventually(lambda: place.seen.ended("c-part-1"), "the order's end")
            assert all(fill.maker and fill.fee == 0 for fill in place.seen.fills)
            assert len(place.seen.fills) == 3

    asyncio.run(main())


def test_executions_that_the_venue_lists_late_are_waited_for():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place) as data, account(place) as link:
            listed, asked = server_of(place).account.fills, []

            def late(query):
                asked.append(query)
                return listed(query) if len(asked) > 2 else {"fills": [], "cursor": ""}

            server_of(place).account.fills = late
            await link.place(place.limit(data, "c-late-1", "buy", "0.5", 20, "IOC"))
            await eventually(lambda: place.seen.filled("c-late-1") == Decimal("0.5"), "the fill")
            await eventually(lambda: not link._followed.open, "the end of asking")

    asyncio.run(main())


def test_a_loss_on_the_private_connection_makes_it_anew_and_finds_what_was_missed():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place) as data, account(place) as link:
            answer = await link.place(place.limit(data, "c-rest-1", "buy", "0.5", -2000, "GTC"))
            assert isinstance(answer, OrderEvent)
            await eventually(lambda: any(o.client_order_id == "c-rest-1" for o in place.seen.orders), "the order")
            server, told = server_of(place), place.seen.orders
            await place.fault("drop_frames", scope="private")  # its end is never told
            server.core.cancel(server.core.by_client["c-rest-1"].order_id)
            await eventually(lambda: place.seen.connections >= 2, "a new connection")
            await eventually(lambda: place.seen.ended("c-rest-1"), "the missed end")
            assert told[-1].state is VenueOrderState.CANCELED
            assert link.counters.reconnects == 1

    asyncio.run(main())


def test_an_error_of_the_gateway_proves_nothing_and_the_order_that_was_taken_is_found():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place) as data, account(place) as link:
            server = server_of(place)
            take, asked = server.account.place, []

            def place_and_fail(body: dict) -> dict:
                asked.append(body)
                take(body)
                raise CoinbaseError(500, "INTERNAL", "something went wrong")

            server.account.place = place_and_fail
            await place.fault("drop_frames", scope="private", count=9)  # the stream does not help
            answer = await link.place(place.limit(data, "c-err-1", "buy", "0.5", 20, "IOC"))
            assert isinstance(answer, Failure)
            assert answer.verdict is Verdict.UNKNOWN
            proof = await link.prove("c-err-1", SYMBOL)
            assert proof.order.state is VenueOrderState.FILLED
            assert place.seen.filled("c-err-1") == Decimal("0.5")
            assert len(asked) == 1  # never sent again

    asyncio.run(main())


def test_a_venue_whose_clock_is_far_ahead_is_signed_in_to_and_traded_on():
    async def main() -> None:
        async with venue("COINBASE") as place:
            server_of(place).core.clock_ns = lambda: time.time_ns() + 1_000_000_000_000
            async with market_data(place) as data, account(place) as link:
                assert data.markets[SYMBOL].taker_fee == Decimal("0.0005")  # our own: a signed request as well
                # of this product, as the doctor asks
                assert await data._exchange.fetch_time() > time.time() * 1e3 + 990_000
                assert isinstance(await link.place(place.limit(data, "c-ahead-1", "buy", "0.5", 20, "IOC")), OrderEvent)
                await eventually(lambda: place.seen.filled("c-ahead-1") == Decimal("0.5"), "the fill")
                assert link.counters.reconnects == 0

    asyncio.run(main())


def test_the_other_kind_of_key_trades_as_well():
    async def main() -> None:
        async with venue("COINBASE") as place:
            old = server_of(place)
            key = ed25519_credentials(bytes(range(64)))
            server = CoinbaseServer(old.core, key)
            rest, ws = await server.start()
            place.running.servers["COINBASE"] = server
            place.config = msgspec.structs.replace(
                place.config, api_key=key.key, secret=key.secret, rest_url=rest, ws_url=ws
            )
            happens(place, EventKind.SNAPSHOT)
            async with market_data(place) as data, account(place) as link:
                assert data.markets[SYMBOL].taker_fee == Decimal("0.0005")
                assert isinstance(await link.place(place.limit(data, "c-ed-1", "buy", "0.5", 20, "IOC")), OrderEvent)
                await eventually(lambda: place.seen.filled("c-ed-1") == Decimal("0.5"), "the fill")
            wrong = msgspec.structs.replace(place.config, secret=ed25519_credentials(bytes(range(1, 65))).secret)
            link = AccountLink(wrong, place.seen)
            link.start()
            try:
                await eventually(lambda: "credentials refused" in link.health()["reason"], "the refusal")
            finally:
                await link.stop()
            await old.stop()

    asyncio.run(main())


def test_a_product_told_under_anothers_name_is_traded_under_its_own():
    async def main() -> None:
        symbol = "BTC/USDC"
        running = await start_venues(seed=7, venues=("COINBASE",), symbols=(symbol,))
        urls, key = running.urls["COINBASE"], running.credentials["COINBASE"]
        config = ExchangeConfig(
            venue="COINBASE", exchange="coinbase", symbols=(symbol,), rest_url=urls.rest, ws_url=urls.ws, depth=100,
            api_key=key.key, secret=key.secret,
        )  # fmt: skip
        place = Venue(running, config)
        place.symbol = symbol
        try:
            async with market_data(place) as data, account(place) as link:
                assert server_of(place)._told_as == {symbol: "BTC-USD"}
                await eventually(lambda: place.seen.trades, "a trade")
                assert {trade.symbol for trade in place.seen.trades} == {symbol}
                order = msgspec.structs.replace(place.limit(data, "c-usdc-1", "buy", "0.5", 20, "IOC"), symbol=symbol)
                assert isinstance(await link.place(order), OrderEvent)
                await eventually(lambda: place.seen.filled("c-usdc-1") == Decimal("0.5"), "the fill")
                assert {fill.symbol for fill in place.seen.fills} == {symbol}
                assert {fill.fee_currency for fill in place.seen.fills} == {"USDC"}
        finally:
            await running.stop()

    asyncio.run(main())


def test_the_venues_trouble_clears_the_book_until_it_is_over():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place) as link:
            seen = place.seen
            still(place)
            happens(place, EventKind.CLEAR)
            await eventually(lambda: seen.kinds()[-1] is CLEAR, "a CLEAR")
            assert "no book" in seen.books[-1].reason
            happens(place, EventKind.SNAPSHOT)
            await eventually(lambda: seen.best(1) == 6_000_000, "the new best bid")
            await eventually(lambda: link.status(SYMBOL) is StreamStatus.LIVE, "a live book")

    asyncio.run(main())


def test_a_resting_order_is_edited_in_place_and_many_are_cancelled_at_once():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place) as data, account(place) as link:
            placed = await link.place(place.limit(data, "c-edit-1", "buy", "0.5", -2000, "GTC"))
            assert isinstance(placed, OrderEvent)
            price = str(placed.price - 100)
            request = AmendRequest(
                client_order_id="c-edit-1",
                venue_order_id=placed.venue_order_id,
                symbol=SYMBOL,
                side="buy",
                quantity="0.75",
                price=price,
            )
            amended = await link.amend(request, placed)
            assert isinstance(amended, OrderEvent)
            assert (amended.price, amended.quantity) == (Decimal(price), Decimal("0.75"))
            core = server_of(place).core
            resting = core.by_client["c-edit-1"]
            assert core.instruments[SYMBOL].price(resting.price) == Decimal(price)
            refused = await link.amend(msgspec.structs.replace(request, price="0.001"), amended)
            assert isinstance(refused, Failure)
            assert refused.verdict is Verdict.REFUSED
            for number in range(3):
                await link.place(place.limit(data, f"c-many-{number}", "buy", "0.1", -2000, "GTC"))
            asked, cancel = [], server_of(place).account.cancel

            def counted(body: dict) -> dict:
                asked.append(body)
                return cancel(body)

            server_of(place).account.cancel = counted
            wanted = [CancelRequest(client_order_id=f"c-many-{number}", symbol=SYMBOL) for number in range(3)]
            await link._dialect.cancel_batch(
                link._exchange, [*wanted, CancelRequest(client_order_id="c-none", symbol=SYMBOL)]
            )
            assert [len(body["order_ids"]) for body in asked] == [3]
            assert [order.client_order_id for order in await link.open_orders()] == ["c-edit-1"]
            await link._dialect.sweep(link._exchange, None, (SYMBOL,))
            assert await link.open_orders() == []

    asyncio.run(main())


def test_an_order_good_till_a_moment_ends_then():
    async def main() -> None:
        async with venue("COINBASE") as place, market_data(place) as data, account(place) as link:
            order = msgspec.structs.replace(
                place.limit(data, "c-gtd-1", "buy", "0.5", -2000, "GTD"), expires_ns=time.time_ns() + 1_500_000_000
            )
            assert isinstance(await link.place(order), OrderEvent)
            await eventually(lambda: place.seen.ended("c-gtd-1"), "its end")
            assert place.seen.orders[-1].state is VenueOrderState.EXPIRED

    asyncio.run(main())
