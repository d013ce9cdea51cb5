"""What only Bybit does, over sockets: restarts of its service, orders refused after their acknowledgement, codes that prove nothing."""

import asyncio
import time
from decimal import Decimal

import msgspec
import numpy as np

from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.events import BookEventKind, OrderEvent, StreamStatus, VenueOrderState
from sim.events import ASK, BID, EventKind, VenueEvent
from sim.servers.bybit.wire import BybitError
from tests.conformance.ccxt_venue import SYMBOL, Venue, account, eventually, market_data, venue

CLEAR, SNAPSHOT = BookEventKind.CLEAR, BookEventKind.SNAPSHOT


def still(place: Venue) -> None:
    """From here on the market does only what the test says."""
    for task in place.running._tasks:
        task.cancel()


def happens(place: Venue, kind: EventKind, price: int = 6_000_000) -> None:
    now = time.time_ns()
    levels = np.array([[BID, price, 500_000], [ASK, price + 10, 500_000]], dtype=np.int64)
    event = VenueEvent(kind=kind, symbol=SYMBOL, ts_event_ns=now, ts_init_ns=now, levels=levels, reason="a test")
    place.running.servers["BYBIT"].on_market(event)


def test_a_restart_of_the_service_replaces_the_book_and_a_loss_clears_it_until_then():
    async def main() -> None:
        async with venue("BYBIT") as place, market_data(place) as link:
            seen = place.seen
            still(place)
            happens(place, EventKind.SNAPSHOT)  # update ids begin at 1 again, and nothing was lost
            await eventually(lambda: seen.kinds() == [SNAPSHOT, SNAPSHOT], "the restarted book")
            assert seen.levels == {(1, 6_000_000): 500_000, (-1, 6_000_010): 500_000}
            assert link.status(SYMBOL) is StreamStatus.LIVE
            happens(place, EventKind.CLEAR)
            await eventually(lambda: seen.kinds()[-1] is CLEAR, "a CLEAR")
            assert "no book" in seen.books[-1].reason
            assert not seen.levels
            happens(place, EventKind.SNAPSHOT, 6_100_000)
            await eventually(lambda: seen.kinds()[-1] is SNAPSHOT, "a whole book again")
            await eventually(lambda: seen.best(1) == 6_100_000, "the new best bid")
            await eventually(lambda: link.status(SYMBOL) is StreamStatus.LIVE, "a live book")

    asyncio.run(main())


def test_a_post_only_order_that_would_take_is_acknowledged_then_refused():
    async def main() -> None:
        async with venue("BYBIT") as place, market_data(place) as data, account(place) as link:
            order = msgspec.structs.replace(place.limit(data, "c-post-1", "buy", "0.5", 50, "GTC"), post_only=True)
            assert isinstance(await link.place(order), OrderEvent)
            await eventually(lambda: place.seen.ended("c-post-1"), "the refusal")
            end = place.seen.orders[-1]
            assert (end.state, end.reason) == (VenueOrderState.REJECTED, "EC_PostOnlyWillTakeLiquidity")
            assert (await link.prove("c-post-1", SYMBOL)).order.state is VenueOrderState.REJECTED
            assert link.health()["live_orders"] == 0

    asyncio.run(main())


def test_what_an_immediate_order_could_not_have_is_cancelled_after_its_fills():
    async def main() -> None:
        async with venue("BYBIT") as place, market_data(place) as data, account(place) as link:
            still(place)
            happens(place, EventKind.SNAPSHOT)
            await eventually(lambda: place.seen.best(-1) == 6_000_010, "the market of the test")
            assert isinstance(await link.place(place.limit(data, "c-part-1", "buy", "0.8", 10, "IOC")), OrderEvent)
            await eventually(lambda: place.seen.ended("c-part-1"), "the order's end")
            end = place.seen.orders[-1]
            assert (end.state, end.filled) == (VenueOrderState.CANCELED, Decimal("0.5"))  # PartiallyFilledCanceled
            assert place.seen.filled("c-part-1") == Decimal("0.5")

    asyncio.run(main())


def test_a_server_error_proves_nothing_and_the_order_that_was_taken_is_found():
    async def main() -> None:
        async with venue("BYBIT") as place, market_data(place) as data, account(place) as link:
            server = place.running.servers["BYBIT"]
            take, asked = server.account.place, []

            def place_and_fail(params: dict) -> dict:
                asked.append(params)
                take(params)
                raise BybitError(10016, "Server error.")

            for route in server.app.router.routes():
                if route.resource is not None and route.resource.canonical == "/v5/order/create":
                    route._handler = server._signed(server._of_spot(place_and_fail))
            answer = await link.place(place.limit(data, "c-err-1", "buy", "0.5", 20, "IOC"))
            assert isinstance(answer, Failure)
            assert answer.verdict is Verdict.UNKNOWN
            proof = await link.prove("c-err-1", SYMBOL)
            assert proof.order.state is VenueOrderState.FILLED
            assert place.seen.filled("c-err-1") == Decimal("0.5")
            assert len(asked) == 1  # never sent again

    asyncio.run(main())


def test_a_clock_that_is_off_is_set_and_the_order_sent_once_more_with_the_same_id():
    async def main() -> None:
        async with venue("BYBIT") as place, market_data(place) as data, account(place) as link:
            link._exchange.options["timeDifference"] = 60_000  # a minute behind the venue
            assert isinstance(await link.place(place.limit(data, "c-late-1", "buy", "0.5", 20, "IOC")), OrderEvent)
            await eventually(lambda: place.seen.filled("c-late-1") == Decimal("0.5"), "the fill")
            assert abs(link._exchange.options["timeDifference"]) < 1_000
            assert list(place.running.servers["BYBIT"].core.by_client) == ["c-late-1"]

    asyncio.run(main())


def test_a_venue_whose_clock_is_far_ahead_is_logged_in_to_and_traded_on():
    async def main() -> None:
        async with venue("BYBIT") as place:
            place.running.servers["BYBIT"].core.clock_ns = lambda: time.time_ns() + 100_000_000_000
            async with market_data(place) as data, account(place) as link:
                assert data.markets[SYMBOL].taker_fee == Decimal("0.00045")  # our own: a signed request as well
                assert isinstance(await link.place(place.limit(data, "c-ahead-1", "buy", "0.5", 20, "IOC")), OrderEvent)
                await eventually(lambda: place.seen.filled("c-ahead-1") == Decimal("0.5"), "the fill")
                assert link.counters.reconnects == 0

    asyncio.run(main())


def test_cancelling_what_is_filled_says_so_and_tells_the_end():
    async def main() -> None:
        async with venue("BYBIT") as place, market_data(place) as data, account(place) as link:
            await link.place(place.limit(data, "c-gone-1", "buy", "0.5", 20, "IOC"))
            await eventually(lambda: place.seen.ended("c-gone-1"), "the order's end")
            place.seen.orders.clear()
            failure = await link.cancel("c-gone-1", SYMBOL)
            assert failure is not None
            assert failure.verdict is Verdict.NOT_FOUND
            assert [order.state for order in place.seen.orders] == [VenueOrderState.FILLED]

    asyncio.run(main())
