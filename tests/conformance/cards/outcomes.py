"""Cards of outcomes: what is not known is proven, and each execution is told once."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Verdict
from adapters.ccxt.events import OrderEvent, VenueOrderState
from sim.events import EventKind
from tests.conformance.cards.stand import Stand, ended, execution, failed
from tests.conformance.ccxt_venue import Recorder, eventually

SECOND_NS = 1_000_000_000


# ---- outcomes that are not known -------------------------------------------------------------------------------------------------------


@execution("unknown")
async def an_order_whose_answer_never_comes_is_proven_filled(s: Stand, link: AccountLink, seen: Recorder):
    """An order whose answer never comes is UNKNOWN, then proven filled, and not sent again."""
    await s.fault("hang_after_accept")
    count = len(s.core.orders)
    order = s.order("buy", "0.4", s.ask, "IOC")
    assert failed(await link.place(order)).verdict is Verdict.UNKNOWN
    proof = await link.prove(order.client_order_id, s.symbol)
    assert proof.order is not None
    assert proof.order.state is VenueOrderState.FILLED
    assert seen.filled(order.client_order_id) == Decimal("0.4")
    assert len(s.core.orders) == count + 1


@execution("unknown", ways=False)
async def an_order_done_behind_a_bad_gateway_is_found(s: Stand, link: AccountLink, seen: Recorder):
    """An order that was done behind a bad gateway is found."""
    await s.fault("http_502_after", scope="order")
    order = s.order("buy", "0.4", s.ask, "IOC")
    assert failed(await link.place(order)).verdict is Verdict.UNKNOWN
    proof = await link.prove(order.client_order_id, s.symbol)
    assert proof.order is not None
    assert seen.filled(order.client_order_id) == Decimal("0.4")


@execution("unknown", ways=False)
async def an_order_lost_in_an_outage_is_proven_never_to_have_been(s: Stand, link: AccountLink, seen: Recorder):
    """An order lost in an outage is proven never to have been, after three misses over the span."""
    await s.fault("http_503", scope="order")
    order = s.order("buy", "0.4", s.ask, "IOC")
    assert failed(await link.place(order)).verdict is Verdict.UNKNOWN
    began = time.monotonic()
    proof = await link.prove(order.client_order_id, s.symbol)
    assert proof.order is None
    assert time.monotonic() - began >= 0.5  # the span of the cards, five seconds outside them
    assert s.at_venue(order.client_order_id) is None


@execution("unknown")
async def an_order_under_way_on_a_socket_that_is_lost_is_proven(s: Stand, link: AccountLink, seen: Recorder):
    """An order under way when every socket is lost is proven; by REST its answer comes."""
    if link.health()["orders_by"] == "ws":
        await s.fault("hang_after_accept")
    order = s.order("buy", "0.3", s.ask, "IOC")
    placing = asyncio.create_task(link.place(order))
    await eventually(lambda: s.at_venue(order.client_order_id), "the order at the venue")
    await s.fault("disconnect")
    answer = await placing
    assert isinstance(answer, OrderEvent) or answer.verdict is Verdict.UNKNOWN
    proof = await link.prove(order.client_order_id, s.symbol)
    assert proof.order is not None
    assert proof.order.state is VenueOrderState.FILLED
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.3"), "its fill, once")
    await eventually(lambda: link.connected, "the link again", 20.0)


# ---- executions ------------------------------------------------------------------------------------------------------------------------


@execution("fills")
async def stream_answer_and_query_tell_an_execution_once(s: Stand, link: AccountLink, seen: Recorder):
    """Stream, answer and query tell an execution once."""
    order = s.order("buy", "1.2", s.ask + 5, "IOC")
    await link.place(order)
    for _ in range(3):
        await link.refresh(order.client_order_id, s.symbol)
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("1.2"), "its executions")
    known = s.at_venue(order.client_order_id)
    assert len([f for f in seen.fills if f.client_order_id == order.client_order_id]) == len(known.fills)


@execution("fills", ways=False)
async def price_size_fee_and_time_of_an_execution_are_the_venues(s: Stand, link: AccountLink, seen: Recorder):
    """Price, size, fee, its currency and the time of an execution are the venue's, exactly."""
    order = s.order("buy", "0.7", s.ask + 5, "IOC")
    await link.place(order)
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.7"), "its executions")
    mine = sorted((f for f in seen.fills if f.client_order_id == order.client_order_id), key=lambda f: f.price)
    for told, fill in zip(mine, s.at_venue(order.client_order_id).fills, strict=True):
        assert told.price == s.instrument.price(fill.price)
        assert told.quantity == s.instrument.size(fill.size)
        assert told.fee == fill.fee
        assert told.fee_currency == s.expected.fee_currency
        assert abs(told.ts_event_ns - fill.ts_ns) < 100_000_000
        assert not told.maker


@execution("fills", ways=False)
async def a_resting_order_that_a_trade_goes_through_fills_as_maker(s: Stand, link: AccountLink, seen: Recorder):
    """A resting order that a trade goes through fills, as maker."""
    order = s.order("buy", "0.2", s.bid - 1)
    await link.place(order)
    await eventually(lambda: s.at_venue(order.client_order_id) is not None, "the order at the venue")
    tick = 10**s.instrument.price_decimals
    low = int((s.bid - 2) * tick)
    s.happens(EventKind.TRADE, price=low, size=s._lots(Decimal(1)), side=-1, trade_id="1")
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.2"), "its fill")
    (fill,) = [f for f in seen.fills if f.client_order_id == order.client_order_id]
    assert fill.maker
    assert fill.price == s.bid - 1
    assert (await ended(seen, order.client_order_id)).state is VenueOrderState.FILLED


@execution("fills", ways=False)
async def a_partly_filled_order_that_is_cancelled_ends_after_its_fills(s: Stand, link: AccountLink, seen: Recorder):
    """A partly filled order that is cancelled ends after its fills."""
    order = s.order("buy", "0.9", s.ask)
    await link.place(order)
    await eventually(lambda: seen.filled(order.client_order_id) >= Decimal("0.5"), "a part")
    await link.cancel(order.client_order_id, s.symbol)
    end = await ended(seen, order.client_order_id)
    assert end.state is VenueOrderState.CANCELED
    assert (
        end.filled == seen.filled(order.client_order_id) == s.instrument.size(s.at_venue(order.client_order_id).filled)
    )


@execution("fills", ways=False)
async def executions_since_a_moment_are_all_there(s: Stand, link: AccountLink, seen: Recorder):
    """Executions since a moment are all there, with our ids."""
    since = time.time_ns() - 2_000_000
    order = s.order("sell", "0.8", s.bid - 5, "IOC")
    await link.place(order)
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.8"), "its executions")
    fills = await link.fills_since(since)
    mine = [fill for fill in fills if fill.client_order_id == order.client_order_id]
    assert sum(fill.quantity for fill in mine) == Decimal("0.8")
