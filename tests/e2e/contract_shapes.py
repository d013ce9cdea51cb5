"""The contract's shapes as tables: exact fields and types of every answer, and what a wrong request may look like.

`check(value, shape)` fails on a missing field, a field of another type, or text that is no decimal where a decimal is due. Answers may
carry more than the contract says ("add to it freely"), never less.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

DECIMAL = "decimal"
NANOSECONDS = "ns"
TEXT = "text"

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
_YEAR_2020_NS = 1_577_836_800_000_000_000

QUOTE = {
    "quote_id": TEXT,
    "side": ("buy", "sell"),
    "price": DECIMAL,
    "quantity": DECIMAL,
    "amount": DECIMAL,
    "firm": (True,),
    "valid_until_ns": NANOSECONDS,
}
RFQ = {
    "rfq_id": TEXT,
    "client_rfq_id": TEXT,
    "instrument": TEXT,
    "quantity": DECIMAL,
    "currency": TEXT,
    "state": (
        "received",
        "quoted",
        "accepted",
        "filled",
        "rejected",
        "expired",
        "cancelled",
        "withdrawn",
        "failed",
        "unknown",
    ),
    "quotes": [QUOTE],
    "created_ns": NANOSECONDS,
}
TRADE = {
    "trade_id": TEXT,
    "quote_id": TEXT,
    "rfq_id": TEXT,
    "client_order_id": TEXT,
    "state": ("filled",),
    "side": ("buy", "sell"),
    "price": DECIMAL,
    "quantity": DECIMAL,
    "amount": DECIMAL,
    "traded_ns": NANOSECONDS,
    "settlement": {"due_ns": NANOSECONDS, "legs": [{"currency": TEXT, "amount": DECIMAL}]},
}
ERROR = {
    "code": TEXT,
    "kind": ("invalid", "rejected", "limited", "failed", "unknown"),
    "message": TEXT,
    "retryable": (True, False),
    "details": dict,
    "request_id": TEXT,
}
FRAME = {"sub": int, "seq": int, "kind": ("snapshot", "update"), "ts_ns": NANOSECONDS}

STATUS_OF_KIND = {
    "invalid": {400, 401, 403, 404, 405, 413, 415, 422, 426},
    "rejected": {409, 422},
    "limited": {429},
    "failed": {503},
    "unknown": {504},
}

_BATCHED = ("trades", "order_book", "ohlcv", "funding_rates", "liquidations")
_SINGLE = (
    "ticker",
    "tickers",
    "order_book",
    "bids_asks",
    "trades",
    "ohlcv",
    "liquidations",
    "funding_rate",
    "funding_rates",
)
MARKET_CHANNELS = [f"watch_{name}" for name in _SINGLE] + [f"watch_{name}_for_symbols" for name in _BATCHED]
_OWN = ("orders", "my_trades", "balance", "position", "positions", "funding_rate_for_my_position", "my_liquidations")
_OWN_BATCHED = ("orders", "my_trades", "position", "my_liquidations")
ACCOUNT_CHANNELS = [f"watch_{name}" for name in _OWN] + [f"watch_{name}_for_symbols" for name in _OWN_BATCHED]
DESK_CHANNELS = ["rfs", "rfqs", "orders", "trades", "balances", "settlements"]
OPERATOR_CHANNELS = ["desk", "alerts", "audit"]
SERVED = {
    "rfs",
    "rfqs",
    "orders",
    "trades",
    "watch_order_book",
    "watch_trades",
    "watch_bids_asks",
    "watch_ticker",
    "watch_tickers",
    "watch_ohlcv",
    *(f"watch_{name}_for_symbols" for name in ("order_book", "trades", "ohlcv", "orders", "my_trades")),
    "watch_orders",
    "watch_my_trades",
    "watch_balance",
    "desk",
    "alerts",
}

GOOD_RFQ = b'{"client_rfq_id":"x","instrument":"BTC/USDT","side":"buy","quantity":"0.01"}'


def _with(field: str, value: str) -> bytes:
    """`GOOD_RFQ` with one field's JSON text replaced or added."""
    fields = {"client_rfq_id": '"x"', "instrument": '"BTC/USDT"', "side": '"buy"', "quantity": '"0.01"', field: value}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


NOT_JSON = {
    "nothing": b"",
    "truncated": GOOD_RFQ[:-9],
    "two values": GOOD_RFQ + b"{}",
    "a bare word": b"buy",
    "invalid UTF-8": GOOD_RFQ.replace(b'"x"', b'"\xff\xfe"'),
    "UTF-16": GOOD_RFQ.decode().encode("utf-16"),
    "a bare NaN": _with("quantity", "NaN"),
    "a bare Infinity": _with("quantity", "-Infinity"),
    "single quotes": GOOD_RFQ.replace(b'"', b"'"),
    "a trailing comma": GOOD_RFQ[:-1] + b",}",
    "a control character": GOOD_RFQ.replace(b'"x"', b'"\x00"'),
    "nesting": b"[" * 20_000,
}
NOT_A_REQUEST = {
    "an array": b"[" + GOOD_RFQ + b"]",
    "null": b"null",
    "a number": b"7",
    "a text": b'"BTC/USDT"',
    "an empty object": b"{}",
    "an unknown field": _with("leverage", '"3"'),
    "a duplicate key": GOOD_RFQ[:-1] + b',"side":"sell"}',
    "a duplicate key of equal value": GOOD_RFQ[:-1] + b',"quantity":"0.01"}',
    "a number for a decimal": _with("quantity", "0.01"),
    "an overflowing number": _with("quantity", "1e999"),
    "an exponent": _with("quantity", '"1e3"'),
    "NaN as text": _with("quantity", '"NaN"'),
    "infinity as text": _with("quantity", '"Infinity"'),
    "a negative": _with("quantity", '"-0.01"'),
    "zero": _with("quantity", '"0"'),
    "zero with decimals": _with("quantity", '"0.00"'),
    "huge": _with("quantity", '"1000000000000"'),
    "longer than any number": _with("quantity", '"' + "9" * 5_000 + '"'),
    "finer than the step": _with("quantity", '"0.010000000001"'),
    "below the minimum": _with("quantity", '"0.00000001"'),
    "a plus sign": _with("quantity", '"+0.01"'),
    "a leading zero": _with("quantity", '"00.01"'),
    "spaces": _with("quantity", '" 0.01"'),
    "a thousands separator": _with("quantity", '"1,000"'),
    "digits of another script": _with("quantity", '"٠.٠١"'),
    "an empty quantity": _with("quantity", '""'),
    "null for a needed field": _with("quantity", "null"),
    "an object for a text": _with("instrument", '{"symbol":"BTC/USDT"}'),
    "an unknown instrument": _with("instrument", '"DOGE/USDT"'),
    "a venue's own symbol": _with("instrument", '"BTCUSDT"'),
    "an unknown side": _with("side", '"BUY"'),
    "a side of the desk": _with("side", '"bid"'),
    "a foreign currency": _with("currency", '"USD"'),
    "an empty client id": _with("client_rfq_id", '""'),
    "a client id beyond 64": _with("client_rfq_id", '"' + "x" * 65 + '"'),
    "a number for a client id": _with("client_rfq_id", "7"),
    "a ttl of nothing": _with("ttl_ms", "0"),
    "a negative ttl": _with("ttl_ms", "-1"),
    "a ttl as text": _with("ttl_ms", '"2000"'),
    "a fraction of a ttl": _with("ttl_ms", "1.5"),
    "a ttl without end": _with("ttl_ms", "99999999999999999999"),
    "true for a ttl": _with("ttl_ms", "true"),
}


def check(value: Any, shape: Any, where: str = "answer") -> None:
    """Fail unless `value` has the shape."""
    if shape == DECIMAL:
        assert isinstance(value, str) and _DECIMAL.fullmatch(value), f"{where}: {value!r} is no decimal text"
    elif shape == NANOSECONDS:
        assert type(value) is int and _YEAR_2020_NS < value < 2 * _YEAR_2020_NS, f"{where}: {value!r} is no time in ns"
    elif shape == TEXT:
        assert isinstance(value, str) and value, f"{where}: {value!r} is no text"
    elif isinstance(shape, tuple):
        assert value in shape, f"{where}: {value!r} is none of {shape}"
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{where}: {value!r} is no list"
        for number, item in enumerate(value):
            check(item, shape[0], f"{where}[{number}]")
    elif isinstance(shape, dict):
        assert isinstance(value, dict), f"{where}: {value!r} is no object"
        missing = set(shape) - set(value)
        assert not missing, f"{where}: without {sorted(missing)}"
        for name, part in shape.items():
            check(value[name], part, f"{where}.{name}")
    else:
        assert type(value) is shape, f"{where}: {value!r} is no {shape.__name__}"


def one_unit(price: str, quantity: str, amount: str, precision: int) -> bool:
    """Whether `amount` is price × quantity to within one unit of the currency's precision, and has no finer digits."""
    unit = Decimal(1).scaleb(-precision)
    return abs(Decimal(price) * Decimal(quantity) - Decimal(amount)) <= unit and not Decimal(amount) % unit
