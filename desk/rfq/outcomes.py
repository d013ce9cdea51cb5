"""What became of quotes: the durable ledger read as (how far from fair, traded or not), for `pricing.winning` to learn from.

One-sided requests that were answered and then filled (won), or left to expire or cancelled by the client (lost). Two-way
requests say nothing: the side that was not taken was not refused for its price. Quotes from before volatility and tier were on
record are left out, as are those withdrawn by the desk. What the trades really cost comes from the same ledger: the desk's own hedges
and fees. Read only: the desk may be running.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, create_engine, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from desk.errors import ConfigFault
from desk.ledger import rows, schema
from desk.ledger.pnl import Pnl
from desk.rfq.records import QuoteRecord, RfqState
from pricing.winning import Outcome, paid_share

SEEN = (RfqState.FILLED, RfqState.EXPIRED, RfqState.CANCELLED)


def outcomes(url: str, since_ns: int = 0) -> Iterator[Outcome]:
    """Outcomes of quotes made since `since_ns`, oldest first; `ConfigFault` when the ledger cannot be read."""
    quotes, rfqs = schema.quotes, schema.rfqs
    wanted = (
        select(quotes.c.body, quotes.c.state, rfqs.c.state.label("rfq_state"), rfqs.c.body.label("rfq"))
        .join(rfqs, rfqs.c.rfq_id == quotes.c.rfq_id)
        .where(quotes.c.created_ns >= since_ns, rfqs.c.state.in_([state.value for state in SEEN]))
        .order_by(quotes.c.created_ns)
    )
    for row in _rows(url, wanted):
        if rows.rfq_from(row.rfq).side != "two_way":
            quote = rows.quote_from(row.body)
            if quote.sigma_bps > 0 and quote.tier:
                yield outcome(quote, won=row.rfq_state == RfqState.FILLED)


def paid(url: str, since_ns: int = 0) -> float:
    """The share of what trades since `since_ns` were charged beside the markup that hedges and fees really cost; `ConfigFault` when the
    ledger cannot be read. What the position earned or lost meanwhile is chance, and no part of it."""
    quotes, trades, fills = schema.quotes, schema.trades, schema.fills
    pnl, charged, marks = Pnl(), [], {}
    wanted = (
        select(quotes.c.body, trades.c.body.label("trade"))
        .join(trades, trades.c.quote_id == quotes.c.quote_id)
        .where(trades.c.traded_ns >= since_ns)
        .order_by(trades.c.traded_ns)
    )
    for row in _rows(url, wanted):
        quote, trade = rows.quote_from(row.body), rows.trade_from(row.trade)
        marks[trade.symbol] = trade.fair
        charged.append(charge(quote))
    for row in _rows(url, select(fills).where(fills.c.ts_ns >= since_ns, fills.c.account.is_(None))):
        pnl.fill(rows.fill_from(row.body), None if row.arrival is None else Decimal(row.arrival))
    split = pnl.split(marks)
    return paid_share(-float(split.hedge + split.fees), charged)


def charge(quote: QuoteRecord) -> float:
    """What a quote charges beside the markup and its rounding, in quote currency: never below nothing."""
    kept = sum((step.amount for step in quote.waterfall if step.step in ("markup", "rounding")), Decimal(0))
    worse = (quote.price - quote.fair - kept) * (1 if quote.side == "buy" else -1)
    return max(0.0, float(worse * quote.quantity))


def _rows(url: str, wanted: Select[Any]) -> Iterator[Row[Any]]:
    """Rows of the ledger, read only; `ConfigFault` when it cannot be read."""
    try:
        where = make_url(url)
        if where.get_backend_name() == "sqlite":
            where = make_url(f"sqlite:///file:{where.database}?mode=ro&uri=true")
        elif where.drivername in ("postgresql", "postgres"):
            where = where.set(drivername="postgresql+psycopg")
        engine = create_engine(where)
    except (ArgumentError, ModuleNotFoundError) as fault:
        raise ConfigFault(f"ledger {url}: {fault}") from None
    try:
        with engine.connect() as connection:
            yield from connection.execute(wanted)
    except SQLAlchemyError as fault:
        raise ConfigFault(f"ledger {url}: {str(fault).splitlines()[0]}") from None
    finally:
        engine.dispose()


def outcome(quote: QuoteRecord, *, won: bool) -> Outcome:
    """A quote as `pricing.winning` looks at it."""
    worse = quote.price - quote.fair if quote.side == "buy" else quote.fair - quote.price
    return Outcome(
        tier=quote.tier,
        distance_bps=float(worse / quote.fair * 10_000),
        volatility_bps=quote.sigma_bps,
        notional=float(quote.quantity * quote.fair),
        won=won,
    )
