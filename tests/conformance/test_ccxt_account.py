"""Orders at every exchange over real sockets: each execution once, every outcome proven, nothing sent twice."""

import asyncio
import time
from decimal import Decimal

import msgspec

from adapters.ccxt.account import AccountLink
from adapters.ccxt.events import OrderEvent, VenueOrderState
from adapters.ccxt.orders import Failure, Verdict
from tests.conformance.ccxt_venue import VENUES, account, eventually, every_venue, market_data, venue


@every_venue
def test_a_sweep_of_many_levels_brings_each_execution_once(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as data, account(place) as link:
            seen = place.seen
            order = place.limit(data, "c-sweep-1", "buy", "8", 60, "IOC")
            answer = await link.place(order)
            assert isinstance(answer, OrderEvent)
            await eventually(lambda: seen.ended("c-sweep-1"), "the order's end")
            proof = await link.prove("c-sweep-1", place.symbol)
            assert seen.filled("c-sweep-1") == proof.order.filled > 0
            mine = [fill for fill in seen.fills if fill.client_order_id == "c-sweep-1"]
            assert len(mine) >= 3
            assert {fill.trade_id for fill in mine} == {fill.trade_id for fill in proof.fills}
            assert all(fill.side == "buy" and fill.fee > 0 and fill.price <= Decimal(order.price) for fill in mine)
            assert {fill.fee_currency for fill in mine} == {VENUES[name].fee_currency}
            assert link.counters.handler_faults == link.counters.frames_bad == 0

    asyncio.run(main())


@every_venue
def test_a_resting_order_is_cancelled(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as data, account(place) as link:
            answer = await link.place(place.limit(data, "c-rest-1", "buy", "0.5", -2000, "GTC"))
            assert isinstance(answer, OrderEvent)
            assert [order.client_order_id for order in await link.open_orders()] == ["c-rest-1"]
            quote = place.symbol.partition("/")[2].partition(":")[0]
            locked = lambda: any(row.currency == quote and row.locked > 0 for row in place.seen.balances)  # noqa: E731
            await eventually(locked, "a reserved balance")
            assert await link.cancel("c-rest-1", place.symbol) is None
            await eventually(lambda: place.seen.ended("c-rest-1"), "the order's end")
            proof = await link.prove("c-rest-1", place.symbol)
            assert (proof.order.state, proof.order.filled, proof.fills) == (VenueOrderState.CANCELED, 0, ())
            assert await link.open_orders() == []

    asyncio.run(main())


@every_venue
def test_refusals_are_refusals(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as data, account(place) as link:
            too_dear = await link.place(place.limit(data, "c-dear-1", "buy", "8000", -2000, "GTC"))
            await place.fault("reject")
            disturbed = await link.place(place.limit(data, "c-rej-1", "buy", "0.5", 10, "IOC"))
            once = await link.place(place.limit(data, "c-twice-1", "buy", "0.5", -2000, "GTC"))
            assert isinstance(once, OrderEvent)
            twice = await link.place(place.limit(data, "c-twice-1", "buy", "0.5", -2000, "GTC"))
            assert [order.client_order_id for order in await link.open_orders()] == ["c-twice-1"]
            if VENUES[name].repeats:
                assert isinstance(twice, OrderEvent)
                assert twice.venue_order_id == once.venue_order_id
            for failure in (too_dear, disturbed) if VENUES[name].repeats else (too_dear, disturbed, twice):
                assert isinstance(failure, Failure)
                assert failure.verdict is Verdict.REFUSED, failure
            unknown = await link.cancel("c-never-1", place.symbol)
            assert unknown is not None
            assert unknown.verdict is Verdict.NOT_FOUND
            assert not place.seen.fills

    asyncio.run(main())


@every_venue
def test_hang_after_accept_is_unknown_then_proven_filled_exactly_once(name):
    async def main() -> None:
        async with venue(name, order_timeout_ms=600) as place, market_data(place) as data, account(place) as link:
            await place.fault("hang_after_accept")
            answer = await link.place(place.limit(data, "c-hang-1", "buy", "0.5", 20, "IOC"))
            assert isinstance(answer, Failure)
            assert answer.verdict is Verdict.UNKNOWN
            proof = await link.prove("c-hang-1", place.symbol)
            assert proof.order.state is VenueOrderState.FILLED
            assert sum(fill.quantity for fill in proof.fills) == Decimal("0.5")
            assert place.seen.filled("c-hang-1") == Decimal("0.5")
            assert link.counters.unknown_orders == 1

    asyncio.run(main())


def test_an_order_lost_in_a_503_is_proven_never_to_have_been():
    async def at(name: str) -> None:
        async with venue(name) as place, market_data(place) as data, account(place) as link:
            await place.fault("http_503", scope="order")
            answer = await link.place(place.limit(data, "c-503-1", "buy", "0.5", 20, "IOC"))
            assert isinstance(answer, Failure)
            assert answer.verdict is Verdict.UNKNOWN
            proving, began = asyncio.create_task(link.prove("c-503-1", place.symbol)), time.monotonic()
            meanwhile = await link.place(place.limit(data, "c-other-1", "buy", "0.1", 20, "IOC"))
            assert isinstance(meanwhile, OrderEvent)  # other orders flow while one is being proven
            await eventually(lambda: place.seen.filled("c-other-1") == Decimal("0.1"), "the other order's fill", 4.0)
            assert not proving.done()
            assert (await proving).order is None
            assert time.monotonic() - began >= 5.0
            assert place.seen.filled("c-503-1") == 0

    async def main() -> None:
        await asyncio.gather(*(at(name) for name in VENUES))

    asyncio.run(main())


@every_venue
def test_an_order_left_open_by_another_session_is_cancelled_and_its_fills_told(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as data:
            async with account(place) as before:
                await before.place(place.limit(data, "c-old-1", "buy", "0.5", -2000, "GTC"))
                await before.place(place.limit(data, "c-old-2", "buy", "0.5", 20, "IOC"))
                await eventually(lambda: place.seen.ended("c-old-2"), "the order's end")
            place.seen.fills.clear()
            async with account(place) as after:
                cancelled = await after.prove("c-old-1", place.symbol, cancel=True)
                assert cancelled.order.state is VenueOrderState.CANCELED
                filled = await after.prove("c-old-2", place.symbol, cancel=True)
                assert filled.order.state is VenueOrderState.FILLED
                assert sum(fill.quantity for fill in filled.fills) == Decimal("0.5")

    asyncio.run(main())


@every_venue
def test_executions_while_the_private_stream_is_down_are_not_lost(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as data, account(place) as link:
            order = place.limit(data, "c-gap-1", "buy", "0.5", 100, "IOC")
            await place.fault("disconnect")
            answer = await link.place(order)
            assert isinstance(answer, OrderEvent)
            await eventually(lambda: place.seen.connections >= 2, "a reconnect")
            await eventually(lambda: place.seen.filled("c-gap-1") == Decimal("0.5"), "the fill")
            assert link.counters.reconnects >= 1

    asyncio.run(main())


@every_venue
def test_wrong_credentials_are_said_and_no_order_leaves(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as data:
            wrong = msgspec.structs.replace(place.config, api_key="nobody")
            link = AccountLink(wrong, place.seen)
            link.start()
            try:
                await eventually(lambda: "credentials refused" in link.health()["reason"], "the refusal")
                answer = await link.place(place.limit(data, "c-none-1", "buy", "0.5", 20, "IOC"))
                assert isinstance(answer, Failure)
                assert answer.verdict is Verdict.NOT_SENT
            finally:
                await link.stop()

    asyncio.run(main())


@every_venue
def test_fill_or_kill_market_post_only_and_long_ids(name):
    async def main() -> None:
        async with venue(name) as place, market_data(place) as data, account(place) as link:
            seen = place.seen
            long_id = "c-mi8k2x1a-1f-retry-0001"  # 24 characters: packed for Kraken and OKX
            assert isinstance(await link.place(place.limit(data, long_id, "buy", "0.5", 20, "FOK")), OrderEvent)
            await eventually(lambda: seen.filled(long_id) == Decimal("0.5"), "the whole fill")
            await link.place(place.limit(data, "c-kill-1", "buy", "300", 1, "FOK"))
            killed = await link.prove("c-kill-1", place.symbol)
            assert killed.order is None or (killed.order.state.closed and killed.order.filled == 0)
            market = msgspec.structs.replace(
                place.limit(data, "c-mkt-1", "sell", "0.3", 0, "GTC"), kind="market", price=None
            )
            assert isinstance(await link.place(market), OrderEvent)
            await eventually(lambda: seen.filled("c-mkt-1") == Decimal("0.3"), "the market order's fill")
            passive = msgspec.structs.replace(place.limit(data, "c-post-1", "buy", "0.5", 50, "GTC"), post_only=True)
            answer = await link.place(passive)
            if isinstance(answer, OrderEvent):  # accepted, then cancelled (OKX)
                await eventually(lambda: seen.ended("c-post-1"), "the refusal of a post-only order that would take")
            else:
                assert answer.verdict is Verdict.REFUSED
            assert seen.filled("c-post-1") == 0

    asyncio.run(main())


def test_a_request_overtaken_by_a_later_one_is_asked_again_with_a_new_nonce():
    async def main() -> None:
        async with venue("KRAKEN") as place, account(place) as link:
            exchange = link._exchange
            send, sent = exchange.fetch, []

            async def fetch(*args):
                sent.append(args)
                if len(sent) == 1:  # signed first, on the wire last
                    await asyncio.sleep(0.2)
                return await send(*args)

            exchange.fetch = fetch
            assert await asyncio.gather(link.open_orders(), link.open_orders()) == [[], []]
            assert len(sent) == 3

    asyncio.run(main())
