"""Cards of orders that are cancelled or amended."""

from __future__ import annotations

from decimal import Decimal

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Verdict
from adapters.ccxt.dialect import Amending
from adapters.ccxt.events import OrderEvent, VenueOrderState
from tests.conformance.cards.stand import REFUSED, Account, Stand, ended, execution, failed
from tests.conformance.ccxt_venue import Recorder, eventually

SECOND_NS = 1_000_000_000


# ---- cancelling ------------------------------------------------------------------------------------------------------------------------


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


# ---- amending --------------------------------------------------------------------------------------------------------------------------


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
