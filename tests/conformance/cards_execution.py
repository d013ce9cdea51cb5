"""The execution cards: every kind of order, every outcome, and what is known of it afterwards."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

from adapters.ccxt.account import AccountLink
from adapters.ccxt.dialect import Amending, Switch
from adapters.ccxt.events import OrderEvent, VenueOrderState
from adapters.ccxt.orders import Verdict
from sim.events import EventKind
from tests.conformance.cards import NOT_APPLICABLE, REFUSED, Account, Stand, ended, execution, failed
from tests.conformance.ccxt_venue import Recorder, eventually

SECOND_NS = 1_000_000_000

# ---- kinds of orders ------------------------------------------------------------------------------------------------------------------


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


# ---- refusals -------------------------------------------------------------------------------------------------------------------------


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


# ---- outcomes that are not known ------------------------------------------------------------------------------------------------------


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


# ---- executions -----------------------------------------------------------------------------------------------------------------------


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


# ---- cancelling -----------------------------------------------------------------------------------------------------------------------


@execution("cancels")
async def a_resting_order_is_cancelled(s: Stand, link: AccountLink, seen: Recorder):
    """A resting order is cancelled."""
    order = await s.resting(Account(link, seen))
    assert await link.cancel(order.client_order_id, s.symbol) is None
    assert (await ended(seen, order.client_order_id)).state is VenueOrderState.CANCELED


@execution("cancels")
async def cancelling_twice_harms_nothing(s: Stand, link: AccountLink, seen: Recorder):
    """Cancelling twice harms nothing."""
    order = await s.resting(Account(link, seen))
    await link.cancel(order.client_order_id, s.symbol)
    again = await link.cancel(order.client_order_id, s.symbol)
    assert again is None or again.verdict in (Verdict.NOT_FOUND, Verdict.REFUSED)
    assert len({e.state for e in seen.orders if e.client_order_id == order.client_order_id and e.state.closed}) == 1


@execution("cancels")
async def cancelling_what_has_filled_says_so_and_tells_the_end(s: Stand, link: AccountLink, seen: Recorder):
    """Cancelling what has filled says so, and tells the end."""
    order = s.order("buy", "0.3", s.ask, "IOC")
    await link.place(order)
    await ended(seen, order.client_order_id)
    failure = await link.cancel(order.client_order_id, s.symbol)
    assert failure is None or failure.verdict in (Verdict.NOT_FOUND, Verdict.REFUSED)
    assert seen.filled(order.client_order_id) == Decimal("0.3")


@execution("cancels")
async def cancelling_what_never_was_is_no_cancel(s: Stand, link: AccountLink, seen: Recorder):
    """Cancelling what never was is a failure, and no order."""
    failure = await link.cancel(s.name_of("never"), s.symbol)
    assert failure is not None
    assert failure.verdict in (Verdict.NOT_FOUND, Verdict.REFUSED)


@execution("cancels", ways=False)
async def many_orders_are_cancelled_at_once(s: Stand, link: AccountLink, seen: Recorder):
    """Many orders are cancelled at once."""
    placed = [await s.resting(Account(link, seen), away=1_000 + n) for n in range(6)]
    await link.cancel_all(s.symbol)
    for order in placed:
        assert (await ended(seen, order.client_order_id)).state is VenueOrderState.CANCELED


@execution("cancels", ways=False)
async def cancelling_all_of_ours_leaves_the_orders_of_others(s: Stand, link: AccountLink, seen: Recorder):
    """Cancelling all of ours leaves the orders of others alone."""
    other = await s.joined()
    try:
        theirs = await s.resting(other)
        mine = await s.resting(Account(link, seen))
        left = await link.cancel_all()
        assert not left
        assert not s.at_venue(mine.client_order_id).open
        assert s.at_venue(theirs.client_order_id).open
        await other.link.cancel_all()
    finally:
        await other.link.stop()


@execution("cancels", ways=False)
async def told_to_it_cancels_the_orders_of_others_as_well(s: Stand, link: AccountLink, seen: Recorder):
    """Told to, it cancels the orders of others as well."""
    other = await s.joined()
    try:
        theirs = await s.resting(other)
        await link.cancel_all(others=True)
        if not link.offers.sweep:
            assert s.at_venue(theirs.client_order_id).open
            await other.link.cancel_all()
            return REFUSED
        assert not s.at_venue(theirs.client_order_id).open
        assert (await ended(other.seen, theirs.client_order_id)).state is VenueOrderState.CANCELED
    finally:
        await other.link.stop()
    return None


# ---- amending -------------------------------------------------------------------------------------------------------------------------


def _terms(order: OrderEvent) -> tuple[Decimal | None, Decimal | None]:
    return order.price, order.quantity


@execution("amend")
async def the_quantity_of_an_order_goes_down_in_place(s: Stand, link: AccountLink, seen: Recorder):
    """The quantity of an order goes down in place, under its ids."""
    order = await s.resting(Account(link, seen), "0.4")
    answer = await link.amend(s.amended(order, "0.3", order.price), order)
    if link.offers.amending is Amending.NONE:
        assert failed(answer).verdict is Verdict.NOT_SENT
        return REFUSED
    assert isinstance(answer, OrderEvent), answer
    assert (answer.venue_order_id, answer.client_order_id) == (order.venue_order_id, order.client_order_id)
    assert _terms(answer) == (order.price, Decimal("0.3"))
    assert s.instrument.size(s.at_venue(order.client_order_id).quantity) == Decimal("0.3")
    return None


@execution("amend")
async def the_price_of_an_order_moves_in_place_or_is_refused(s: Stand, link: AccountLink, seen: Recorder):
    """The price of an order moves in place; where it cannot, that is refused before it is sent."""
    order = await s.resting(Account(link, seen))
    answer = await link.amend(s.amended(order, "0.2", order.price - 7), order)
    if link.offers.amending is not Amending.FULL:
        assert failed(answer).verdict is Verdict.NOT_SENT
        assert s.instrument.price(s.at_venue(order.client_order_id).price) == order.price
        return REFUSED
    assert isinstance(answer, OrderEvent), answer
    assert _terms(answer) == (order.price - 7, Decimal("0.2"))
    return None


@execution("amend")
async def an_order_grows_in_place_or_is_refused(s: Stand, link: AccountLink, seen: Recorder):
    """An order grows in place; where it cannot, that is refused before it is sent."""
    order = await s.resting(Account(link, seen))
    answer = await link.amend(s.amended(order, "0.5", order.price), order)
    if link.offers.amending is not Amending.FULL:
        assert failed(answer).verdict is Verdict.NOT_SENT
        return REFUSED
    assert isinstance(answer, OrderEvent), answer
    assert _terms(answer) == (order.price, Decimal("0.5"))
    return None


@execution("amend")
async def an_amendment_whose_answer_never_comes_is_proven_by_query(s: Stand, link: AccountLink, seen: Recorder):
    """An amendment whose answer never comes is proven by query."""
    order = await s.resting(Account(link, seen), "0.4")
    if link.offers.amending is Amending.NONE:
        return REFUSED
    unknown = link.counters.unknown_orders
    await s.fault("hang_after_accept", scope="amend")
    answer = await link.amend(s.amended(order, "0.25", order.price), order)
    assert link.counters.unknown_orders == unknown + 1
    assert isinstance(answer, OrderEvent), answer
    assert answer.quantity == Decimal("0.25")
    return None


@execution("amend", ways=False)
async def an_amendment_lost_in_an_outage_leaves_the_old_terms(s: Stand, link: AccountLink, seen: Recorder):
    """An amendment lost in an outage is proven to have left the old terms."""
    order = await s.resting(Account(link, seen), "0.4")
    if link.offers.amending is Amending.NONE:
        return REFUSED
    await s.fault("http_503", scope="amend")
    answer = failed(await link.amend(s.amended(order, "0.25", order.price), order))
    assert answer.verdict is Verdict.REFUSED
    assert s.instrument.size(s.at_venue(order.client_order_id).quantity) == Decimal("0.4")
    return None


@execution("amend")
async def amending_what_has_ended_tells_the_end(s: Stand, link: AccountLink, seen: Recorder):
    """Amending what has ended meanwhile fails, and tells the end."""
    order = await s.resting(Account(link, seen), "0.4")
    if link.offers.amending is Amending.NONE:
        return REFUSED
    s.core.cancel(s.at_venue(order.client_order_id).order_id)
    answer = await link.amend(s.amended(order, "0.3", order.price), order)
    assert not isinstance(answer, OrderEvent) or answer.state.closed
    assert (await ended(seen, order.client_order_id)).state is VenueOrderState.CANCELED
    return None


@execution("amend", ways=False)
async def less_than_has_filled_is_not_asked_for(s: Stand, link: AccountLink, seen: Recorder):
    """An order is not amended to less than has filled: that is a cancel."""
    order = s.order("buy", "0.9", s.ask)
    await link.place(order)
    await eventually(lambda: seen.filled(order.client_order_id) >= Decimal("0.5"), "a part")
    known = (await link.refresh(order.client_order_id, s.symbol)).order
    answer = await link.amend(s.amended(known, "0.5", known.price), known)
    assert failed(answer).verdict is Verdict.NOT_SENT
    await link.cancel(order.client_order_id, s.symbol)


@execution("amend", ways=False)
async def a_price_that_reaches_the_other_side_takes(s: Stand, link: AccountLink, seen: Recorder):
    """An amended price that reaches the other side takes there, once."""
    order = await s.resting(Account(link, seen), "0.3")
    if link.offers.amending is not Amending.FULL:
        return REFUSED
    await link.amend(s.amended(order, "0.3", s.ask + 2), order)
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.3"), "its fill")
    assert (await ended(seen, order.client_order_id)).state is VenueOrderState.FILLED
    return None


# ---- asking ---------------------------------------------------------------------------------------------------------------------------


@execution("queries", ways=False)
async def an_order_is_known_by_our_id_with_its_terms(s: Stand, link: AccountLink, seen: Recorder):
    """An order is known by our id, with its terms."""
    order = await s.resting(Account(link, seen), "0.35", away=321)
    assert (order.side, order.kind, order.time_in_force) == ("buy", "limit", "GTC")
    assert (order.price, order.quantity, order.filled) == (s.bid - 321, Decimal("0.35"), 0)
    assert order.symbol == s.symbol


@execution("queries", ways=False)
async def an_order_that_has_ended_is_still_known(s: Stand, link: AccountLink, seen: Recorder):
    """An order that has ended is still known."""
    order = s.order("buy", "0.3", s.ask, "IOC")
    await link.place(order)
    await ended(seen, order.client_order_id)
    proof = await link.prove(order.client_order_id, s.symbol)
    assert proof.order is not None
    assert (proof.order.state, proof.order.filled) == (VenueOrderState.FILLED, Decimal("0.3"))


@execution("queries", ways=False)
async def open_orders_are_the_venues(s: Stand, link: AccountLink, seen: Recorder):
    """Open orders are the venue's."""
    await link.cancel_all(others=True)
    mine = {(await s.resting(Account(link, seen), away=500 + n)).client_order_id for n in range(3)}
    assert {order.client_order_id for order in await link.open_orders()} == mine


@execution("balances", ways=False)
async def balances_follow_a_trade_to_the_last_digit(s: Stand, link: AccountLink, seen: Recorder):
    """Balances follow a trade, to the last digit."""
    order = s.order("sell", "0.3", s.bid - 5, "IOC")
    await link.place(order)
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.3"), "its fills")

    def equal() -> bool:
        told = {row.currency: row.total for row in seen.balances}
        quote = s.instrument.quote
        return told.get(quote) == s.core.balances[quote]

    await eventually(equal, "the venue's balance")


@execution("balances", ways=False)
async def what_an_open_order_holds_is_locked(s: Stand, link: AccountLink, seen: Recorder):
    """What an open order holds is locked; a margin account locks no coin."""
    if ":" in s.symbol:
        return NOT_APPLICABLE
    await link.cancel_all(others=True)
    await s.resting(Account(link, seen), "0.5", away=1_000)

    def equal() -> bool:
        told = {row.currency: row.locked for row in seen.balances}
        quote = s.instrument.quote
        return s.core.locked().get(quote, 0) > 0 and told.get(quote) == s.core.locked()[quote]

    link._balances_due.set()
    await eventually(equal, "the venue's own word of it")
    return None


# ---- connections ----------------------------------------------------------------------------------------------------------------------


@execution("connection", ways=False)
async def executions_while_the_stream_is_down_are_told_when_it_is_back(s: Stand, link: AccountLink, seen: Recorder):
    """Executions while the private stream is down are told when it is back."""
    order = s.order("buy", "0.2", s.bid - 1)
    await link.place(order)
    await eventually(lambda: s.at_venue(order.client_order_id) is not None, "the order at the venue")
    for peer in list(s.server.peers):
        peer.abort()
    low = int((s.bid - 2) * 10**s.instrument.price_decimals)
    s.happens(EventKind.TRADE, price=low, size=s._lots(Decimal(1)), side=-1, trade_id="2")
    await eventually(lambda: seen.filled(order.client_order_id) == Decimal("0.2"), "the fill", 20.0)
    await eventually(lambda: link.connected, "the link again", 20.0)


@execution("connection", ways=False)
async def an_order_of_somebody_else_is_external_and_not_ours(s: Stand, link: AccountLink, seen: Recorder):
    """An order of somebody else on the account is external, and not ours."""
    other = await s.joined()
    try:
        theirs = await s.resting(other)
        assert theirs.client_order_id not in link.live_orders()
        assert not link.reconciliation.owns(theirs.client_order_id)
        await other.link.cancel_all()
    finally:
        await other.link.stop()


def _triggers(s: Stand) -> list[int]:
    """When the venue's countdowns run out that are set."""
    account = s.server.account
    found = [account.dead_man.trigger_ns] if hasattr(account, "dead_man") else list(account.countdowns.values())
    return [at for at in found if at]


@execution("switch", ways=False)
async def the_dead_man_switch_is_set_at_the_venue_while_we_live(s: Stand, link: AccountLink, seen: Recorder):
    """The dead-man switch is set at the venue while we live, and the health says so."""
    if link.offers.switch is Switch.NONE:
        assert not link.switch.armed
        assert link.health()["dead_man"]["reason"] == "not offered"
        return REFUSED
    one = await s.joined()
    try:
        await eventually(lambda: one.link.switch.armed, "a switch that is set")
        assert one.link.health()["dead_man"]["seconds"] == 60
        if link.offers.switch is Switch.TIMER:
            assert all(at > time.time_ns() + 30 * SECOND_NS for at in _triggers(s))
            assert _triggers(s)
        else:
            assert s.server.account.protection.window_s == 60
    finally:
        await one.link.stop()
    return None


@execution("switch", ways=False)
async def the_switch_cancels_everything_when_we_are_gone(s: Stand, link: AccountLink, seen: Recorder):
    """The switch cancels every order when we are gone for its span."""
    if link.offers.switch is Switch.NONE:
        return REFUSED
    one = await s.joined()
    try:
        order = await s.resting(one)
        await eventually(lambda: one.link.switch.armed, "a switch that is set")
        if link.offers.switch is Switch.DISCONNECT:
            s.server.account.protection.window_s = (
                0.01  # shorter than any reconnect; the venue takes three seconds at least
            )
            for peer in list(s.server.peers):
                peer.abort()
            await eventually(lambda: not s.at_venue(order.client_order_id).open, "the switch")
        else:
            true_clock, s.core.clock_ns = s.core.clock_ns, lambda: time.time_ns() + 100 * SECOND_NS
            try:
                await eventually(lambda: not s.at_venue(order.client_order_id).open, "the switch")
            finally:
                s.core.clock_ns = true_clock
        assert (await ended(one.seen, order.client_order_id)).state is VenueOrderState.CANCELED
        await eventually(lambda: link.connected, "the others again", 20.0)
    finally:
        await one.link.stop()
    return None


@execution("switch", ways=False)
async def a_clean_stop_takes_the_switch_off_and_leaves_the_orders(s: Stand, link: AccountLink, seen: Recorder):
    """A clean stop takes the switch off, and leaves the orders."""
    one = await s.joined()
    order = await s.resting(one)
    if link.offers.switch is not Switch.NONE:
        await eventually(lambda: one.link.switch.armed, "a switch that is set")
    await one.link.stop()
    assert not one.link.switch.armed
    if link.offers.switch is Switch.TIMER:
        assert not _triggers(s)
    assert s.at_venue(order.client_order_id).open
    s.core.cancel(s.at_venue(order.client_order_id).order_id)
    return REFUSED if link.offers.switch is Switch.NONE else None


@execution("clock", ways=False)
async def a_clock_that_is_off_is_set_and_the_order_goes_once(s: Stand, link: AccountLink, seen: Recorder):
    """A clock that is off is set and the order goes once more with the same id; else it is refused, and the venue has none."""
    one = await s.joined()
    await s.fault("clock_skew", ms=-20_000)
    order = s.order("buy", "0.3", s.ask, "IOC")
    try:
        answer = await one.link.place(order)
        if not isinstance(answer, OrderEvent):
            assert answer.verdict is Verdict.REFUSED
            assert s.at_venue(order.client_order_id) is None
            return REFUSED
        await eventually(lambda: one.seen.filled(order.client_order_id) == Decimal("0.3"), "its fill")
    finally:
        await s.fault("clock_skew", ms=0)
        await one.link.stop()
    assert len([o for o in s.core.orders.values() if o is s.at_venue(order.client_order_id)]) == 1
    return None


@execution("limits", ways=False)
async def the_budget_counts_what_was_asked(s: Stand, link: AccountLink, seen: Recorder):
    """The budget counts what was asked, and nothing was refused for too many."""
    from adapters.ccxt.tariffs import Purse, purse_of
    from tests.conformance.test_cards import TARIFFS

    tariff = TARIFFS.get(s.name.lower())
    if tariff is None:
        assert purse_of(s.config) is None
        return REFUSED
    purse = Purse(tariff())
    purse.attach(link._exchange)
    await s.resting(Account(link, seen))
    health = purse.budget.health()
    assert health["limits"]
    assert all(0 <= row["used"] <= row["capacity"] for row in health["limits"].values())
    assert sum(row["used"] for row in health["limits"].values()) > 0
    assert health["refused"] == 0
    return None
