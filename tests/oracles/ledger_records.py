"""Records the ledger's tests are made of, and the plain arithmetic they are held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from adapters.nautilus.outcome import VenueFill
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, Step, TradeRecord
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState


def quote(n: int, *, client: str = "acme", side: str = "buy", ttl_ns: int = 2_000) -> QuoteRecord:
    """A quote of number `n`: 60000 fair, half a dollar of spread, a tenth of it skew."""
    price = Decimal("60000.5") if side == "buy" else Decimal("59999.5")
    sign = 1 if side == "buy" else -1
    return QuoteRecord(
        quote_id=f"q{n}",
        rfq_id=f"r{n}",
        client_id=client,
        symbol="BTC/USDT",
        side=side,
        price=price,
        quantity=Decimal("0.25"),
        amount=price * Decimal("0.25"),
        fair=Decimal(60000),
        waterfall=(Step("sweep", sign * Decimal("0.4")), Step("skew", sign * Decimal("0.1"))),
        valid_until_ns=n + ttl_ns,
        created_ns=n,
    )


def rfq(
    n: int,
    state: RfqState = RfqState.QUOTED,
    quotes: tuple[QuoteRecord, ...] = (),
    *,
    client: str = "acme",
    trade_id: str = "",
) -> RfqRecord:
    """A request of number `n`, created at n ns."""
    return RfqRecord(
        rfq_id=f"r{n}",
        client_id=client,
        client_rfq_id=f"c{n}",
        symbol="BTC/USDT",
        side="buy",
        quantity=Decimal("0.25"),
        currency="BTC",
        ttl_ms=2000,
        state=state,
        created_ns=n,
        updated_ns=n,
        quotes=quotes,
        trade_id=trade_id,
    )


def trade(n: int, *, client: str = "acme", order: str | None = None, of: QuoteRecord | None = None) -> TradeRecord:
    """The trade of number `n` on quote `of` (default: quote n)."""
    taken = of or quote(n, client=client)
    return TradeRecord(
        trade_id=f"t{n}",
        quote_id=taken.quote_id,
        rfq_id=taken.rfq_id,
        client_id=client,
        client_order_id=order or f"o{n}",
        symbol=taken.symbol,
        side=taken.side,
        price=taken.price,
        quantity=taken.quantity,
        amount=taken.amount,
        fair=taken.fair,
        skew=taken.waterfall[-1].amount,
        traded_ns=n,
        settle_due_ns=n + 1,
    )


def fill(n: int, *, venue: str = "BINANCE", side: str = "buy", fee: str = "1.5", currency: str = "USDT") -> VenueFill:
    """Execution number `n` at a venue."""
    return VenueFill(
        venue=venue,
        symbol="BTC/USDT",
        client_order_id=f"k{n}",
        trade_id=str(n),
        side=side,
        price=Decimal("60001.25"),
        quantity=Decimal("0.125"),
        fee=Decimal(fee),
        fee_currency=currency,
        ts_ns=n,
    )


def parent(n: int, state: ParentState = ParentState.WORKING, arrival: str | None = "60000") -> ParentOrder:
    """Parent order number `n`."""
    return ParentOrder(
        parent_id=f"p{n}",
        symbol="BTC/USDT",
        side="buy",
        quantity=Decimal("0.25"),
        limit_price=None,
        deadline_ns=n + 10**9,
        reason="hedge",
        state=state,
        arrival_mid=None if arrival is None else Decimal(arrival),
        created_ns=n,
        updated_ns=n,
    )


def child(n: int, of: int, state: ChildState = ChildState.NEW, venue: str = "BINANCE") -> ChildOrder:
    """Child order number `n` of parent `of`."""
    return ChildOrder(
        child_id=f"k{n}",
        parent_id=f"p{of}",
        venue=venue,
        symbol="BTC/USDT",
        side="buy",
        quantity=Decimal("0.125"),
        limit_price=Decimal("60010"),
        state=state,
        created_ns=n,
        updated_ns=n,
    )


def positions(trades: Iterable[TradeRecord], fills: Iterable[VenueFill]) -> dict[str, Fraction]:
    """What the desk holds, by plain fractions."""
    held: dict[str, Fraction] = {}

    def add(currency: str, amount: Fraction) -> None:
        held[currency] = held.get(currency, Fraction(0)) + amount

    for one in trades:
        base, quoted = one.symbol.split("/")
        sign = -1 if one.side == "buy" else 1
        add(base, sign * Fraction(one.quantity))
        add(quoted, -sign * Fraction(one.amount))
    for one in fills:
        base, quoted = one.symbol.split("/")
        sign = 1 if one.side == "buy" else -1
        add(base, sign * Fraction(one.quantity))
        add(quoted, -sign * Fraction(one.price) * Fraction(one.quantity))
        add(one.fee_currency, -Fraction(one.fee))
    return held


def worth(held: Mapping[str, Fraction], marks: Mapping[str, Decimal]) -> Fraction:
    """A holding's value at these marks."""
    return sum((amount * Fraction(marks[currency]) for currency, amount in held.items()), Fraction(0))
