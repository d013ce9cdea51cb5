"""The tables of the ledger: portable SQL for SQLite and PostgreSQL.

`journal` is the append-only truth of what happened, in the order it became durable; the other tables are the state
it leads to, kept in the same transaction. A record's whole struct is in `body` (JSON, decimals as text); columns are
only what is searched for. Money that is summed in SQL lies in three integers, so that `SUM` is exact on every
database: amount = units + nano·10⁻⁹ + atto·10⁻¹⁸ with 0 ≤ nano, atto < 10⁹. Each sum stays inside 64 bits for nine
billion rows.
"""

from __future__ import annotations

import functools

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

VERSION = "2"

_SEQ = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid alias must be spelt INTEGER

metadata = MetaData()

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

journal = Table(
    "journal",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # rfq, quote, trade, order, parent, child, fill, halt
    Column("ref", Text, nullable=False),
    Column("body", Text, nullable=False),
)

rfqs = Table(
    "rfqs",
    metadata,
    Column("rfq_id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("client_rfq_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reached", Integer, nullable=False),  # one bit a state this request has ever been in
    Column("created_ns", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("rfqs_by_token", "client_id", "client_rfq_id", "created_ns"),
    Index("rfqs_by_client", "client_id", "created_ns", "rfq_id"),
    Index("rfqs_by_time", "created_ns", "rfq_id"),
    Index("rfqs_by_state", "state", "created_ns", "rfq_id"),
)

quotes = Table(
    "quotes",
    metadata,
    Column("quote_id", Text, primary_key=True),
    Column("rfq_id", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # live, void, traded; past valid_until_ns a live one is dead too
    Column("valid_until_ns", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("quotes_by_life", "state", "valid_until_ns"),
    Index("quotes_by_rfq", "rfq_id"),
)

trades = Table(
    "trades",
    metadata,
    Column("trade_id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("client_order_id", Text, nullable=False),
    Column("quote_id", Text, nullable=False),
    Column("rfq_id", Text, nullable=False),
    Column("traded_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("client_id", "client_order_id", name="one_trade_an_order"),
    UniqueConstraint("quote_id", name="one_trade_a_quote"),
    Index("trades_by_client", "client_id", "traded_ns", "trade_id"),
    Index("trades_by_time", "traded_ns", "trade_id"),
)

postings = Table(
    "postings",
    metadata,
    Column("posting_id", _SEQ, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),  # trade, fill
    Column("ref", Text, nullable=False),  # the trade id, or venue|symbol|trade id of a fill
    Column("account", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("nano", BigInteger, nullable=False),
    Column("atto", BigInteger, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Index("postings_by_account", "account", "currency"),
    Index("postings_by_ref", "ref"),
)

parents = Table(
    "parents",
    metadata,
    Column("parent_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("parents_by_state", "state", "created_ns"),
)

children = Table(
    "children",
    metadata,
    Column("child_id", Text, primary_key=True),
    Column("parent_id", Text, nullable=False),
    Column("venue", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("children_by_parent", "parent_id", "created_ns"),
    Index("children_by_state", "venue", "state"),
)

fills = Table(
    "fills",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("trade_id", Text, primary_key=True),
    Column("child_id", Text, nullable=False),
    Column("parent_id", Text, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("arrival", Text),  # fair value when the parent arrived, for the P&L split
    Column("account", Text),  # whose fill it is; NULL: the desk's inventory
    Column("commission", Text),  # quote currency, from the account to the desk; NULL: none
    Column("body", Text, nullable=False),
    Index("fills_by_parent", "parent_id"),
    Index("fills_by_child", "child_id"),
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("client_order_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("client_id", "client_order_id", name="one_order_a_token"),
    Index("orders_by_client", "client_id", "created_ns", "order_id"),
    Index("orders_by_time", "created_ns", "order_id"),
    Index("orders_by_state", "state", "created_ns", "order_id"),
)

halts = Table(
    "halts",
    metadata,
    Column("scope", Text, primary_key=True),  # "global", "venue:BINANCE", …
    Column("reason", Text, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
)


def insert_new(conn: Connection, table: Table, row: dict[str, object] | list[dict[str, object]]) -> int:
    """INSERT that leaves an existing row alone; the number of rows that are new (of a single row)."""
    return conn.execute(_insert_new(conn.dialect.name, table), row).rowcount


def upsert(conn: Connection, table: Table, row: dict[str, object]) -> None:
    """Write a whole row, replacing the one of that key if there is one."""
    conn.execute(_upsert(conn.dialect.name, table), row)


# Statements are built once: the building, not the running, is what costs on the writer's thread.


@functools.cache
def _insert_new(dialect: str, table: Table) -> Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@functools.cache
def _upsert(dialect: str, table: Table) -> Insert:
    statement = _insert(dialect, table)
    key = [column.name for column in table.primary_key]
    rest = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=rest)


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The dialect's INSERT, which alone knows ON CONFLICT."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def create(conn: Connection) -> None:
    """Make what is missing, bring an older ledger up to date, and refuse one of a version this desk does not know."""
    metadata.create_all(conn)
    insert_new(conn, meta, {"key": "schema_version", "value": VERSION})
    found = conn.execute(meta.select().where(meta.c.key == "schema_version")).one().value
    while found in _UPGRADES:
        found, statements = _UPGRADES[found]
        for statement in statements:
            conn.execute(text(statement))
        upsert(conn, meta, {"key": "schema_version", "value": found})
    if found != VERSION:
        raise RuntimeError(f"the ledger has schema version {found}, this desk knows {VERSION}")


# version found -> the next one, and how to get there
_UPGRADES: dict[str, tuple[str, tuple[str, ...]]] = {
    "1": ("2", ("ALTER TABLE fills ADD COLUMN account TEXT", "ALTER TABLE fills ADD COLUMN commission TEXT")),
}
