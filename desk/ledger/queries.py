"""Reading the ledger: by id, by the client's own id, and in pages.

Lists are newest first and paged by key: a cursor names the last row seen, so that rows written meanwhile neither
repeat nor hide others.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from adapters.nautilus.outcome import VenueFill
from desk.errors import Invalid
from desk.ledger import rows, schema
from desk.ledger.store import Store
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, TradeRecord
from router.orders import ParentOrder

MOST = 500  # rows of one page


class Queries:
    """Lookups over what is durable; each is an indexed query of well under a millisecond on SQLite."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def rfq(self, rfq_id: str) -> RfqRecord | None:
        """A request by its id."""
        found = self._store.read(select(schema.rfqs.c.body).where(schema.rfqs.c.rfq_id == rfq_id))
        return rows.rfq_from(found[0].body) if found else None

    def quote(self, quote_id: str) -> QuoteRecord | None:
        """A quote by its id, whatever became of it."""
        found = self._store.read(select(schema.quotes.c.body).where(schema.quotes.c.quote_id == quote_id))
        return rows.quote_from(found[0].body) if found else None

    def trade(self, trade_id: str) -> TradeRecord | None:
        """A trade by its id."""
        return self._one_trade(schema.trades.c.trade_id == trade_id)

    def trade_by_order(self, client_id: str, client_order_id: str) -> TradeRecord | None:
        """The trade a client's order id made, however long ago."""
        table = schema.trades
        return self._one_trade(and_(table.c.client_id == client_id, table.c.client_order_id == client_order_id))

    def trade_by_quote(self, quote_id: str) -> TradeRecord | None:
        """The trade a quote made."""
        return self._one_trade(schema.trades.c.quote_id == quote_id)

    def fills_of(self, parent_id: str) -> list[VenueFill]:
        """The executions of a parent's children, in the order of their time."""
        table = schema.fills
        statement = select(table.c.body).where(table.c.parent_id == parent_id).order_by(table.c.ts_ns)
        return [rows.fill_from(row.body) for row in self._store.read(statement)]

    def rfqs(
        self,
        client_id: str | None,
        *,
        client_rfq_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[RfqRecord], str | None]:
        """Requests, newest first, and the next page's cursor; `client_id` None: of all clients.

        Raises `Invalid` for a bad limit or cursor.
        """
        table = schema.rfqs
        wanted = [
            column == value
            for column, value in (
                (table.c.client_id, client_id),
                (table.c.client_rfq_id, client_rfq_id),
                (table.c.state, state),
            )
            if value is not None
        ]
        statement = select(table.c.created_ns, table.c.rfq_id, table.c.body).where(*wanted)
        found, cursor_next = self._page(statement, table.c.created_ns, table.c.rfq_id, limit, cursor)
        return [rows.rfq_from(row.body) for row in found], cursor_next

    def trades(
        self,
        client_id: str | None,
        *,
        client_order_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[TradeRecord], str | None]:
        """Trades, newest first, and the next page's cursor; `client_id` None means of all clients."""
        table = schema.trades
        wanted = [
            column == value
            for column, value in ((table.c.client_id, client_id), (table.c.client_order_id, client_order_id))
            if value is not None
        ]
        statement = select(table.c.traded_ns, table.c.trade_id, table.c.body).where(*wanted)
        found, cursor_next = self._page(statement, table.c.traded_ns, table.c.trade_id, limit, cursor)
        return [rows.trade_from(row.body) for row in found], cursor_next

    def order(self, order_id: str) -> OrderRecord | None:
        """A client's order by the desk's id."""
        return self._one_order(schema.orders.c.order_id == order_id)

    def order_by_token(self, client_id: str, client_order_id: str) -> OrderRecord | None:
        """A client's order by its own id, however long ago."""
        table = schema.orders
        return self._one_order(and_(table.c.client_id == client_id, table.c.client_order_id == client_order_id))

    def orders(
        self,
        client_id: str | None,
        *,
        client_order_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[OrderRecord], str | None]:
        """Orders, newest first, and the next page's cursor; `client_id` None means of all clients."""
        table = schema.orders
        wanted = [
            column == value
            for column, value in (
                (table.c.client_id, client_id),
                (table.c.client_order_id, client_order_id),
                (table.c.state, state),
            )
            if value is not None
        ]
        statement = select(table.c.created_ns, table.c.order_id, table.c.body).where(*wanted)
        found, cursor_next = self._page(statement, table.c.created_ns, table.c.order_id, limit, cursor)
        return [rows.order_from(row.body) for row in found], cursor_next

    def parent_order(self, parent_id: str) -> ParentOrder | None:
        """A parent order of the router by its id."""
        found = self._store.read(select(schema.parents.c.body).where(schema.parents.c.parent_id == parent_id))
        return rows.parent_from(found[0].body) if found else None

    def _one_order(self, where: ColumnElement[bool]) -> OrderRecord | None:
        found = self._store.read(select(schema.orders.c.body).where(where))
        return rows.order_from(found[0].body) if found else None

    def _one_trade(self, where: ColumnElement[bool]) -> TradeRecord | None:
        found = self._store.read(select(schema.trades.c.body).where(where))
        return rows.trade_from(found[0].body) if found else None

    def _page(
        self,
        statement: Select[Any],
        time: ColumnElement[int],
        key: ColumnElement[str],
        limit: int,
        cursor: str | None,
    ) -> tuple[list[Any], str | None]:
        if not 1 <= limit <= MOST:
            raise Invalid("limit_invalid", f"limit must be 1 to {MOST}", details={"limit": limit})
        if cursor is not None:
            last_ns, last_key = _position(cursor)
            statement = statement.where(or_(time < last_ns, and_(time == last_ns, key < last_key)))
        statement = statement.order_by(time.desc(), key.desc()).limit(limit + 1)
        found = list(self._store.read(statement))
        if len(found) <= limit:
            return found, None
        found = found[:limit]
        return found, _cursor(found[-1][0], found[-1][1])


def _cursor(ts_ns: int, key: str) -> str:
    return base64.urlsafe_b64encode(f"{ts_ns}:{key}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[int, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        ts_ns, separator, key = text.partition(":")
        number = int(ts_ns)
        if not separator or not key or not 0 <= number < 2**63 or "\x00" in key:
            raise ValueError(cursor)
    except (ValueError, binascii.Error):
        raise Invalid("cursor_invalid", "cursor is not one of ours", details={"cursor": cursor[:64]}) from None
    return number, key
