"""Kraken Futures over real sockets: linear and inverse perpetuals, whose gains, fees and funding are in dollars and in the coin."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import ccxt
import msgspec
import pytest
from nautilus_trader.model.instruments import CryptoPerpetual

from adapters.ccxt.account import positions
from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.dialect import AmendRequest
from adapters.ccxt.events import OrderEvent, Stream, StreamStatus, VenueOrderState
from adapters.ccxt.instruments import instrument_of
from adapters.ccxt.venues.krakenfutures import account as krakenfutures_account
from sim.servers.krakenfutures import account as served
from sim.servers.records import OrderRequest
from tests.conformance.ccxt_venue import Recorder, account, eventually, market_data, venue
from tests.conformance.ccxt_venue import Venue as Place

NAME = "KRAKENFUTURES"
LINEAR, INVERSE = "BTC/USD:USD", "BTC/USD:BTC"
SIZES = {LINEAR: Decimal(2), INVERSE: Decimal(90_000)}  # contracts of a bitcoin, of a dollar
both = pytest.mark.parametrize("symbol", [LINEAR, INVERSE])
ZERO = Decimal(0)


def summed(seen: Recorder) -> Decimal:
    """What our executions add up to."""
    return sum((fill.quantity if fill.side == "buy" else -fill.quantity for fill in seen.fills), ZERO)


def core(place: Place) -> Any:
    return place.running.servers[NAME].core


def told(place: Place) -> Decimal:
    return place.seen.positions[place.symbol].quantity


async def taken(
    place: Place, data: Any, link: AccountLink, cid: str, side: str, quantity: Decimal, **terms: Any
) -> None:
    """An IOC through the book, and its executions."""
    request = msgspec.structs.replace(place.limit(data, cid, side, str(quantity), 60, "IOC"), **terms)
    answer = await link.place(request)
    assert isinstance(answer, OrderEvent), answer
    await eventually(lambda: place.seen.ended(cid) and place.seen.filled(cid) > 0, f"the end of {cid}")


@both
def test_gains_and_fees_of_a_position_turned_round_are_in_its_own_currency_to_the_last_digit(symbol):
    async def main() -> None:
        async with venue(NAME, symbol) as place, market_data(place) as data, account(place) as link:
            seen, size, settle = place.seen, SIZES[symbol], symbol.partition(":")[2]
            opening = dict(core(place).balances)
            await taken(place, data, link, "k-open", "buy", size)
            await eventually(lambda: told(place) == size and seen.agreed, "the position")
            row, held = seen.positions[symbol], core(place).holding(symbol)
            assert row.entry == held.entry
            assert row.initial_margin > row.maintenance_margin > 0
            await taken(place, data, link, "k-turn", "sell", 2 * size)
            await eventually(
                lambda: told(place) == summed(seen) == core(place).holding(symbol).quantity, "turned round"
            )
            assert told(place) < 0
            assert {fill.fee_currency for fill in seen.fills} == {settle}
            realised = sum((fill.realised for fill in core(place).fills), ZERO)
            assert realised
            contract = data.markets[symbol].contract
            exits = [fill for fill in seen.fills if fill.client_order_id == "k-turn"]
            closed, gain = size, ZERO
            for fill in exits:  # the part of the turn that closed, by the contract's own terms
                part = min(closed, fill.quantity)
                gain += contract.profit(held.entry, fill.price, part) if part else ZERO
                closed -= part
            assert abs(gain - realised) < Decimal("1e-7")
            wallet = core(place).balances
            assert wallet[settle] == opening[settle] + realised - sum((fill.fee for fill in seen.fills), ZERO)
            other = ({"USD", "BTC"} - {settle}).pop()
            assert wallet[other] == opening[other]  # no coin is bought
            balance = lambda: {one.currency: one.total for one in seen.balances}.get(settle) == wallet[settle]  # noqa: E731
            await eventually(balance, "the venue's balance")
            assert link.positions.corrections == 0
            assert link.counters.handler_faults == link.counters.frames_bad == 0

    asyncio.run(main())


@both
def test_the_instrument_has_the_contracts_terms(symbol):
    async def main() -> None:
        async with venue(NAME, symbol) as place, market_data(place) as data:
            made = instrument_of(data.markets[symbol], NAME, 0)
            assert isinstance(made, CryptoPerpetual)
            assert made.is_inverse is (symbol == INVERSE)
            assert str(made.settlement_currency) == symbol.partition(":")[2]
            price = made.make_price(60_000)
            worth = made.notional_value(made.make_qty(SIZES[symbol]), price)
            assert worth.as_decimal() == abs(data.markets[symbol].contract.value(Decimal(60_000), SIZES[symbol]))

    asyncio.run(main())


@both
def test_funding_of_the_hour_comes_once_with_its_payment(symbol):
    async def main() -> None:
        async with venue(NAME, symbol) as place, market_data(place) as data, account(place) as link:
            server, seen, size = place.running.servers[NAME], place.seen, SIZES[symbol]
            await eventually(lambda: seen.fundings, "a ticker")
            assert seen.fundings[0].next_ns == server.fundings[symbol].next_ns
            assert seen.fundings[0].next_ns % (3600 * 10**9) == 0
            assert data.status(symbol, Stream.FUNDING) is StreamStatus.LIVE
            await taken(place, data, link, "k-fund", "sell", size)
            wallet = dict(core(place).balances)
            server.fundings[symbol].next_ns = time.time_ns()
            await eventually(lambda: seen.payments, "a funding payment")
            (payment,) = seen.payments
            _, rate, mark = server.rates[symbol][-1]
            settle = symbol.partition(":")[2]
            worth = size / mark if symbol == INVERSE else size * mark
            assert abs(payment.amount - worth * rate) <= Decimal("1e-8")  # shorts are paid while the rate is positive
            assert (payment.currency, payment.symbol) == (settle, symbol)
            assert core(place).balances[settle] == wallet[settle] + payment.amount
            link._lose("a lost private stream")  # the history is asked again, and brings nothing twice
            await eventually(lambda: seen.connections == 2, "a reconnect")
            assert len(seen.payments) == 1

    asyncio.run(main())


@both
def test_a_liquidation_is_told_as_ours_and_as_the_markets(symbol):
    async def main() -> None:
        async with venue(NAME, symbol) as place, market_data(place) as data, account(place) as link:
            server, seen, size, settle = (
                place.running.servers[NAME],
                place.seen,
                SIZES[symbol],
                symbol.partition(":")[2],
            )
            core(place).balances[settle] = Decimal("0.15") if symbol == INVERSE else Decimal(9_000)
            await taken(place, data, link, "k-liq", "buy", size)
            held = core(place).holding(symbol).quantity
            await eventually(lambda: told(place) == held and seen.agreed, "the position")
            trades = f"{symbol}.trades"  # where liquidations come from
            await eventually(lambda: data.health()["streams"][trades]["status"] == "live", "the market's trades")
            price = core(place).liquidation_price(symbol)
            await eventually(lambda: seen.positions[symbol].liquidation, "its liquidation price")
            tick = Decimal(1).scaleb(-data.markets[symbol].price_decimals)
            server.pinned[symbol] = (price * Decimal("1.001")).quantize(tick)
            server.second()
            assert core(place).holding(symbol).quantity == held
            server.pinned[symbol] = (price * Decimal("0.999")).quantize(tick)
            server.second()
            assert core(place).holding(symbol).quantity == 0
            public = lambda: sum((one.quantity for one in seen.liquidations if not one.order_id), ZERO)  # noqa: E731
            await eventually(lambda: public() == held, "the market's liquidation")
            await eventually(lambda: told(place) == 0 and seen.agreed, "a flat position")
            assert sum((one.quantity for one in seen.liquidations if one.order_id), ZERO) == held
            assert {one.side for one in seen.liquidations} == {"sell"}
            assert summed(seen) == 0
            assert link.positions.corrections == 0

    asyncio.run(main())


def test_an_ioc_with_nothing_to_take_and_a_reduce_only_order_with_nothing_to_reduce_are_refused():
    async def main() -> None:
        async with venue(NAME, LINEAR) as place, market_data(place) as data, account(place) as link:
            below = await link.place(place.limit(data, "k-none", "buy", "1", -900, "IOC"))
            nothing = place.limit(data, "k-reduce", "sell", "1", 60, "IOC")
            reduce = await link.place(msgspec.structs.replace(nothing, reduce_only=True))
            for answer, word in ((below, "iocWouldNotExecute"), (reduce, "wouldNotReducePosition")):
                assert isinstance(answer, Failure)
                assert answer.verdict is Verdict.REFUSED
                assert word in answer.reason
            proof = await link.prove("k-none", LINEAR)
            assert proof.order is not None
            assert proof.order.state is VenueOrderState.REJECTED
            assert not place.seen.fills

    asyncio.run(main())


def test_an_edited_order_has_the_whole_quantity_that_was_asked_for_though_part_of_it_has_filled():
    async def main() -> None:
        async with venue(NAME, LINEAR) as place, market_data(place) as data, account(place) as link:
            shown = core(place).books[LINEAR].shown.asks.top(1)[0]
            best = data.markets[LINEAR].lot * shown[1]
            order = place.limit(data, "k-edit", "buy", str(best + 1), 0, "GTC")
            known = await link.place(order)
            await eventually(lambda: place.seen.filled("k-edit") > 0, "a part")
            terms = AmendRequest(
                client_order_id="k-edit", venue_order_id=known.venue_order_id, symbol=LINEAR, side="buy",
                quantity=str(best + 5), price=str(Decimal(order.price) - 400),
            )  # fmt: skip
            now = (await link.refresh("k-edit", LINEAR)).order
            changed = await link.amend(terms, now)
            assert isinstance(changed, OrderEvent), changed
            assert changed.quantity == best + 5
            assert link._commands.offers.amending == "full"
            assert core(place).by_client["k-edit"].quantity == int((best + 5).scaleb(4))

    asyncio.run(main())


def test_an_order_is_known_from_the_history_once_its_status_is_forgotten(monkeypatch):
    monkeypatch.setattr(served, "_KNOWN_NS", 0)

    async def main() -> None:
        async with venue(NAME, LINEAR) as place, market_data(place) as data, account(place) as link:
            await taken(place, data, link, "k-past", "buy", Decimal("0.3"))
            resting = await link.place(place.limit(data, "k-gone", "buy", "0.5", -900, "GTC"))
            assert isinstance(resting, OrderEvent)
            await link.cancel("k-gone", LINEAR)
            stranger = AccountLink(place.config, Recorder())  # another run, which remembers nothing
            stranger.start()
            try:
                await eventually(stranger.ready.is_set, "another connection")
                filled = await stranger.prove("k-past", LINEAR)
                assert (filled.order.state, filled.order.filled) == (VenueOrderState.FILLED, Decimal("0.3"))
                assert sum(fill.quantity for fill in filled.fills) == Decimal("0.3")
                assert sum(fill.fee for fill in filled.fills) == sum(fill.fee for fill in core(place).fills)
                gone = await stranger.prove("k-gone", LINEAR)
                assert (gone.order.state, gone.order.filled) == (VenueOrderState.CANCELED, 0)
            finally:
                await stranger.stop()

    asyncio.run(main())


def test_executions_are_paged_backward_and_each_has_its_fee(monkeypatch):
    monkeypatch.setattr(krakenfutures_account, "_PAGE", 3)
    monkeypatch.setattr(served, "_FILLS_PAGE", 3)

    async def main() -> None:
        async with venue(NAME, LINEAR) as place, market_data(place) as data, account(place) as link:
            since = time.time_ns() - 1_000_000
            for n in range(8):
                await taken(place, data, link, f"k-page-{n}", "buy" if n % 2 else "sell", Decimal("0.1"))
            link._dialect._fees.clear()
            fills = await link.fills_since(since)
            assert {fill.trade_id: fill.fee for fill in fills} == {fill.trade_id: fill.fee for fill in place.seen.fills}
            monkeypatch.setattr(link._dialect, "_read_fees", nothing)
            link._dialect._fees.clear()
            reckoned = await link.fills_since(since)
            assert all(
                abs(fill.fee - fill.price * fill.quantity * Decimal("0.0005")) < Decimal("1e-8") for fill in reckoned
            )

    async def nothing(exchange: Any, since_ms: int) -> None:
        """The log says nothing of them yet."""

    asyncio.run(main())


def test_bad_keys_disable_the_account_and_a_bad_signature_is_no_subscription():
    async def main() -> None:
        async with venue(NAME, LINEAR) as place:
            for spoiled in ({"api_key": "nobody"}, {"secret": "AAAA" + place.config.secret[4:]}):
                link = AccountLink(msgspec.structs.replace(place.config, **spoiled), Recorder())
                link.start()
                await eventually(lambda link=link: "credentials refused" in link.health()["reason"], "the refusal")
                assert not link.connected
                await link.stop()

    asyncio.run(main())


def test_trades_by_other_hands_correct_the_position(monkeypatch):
    monkeypatch.setattr(positions, "DOUBT_S", 0.5)

    async def main() -> None:
        async with venue(NAME, LINEAR) as place, market_data(place) as data, account(place) as link:
            await taken(place, data, link, "k-mine", "buy", Decimal(1))
            await eventually(lambda: told(place) == 1 and place.seen.agreed, "the position")
            listeners, core(place).on_order[:] = list(core(place).on_order), []
            core(place).place(OrderRequest(symbol=LINEAR, side=1, quantity=Decimal("0.5")))
            core(place).on_order[:] = listeners
            link.positions.stale()
            await eventually(lambda: link.positions.corrections == 1, "a correction", 15.0)
            assert told(place) == Decimal("1.5")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("insufficientAvailableFunds", ccxt.InsufficientFunds),
        ("postWouldExecute", ccxt.OrderImmediatelyFillable),
        ("clientOrderIdAlreadyExist", ccxt.DuplicateOrderId),
        ("marketSuspended", ccxt.OperationRejected),
        ("wouldCauseLiquidation", ccxt.ExchangeError),  # which ccxt does not know
    ],
)
def test_every_status_but_placed_is_a_refusal(status, kind):
    from adapters.ccxt.account.outcomes import classify
    from adapters.ccxt.venues.krakenfutures.orders import refuse

    with pytest.raises(kind) as raised:
        refuse(ccxt.krakenfutures(), status, "placed")
    assert classify(raised.value).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("code", "verdict"), [("Server Error", "unknown"), ("unknownError", "unknown"), ("invalidArgument", "refused")]
)
def test_what_an_error_says_of_an_order(code, verdict):
    from adapters.ccxt.account.outcomes import classify
    from adapters.ccxt.venues.krakenfutures.orders import meant

    answer = {"result": "error", "error": code}
    with pytest.raises(ccxt.BaseError) as raised, meant():
        ccxt.krakenfutures().handle_errors(200, "", "", "POST", {}, ccxt.krakenfutures.json(answer), answer, {}, {})
    assert classify(raised.value).verdict == verdict
