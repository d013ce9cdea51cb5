"""Perpetuals over real sockets: positions are what executions add up to, whoever closed them; funding and liquidations are told once."""

import asyncio
import time
from decimal import Decimal

import msgspec
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import AccountType, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual

from adapters.ccxt.account import positions
from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.dialect import AmendRequest
from adapters.ccxt.events import OrderEvent, Stream, StreamStatus, VenueOrderState
from adapters.ccxt.factories import (
    CcxtDataClientConfig,
    CcxtDataClientFactory,
    CcxtExecClientConfig,
    CcxtExecClientFactory,
)
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from desk.accounts import VenueAccounts
from desk.market import Market, MarketActor
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from sim.servers.records import OrderRequest
from tests.conformance.ccxt_venue import Recorder, account, eventually, market_data, venue
from tests.conformance.ccxt_venue import Venue as Place
from tests.conformance.test_ccxt_node import Trader

NAME = "BINANCEUSDM"
ZERO = Decimal(0)


def summed(seen: Recorder) -> Decimal:
    """What our executions add up to."""
    return sum((fill.quantity if fill.side == "buy" else -fill.quantity for fill in seen.fills), ZERO)


def held(place: Place) -> Decimal:
    """What the venue holds for us."""
    return place.running.servers[NAME].core.holding(place.symbol).quantity


def told(place: Place) -> Decimal:
    """What the link told last."""
    return place.seen.positions[place.symbol].quantity


async def filled(place: Place, link: AccountLink, request) -> None:
    assert isinstance(await link.place(request), OrderEvent)
    await eventually(lambda: place.seen.ended(request.client_order_id), f"the end of {request.client_order_id}")


def market(request, side: str, quantity: str, **terms):
    return msgspec.structs.replace(request, side=side, quantity=quantity, kind="market", price=None, **terms)


def test_a_position_is_what_executions_add_up_to_and_reduce_only_never_turns_it_round():
    async def main() -> None:
        async with venue(NAME) as place, market_data(place) as data, account(place) as link:
            core, seen = place.running.servers[NAME].core, place.seen
            opening = core.balances["USDT"]
            assert told(place) == 0
            await filled(place, link, place.limit(data, "p-open-1", "buy", "2", 60, "IOC"))
            await eventually(lambda: told(place) == 2 and seen.agreed, "the position")
            row = seen.positions[place.symbol]
            assert row.entry == core.holding(place.symbol).entry
            assert row.initial_margin > row.maintenance_margin > 0
            assert row.liquidation is None  # the wallet would bear a price of nothing
            model = place.limit(data, "p-close-1", "sell", "5", 0, "IOC")
            too_much = market(model, "sell", "5", reduce_only=True)
            await filled(place, link, too_much)  # closes the two that there are
            await eventually(lambda: told(place) == 0 and seen.agreed, "a flat position")
            assert seen.filled("p-close-1") == 2
            nothing = await link.place(market(model, "sell", "1", reduce_only=True, client_order_id="p-none-1"))
            assert isinstance(nothing, Failure)
            assert nothing.verdict is Verdict.REFUSED
            await filled(place, link, market(model, "sell", "1.5", client_order_id="p-short-1"))
            await filled(place, link, market(model, "buy", "2.25", client_order_id="p-turn-1"))
            await eventually(lambda: told(place) == Decimal("0.75") and seen.agreed, "a position turned round")
            assert summed(seen) == held(place) == Decimal("0.75")
            realised = sum((fill.realised for fill in core.fills), ZERO)
            assert realised
            assert core.balances["USDT"] == opening + realised - sum((fill.fee for fill in seen.fills), ZERO)
            assert link.positions.corrections == 0
            assert link.counters.handler_faults == link.counters.frames_bad == 0

    asyncio.run(main())


def test_a_trade_by_other_hands_is_found_and_the_venue_is_right(monkeypatch):
    monkeypatch.setattr(positions, "DOUBT_S", 0.5)

    async def main() -> None:
        async with venue(NAME) as place, market_data(place) as data, account(place) as link:
            await filled(place, link, place.limit(data, "p-mine-1", "buy", "1", 60, "IOC"))
            await eventually(lambda: told(place) == 1 and place.seen.agreed, "the position")
            core = place.running.servers[NAME].core
            listeners, core.on_order[:] = list(core.on_order), []  # the private stream says nothing of it
            core.place(OrderRequest(symbol=place.symbol, side=1, quantity=Decimal("0.5")))
            core.on_order[:] = listeners
            link.positions.stale()
            await eventually(lambda: told(place) == Decimal("1.5"), "the venue's word")
            await eventually(lambda: link.positions.corrections == 1, "a correction", 15.0)
            assert place.seen.agreed
            assert link.positions.counted[place.symbol] == Decimal("1.5")

    asyncio.run(main())


def test_mark_prices_funding_and_its_payment_come_once():
    async def main() -> None:
        async with venue(NAME) as place, market_data(place) as data, account(place) as link:
            server, seen = place.running.servers[NAME], place.seen
            await eventually(lambda: len(seen.fundings) >= 2, "mark prices")
            first, second = seen.fundings[:2]
            assert first.next_ns == second.next_ns == server.fundings[place.symbol].next_ns
            assert first.next_ns % (8 * 3600 * 10**9) == 0
            assert abs(first.rate) <= Decimal("0.02")
            assert data.status(place.symbol, Stream.FUNDING) is StreamStatus.LIVE
            await filled(place, link, place.limit(data, "p-fund-1", "sell", "2", 60, "IOC"))
            wallet = server.core.balances["USDT"]
            server.fundings[place.symbol].next_ns = time.time_ns()
            await eventually(lambda: seen.payments, "a funding payment")
            (payment,) = seen.payments
            _, rate, mark = server.rates[place.symbol][-1]
            assert payment.amount == (2 * mark * rate).quantize(
                Decimal("1e-8")
            )  # shorts are paid while the rate is positive
            assert (payment.currency, payment.symbol) == ("USDT", place.symbol)
            assert server.core.balances["USDT"] == wallet + payment.amount
            assert server.fundings[place.symbol].next_ns > time.time_ns()
            link._lose("a lost private stream")  # the history is asked again, and brings nothing twice
            await eventually(lambda: seen.connections == 2, "a reconnect")
            assert len(seen.payments) == 1

    asyncio.run(main())


def test_a_liquidation_is_told_as_ours_and_as_the_markets_and_leaves_nothing_behind():
    async def main() -> None:
        async with venue(NAME) as place, market_data(place) as data, account(place) as link:
            server, seen = place.running.servers[NAME], place.seen
            server.core.balances["USDT"] = Decimal(20_000)
            await filled(place, link, place.limit(data, "p-liq-1", "buy", "5", 60, "IOC"))
            resting = await link.place(place.limit(data, "p-rest-1", "buy", "0.01", -2000, "GTC"))
            assert isinstance(resting, OrderEvent)
            await eventually(lambda: told(place) == 5 and seen.agreed, "the position")
            price = server.core.liquidation_price(place.symbol)
            assert 0 < place.seen.positions[place.symbol].liquidation < place.seen.positions[place.symbol].entry
            server.pinned[place.symbol] = (price * Decimal("1.0001")).quantize(Decimal("0.1"))
            server.second()
            assert held(place) == 5
            server.pinned[place.symbol] = (price * Decimal("0.9999")).quantize(Decimal("0.1"))
            server.second()
            assert held(place) == 0
            await eventually(lambda: any(not one.order_id for one in seen.liquidations), "the market's liquidation")
            await eventually(lambda: told(place) == 0 and seen.agreed, "a flat position")
            ours = [one for one in seen.liquidations if one.order_id]
            (public,) = [one for one in seen.liquidations if not one.order_id]
            assert sum((one.quantity for one in ours), ZERO) == public.quantity == 5
            assert {one.side for one in seen.liquidations} == {"sell"}
            assert summed(seen) == 0
            assert link.positions.corrections == 0
            await eventually(lambda: seen.ended("p-rest-1"), "the end of the resting order")
            assert await link.open_orders() == []

    asyncio.run(main())


def test_orders_are_amended_cancelled_in_batches_and_all_and_by_the_dead_man():
    async def main() -> None:
        async with venue(NAME, dead_man_s=5) as place, market_data(place) as data, account(place) as link:
            server, seen = place.running.servers[NAME], place.seen
            rest = place.limit(data, "a-rest-1", "buy", "0.5", -2000, "GTC")
            known = await link.place(rest)
            lower = str(Decimal(rest.price) - 10)
            terms = AmendRequest(
                client_order_id="a-rest-1", venue_order_id=known.venue_order_id, symbol=place.symbol, side="buy",
                quantity="0.750", price=lower,
            )  # fmt: skip
            changed = await link.amend(terms, known)
            assert (changed.price, changed.quantity) == (Decimal(lower), Decimal("0.75"))
            assert (changed.venue_order_id, changed.state) == (known.venue_order_id, VenueOrderState.OPEN)
            assert server.account.countdowns.keys() == {place.symbol}
            await place.fault("hang_after_accept", scope="amend")
            link._exchange.timeout = 600
            again = await link.amend(msgspec.structs.replace(terms, quantity="0.8"), changed)
            assert again.quantity == Decimal("0.8")
            for n in range(12):  # more than one batch
                await link.place(place.limit(data, f"a-many-{n}", "buy", "0.01", -1000 - n, "GTC"))
            core = server.core
            other = core.place(
                OrderRequest(symbol=place.symbol, side=1, quantity=Decimal("0.01"), price=Decimal(30_000))
            )
            assert await link.cancel_all() == []
            await eventually(lambda: all(seen.ended(f"a-many-{n}") for n in range(12)), "every end")
            assert seen.ended("a-rest-1")
            assert list(core.resting) == [other.order_id]  # somebody else's stays
            assert await link.cancel_all(place.symbol, others=True) == []
            assert not core.resting
            await link.place(place.limit(data, "a-dead-1", "buy", "0.5", -2000, "GTC"))
            server.account.countdowns[place.symbol] = 0  # nobody has set it again
            await eventually(lambda: seen.ended("a-dead-1"), "the switch")
            assert link.counters.handler_faults == link.counters.frames_bad == 0

    asyncio.run(main())


def test_a_listen_key_that_ends_is_replaced():
    async def main() -> None:
        async with venue(NAME) as place, market_data(place) as data, account(place) as link:
            server = place.running.servers[NAME]
            before = server.account.listen_key
            server.account.listen_until_ns = 0
            await eventually(lambda: place.seen.connections == 2, "a new private stream")
            assert server.account.listen_key not in ("", before)
            await filled(place, link, place.limit(data, "p-key-1", "buy", "0.5", 60, "IOC"))
            await eventually(lambda: place.seen.filled("p-key-1") == Decimal("0.5"), "the fill")

    asyncio.run(main())


def test_a_book_of_a_depth_that_the_venue_has_no_snapshot_of_comes_from_the_next_larger_one():
    async def run():
        async with venue("BINANCEUSDM", depth=25) as place, market_data(place) as link:
            book = link._books[place.symbol]
            assert book.depth == 25
            assert all(len(book.levels.best(side, 25)) == 25 for side in (1, -1))

    asyncio.run(run())


def test_the_engine_holds_margin_and_the_venues_position(monkeypatch):
    monkeypatch.setattr(positions, "DOUBT_S", 0.5)

    async def main() -> None:
        async with venue(NAME) as place:
            async with market_data(place) as data, account(place) as link:
                await filled(place, link, place.limit(data, "p-early-1", "sell", "0.4", 60, "IOC"))  # of an earlier run
            iid, pair = InstrumentId.from_str(f"{place.symbol}.{NAME}"), (place.symbol, NAME)
            trader, accounts = Trader([iid]), VenueAccounts(frozenset({NAME}))
            terms = VenueTerms(
                venue=NAME, taker_fee_bps=Decimal(4), tick=Decimal("0.1"), lot=Decimal("0.001"), price_decimals=1, size_decimals=3,
                max_age_ns=10**10,
            )  # fmt: skip
            desk = Market([ConsolidatedBook(place.symbol, Scale(place.symbol, 1, 3), [terms])])
            node = EmbeddedNode(
                NodeConfig(
                    data_clients={f"CCXT-{NAME}": CcxtDataClientConfig(exchange=place.config)},
                    exec_clients={f"CCXT-{NAME}": CcxtExecClientConfig(exchange=place.config)},
                ),
                actors=[MarketActor(desk, [pair]), accounts],
                strategies=[trader],
                data_factories={"CCXT": CcxtDataClientFactory},
                exec_factories={"CCXT": CcxtExecClientFactory},
            )

            def net() -> Decimal:
                return sum((one.signed_decimal_qty() for one in node.cache.positions_open(instrument_id=iid)), ZERO)

            try:
                await node.start(15.0)
                instrument = node.cache.instrument(iid)
                assert isinstance(instrument, CryptoPerpetual)
                assert (instrument.settlement_currency, instrument.is_inverse, instrument.multiplier) == (
                    USDT,
                    False,
                    1,
                )
                assert node.cache.account_for_venue(Venue(NAME)).type == AccountType.MARGIN
                assert net() == Decimal("-0.4") == held(place)
                book = lambda: node.cache.order_book(iid)  # noqa: E731
                await eventually(lambda: book() and book().best_ask_price() is not None, "a best ask")
                trader.send(iid, "p-node-1", "1", 60, TimeInForce.IOC)
                await eventually(lambda: net() == Decimal("0.6") == held(place), "the position")
                core, server = place.running.servers[NAME].core, place.running.servers[NAME]
                await eventually(lambda: accounts.positions(NAME)[0].quantity == Decimal("0.6"), "the desk's position")
                await eventually(lambda: pair in desk.funding, "a funding rate")
                assert desk.funding[pair].mark == desk.funding[pair].index > 0
                server.fundings[place.symbol].next_ns = time.time_ns()
                await eventually(lambda: accounts.funding(NAME, place.symbol), "a funding payment")
                assert accounts.funding(NAME, place.symbol)[0].amount == core.payments[0].amount
                core.place(OrderRequest(symbol=place.symbol, side=1, quantity=Decimal("0.3")))  # by other hands
                await eventually(lambda: net() == Decimal("0.9") == held(place), "the venue's position", 20.0)
                assert node.running
            finally:
                await node.stop()

    asyncio.run(main())
