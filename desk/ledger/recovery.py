"""What a starting ledger reads back: everything money depends on, and the recent past a desk goes on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select

from desk.ledger import rows, schema
from desk.ledger.book import Posting, Totals, from_limbs
from desk.ledger.records import Halt
from desk.ledger.store import Store
from desk.orders.records import OrderState
from desk.rfq.records import RfqState, TradeRecord

DAY_NS = 24 * 3600 * 10**9
_OPEN = [state.value for state in (RfqState.RECEIVED, RfqState.QUOTED, RfqState.ACCEPTED, RfqState.UNKNOWN)]
_WORKING = [state.value for state in OrderState if not state.terminal]


def trades(store: Store) -> Iterator[TradeRecord]:
    """Every client trade ever made."""
    for (text,) in store.read(select(schema.trades.c.body)):
        yield rows.trade_from(text)


def sums(store: Store) -> Totals:
    """The totals as SQL adds the postings up, exactly."""
    table = schema.postings
    totals = Totals()
    columns = (func.sum(table.c.units), func.sum(table.c.nano), func.sum(table.c.atto))
    statement = select(table.c.account, table.c.currency, *columns).group_by(table.c.account, table.c.currency)
    for account, currency, units, nano, atto in store.read(statement):
        totals.apply([Posting(account, currency, from_limbs(units, nano, atto))])
    return totals


def reached(store: Store) -> dict[str, int]:
    """state → requests that have ever been in it."""
    counts = {state.value: 0 for state in RfqState}
    column = schema.rfqs.c.reached
    for bits, number in store.read(select(column, func.count()).group_by(column)):
        for state, bit in rows.STATE_BITS.items():
            if bits & bit:
                counts[state.value] += number
    return counts


def halts(store: Store) -> dict[str, Halt]:
    """What was stopped when the desk was."""
    table = schema.halts
    return {
        scope: Halt(scope=scope, reason=reason, since_ns=since_ns)
        for scope, reason, since_ns in store.read(select(table.c.scope, table.c.reason, table.c.since_ns))
    }


def recent(store: Store, now_ns: int) -> dict[str, Any]:
    """The fields of `LedgerSnapshot` that come from requests, quotes, trades and orders."""
    since = now_ns - DAY_NS
    table, quotes, traded = schema.rfqs, schema.quotes, schema.trades
    open_rfqs = store.read(select(table.c.body).where(table.c.state.in_(_OPEN)).order_by(table.c.created_ns))
    known = store.read(select(table.c.body).where(table.c.created_ns >= since).order_by(table.c.created_ns))
    live = store.read(
        select(quotes.c.body)
        .where(quotes.c.state == "live", quotes.c.valid_until_ns > now_ns)
        .order_by(quotes.c.created_ns)
    )
    done = store.read(select(traded.c.body).where(traded.c.traded_ns >= since).order_by(traded.c.traded_ns))
    orders = schema.orders.c
    working = store.read(
        select(orders.body).where(orders.state.in_(_WORKING)).order_by(orders.created_ns, orders.order_id)
    )
    by_token = [rows.rfq_from(row.body) for row in known]
    by_order = [rows.trade_from(row.body) for row in done]
    return {
        "open_rfqs": [rows.rfq_from(row.body) for row in open_rfqs],
        "open_orders": [rows.order_from(row.body) for row in working],
        "live_quotes": [rows.quote_from(row.body) for row in live],
        "trades_by_order": {(trade.client_id, trade.client_order_id): trade for trade in by_order},
        "rfqs_by_token": {(rfq.client_id, rfq.client_rfq_id): rfq for rfq in by_token},
    }
