"""The door between the API and the desk: what a server may ask, whatever wire it speaks.

Answers come through `reply`, called once on the loop thread with the result or an `ApiFault`: the same calls serve asyncio handlers
(live) and scripted clients on a backtest clock, where there is no loop to await on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from desk.api.desk_messages import DeskState, TradingState
from desk.api.messages import AcceptRequest, AmendRequest, Instrument, OrderRequest, RfqRequest
from desk.errors import ApiFault
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, TradeRecord
from router.messages import CommandKind


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking: an authenticated client or operator."""

    client_id: str
    key_id: str
    scopes: frozenset[str]  # "quote", "trade", "read", "operate"
    tier: str = "standard"
    instruments: frozenset[str] | None = None  # None: all

    @property
    def operator(self) -> bool:
        """Whether the caller may see and do everything."""
        return "operate" in self.scopes


class Page[T](msgspec.Struct, frozen=True):
    """One page of a list; `next_cursor` is None on the last."""

    items: Sequence[T]
    next_cursor: str | None = None


class DeskService(Protocol):
    """What `desk.rfq.actor.Desk` offers. Lookups return at once and raise `Invalid(404)`; a client sees only its own."""

    def instruments(self) -> list[Instrument]: ...

    def request_quote(
        self, caller: Caller, request: RfqRequest, reply: Callable[[RfqRecord | ApiFault], None]
    ) -> None: ...

    def accept(
        self, caller: Caller, quote_id: str, request: AcceptRequest, reply: Callable[[TradeRecord | ApiFault], None]
    ) -> None: ...

    def cancel_rfq(self, caller: Caller, rfq_id: str, reply: Callable[[RfqRecord | ApiFault], None]) -> None: ...

    def rfq(self, caller: Caller, rfq_id: str) -> RfqRecord: ...

    def rfqs(
        self,
        caller: Caller,
        *,
        client_rfq_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[RfqRecord]: ...

    def trade(self, caller: Caller, trade_id: str) -> TradeRecord: ...

    def trades(
        self, caller: Caller, *, client_order_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[TradeRecord]: ...

    def stream_ladder(self, caller: Caller, symbol: str, quantities: Sequence[Decimal]) -> list[QuoteRecord]:
        """Executable two-way quotes for channel `rfs`, one pair a size; raises `ApiFault` while nothing can be priced."""

    def state(self) -> DeskState: ...

    def trading(self) -> TradingState:
        """What the desk may do now; cheap, unlike `state`."""

    def halt(self, caller: Caller, reason: str, reply: Callable[[TradingState | ApiFault], None]) -> None:
        """Stop quoting and sending, at once. Cancels and reconciliation go on. Survives a restart once it is answered."""

    def resume(self, caller: Caller, reason: str, reply: Callable[[TradingState | ApiFault], None]) -> None:
        """Trade again, once that is durable."""


class OrderService(Protocol):
    """What `desk.orders.actor.OrderDesk` offers. Lookups return at once and raise `Invalid(404)`; a client sees only its own."""

    def place(self, caller: Caller, request: OrderRequest, reply: Callable[[OrderRecord | ApiFault], None]) -> None: ...

    def command(
        self, caller: Caller, order_id: str, kind: CommandKind, reply: Callable[[OrderRecord | ApiFault], None]
    ) -> None:
        """Cancel, pause or resume."""

    def amend(
        self, caller: Caller, order_id: str, request: AmendRequest, reply: Callable[[OrderRecord | ApiFault], None]
    ) -> None: ...

    def order(self, caller: Caller, order_id: str) -> OrderRecord: ...

    def orders(
        self,
        caller: Caller,
        *,
        client_order_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[OrderRecord]: ...
