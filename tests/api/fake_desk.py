"""A deterministic desk behind the API.

`FakeDesk` keeps the promises of `desk.service.DeskService` (exactly-once, expiry, void on accept) with fixed prices, so that the API is
tested alone.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from desk.api.desk_messages import (
    AlertView,
    ArchiveView,
    BookView,
    DeskState,
    HedgeCounts,
    InventoryView,
    LedgerView,
    PnlView,
    RfqCounts,
    RiskView,
    TradingState,
)
from desk.api.events import Events
from desk.api.messages import AcceptRequest, Instrument, RfqRequest
from desk.errors import Invalid, Rejected
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, Step, TradeRecord
from desk.service import Caller, Page

PRICES = {"buy": Decimal("60012.34"), "sell": Decimal("59990.10")}
SYMBOL = "BTC/USDT"
EPOCH = "e-1"


class FakeDesk:
    """Prices are `PRICES`. `delay_s` postpones replies, `silent` swallows them, `broken` raises a bug, `unpriced` refuses."""

    def __init__(self, events: Events, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.events = events
        self.clock_ns = clock_ns
        self.delay_s: float | None = None
        self.silent = False
        self.broken = False
        self.unpriced = False
        self.price_shift = Decimal(0)
        self.mode = "active"
        self.halt_reason = ""
        self.alerts: list[AlertView] = []
        self.halts: list[tuple[str, str]] = []
        self.requests: dict[tuple[str, str], RfqRecord] = {}
        self.orders: dict[tuple[str, str], TradeRecord] = {}
        self.by_id: dict[str, RfqRecord] = {}
        self.quotes: dict[str, QuoteRecord] = {}
        self.trade_ids: dict[str, TradeRecord] = {}
        self.ladder_calls = 0
        self._ids = itertools.count(1)

    def _say(self, reply: Callable[[Any], None], answer: Any) -> None:
        if self.silent:
            return
        if self.delay_s is None:
            reply(answer)
        else:
            asyncio.get_running_loop().call_later(self.delay_s, reply, answer)

    def instruments(self) -> list[Instrument]:
        return [
            Instrument(
                symbol=symbol,
                base=symbol.split("/")[0],
                quote="USDT",
                price_tick="0.01",
                quantity_step="0.0001",
                base_precision=8,
                quote_precision=2,
                min_quantity="0.001",
                max_quantity="100",
                default_ttl_ms=2000,
                venues=["BINANCE"],
                lps=["FALCONX"],
            )
            for symbol in (SYMBOL, "ETH/USDT")
        ]

    def _quote(self, caller: Caller, rfq_id: str, side: str, quantity: Decimal, ttl_ms: int) -> QuoteRecord:
        now, price = self.clock_ns(), PRICES[side] + self.price_shift
        quote = QuoteRecord(
            quote_id=f"q{next(self._ids)}",
            rfq_id=rfq_id,
            client_id=caller.client_id,
            symbol=SYMBOL,
            side=side,
            price=price,
            quantity=quantity,
            amount=(price * quantity).quantize(Decimal("0.01")),
            fair=Decimal("60000"),
            waterfall=(Step("markup", price - 60000),),
            valid_until_ns=now + ttl_ms * 1_000_000,
            created_ns=now,
        )
        self.quotes[quote.quote_id] = quote
        return quote

    def request_quote(self, caller: Caller, request: RfqRequest, reply: Callable[[Any], None]) -> None:
        if self.broken:
            raise RuntimeError("a bug with a secret in it")
        known = self.requests.get((caller.client_id, request.client_rfq_id))
        if known is not None:
            self._say(reply, known)
            return
        quantity = Decimal(request.quantity)
        if request.instrument not in (SYMBOL, "ETH/USDT"):
            self._say(reply, Invalid("unknown_instrument", f"{request.instrument} is not traded here"))
            return
        if quantity <= 0:
            self._say(reply, Invalid("bad_quantity", "quantity must be above zero"))
            return
        if quantity > 100:
            limits = {"limit": "max_quantity", "value": request.quantity, "max": Decimal(100)}
            self._say(reply, Rejected("limit_exceeded", "over the maximum", status=422, details=limits))
            return
        now, rfq_id, ttl_ms = self.clock_ns(), f"r{next(self._ids)}", request.ttl_ms or 2000
        sides = ("buy", "sell") if request.side == "two_way" else (request.side,)
        record = RfqRecord(
            rfq_id=rfq_id,
            client_id=caller.client_id,
            client_rfq_id=request.client_rfq_id,
            symbol=request.instrument,
            side=request.side,
            quantity=quantity,
            currency=request.currency or "BTC",
            ttl_ms=ttl_ms,
            state=RfqState.QUOTED,
            created_ns=now,
            updated_ns=now,
            quotes=tuple(self._quote(caller, rfq_id, side, quantity, ttl_ms) for side in sides),
        )
        self.requests[caller.client_id, request.client_rfq_id] = record
        self.by_id[rfq_id] = record
        self.events.rfq(record)
        self._say(reply, record)

    def accept(self, caller: Caller, quote_id: str, request: AcceptRequest, reply: Callable[[Any], None]) -> None:
        known = self.orders.get((caller.client_id, request.client_order_id))
        if known is not None:
            self._say(reply, known)
            return
        quote = self.quotes.get(quote_id)
        if quote is None or quote.client_id != caller.client_id:
            self._say(reply, Invalid("unknown_quote", "no such quote", status=404))
            return
        if self.clock_ns() > quote.valid_until_ns:
            self._say(reply, Rejected("quote_expired", "the quote is no longer valid"))
            return
        record = self.by_id.get(quote.rfq_id)
        if record is not None and record.state is not RfqState.QUOTED:
            self._say(reply, Rejected("quote_already_accepted", "traded"))
            return
        quantity = Decimal(request.quantity) if request.quantity else quote.quantity
        trade = TradeRecord(
            trade_id=f"t{next(self._ids)}",
            quote_id=quote_id,
            rfq_id=quote.rfq_id,
            client_id=caller.client_id,
            client_order_id=request.client_order_id,
            symbol=quote.symbol,
            side=quote.side,
            price=quote.price,
            quantity=quantity,
            amount=(quote.price * quantity).quantize(Decimal("0.01")),
            fair=quote.fair,
            skew=Decimal(0),
            traded_ns=self.clock_ns(),
            settle_due_ns=self.clock_ns() + 86_400_000_000_000,
        )
        self.orders[caller.client_id, request.client_order_id] = trade
        self.trade_ids[trade.trade_id] = trade
        if record is not None:
            record.state, record.trade_id = RfqState.FILLED, trade.trade_id
            self.events.rfq(record)
        self.events.trade(trade)
        self._say(reply, trade)

    def cancel_rfq(self, caller: Caller, rfq_id: str, reply: Callable[[Any], None]) -> None:
        record = self.rfq(caller, rfq_id)
        if record.state is not RfqState.QUOTED:
            self._say(reply, Rejected("rfq_not_open", f"the RFQ is {record.state}"))
            return
        record.state = RfqState.CANCELLED
        self.events.rfq(record)
        self._say(reply, record)

    def rfq(self, caller: Caller, rfq_id: str) -> RfqRecord:
        record = self.by_id.get(rfq_id)
        if record is None or (record.client_id != caller.client_id and not caller.operator):
            raise Invalid("unknown_rfq", "no such RFQ", status=404)
        return record

    def rfqs(
        self,
        caller: Caller,
        *,
        client_rfq_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[RfqRecord]:
        found = [
            record
            for record in reversed(self.by_id.values())
            if (caller.operator or record.client_id == caller.client_id)
            and client_rfq_id in (None, record.client_rfq_id)
            and state in (None, record.state.value)
        ]
        start = int(cursor or 0)
        more = start + limit < len(found)
        return Page(found[start : start + limit], str(start + limit) if more else None)

    def trade(self, caller: Caller, trade_id: str) -> TradeRecord:
        trade = self.trade_ids.get(trade_id)
        if trade is None or (trade.client_id != caller.client_id and not caller.operator):
            raise Invalid("unknown_trade", "no such trade", status=404)
        return trade

    def trades(
        self, caller: Caller, *, client_order_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[TradeRecord]:
        found = [
            trade
            for trade in reversed(self.trade_ids.values())
            if (caller.operator or trade.client_id == caller.client_id)
            and client_order_id in (None, trade.client_order_id)
        ]
        return Page(found[:limit], None)

    def stream_ladder(self, caller: Caller, symbol: str, quantities: Sequence[Decimal]) -> list[QuoteRecord]:
        self.ladder_calls += 1
        if symbol != SYMBOL:
            raise Invalid("unknown_instrument", f"{symbol} is not traded here")
        if self.unpriced:
            raise Rejected("no_price", "no live book")
        return [self._quote(caller, "", side, size, 1500) for size in quantities for side in ("buy", "sell")]

    def state(self) -> DeskState:
        return DeskState(
            epoch=EPOCH,
            mode="paper",
            ts_ns=self.clock_ns(),
            trading=self.mode,  # type: ignore[arg-type]
            halt_reason=self.halt_reason,
            books=[
                BookView(
                    venue="BINANCE",
                    instrument=SYMBOL,
                    status="live",
                    reason="",
                    age_ms=1,
                    updates=1,
                    resyncs=1,
                    bid="60000",
                    ask="60001",
                )
            ],
            lps=[],
            rfqs=RfqCounts(received=len(self.by_id)),
            trades=len(self.trade_ids),
            hedges=HedgeCounts(),
            ledger=LedgerView(imbalance={"BTC": "0", "USDT": "0"}),
            inventory={"BTC": InventoryView(position="0", soft_band="1", band="5")},
            pnl=PnlView(currency="USDT"),
            archive=ArchiveView(),
            latency_ns={},
            risk=RiskView(),
            faults=0,
            alerts=self.alerts,
            ladders=[],
            blotter=[],
            parents=[],
        )

    def trading(self) -> TradingState:
        return TradingState(trading=self.mode, halt_reason=self.halt_reason)  # type: ignore[arg-type]

    def halt(self, caller: Caller, reason: str, reply: Callable[[Any], None]) -> None:
        self.halts.append((caller.client_id, reason))
        self.mode, self.halt_reason = "halted", reason
        self._say(reply, self.trading())

    def resume(self, caller: Caller, reason: str, reply: Callable[[Any], None]) -> None:
        self.mode, self.halt_reason = "active", ""
        self._say(reply, self.trading())
