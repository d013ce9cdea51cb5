"""The FalconX account on loopback: quotes given, executions, balances, in a journal that survives a restart.

One JSON line a record in `<state>/falconx.jsonl`: `quote` when a price was given, `fill` when it was executed (synced
to disk before the answer leaves). A fill is booked once per `fx_quote_id`. A half-written last line, left by a kill, is
cut off at the next start.
Balances start at zero and may go negative: an LP trades on credit and settles later.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

ZERO = Decimal(0)
KEPT_UNFILLED = 20_000  # unexecuted quotes remembered in memory; the oldest go first


class Warning_(msgspec.Struct, frozen=True):
    """A remark on a quote, as FalconX sends it."""

    code: str
    message: str
    side: str


class VenueQuote(msgspec.Struct, kw_only=True):
    """A price FalconX gave, and what became of it: the taker pays `buy_price` and receives `sell_price`."""

    fx_quote_id: str
    base: str
    quote: str
    side_requested: str  # "buy" | "sell" | "two_way"
    quantity_token: str
    quantity: Decimal  # as asked, in `quantity_token`
    base_quantity: Decimal
    buy_price: Decimal | None
    sell_price: Decimal | None
    mid: Decimal
    t_quote_ns: int
    t_expiry_ns: int
    client_order_id: str | None = None
    warnings: tuple[Warning_, ...] = ()
    order_type: str = "rfq"
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    slippage_bps: Decimal | None = None
    side_executed: str | None = None
    price_executed: Decimal | None = None
    t_execute_ns: int | None = None
    error_code: str = ""
    error_reason: str = ""

    @property
    def filled(self) -> bool:
        """Whether it was executed."""
        return self.t_execute_ns is not None

    def legs(self) -> tuple[tuple[str, Decimal], tuple[str, Decimal]]:
        """What came in and what went out, (token, positive value) each; only of a filled quote."""
        if self.price_executed is None:
            raise ValueError(f"quote {self.fx_quote_id} is not executed")
        base = (self.base, self.base_quantity)
        amount = (self.quote, self.base_quantity * self.price_executed)
        return (base, amount) if self.side_executed == "buy" else (amount, base)


class Account:
    """Quotes by id and balances by token. `folder` None: memory only."""

    def __init__(self, folder: Path | None) -> None:
        self.quotes: dict[str, VenueQuote] = {}
        self.balances: dict[str, Decimal] = {}
        self.filled: list[VenueQuote] = []
        self._unfilled: dict[str, None] = {}
        self._file: BinaryIO | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "falconx.jsonl"
            self._replay(path)
            self._file = path.open("ab")

    def close(self) -> None:
        """Sync and close the journal."""
        if self._file is not None:
            self._sync()
            self._file.close()
            self._file = None

    def remember(self, quote: VenueQuote) -> None:
        """Keep a quote that was given. It is written, not synced: a lost unexecuted quote harms nobody."""
        self._hold(quote)
        self._write("quote", quote)

    def fill(self, quote: VenueQuote, side: str, price: Decimal, now_ns: int) -> None:
        """Execute a quote and book both legs; durable when this returns. A second call changes nothing."""
        if quote.filled:
            return
        quote.side_executed, quote.price_executed, quote.t_execute_ns = side, price, now_ns
        quote.error_code = quote.error_reason = ""
        self._book(quote)
        self._write("fill", quote)
        self._sync()

    def exposure(self, mids: dict[str, Decimal], unit: str) -> tuple[Decimal, Decimal]:
        """Gross and net unsettled value of all balances in `unit`; `mids` values the other tokens."""
        values = [
            amount * (Decimal(1) if token == unit else mids.get(token, ZERO)) for token, amount in self.balances.items()
        ]
        return sum((abs(value) for value in values), ZERO), abs(sum(values, ZERO))

    def _hold(self, quote: VenueQuote) -> None:
        self.quotes[quote.fx_quote_id] = quote
        if not quote.filled:
            self._unfilled[quote.fx_quote_id] = None
        while len(self._unfilled) > KEPT_UNFILLED:
            oldest = next(iter(self._unfilled))
            del self._unfilled[oldest]
            if not self.quotes[oldest].filled:
                del self.quotes[oldest]

    def _book(self, quote: VenueQuote) -> None:
        self.quotes[quote.fx_quote_id] = quote
        self._unfilled.pop(quote.fx_quote_id, None)
        self.filled.append(quote)
        (token_in, value_in), (token_out, value_out) = quote.legs()
        self.balances[token_in] = self.balances.get(token_in, ZERO) + value_in
        self.balances[token_out] = self.balances.get(token_out, ZERO) - value_out

    def _write(self, kind: str, quote: VenueQuote) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode({"kind": kind, "quote": quote}) + b"\n")
            self._file.flush()

    def _sync(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())

    def _replay(self, path: Path) -> None:
        if not path.exists():
            return
        decoder = msgspec.json.Decoder(_Record)
        good = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                record = decoder.decode(line)
                good += len(line)
                known = self.quotes.get(record.quote.fx_quote_id)
                if record.kind == "fill" and not (known and known.filled):
                    self._book(record.quote)
                elif record.kind == "quote" and known is None:
                    self._hold(record.quote)
        if good < path.stat().st_size:
            os.truncate(path, good)


class _Record(msgspec.Struct):
    kind: str
    quote: VenueQuote


def iso(ts_ns: int) -> str:
    """A time the way FalconX writes it: `2019-06-27T11:59:21.875725+00:00`."""
    return (
        datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
        .replace(microsecond=ts_ns % 1_000_000_000 // 1000)
        .isoformat(timespec="microseconds")
    )


def wire(quote: VenueQuote, *, prices_as_text: bool = False, trader: str = "desk@kerb.invalid") -> dict[str, Any]:
    """The quote object of every `v1/quotes…` answer. Prices are JSON numbers, or text on demand."""

    def price(value: Decimal | None) -> Any:
        return None if value is None else (_text(value) if prices_as_text else msgspec.Raw(_text(value).encode()))

    body: dict[str, Any] = {
        "status": "failure" if quote.error_code else "success",
        "fx_quote_id": quote.fx_quote_id,
        "buy_price": price(quote.buy_price),
        "sell_price": price(quote.sell_price),
        "platform": "api",
        "token_pair": {"base_token": quote.base, "quote_token": quote.quote},
        "quantity_requested": {"token": quote.quantity_token, "value": _text(quote.quantity)},
        "side_requested": quote.side_requested,
        "t_quote": iso(quote.t_quote_ns),
        "t_expiry": iso(quote.t_expiry_ns),
        "is_filled": quote.filled,
        "side_executed": quote.side_executed,
        "price_executed": price(quote.price_executed),
        "t_execute": None if quote.t_execute_ns is None else iso(quote.t_execute_ns),
        "trader_email": trader,
        "error": {"code": quote.error_code, "reason": quote.error_reason} if quote.error_code else None,
        "warnings": [{"code": item.code, "message": item.message, "side": item.side} for item in quote.warnings],
        "client_order_id": quote.client_order_id,
    }
    if quote.filled:
        (token_in, value_in), (token_out, value_out) = quote.legs()
        body["position_in"] = {"token": token_in, "value": _text(value_in)}
        body["position_out"] = {"token": token_out, "value": _text(value_out)}
    if quote.order_type != "rfq":
        body |= {
            "order_type": quote.order_type,
            "time_in_force": quote.time_in_force,
            "limit_price": price(quote.limit_price),
            "slippage_bps": price(quote.slippage_bps),
            "gross_fee_bps": 0,
            "gross_fee_usd": 0,
            "rebate_bps": 0,
            "rebate_usd": 0,
            "fee_bps": 0,
            "fee_usd": 0,
        }
    return body


def _text(value: Decimal) -> str:
    """Plain decimal text, never an exponent."""
    return f"{value:f}"
