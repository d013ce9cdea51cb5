"""I4: whatever is traded and filled, Σ over all accounts is zero in each currency, and the P&L parts add up to the
holding's worth.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.nautilus.outcome import VenueFill
from desk.ledger import Ledger
from desk.rfq.records import TradeRecord
from router.orders import ParentOrder
from tests.oracles import ledger_records as make

prices = st.decimals(min_value="0.00000001", max_value="99999999", places=8)
sizes = st.decimals(min_value="0.00000001", max_value="9999999", places=8)
fees = st.decimals(min_value="-10", max_value="1000", places=10)
marks = st.fixed_dictionaries({name: prices for name in ("BTC", "ETH", "BNB")})
symbols = st.sampled_from(["BTC/USDT", "ETH/USDT", "ETH/BTC"])
sides = st.sampled_from(["buy", "sell"])


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, TradeRecord | VenueFill, Decimal | None]]:
    events: list[tuple[str, TradeRecord | VenueFill, Decimal | None]] = []
    for n in range(draw(st.integers(0, 12))):
        price, size = draw(prices), draw(sizes)
        if draw(st.booleans()):
            amount = (price * size).quantize(Decimal("0.01"))
            trade = msgspec.structs.replace(
                make.trade(n, client=draw(st.sampled_from(["acme", "zeta"]))),
                symbol=draw(symbols),
                side=draw(sides),
                price=price,
                quantity=size,
                amount=amount,
                fair=draw(prices),
                skew=draw(fees),
            )
            events.append(("trade", trade, None))
        else:
            fill = msgspec.structs.replace(
                make.fill(n, venue=draw(st.sampled_from(["BINANCE", "KRAKEN", "FALCONX"]))),
                symbol=draw(symbols),
                side=draw(sides),
                price=price,
                quantity=size,
                fee=draw(fees),
                fee_currency=draw(st.sampled_from(["USDT", "BTC", "BNB"])),
            )
            events.append(("fill", fill, draw(st.none() | prices)))
        if draw(st.integers(0, 3)) == 0:
            events.append(events[-1])  # told twice
    return events


@settings(max_examples=40, deadline=None)
@given(histories(), marks)
def test_books_balance_and_parts_add_up(
    history: list[tuple[str, TradeRecord | VenueFill, Decimal | None]], at: dict[str, Decimal]
) -> None:
    ledger = Ledger("sqlite://", inline=True)
    errors: list[Exception | None] = []
    for n, (kind, record, arrival) in enumerate(history):
        if kind == "trade":
            ledger.save_trade(record, None, then=errors.append)
        else:
            parent: ParentOrder = make.parent(n, arrival=None if arrival is None else str(arrival))
            ledger.parent(parent)
            ledger.fill(record, parent.parent_id)

    trades = {record.trade_id: record for kind, record, _ in history if kind == "trade"}
    fills = {record.trade_id: record for kind, record, _ in history if kind == "fill"}
    held = make.positions(trades.values(), fills.values())
    assert set(errors) <= {None}
    assert not any(ledger.verify().values())
    held_here = {currency: Fraction(amount) for currency, amount in ledger.positions().items()}
    assert {name: amount for name, amount in held_here.items() if amount} == {n: a for n, a in held.items() if a}
    assert all(ledger.position(currency) == amount for currency, amount in ledger.positions().items())

    split = ledger.pnl(at)
    parts = (split.spread, split.hedge, split.inventory, split.fees)
    assert Fraction(split.total) == sum(map(Fraction, parts))  # exact: no context rounds
    assert Fraction(split.total) == make.worth(held, {**at, "USDT": Decimal(1)})
    counts = ledger.counts()
    assert (counts.trades, counts.fills) == (len(trades), len(fills))
    ledger.close()
