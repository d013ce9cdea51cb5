"""Cards of the account: what is asked of it, its connection, dead-man switch, clock and limits."""

from __future__ import annotations

import time
from decimal import Decimal

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Verdict
from adapters.ccxt.dialect import Switch
from adapters.ccxt.events import OrderEvent, VenueOrderState
from adapters.ccxt.limits.purse import Purse
from adapters.ccxt.venues.registry import VENUES
from sim.events import EventKind
from tests.conformance.cards.stand import NOT_APPLICABLE, REFUSED, Account, Stand, ended, execution
from tests.conformance.ccxt_venue import Recorder, eventually

SECOND_NS = 1_000_000_000


# ---- asking ----------------------------------------------------------------------------------------------------------------------------


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

    link._balances.stale()
    await eventually(equal, "the venue's own word of it")
    return None


# ---- connections -----------------------------------------------------------------------------------------------------------------------


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
    purse = Purse(VENUES[s.name.lower()].tariff())
    purse.attach(link._exchange)
    await s.resting(Account(link, seen))
    health = purse.budget.health()
    assert health["limits"]
    assert all(0 <= row["used"] <= row["capacity"] for row in health["limits"].values())
    assert sum(row["used"] for row in health["limits"].values()) > 0
    assert health["refused"] == 0
    return
