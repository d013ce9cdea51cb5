"""The tables of the archive as Arrow schemas: one schema a table, the same in spool segments and inserts.

Column order and names are those of `migrations/`. Market data may be dropped under pressure, counted; business rows
are not.
"""

from __future__ import annotations

import pyarrow as pa

TS = pa.timestamp("ns", "UTC")
RAW = pa.decimal128(38, 16)  # the engine's fixed-point numbers
MONEY = pa.decimal128(38, 18)
TEXT = pa.string()
MONEYS = pa.list_(MONEY)

SCHEMAS: dict[str, pa.Schema] = {
    "md_deltas": pa.schema(
        {
            "instrument_id": TEXT,
            "ts_event": TS,
            "ts_init": TS,
            "seq": pa.uint64(),
            "i": pa.uint32(),
            "kind": TEXT,
            "side": pa.int8(),
            "price": RAW,
            "size": RAW,
        }
    ),
    "md_trades": pa.schema(
        {
            "instrument_id": TEXT,
            "ts_event": TS,
            "ts_init": TS,
            "trade_id": TEXT,
            "side": TEXT,
            "price": RAW,
            "size": RAW,
        }
    ),
    "md_quotes": pa.schema(
        {
            "instrument_id": TEXT,
            "ts_event": TS,
            "ts_init": TS,
            "bid_price": RAW,
            "ask_price": RAW,
            "bid_size": RAW,
            "ask_size": RAW,
        }
    ),
    "lp_ladders": pa.schema(
        {"lp": TEXT, "symbol": TEXT, "ts": TS, "quantities": MONEYS, "bids": MONEYS, "asks": MONEYS}
    ),
    "rfqs": pa.schema(
        {
            "rfq_id": TEXT,
            "client_id": TEXT,
            "client_rfq_id": TEXT,
            "symbol": TEXT,
            "side": TEXT,
            "quantity": MONEY,
            "currency": TEXT,
            "ttl_ms": pa.uint32(),
            "state": TEXT,
            "reason": TEXT,
            "quote_ids": pa.list_(TEXT),
            "trade_id": TEXT,
            "created": TS,
            "updated": TS,
        }
    ),
    "rfq_quotes": pa.schema(
        {
            "quote_id": TEXT,
            "rfq_id": TEXT,
            "client_id": TEXT,
            "symbol": TEXT,
            "side": TEXT,
            "price": MONEY,
            "quantity": MONEY,
            "amount": MONEY,
            "fair": MONEY,
            "steps": pa.list_(TEXT),
            "amounts": MONEYS,
            "valid_until": TS,
            "created": TS,
            "streamed": pa.bool_(),
        }
    ),
    "client_trades": pa.schema(
        {
            "trade_id": TEXT,
            "quote_id": TEXT,
            "rfq_id": TEXT,
            "client_id": TEXT,
            "client_order_id": TEXT,
            "symbol": TEXT,
            "side": TEXT,
            "price": MONEY,
            "quantity": MONEY,
            "amount": MONEY,
            "fair": MONEY,
            "skew": MONEY,
            "traded": TS,
            "settle_due": TS,
        }
    ),
    "risk_decisions": pa.schema(
        {
            "decision_id": TEXT,
            "outcome": TEXT,
            "stage": TEXT,
            "intent_id": TEXT,
            "symbol": TEXT,
            "venue": TEXT,
            "client_id": TEXT,
            "side": TEXT,
            "quantity": MONEY,
            "price": MONEY,
            "check": TEXT,
            "value": TEXT,
            "limit": TEXT,
            "message": TEXT,
            "limits": pa.map_(TEXT, TEXT),
            "ts": TS,
        }
    ),
    "order_events": pa.schema(
        {
            "kind": TEXT,
            "parent_id": TEXT,
            "child_id": TEXT,
            "rfq_id": TEXT,
            "quote_id": TEXT,
            "venue": TEXT,
            "symbol": TEXT,
            "side": TEXT,
            "quantity": MONEY,
            "limit_price": MONEY,
            "state": TEXT,
            "filled": MONEY,
            "notional": MONEY,
            "arrival_mid": MONEY,
            "reason": TEXT,
            "why": TEXT,
            "created": TS,
            "updated": TS,
        }
    ),
    "fills": pa.schema(
        {
            "venue": TEXT,
            "symbol": TEXT,
            "trade_id": TEXT,
            "client_order_id": TEXT,
            "side": TEXT,
            "price": MONEY,
            "quantity": MONEY,
            "fee": MONEY,
            "fee_currency": TEXT,
            "ts": TS,
        }
    ),
    "order_costs": pa.schema(
        {
            "kind": TEXT,
            "parent_id": TEXT,
            "child_id": TEXT,
            "venue": TEXT,
            "lp": pa.bool_(),
            "resting": pa.bool_(),
            "quote_id": TEXT,
            "symbol": TEXT,
            "side": TEXT,
            "account": TEXT,
            "rfq_id": TEXT,
            "algo": TEXT,
            "state": TEXT,
            "reason": TEXT,
            "quantity": MONEY,
            "filled": MONEY,
            "notional": MONEY,
            "arrival": MONEY,
            "mid": MONEY,
            "touch": MONEY,
            "end_price": MONEY,
            "basis": MONEY,
            "timing": MONEY,
            "spread": MONEY,
            "mark": MONEY,
            "impact": MONEY,
            "fade": MONEY,
            "fees": MONEY,
            "fixed": MONEY,
            "opportunity": MONEY,
            "expected": MONEY,
            "saved": MONEY,
            "unpriced": pa.map_(TEXT, TEXT),
            "market_quantity": MONEY,
            "market_notional": MONEY,
            "benchmark": pa.map_(TEXT, pa.float64()),
            "noise_bps": pa.float64(),
            "latency_ns": pa.int64(),
            "hold_ns": pa.int64(),
            "haircut_ppm": pa.uint32(),
            "created": TS,
            "ended": TS,
            "revision": pa.uint32(),
        }
    ),
    "markouts": pa.schema(
        {
            "source": TEXT,
            "ref": TEXT,
            "party": TEXT,
            "symbol": TEXT,
            "side": TEXT,
            "price": MONEY,
            "quantity": MONEY,
            "fair": MONEY,
            "ts": TS,
            "horizon_ms": pa.uint32(),
            "fair_then": MONEY,
            "taken": TS,
        }
    ),
    "lp_answers": pa.schema(
        {
            "parent_id": TEXT,
            "symbol": TEXT,
            "side": TEXT,
            "mid": MONEY,
            "lp": TEXT,
            "rfq_id": TEXT,
            "quantity": MONEY,
            "quote_id": TEXT,
            "price": MONEY,
            "reason": TEXT,
            "asked": TS,
            "answered_ns": pa.int64(),
        }
    ),
    "feed_events": pa.schema(
        {"ts": TS, "kind": TEXT, "venue": TEXT, "symbol": TEXT, "detail": TEXT, "count": pa.uint64()}
    ),
    "candles": pa.schema(
        {
            "venue": TEXT,
            "symbol": TEXT,
            "timeframe": TEXT,
            "ts": TS,
            "open": MONEY,
            "high": MONEY,
            "low": MONEY,
            "close": MONEY,
            "volume": MONEY,
            "fetched": TS,
        }
    ),
    "history_trades": pa.schema(
        {
            "venue": TEXT,
            "symbol": TEXT,
            "ts": TS,
            "trade_id": TEXT,
            "side": TEXT,
            "price": MONEY,
            "quantity": MONEY,
            "parts": pa.uint32(),
            "fetched": TS,
        }
    ),
    "history_ranges": pa.schema(
        {
            "kind": TEXT,
            "venue": TEXT,
            "symbol": TEXT,
            "timeframe": TEXT,
            "since": TS,
            "until": TS,
            "rows": pa.uint64(),
            "fetched": TS,
        }
    ),
}

MARKET = frozenset({"md_deltas", "md_trades", "md_quotes", "lp_ladders"})  # may be dropped under pressure
HISTORY = (
    "candles",
    "history_trades",
    "history_ranges",
)  # fetched from venues, not heard: they do not go through the spool
