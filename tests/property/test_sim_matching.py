"""The matching core under arbitrary orders and tapes: money is conserved, nothing is taken twice, the journal tells the same story."""

from __future__ import annotations

import contextlib
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.events import ASK, BID, EventKind, VenueEvent, rows
from sim.instruments import binance_instrument, kraken_instrument
from sim.servers.matching import (
    Change,
    EndedBy,
    FeeIn,
    MatchingCore,
    OrderRequest,
    OrderStatus,
    PostOnly,
    Refusal,
    RefusalKind,
    Tif,
    VenueFill,
    VenueOrder,
)

SYMBOL = "BTC/USDT"
OPENING = {"BTC": Decimal(5), "USDT": Decimal(300_000)}
MIDDLE = 6_000_000


def core(
    fee_in: FeeIn = FeeIn.RECEIVED, journal: Path | None = None, opening: dict[str, Decimal] | None = None
) -> MatchingCore:
    make = binance_instrument if fee_in is FeeIn.RECEIVED else kraken_instrument
    return MatchingCore("TEST", {SYMBOL: make(SYMBOL)}, opening or OPENING, fee_in=fee_in, journal_path=journal)


def event(kind: EventKind, levels: list[tuple[int, int, int]] | None = None, **fields: int) -> VenueEvent:
    array = None if levels is None else rows(levels)
    return VenueEvent(kind=kind, symbol=SYMBOL, ts_event_ns=1, ts_init_ns=1, levels=array, **fields)


def started(**options: object) -> MatchingCore:
    """A core with ten levels of half a bitcoin on each side, a dollar apart."""
    out = core(**options)  # type: ignore[arg-type]
    levels = [(side, MIDDLE - side * 100 * n, 50_000) for side in (BID, ASK) for n in range(1, 11)]
    out.apply(event(EventKind.SNAPSHOT, levels))
    return out


def buy(quantity: str, price: str | None, **options: object) -> OrderRequest:
    limit = None if price is None else Decimal(price)
    return OrderRequest(symbol=SYMBOL, side=1, quantity=Decimal(quantity), price=limit, **options)  # type: ignore[arg-type]


# --- rules -----------------------------------------------------------------------------------------------------------------------------


def test_what_we_took_stays_taken_until_the_tape_changes_the_level() -> None:
    venue = started()
    order = venue.place(buy("0.8", "60002", tif=Tif.IOC))
    assert [(fill.price, fill.size) for fill in order.fills] == [(6_000_100, 50_000), (6_000_200, 30_000)]
    shown = venue.books[SYMBOL].shown.asks
    assert (shown.size(6_000_100), shown.size(6_000_200)) == (0, 20_000)
    venue.apply(event(EventKind.UPDATE, [(ASK, 6_000_200, 50_000)]))  # the tape repeats the old size: no change
    assert shown.size(6_000_200) == 20_000
    assert venue.apply(event(EventKind.UPDATE, [(ASK, 6_000_200, 60_000)])) == [(ASK, 6_000_200, 60_000)]
    assert shown.size(6_000_200) == 60_000
    venue.apply(event(EventKind.UPDATE, [(ASK, 6_000_100, 0)]))
    venue.apply(event(EventKind.UPDATE, [(ASK, 6_000_100, 50_000)]))
    assert shown.size(6_000_100) == 50_000


def test_an_amendment_changes_the_terms_in_place_or_nothing() -> None:
    venue = started()
    order = venue.place(buy("2", "59000", client_id="a"))
    told: list[Change] = []
    venue.on_order.append(lambda _, change, __: told.append(change))
    venue.amend(order.order_id, quantity=Decimal(1), price=Decimal("59500"))
    assert (order.quantity, order.price, order.client_id) == (100_000, 5_950_000, "a")
    assert venue.locked() == {"USDT": Decimal(59_500)}
    for terms, kind in (
        ({"quantity": Decimal("90")}, RefusalKind.INSUFFICIENT_FUNDS),
        ({"quantity": Decimal("0.000001")}, RefusalKind.QUANTITY_LOT),
        ({"price": Decimal("1.001")}, RefusalKind.PRICE_TICK),
        ({"price": Decimal("60001"), "post_only": True}, RefusalKind.WOULD_TAKE),
    ):
        with pytest.raises(Refusal) as refused:
            venue.amend(order.order_id, **terms)  # type: ignore[arg-type]
        assert refused.value.kind is kind
    assert (order.quantity, order.price, told) == (100_000, 5_950_000, [Change.AMENDED])
    venue.amend(order.order_id, price=Decimal("60001"))
    assert (order.filled, order.leaves, told) == (50_000, 50_000, [Change.AMENDED, Change.AMENDED, Change.TRADE])
    venue.amend(order.order_id, quantity=Decimal("0.5"))  # no more than has filled
    assert (order.status, order.quantity) == (OrderStatus.CANCELED, 50_000)
    with pytest.raises(Refusal):
        venue.amend(order.order_id, quantity=Decimal(3))


def test_an_order_with_an_end_ends_then_and_all_are_cancelled_by_symbol() -> None:
    now = [1_000]
    venue = started()
    venue.clock_ns = lambda: now[0]
    timed = venue.place(buy("1", "59000", tif=Tif.GTD, expires_ns=2_000))
    other = venue.place(buy("1", "58000"))
    venue.expire()
    assert timed.open
    now[0] = 2_000
    venue.expire()
    assert (timed.status, other.open) == (OrderStatus.EXPIRED, True)
    assert venue.cancel_all("ETH/USDT") == []
    assert venue.cancel_all(SYMBOL) == [other]


def test_fill_or_kill_is_all_or_nothing() -> None:
    venue = started()
    none = venue.place(buy("1.2", "60002", tif=Tif.FOK))
    assert (none.status, none.filled, none.fills) == (OrderStatus.EXPIRED, 0, [])
    assert venue.books[SYMBOL].shown.asks.size(6_000_100) == 50_000
    assert venue.place(buy("1.0", "60002", tif=Tif.FOK)).status is OrderStatus.FILLED


def test_the_rest_of_an_immediate_order_expires_and_a_good_till_cancelled_one_rests() -> None:
    venue = started()
    assert venue.place(buy("0.9", "60001", tif=Tif.IOC)).status is OrderStatus.EXPIRED
    resting = venue.place(buy("0.9", "60002", tif=Tif.GTC, client_id="r"))
    assert (resting.status, resting.filled) == (OrderStatus.PARTIALLY_FILLED, 50_000)
    assert venue.locked()["USDT"] == Decimal("60002") * Decimal("0.4")
    assert venue.cancel(resting.order_id).status is OrderStatus.CANCELED
    assert venue.locked() == {}


def test_a_resting_order_fills_when_the_book_reaches_it_and_when_a_trade_prints_through() -> None:
    venue = started()
    told: list[tuple[Change, VenueFill | None]] = []
    venue.on_order.append(lambda order, change, fill: told.append((change, fill)))
    order = venue.place(buy("0.5", "60000.5", tif=Tif.GTC))
    venue.apply(
        event(EventKind.TRADE, price=6_000_050, size=99_999, side=-1)
    )  # at our price: we may be behind in the queue
    assert order.filled == 0
    venue.apply(event(EventKind.TRADE, price=6_000_040, size=10_000, side=-1))
    assert (order.filled, order.fills[0].price, order.fills[0].maker) == (10_000, 6_000_050, True)
    venue.apply(event(EventKind.UPDATE, [(ASK, 6_000_030, 20_000)]))
    assert order.filled == 30_000 and venue.books[SYMBOL].shown.asks.size(6_000_030) == 0
    venue.apply(event(EventKind.UPDATE, [(ASK, 6_000_045, 70_000)]))
    assert order.status is OrderStatus.FILLED and venue.books[SYMBOL].shown.asks.size(6_000_045) == 50_000
    assert [change for change, _ in told] == ["new", "trade", "trade", "trade"]


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (buy("0.5", "60000.001"), RefusalKind.PRICE_TICK),
        (buy("0.5", "-1"), RefusalKind.PRICE_TICK),
        (buy("0.5", "0"), RefusalKind.PRICE_TICK),
        (buy("0.5", "NaN"), RefusalKind.PRICE_TICK),
        (buy("0.000001", "60000"), RefusalKind.QUANTITY_LOT),
        (buy("-1", "60000"), RefusalKind.QUANTITY_LOT),
        (buy("0", "60000"), RefusalKind.QUANTITY_LOT),
        (buy("Infinity", "60000"), RefusalKind.QUANTITY_LOT),
        (buy("0.00005", "60000"), RefusalKind.MIN_NOTIONAL),
        (buy("5.1", "60000"), RefusalKind.INSUFFICIENT_FUNDS),
        (buy("0.5", "60001", post_only=True), RefusalKind.WOULD_TAKE),
        (OrderRequest(symbol="X/Y", side=1, quantity=Decimal(1)), RefusalKind.UNKNOWN_SYMBOL),
        (
            OrderRequest(symbol=SYMBOL, side=-1, quantity=Decimal("5.00001"), price=Decimal(1)),
            RefusalKind.INSUFFICIENT_FUNDS,
        ),
    ],
)
def test_what_the_venue_refuses(request_: OrderRequest, kind: RefusalKind) -> None:
    venue = started()
    with pytest.raises(Refusal) as refusal:
        venue.place(request_)
    assert refusal.value.kind is kind
    assert venue.balances == OPENING and venue.orders == {}


def test_a_venue_may_accept_a_post_only_order_that_would_take_and_end_it(tmp_path: Path) -> None:
    path = tmp_path / "venue.jsonl"
    listed, rules = {SYMBOL: binance_instrument(SYMBOL)}, {"fee_in": FeeIn.RECEIVED, "post_only": PostOnly.CANCEL}
    venue = MatchingCore("TEST", listed, OPENING, journal_path=path, **rules)
    venue.apply(event(EventKind.SNAPSHOT, [(BID, MIDDLE - 100, 50_000), (ASK, MIDDLE + 100, 50_000)]))
    told: list[Change] = []
    venue.on_order.append(lambda order, change, fill: told.append(change))
    ended = venue.place(buy("0.2", "60001", post_only=True))
    resting = venue.place(buy("0.2", "60000", post_only=True))
    assert (ended.status, ended.fills, ended.post_only) == (OrderStatus.EXPIRED, [], True)
    assert told == [Change.NEW, Change.EXPIRED, Change.NEW]
    assert list(venue.resting) == [resting.order_id] and venue.balances == OPENING
    venue.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"k":"end"' not in line))  # torn away by a crash
    again = MatchingCore("TEST", listed, OPENING, journal_path=path, **rules)
    assert list(again.resting) == [resting.order_id]
    again.close()


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    venue = started()
    first = venue.place(buy("0.1", "50000", client_id="a"))
    with pytest.raises(Refusal) as refusal:
        venue.place(buy("0.1", "50000", client_id="a"))
    assert refusal.value.kind is RefusalKind.DUPLICATE_CLIENT_ID
    venue.cancel(first.order_id)
    assert venue.place(buy("0.1", "50000", client_id="a")).order_id != first.order_id


def test_a_lost_book_gives_takers_nothing() -> None:
    venue = started()
    venue.apply(event(EventKind.CLEAR))
    assert venue.mid(SYMBOL) is None
    assert venue.place(buy("0.1", "61000", tif=Tif.IOC)).status is OrderStatus.EXPIRED


# --- properties ------------------------------------------------------------------------------------------------------------------------

_price = st.integers(MIDDLE - 1_500, MIDDLE + 1_500)
_order = st.tuples(
    st.just("order"),
    st.sampled_from([1, -1]),
    _price,
    st.integers(10, 200_000),
    st.sampled_from(list(Tif)),
    st.booleans(),
)
_update = st.tuples(st.just("update"), st.sampled_from([1, -1]), st.integers(1, 1_500), st.integers(0, 120_000))
_trade = st.tuples(st.just("trade"), st.sampled_from([1, -1]), _price, st.integers(1, 90_000))
_cancel = st.tuples(st.just("cancel"), st.integers(0, 5))
_amend = st.tuples(st.just("amend"), st.integers(0, 5), _price, st.integers(10, 200_000))
_steps = st.lists(st.one_of(_order, _order, _update, _trade, _cancel, _amend), max_size=40)


def play(venue: MatchingCore, steps: list[tuple]) -> None:
    """Do the steps; the tape's own book stays uncrossed around the middle."""
    unit = venue.instruments[SYMBOL].size_decimals
    for step in steps:
        match step:
            case ("order", side, price, size, tif, market):
                request = OrderRequest(
                    symbol=SYMBOL,
                    side=side,
                    quantity=Decimal(size * 10 ** (unit - 5)).scaleb(-unit),
                    price=None
                    if market
                    else venue.instruments[SYMBOL].price(price // 10 ** (2 - venue.instruments[SYMBOL].price_decimals)),
                    tif=tif,
                )
                try:
                    venue.place(request)
                except Refusal as refusal:
                    assert refusal.kind in (
                        RefusalKind.INSUFFICIENT_FUNDS,
                        RefusalKind.MIN_NOTIONAL,
                        RefusalKind.MIN_QUANTITY,
                    )
            case ("update", side, distance, size):
                venue.apply(event(EventKind.UPDATE, [(side, MIDDLE - side * distance, size)]))
            case ("trade", side, price, size):
                venue.apply(event(EventKind.TRADE, price=price, size=size, side=side))
            case ("cancel", index) if index < len(venue.resting):
                venue.cancel(list(venue.resting)[index])
            case ("amend", index, price, size) if index < len(venue.resting):
                instrument = venue.instruments[SYMBOL]
                tick = price // 10 ** (2 - instrument.price_decimals)
                quantity = Decimal(size * 10 ** (unit - 5)).scaleb(-unit)
                with contextlib.suppress(Refusal):
                    venue.amend(list(venue.resting)[index], price=instrument.price(tick), quantity=quantity)


@settings(max_examples=60, deadline=None)
@given(_steps)
def test_money_is_conserved_and_never_negative(steps: list[tuple]) -> None:
    venue = started()
    taken: list[tuple[VenueOrder, VenueFill]] = []
    venue.on_order.append(lambda order, change, fill: taken.append((order, fill)) if fill else None)
    amended: set[int] = set()  # filled by other prices than their last
    venue.on_order.append(lambda order, change, _: amended.add(order.order_id) if change is Change.AMENDED else None)
    for step in steps:
        play(venue, [step])
        locked = venue.locked()
        for currency, total in venue.balances.items():
            assert total >= 0 and total - locked.get(currency, Decimal(0)) >= 0
    expected = dict(OPENING)
    for _, fill in taken:
        instrument = venue.instruments[SYMBOL]
        assert fill.cost == instrument.price(fill.price) * instrument.size(fill.size)
        expected["BTC"] += instrument.size(fill.size) * fill.side
        expected["USDT"] -= fill.cost * fill.side
        expected[fill.fee_currency] -= fill.fee
    assert venue.balances == expected
    for order in venue.orders.values():
        assert order.filled == sum(fill.size for fill in order.fills) <= order.quantity
        assert order.cost == sum((fill.cost for fill in order.fills), Decimal(0))
        if order.ended_by is not EndedBy.AMEND:
            assert (order.status is OrderStatus.FILLED) == (order.filled == order.quantity)
        if not order.market and order.order_id not in amended:
            assert all((fill.price - order.price) * order.side <= 0 for fill in order.fills)
    assert len({fill.trade_id for _, fill in taken}) == len(taken)


@settings(max_examples=40, deadline=None)
@given(_steps)
def test_what_is_shown_is_what_the_tape_says_less_what_was_taken(steps: list[tuple]) -> None:
    venue = started()
    tape: dict[tuple[int, int], int] = {(s, MIDDLE - s * 100 * n): 50_000 for s in (1, -1) for n in range(1, 11)}
    for step in steps:
        if step[0] == "update":
            tape[step[1], MIDDLE - step[1] * step[2]] = step[3]
        play(venue, [step])
        book = venue.books[SYMBOL]
        for (side, price), size in tape.items():
            taken = book.taken[side].get(price, 0)
            assert 0 <= taken <= size
            assert book.shown.side(side).size(price) == size - taken
        assert len(book.shown.bids) + len(book.shown.asks) <= len(tape)
        assert not book.shown.crossed()


@settings(max_examples=15, deadline=None)
@given(_steps, st.integers(0, 60))
def test_the_journal_tells_the_same_story_also_when_its_last_line_is_torn(steps: list[tuple], torn: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "venue.jsonl"
        venue = started(journal=path)
        play(venue, steps)
        venue.close()
        again = core(journal=path)
        assert again.balances == venue.balances and again.locked() == venue.locked()
        assert set(again.resting) == set(venue.resting)
        assert {i: (o.filled, o.cost, o.status, o.price, o.quantity) for i, o in again.orders.items()} == {
            i: (o.filled, o.cost, o.status, o.price, o.quantity) for i, o in venue.orders.items()
        }
        again.close()
        whole = path.read_bytes()
        with path.open("ab") as file:
            file.write(b'{"k":"fill","trade_id":12345678901234567890'[: torn + 1])
        repaired = core(journal=path)
        assert repaired.balances == venue.balances
        assert path.read_bytes()[: len(whole)] == whole
        first = repaired.next_trade_id()
        assert all(first > fill.trade_id for fill in venue.fills)
        repaired.close()


def test_fees_in_quote_are_reserved_with_the_order() -> None:
    venue = core(FeeIn.QUOTE, opening={"BTC": Decimal(0), "USDT": Decimal("60001.0")})
    venue.apply(event(EventKind.SNAPSHOT, [(BID, 599_990, 10**8), (ASK, 600_010, 10**8)]))
    with pytest.raises(Refusal) as refusal:
        venue.place(buy("1", "60001", tif=Tif.IOC))
    assert refusal.value.kind is RefusalKind.INSUFFICIENT_FUNDS
    order = venue.place(buy("0.999", "60001", tif=Tif.IOC))
    [fill] = order.fills
    assert (fill.fee_currency, fill.fee) == ("USDT", (fill.cost * 5 / 10_000).quantize(Decimal("1e-8")))
    assert venue.balances["USDT"] == Decimal("60001.0") - fill.cost - fill.fee >= 0
