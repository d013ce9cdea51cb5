"""Orders on a market that moves, and over more than one session (the cards, on one that stands still, have all else)."""

import asyncio
import time
from decimal import Decimal

import msgspec

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.events import OrderEvent, VenueOrderState
from tests.conformance.ccxt_venue import VENUES, Recorder, account, eventually, every_venue, market_data, venue


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


PAGES = {
    "BINANCE": "venues.binance.dialect._PAGE",
    "BINANCEUSDM": "venues.binanceusdm.dialect._PAGE",
    "BYBIT": "venues.bybit.dialect._FILLS_PAGE",
    "COINBASE": "venues.coinbase.account._FILLS_PAGE",
    "OKX": "venues.okx.dialect._PAGE",
}  # where the length of a page is ours to ask for


def test_an_order_with_more_executions_than_a_page_tells_is_proven_with_all_of_them(monkeypatch):
    async def at(name: str) -> None:
        async with venue(name) as place, market_data(place) as data, account(place) as link:
            began_ns = time.time_ns() - 1_000_000_000
            order = await link.place(place.limit(data, "c-many-1", "buy", "0.5", -3000, "GTC"))
            assert isinstance(order, OrderEvent)
            core = place.running.servers[name].core
            (resting,) = core.resting.values()
            for _ in range(7):
                fill = core._fill(resting, resting.price, resting.quantity // 10, maker=True)
                core._commit()
                core._tell(resting, [("trade", fill)], [])
            later = AccountLink(place.config, Recorder())  # which has heard none of it
            later.start()
            try:
                await eventually(later.ready.is_set, "another session")
                proof = await asyncio.wait_for(later.prove("c-many-1", place.symbol), 10)
                assert len({fill.trade_id for fill in proof.fills}) == 7
                assert sum(fill.quantity for fill in proof.fills) == proof.order.filled == Decimal("0.35")
                since = await later.fills_since(began_ns)
                assert {fill.trade_id for fill in since} == {fill.trade_id for fill in proof.fills}
            finally:
                await later.stop()

    async def main() -> None:
        await asyncio.gather(*(at(name) for name in PAGES))

    for page in PAGES.values():
        monkeypatch.setattr(f"adapters.ccxt.{page}", 3)
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
