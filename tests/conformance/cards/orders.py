"""Cards of orders: every kind, under our own ids, and what is refused."""

from __future__ import annotations

import time
from decimal import Decimal

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Verdict
from adapters.ccxt.events import OrderEvent, VenueOrderState
from tests.conformance.cards.stand import REFUSED, Account, Stand, ended, execution, failed
from tests.conformance.ccxt_venue import Recorder, eventually

SECOND_NS = 1_000_000_000


# ---- kinds of orders -------------------------------------------------------------------------------------------------------------------


@execution("orders")
async def a_limit_ioc_sweeps_levels_and_each_execution_is_told_once(s: Stand, link: AccountLink, seen: Recorder):
    """A limit IOC sweeps levels, each execution is told once."""
    order = s.order("buy", "1.8", s.ask + 10, "IOC")
    await link.place(order)
    end = await ended(seen, order.client_order_id)
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("1.8"), "every execution")
    assert end.state is VenueOrderState.FILLED
    fills = [fill for fill in seen.fills if fill.client_order_id == order.client_order_id]
    assert len(fills) == 4
    assert {fill.trade_id for fill in fills} == {
        fill.trade_id for fill in (await link.prove(order.client_order_id, s.symbol)).fills
    }


@execution("orders")
async def what_an_ioc_cannot_have_is_cancelled_after_its_fills(s: Stand, link: AccountLink, seen: Recorder):
    """What an IOC cannot have is cancelled, after its fills."""
    order = s.order("buy", "2", s.ask, "IOC")
    await link.place(order)
    end = await ended(seen, order.client_order_id)
    assert end.state in (VenueOrderState.CANCELED, VenueOrderState.EXPIRED)
    await eventually(lambda: seen.filled(order.client_order_id) >= Decimal("0.5"), "its fill")
    assert end.filled is None or end.filled == seen.filled(order.client_order_id)


@execution("orders")
async def a_fok_that_fits_fills_whole(s: Stand, link: AccountLink, seen: Recorder):
    """A FOK that fits fills whole."""
    order = s.order("sell", "0.9", s.bid - 5, "FOK")
    await link.place(order)
    assert (await ended(seen, order.client_order_id)).state is VenueOrderState.FILLED
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.9"), "its fills")


@execution("orders")
async def a_fok_that_does_not_fit_fills_nothing(s: Stand, link: AccountLink, seen: Recorder):
    """A FOK that does not fit fills nothing."""
    order = s.order("buy", "3", s.ask, "FOK")
    await link.place(order)
    proof = await link.prove(order.client_order_id, s.symbol)
    assert proof.order is None or (proof.order.state is not VenueOrderState.FILLED and not proof.order.filled)
    assert seen.filled(order.client_order_id) == 0


@execution("orders")
async def a_market_buy_fills_by_quantity(s: Stand, link: AccountLink, seen: Recorder):
    """A market buy fills by quantity, or is refused where the venue sells by value only."""
    order = s.order("buy", "0.7", None)
    answer = await link.place(order)
    if not isinstance(answer, OrderEvent):
        assert failed(answer).verdict is Verdict.NOT_SENT
        return REFUSED
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.7"), "its fills")
    assert (await ended(seen, order.client_order_id)).state is VenueOrderState.FILLED
    return None


@execution("orders")
async def a_market_sell_fills_by_quantity(s: Stand, link: AccountLink, seen: Recorder):
    """A market sell fills by quantity."""
    order = s.order("sell", "0.6", None)
    await link.place(order)
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.6"), "its fills")


@execution("orders")
async def a_limit_order_rests_and_is_told_as_open(s: Stand, link: AccountLink, seen: Recorder):
    """A limit order rests, and is told as open."""
    order = await s.resting(Account(link, seen))
    assert (order.state, order.filled) == (VenueOrderState.OPEN, 0)
    await eventually(lambda: any(e.client_order_id == order.client_order_id for e in seen.orders), "an event")
    assert not seen.ended(order.client_order_id)


@execution("orders")
async def a_post_only_order_rests(s: Stand, link: AccountLink, seen: Recorder):
    """A post-only order rests."""
    order = s.order("buy", "0.2", s.bid - 100, post_only=True)
    assert isinstance(await link.place(order), OrderEvent)
    assert s.at_venue(order.client_order_id).open


@execution("orders")
async def a_post_only_order_never_takes(s: Stand, link: AccountLink, seen: Recorder):
    """A post-only order that would take is refused or ended, and takes nothing."""
    order = s.order("buy", "0.2", s.ask + 3, post_only=True)
    answer = await link.place(order)
    if isinstance(answer, OrderEvent):
        assert (await ended(seen, order.client_order_id)).state is not VenueOrderState.FILLED
    else:
        assert failed(answer).verdict is Verdict.REFUSED
    known = s.at_venue(order.client_order_id)
    assert known is None or not known.fills


@execution("orders")
async def a_gtd_order_ends_at_its_time_or_is_refused(s: Stand, link: AccountLink, seen: Recorder):
    """A GTD order ends at its time; where it is not offered it is refused before it is sent."""
    until = time.time_ns() + SECOND_NS
    order = s.order("buy", "0.2", s.bid - 900, "GTD", expires_ns=until)
    answer = await link.place(order)
    if not link.offers.gtd:
        assert failed(answer).verdict is Verdict.NOT_SENT
        assert s.at_venue(order.client_order_id) is None
        return REFUSED
    assert isinstance(answer, OrderEvent), answer
    end = await ended(seen, order.client_order_id)
    assert end.state is VenueOrderState.EXPIRED
    assert time.time_ns() >= until
    return None


@execution("orders")
async def a_reduce_only_order_is_carried_or_refused(s: Stand, link: AccountLink, seen: Recorder):
    """A reduce-only order is carried where there are positions, elsewhere refused before it is sent."""
    order = s.order("buy", "0.2", s.bid - 900, reduce_only=True)
    answer = await link.place(order)
    if not link.offers.reduce_only:
        assert failed(answer).verdict is Verdict.NOT_SENT
        assert s.at_venue(order.client_order_id) is None
        return REFUSED
    known = s.at_venue(order.client_order_id)
    assert known is None or not known.open or known.reduce_only  # without a position the venue says no
    return None


@execution("ids", ways=False)
async def long_and_mixed_ids_come_back_as_they_were(s: Stand, link: AccountLink, seen: Recorder):
    """Our ids come back as they were, whatever the venue's rules for them are."""
    for cid in ("O-20260404-101112-001-001-7", f"K{s.name_of()}".upper()):
        order = s.order("buy", "0.2", s.bid - 700, client_order_id=cid)
        assert isinstance(await link.place(order), OrderEvent)
        proof = await link.refresh(cid, s.symbol)
        assert proof is not None
        assert proof.order is not None
        assert proof.order.client_order_id == cid
        await link.cancel(cid, s.symbol)
        assert (await ended(seen, cid)).client_order_id == cid


@execution("ids", ways=False)
async def an_id_that_the_venue_cannot_carry_is_never_sent(s: Stand, link: AccountLink, seen: Recorder):
    """An id that the venue cannot carry is never sent."""
    count = len(s.core.orders)
    order = s.order("buy", "0.2", s.bid - 700, client_order_id="ü" * 40)
    assert failed(await link.place(order)).verdict is Verdict.NOT_SENT
    assert len(s.core.orders) == count


# ---- refusals --------------------------------------------------------------------------------------------------------------------------


async def _refused(s: Stand, link: AccountLink, order) -> None:
    count = len(s.core.orders)
    answer = failed(await link.place(order))
    assert answer.verdict in (Verdict.REFUSED, Verdict.NOT_SENT)
    assert answer.reason
    assert len(s.core.orders) == count
    assert link.connected


@execution("refusals")
async def an_order_beyond_the_balance_is_refused(s: Stand, link: AccountLink, seen: Recorder):
    """An order beyond the balance is refused."""
    await _refused(s, link, s.order("buy", "900000", s.bid - 10))


@execution("refusals")
async def an_order_below_the_minimum_is_refused(s: Stand, link: AccountLink, seen: Recorder):
    """An order below the least quantity or value is refused."""
    step = Decimal(1).scaleb(-s.instrument.size_decimals)
    least = max(step, s.instrument.min_quantity / 2 if s.instrument.min_quantity > step else step)
    price = s.bid if s.instrument.min_quantity > step else Decimal(5)
    if s.instrument.min_quantity == step and not s.instrument.min_notional:
        least = step / 2  # the lot is all that the venue asks for
    await _refused(s, link, s.order("buy", f"{least:f}", price))


@execution("refusals")
async def an_order_on_an_unknown_market_is_refused(s: Stand, link: AccountLink, seen: Recorder):
    """An order on a market that the venue does not list is refused."""
    await _refused(s, link, s.order("buy", "1", s.bid, symbol="NOT/THERE"))


@execution("refusals")
async def an_id_that_is_open_is_refused_and_the_first_order_lives(s: Stand, link: AccountLink, seen: Recorder):
    """An id that is open is not taken for a second order, and the first one lives."""
    first = await s.resting(Account(link, seen))
    again = s.order("buy", "0.3", s.bid - 4_000, client_order_id=first.client_order_id)
    answer = await link.place(again)
    if not s.expected.repeats:
        failed(answer)
    proof = await link.prove(first.client_order_id, s.symbol)
    assert proof.order is not None
    assert proof.order.quantity == Decimal("0.2")
    assert s.at_venue(first.client_order_id).open


@execution("refusals")
async def the_venues_own_refusal_is_told_with_its_words(s: Stand, link: AccountLink, seen: Recorder):
    """A refusal is told with the venue's words, once, and nothing is left of the order."""
    await s.fault("reject")
    live, refused = link.health()["live_orders"], link.counters.orders_refused
    answer = failed(await link.place(s.order("buy", "0.2", s.ask, "IOC")))
    assert answer.verdict is Verdict.REFUSED
    assert link.health()["live_orders"] == live
    assert link.counters.orders_refused == refused + 1


@execution("limits", ways=False)
async def one_request_too_many_is_refused_and_not_sent_again(s: Stand, link: AccountLink, seen: Recorder):
    """One request too many is refused and not sent again."""
    await s.fault("http_429", scope="order")
    order = s.order("buy", "0.2", s.ask, "IOC")
    assert failed(await link.place(order)).verdict is Verdict.REFUSED
    assert s.at_venue(order.client_order_id) is None
