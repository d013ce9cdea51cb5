"""FalconX JSON to values, tolerant where the venue's own clients disagree, strict where money depends on it.

* Prices come as JSON numbers (Python samples) or as text (Go client): both become exact `Decimal`s.
* The error object is `{"code","reason"}` [O]; `error_code`, `message`, plain text, nested `errors` and `success: false`
  were seen in the wild [S] and are understood as well. The code strings are not published: nothing depends on them.
* A quote without an id, a pair or an expiry is refused: the time to live is per account and is read, never assumed.
* Token pairs are compared by name: USD, USDT and USDC are three currencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class CodecFault(ValueError):
    """A message that is not what it should be; the text says what is wrong."""


class VenueError(msgspec.Struct, frozen=True):
    """What the venue says went wrong."""

    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}" if self.reason else self.code


class FxQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The quote object. `buy_price` is what we pay, `sell_price` what we receive. Times are the venue's clock, ns."""

    fx_quote_id: str
    symbol: str
    quantity: Decimal
    quantity_token: str
    side_requested: str
    buy_price: Decimal | None
    sell_price: Decimal | None
    t_quote_ns: int | None
    t_expiry_ns: int
    is_filled: bool
    side_executed: str | None = None
    price_executed: Decimal | None = None
    t_execute_ns: int | None = None
    client_order_id: str | None = None
    error: VenueError | None = None
    warnings: tuple[str, ...] = ()

    def price(self, side: str) -> Decimal | None:
        """The quoted price of a side, ours; None when that side was not quoted."""
        return self.buy_price if side == "buy" else self.sell_price


class StreamRung(msgspec.Struct, frozen=True):
    """One item of a `stream` frame."""

    symbol: str
    quantity: Decimal
    bid: Decimal
    ask: Decimal


class _Pair(msgspec.Struct):
    base_token: str
    quote_token: str


class _Size(msgspec.Struct):
    token: str
    value: Decimal


class _Quote(msgspec.Struct):
    fx_quote_id: str
    token_pair: _Pair
    quantity_requested: _Size
    t_expiry: str
    is_filled: bool
    side_requested: str = ""
    buy_price: Decimal | None = None
    sell_price: Decimal | None = None
    t_quote: str | None = None
    side_executed: str | None = None
    price_executed: Decimal | None = None
    t_execute: str | None = None
    client_order_id: str | None = None
    error: Any = None
    warnings: list[Any] | None = None


class _Item(msgspec.Struct):
    base_token: str
    quote_token: str
    quantity: Decimal
    quantity_token: str | None = None
    buy_price: Decimal | None = None
    sell_price: Decimal | None = None


_QUOTE = msgspec.json.Decoder(_Quote)


def decode_quote(body: bytes) -> FxQuote:
    """The quote object of an RFQ, an execute or a query. Raises `CodecFault`."""
    try:
        raw = _QUOTE.decode(body)
    except (msgspec.DecodeError, ArithmeticError) as fault:
        raise CodecFault(f"not a quote: {fault}") from None
    quote = FxQuote(
        fx_quote_id=raw.fx_quote_id,
        symbol=f"{raw.token_pair.base_token}/{raw.token_pair.quote_token}",
        quantity=_positive("quantity", raw.quantity_requested.value),
        quantity_token=raw.quantity_requested.token,
        side_requested=raw.side_requested.replace("-", "_"),
        buy_price=_price("buy_price", raw.buy_price),
        sell_price=_price("sell_price", raw.sell_price),
        t_quote_ns=None if raw.t_quote is None else parse_time(raw.t_quote),
        t_expiry_ns=parse_time(raw.t_expiry),
        is_filled=raw.is_filled,
        side_executed=raw.side_executed,
        price_executed=_price("price_executed", raw.price_executed),
        t_execute_ns=None if raw.t_execute is None else parse_time(raw.t_execute),
        client_order_id=raw.client_order_id,
        error=venue_error(raw.error),
        warnings=tuple(_warning(item) for item in raw.warnings or ()),
    )
    if not quote.fx_quote_id:
        raise CodecFault("a quote without fx_quote_id")
    if quote.is_filled and (quote.side_executed not in ("buy", "sell") or quote.price_executed is None):
        raise CodecFault(f"quote {quote.fx_quote_id} is filled without side or price")
    return quote


def decode_error(body: bytes) -> VenueError | None:
    """The error in any JSON answer, None when there is none to be seen (or the body is no JSON)."""
    try:
        raw = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return venue_error(raw)


def venue_error(raw: Any) -> VenueError | None:
    """An error object in whichever of its spellings."""
    match raw:
        case None | False | "" | []:
            return None
        case str():
            return VenueError("error", raw)
        case list():
            return venue_error(raw[0])
        case dict():
            code = raw.get("code") or raw.get("error_code")
            reason = raw.get("reason") or raw.get("message") or raw.get("error_message") or raw.get("detail")
            if code or (reason and raw.get("status") != "success"):
                return VenueError(str(code or "error"), str(reason or ""))
            inner = venue_error(raw.get("error")) or venue_error(raw.get("errors"))
            if inner is None and raw.get("success") is False:
                return VenueError("error", "success is false")
            return inner
    return VenueError("error", repr(raw))


def decode_stream(body: Any) -> list[StreamRung]:
    """The rungs of a `stream` frame. Rungs that lack a side or are crossed are left out; a malformed body raises."""
    try:
        items = msgspec.convert(body if isinstance(body, list) else [body], list[_Item], strict=False)
    except (msgspec.ValidationError, ArithmeticError) as fault:
        raise CodecFault(f"not a ladder: {fault}") from None
    rungs = []
    for item in items:
        if item.quantity_token not in (None, item.base_token):
            raise CodecFault(f"ladder sized in {item.quantity_token}, not {item.base_token}")
        bid, ask = _price("sell_price", item.sell_price), _price("buy_price", item.buy_price)
        if bid is not None and ask is not None and bid < ask:
            quantity = _positive("quantity", item.quantity)
            rungs.append(StreamRung(f"{item.base_token}/{item.quote_token}", quantity, bid, ask))
    return rungs


def encode_rfq(symbol: str, side: str, quantity: Decimal, client_order_id: str) -> bytes:
    """Body of `POST v1/quotes`, sized in base currency."""
    base, quote = symbol.split("/")
    return msgspec.json.encode(
        {
            "token_pair": {"base_token": base, "quote_token": quote},
            "quantity": {"token": base, "value": plain(quantity)},
            "side": side,
            "client_order_id": client_order_id,
        }
    )


def encode_execute(fx_quote_id: str, side: str) -> bytes:
    """Body of `POST v1/quotes/execute`."""
    return msgspec.json.encode({"fx_quote_id": fx_quote_id, "side": side})


def encode_subscribe(symbol: str, levels: tuple[Decimal, ...], request_id: str) -> dict[str, Any]:
    """The subscribe frame of the price socket; levels go as numbers."""
    base, quote = symbol.split("/")
    return {
        "action": "subscribe",
        "request_id": request_id,
        "base_token": base,
        "quote_token": quote,
        "quantity": {"token": base, "levels": list(levels)},
    }


def parse_time(text: str) -> int:
    """ISO 8601 with an offset, to ns since the epoch. A time without an offset is refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CodecFault(f"{text!r} is not a time") from None
    if moment.tzinfo is None:
        raise CodecFault(f"{text!r} has no offset")
    span = moment - EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000_000 + span.microseconds * 1000


def decode_balances(body: bytes) -> dict[str, Decimal]:
    """`GET v1/balances`: token to balance (negative: we owe), summed over platforms."""
    try:
        rows = msgspec.json.decode(body, type=list[_Balance])
    except (msgspec.DecodeError, ArithmeticError) as fault:
        raise CodecFault(f"not balances: {fault}") from None
    totals: dict[str, Decimal] = {}
    for row in rows:
        totals[row.token] = totals.get(row.token, Decimal(0)) + row.balance
    return totals


class _Balance(msgspec.Struct):
    token: str
    balance: Decimal


def plain(value: Decimal) -> str:
    """Decimal text without an exponent."""
    return f"{value:f}"


def _price(name: str, value: Decimal | None) -> Decimal | None:
    return None if value is None else _positive(name, value)


def _positive(name: str, value: Decimal) -> Decimal:
    if not value.is_finite() or value <= 0:
        raise CodecFault(f"{name} is {value}")
    return value


def _warning(item: Any) -> str:
    if isinstance(item, Mapping):
        return f"{item.get('code', '')}: {item.get('message', '')} ({item.get('side', '')})"
    return str(item)
