"""What is OKX's own over real sockets: joined ids, one socket for many streams, the word "ping", packed ids, foreign markets."""

import asyncio
from decimal import Decimal

import msgspec
import orjson

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.events import BookEventKind, OrderEvent, Stream, StreamStatus, VenueOrderState
from tests.conformance.ccxt_venue import SYMBOL, account, eventually, market_data, venue

CLEAR = BookEventKind.CLEAR


def test_ids_that_begin_again_are_no_gap_and_the_book_is_the_venues_level_for_level():
    async def main() -> None:
        async with venue("OKX") as place, market_data(place) as link:
            core, seen = place.running.servers["OKX"].core, place.seen
            before = seen.books[-1].sequence
            await place.fault("restart_ids", symbol=SYMBOL)
            await eventually(lambda: seen.books[-1].sequence < before, "ids from the beginning")
            count = len(seen.books)
            await eventually(lambda: len(seen.books) > count + 5, "more updates")
            for feed in place.running._tasks:  # the market stands still
                feed.cancel()
            shown = core.books[SYMBOL].shown
            at_venue = {(1, price): size for price, size in shown.bids.top(400)}
            at_venue |= {(-1, price): size for price, size in shown.asks.top(400)}
            await eventually(lambda: seen.levels == at_venue, "the venue's own book")
            assert CLEAR not in seen.kinds()
            assert link.counters.resyncs == link.counters.handler_faults == 0

    asyncio.run(main())


def test_a_gap_of_the_book_leaves_the_other_streams_of_the_socket_alone():
    async def main() -> None:
        async with venue("OKX") as place, market_data(place) as link:
            await eventually(lambda: place.seen.trades and place.seen.quotes, "all streams")
            await place.fault("drop_updates", symbol=SYMBOL)
            await eventually(lambda: CLEAR in place.seen.kinds(), "a CLEAR")
            await eventually(lambda: link.status(SYMBOL) is StreamStatus.LIVE, "a whole book")
            trades, quotes = len(place.seen.trades), len(place.seen.quotes)
            await eventually(lambda: len(place.seen.trades) > trades and len(place.seen.quotes) > quotes, "the others")
            streams = link.health()["streams"]
            assert [streams[f"{SYMBOL}.{name}"]["resyncs"] for name in (Stream.BOOK, Stream.TRADES, Stream.QUOTES)] == [
                1,
                0,
                0,
            ]
            assert link.counters.reconnects == 0
            (peer,) = place.running.servers["OKX"].peers
            assert len(peer.topics) == 3

    asyncio.run(main())


def test_a_ping_that_is_not_answered_ends_the_private_stream_and_it_comes_back(monkeypatch):
    monkeypatch.setattr("adapters.ccxt.account.link.SUBSCRIBE_S", 1.0)  # a login into the silence is never answered

    async def main() -> None:
        async with venue("OKX", keepalive_s=0.3, max_age_ms=60_000) as place, account(place) as link:
            await asyncio.wait_for(pinged(place), 10)
            assert link.connected
            await place.fault("silence", count=2)
            await eventually(lambda: not link.connected, "a lost stream")
            assert "disconnected" in link.reason  # by our side: silence closes nothing
            await eventually(lambda: link.connected and place.seen.connections >= 2, "a reconnect", 20.0)

    asyncio.run(main())


async def pinged(place) -> None:
    """Until the venue was sent the word "ping" and has answered."""
    server = place.running.servers["OKX"]
    answered, keepalive = asyncio.Event(), server.keepalive

    def watched(peer, text: str) -> bool:
        known = keepalive(peer, text)
        if known:
            answered.set()
        return known

    server.keepalive = watched
    await answered.wait()


def test_a_row_of_a_market_that_is_not_loaded_does_not_stop_the_account():
    """ccxt raises BadSymbol in its own handler, which would end its receive loop."""

    async def main() -> None:
        async with venue("OKX") as place, market_data(place) as data, account(place) as link:
            server, seen = place.running.servers["OKX"], place.seen
            await link.place(place.limit(data, "c-first-1", "buy", "0.1", 20, "IOC"))
            await eventually(lambda: seen.ended("c-first-1"), "the first order's end")
            arg, told = {"channel": "orders", "instType": "SPOT"}, len(seen.orders)
            row = {"instId": "NEW-COIN", "ordId": "1", "clOrdId": "x", "state": "live", "side": "buy", "tradeId": ""}
            server.publish("orders:SPOT::", orjson.dumps({"arg": arg, "data": [row]}).decode(), market=False)
            await link.place(place.limit(data, "c-second-1", "buy", "0.1", 20, "IOC"))
            await eventually(lambda: seen.filled("c-second-1") == Decimal("0.1"), "the second order's fill")
            assert {order.symbol for order in seen.orders[told:]} == {SYMBOL}
            assert link.connected and link.counters.reconnects == link.counters.frames_bad == 0
            assert link.counters.handler_faults == 1  # ccxt's, survived

    asyncio.run(main())


def test_ids_are_letters_and_digits_on_the_wire_and_ours_in_every_event():
    async def main() -> None:
        ours = "O-20240808-235414-001-001-12"
        async with venue("OKX") as place, market_data(place) as data, account(place) as link:
            await link.place(place.limit(data, ours, "buy", "0.5", 20, "IOC"))
            await eventually(lambda: place.seen.ended(ours), "the order's end")
            (order,) = place.running.servers["OKX"].core.orders.values()
            assert order.client_id.isalnum() and len(order.client_id) <= 32
            assert {event.client_order_id for event in (*place.seen.orders, *place.seen.fills)} == {ours}
            too_long = place.limit(data, "c-" + "x" * 30, "buy", "0.5", 20, "IOC")
            answer = await link.place(too_long)
            assert isinstance(answer, Failure)
            assert answer.verdict is Verdict.NOT_SENT
            since = await link.fills_since(order.created_ns - 1_000_000_000)
            assert {fill.client_order_id for fill in since} == {ours}
            assert sum(fill.quantity for fill in since) == Decimal("0.5")

    asyncio.run(main())


def test_a_post_only_order_that_would_take_is_accepted_then_ended_with_the_reason():
    async def main() -> None:
        async with venue("OKX") as place, market_data(place) as data, account(place) as link:
            taking = msgspec.structs.replace(place.limit(data, "c-post-1", "buy", "0.5", 20, "GTC"), post_only=True)
            assert isinstance(await link.place(taking), OrderEvent)
            await eventually(lambda: place.seen.ended("c-post-1"), "the order's end")
            proof = await link.prove("c-post-1", SYMBOL)
            assert (proof.order.state, proof.order.filled) == (VenueOrderState.CANCELED, 0)
            assert proof.order.reason == "post-only that would have taken"
            assert not place.seen.fills

    asyncio.run(main())


def test_a_venue_whose_clock_is_ahead_is_logged_in_to_and_traded_on():
    async def main() -> None:
        async with venue("OKX") as place:
            place.running.servers["OKX"].faults.skew_ns = 100 * 10**9
            async with market_data(place) as data, account(place) as link:
                assert isinstance(await link.place(place.limit(data, "c-ahead-1", "buy", "0.5", 20, "IOC")), OrderEvent)
                await eventually(lambda: place.seen.filled("c-ahead-1") == Decimal("0.5"), "the fill")
                assert link.counters.reconnects == 0

    asyncio.run(main())


def test_a_wrong_passphrase_is_said_and_no_order_leaves():
    async def main() -> None:
        async with venue("OKX") as place, market_data(place) as data:
            link = AccountLink(msgspec.structs.replace(place.config, password="wrong"), place.seen)
            link.start()
            try:
                await eventually(lambda: "credentials refused" in link.health()["reason"], "the refusal")
                answer = await link.place(place.limit(data, "c-none-1", "buy", "0.5", 20, "IOC"))
                assert isinstance(answer, Failure)
                assert answer.verdict is Verdict.NOT_SENT
            finally:
                await link.stop()

    asyncio.run(main())
