"""What a venue's own rules are asked for: the seam between the links and `binance.py`, `kraken.py`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Protocol

import msgspec

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import Balance, BookEvent, FillEvent, OrderEvent, QuoteEvent, Stream, TradeEvent
from adapters.ccxt.symbols import Market


class Decoded(msgspec.Struct, frozen=True):
    """One piece of a market-data message: which stream of which market it belongs to."""

    stream: Stream
    market_id: str
    raw: Any


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order to place. `client_order_id` is ours; the dialect encodes it for the venue. Prices and sizes as exact text."""

    client_order_id: str
    symbol: str
    side: str  # "buy" | "sell"
    kind: str  # "limit" | "market"
    time_in_force: str  # "IOC" | "FOK" | "GTC"
    quantity: str
    price: str | None
    post_only: bool = False


class PrivateMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a private message said. `balances_stale`: balances changed and must be fetched to be known with their locked part."""

    orders: tuple[OrderEvent, ...] = ()
    fills: tuple[FillEvent, ...] = ()
    balances: tuple[Balance, ...] = ()
    balances_stale: bool = False
    subscribed: bool = False
    refused: str = ""  # the venue refused our subscription, in its words


class MarketDialect(Protocol):
    """Market data of one venue."""

    def create(self, config: ExchangeConfig) -> Any:
        """The ccxt.pro instance, its hosts rewritten, before its first call."""

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """The account's own taker fees as fractions, where they can be known."""

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """The `watch_*` awaitable that subscribes and resolves with the first message."""

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Make ccxt and the venue forget a live subscription, so that the next `subscribe` starts afresh."""

    def split(self, message: Any) -> list[Decoded]:
        """The market-data pieces of a message; nothing for everything else."""

    def book(self, market: Market, depth: int) -> Any:
        """An empty book of this venue."""

    def book_event(self, book: Any, raw: Any) -> BookEvent | None:
        """Apply one piece to a book."""

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """The trades of one piece."""

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """The best prices of one piece."""


class AccountDialect(Protocol):
    """Orders, fills and balances of one venue."""

    confirms: ClassVar[bool]  # that the private stream is up is said by a message (`read` → `subscribed`)

    def create(self, config: ExchangeConfig) -> Any:
        """The ccxt.pro instance for execution: no throttle, the order timeout."""

    def encode_id(self, client_order_id: str) -> str:
        """Our id as the venue takes it; raises `ClientIdError`."""

    def decode_id(self, sent: str) -> str:
        """The reverse."""

    async def prepare(self, exchange: Any) -> None:
        """Clock difference and the like; called at start and from time to time."""

    async def subscribe(self, exchange: Any) -> None:
        """Subscribe the private streams; returns when that is under way or confirmed."""

    def forget(self, exchange: Any) -> None:
        """Forget what a new subscription must not reuse."""

    def carries(self, exchange: Any, client: Any) -> bool:
        """Whether the private stream goes over this ccxt client."""

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """What a private message says; None for what does not concern us."""

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """Send an order once."""

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """Cancel by our client order id."""

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """The venue's view of an order, or None when it does not know it (now)."""

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """Every execution of an order."""

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """Open orders on our symbols."""

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """Executions on our symbols since a moment."""

    async def balances(self, exchange: Any) -> list[Balance]:
        """All balances that are not zero."""
