"""What a venue's own rules are asked for: the seam between the links and the folders of `venues/`."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import msgspec

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import (
    Balance,
    BookEvent,
    FillEvent,
    FundingEvent,
    FundingPayment,
    LiquidationEvent,
    OrderEvent,
    PositionEvent,
    QuoteEvent,
    Stream,
    TradeEvent,
    VenueOrderState,
)
from adapters.ccxt.market.audit import Depth
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
    time_in_force: str  # "IOC" | "FOK" | "GTC" | "GTD"
    quantity: str
    price: str | None
    post_only: bool = False
    reduce_only: bool = False  # of perpetuals: closes, and never opens or turns a position round
    expires_ns: int = 0  # of GTD


class AmendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """New terms of an open limit order. `quantity` is the order's whole quantity, what has filled included; both as exact text."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: str
    quantity: str
    price: str


class CancelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order to cancel, by our id."""

    client_order_id: str
    symbol: str


class Amending(StrEnum):
    """What of an open order a venue changes in place."""

    NONE = "none"  # nothing: cancel and place anew
    REDUCE = "reduce"  # the quantity, and only to less
    FULL = "full"  # price and quantity


class Switch(StrEnum):
    """The kind of a venue's dead-man switch, which cancels every order of the account when it hears no more of us."""

    NONE = "none"
    TIMER = "timer"  # runs out unless it is set again
    DISCONNECT = "disconnect"  # runs from the loss of the private socket


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue's orders can have beyond limit, market, IOC, FOK and post-only. What is not offered is refused before it is sent."""

    gtd: bool = False
    reduce_only: bool = False
    amending: Amending = Amending.NONE
    socket: bool = False  # orders go over the private WebSocket as well as by REST
    cancel_batch: int = 1  # orders that one request cancels
    sweep: bool = False  # one request cancels all orders of the account (on a symbol)
    switch: Switch = Switch.NONE
    switch_s: tuple[int, int] = (0, 0)  # least and most seconds it takes


NOTHING_MORE = Offers()


class PrivateMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a private message said. `balances_stale`: balances changed and must be fetched to be known with their locked part.
    `positions_stale`: the same of positions; `funding_stale`: funding was settled, how much of which position must be fetched.
    """

    orders: tuple[OrderEvent, ...] = ()
    fills: tuple[FillEvent, ...] = ()
    balances: tuple[Balance, ...] = ()
    balances_stale: bool = False
    positions: tuple[PositionEvent, ...] = ()
    liquidations: tuple[LiquidationEvent, ...] = ()
    positions_stale: bool = False
    funding_stale: bool = False
    subscribed: bool = False
    refused: str = ""  # the venue refused our subscription, in its words
    lost: str = ""  # messages of this connection were lost: it is made anew, and live orders are asked


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

    def frame(self, text: str) -> list[Decoded] | None:
        """The pieces of a frame from its text; None for one that is to be decoded and `split`. A venue may do without this."""

    def split(self, message: Any) -> list[Decoded]:
        """The market-data pieces of a message; nothing for everything else."""

    def book(self, market: Market, depth: int) -> Any:
        """An empty book of this venue."""

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """The venue's book now by REST, past ccxt's own books, for an audit of ours."""

    def book_event(self, book: Any, raw: Any) -> BookEvent | None:
        """Apply one piece to a book."""

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """The trades of one piece."""

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """The best prices of one piece."""


class PerpetualMarketDialect(MarketDialect, Protocol):
    """Market data of a venue of perpetuals."""

    def funding(self, market: Market, raw: Any) -> FundingEvent:
        """Mark price and funding rate of one piece."""

    def liquidations(self, market: Market, raw: Any) -> list[LiquidationEvent]:
        """The liquidations of one piece."""


class AccountDialect(Protocol):
    """Orders, fills and balances of one venue."""

    confirms: ClassVar[bool]  # that the private stream is up is said by a message (`read` → `subscribed`)
    # A venue that streams how much of an order is filled, but not by which executions, says `streams_fills = False`: they are asked for.

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
        """Send an order once by REST."""

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


class Ordering(Protocol):
    """What an account dialect adds that offers more than placing and cancelling one order by REST; asked for only as `offers` says."""

    offers: ClassVar[Offers]

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """Ask for new terms by REST; whether they are in force is asked afterwards."""

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """Cancel up to `offers.cancel_batch` orders of one symbol; those that are gone already are no failure."""

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """Cancel every order of the account, also those that are not ours, on one symbol or (None) on all `symbols`."""

    async def set_switch(self, exchange: Any, seconds: int) -> None:
        """Set the dead-man switch to run out after so long from now; 0 takes it off."""

    def socket_url(self, exchange: Any) -> str:
        """Where orders go by WebSocket."""

    async def socket_login(self, exchange: Any) -> None:
        """Open and log in to that socket, where it is not the private stream's own."""

    def socket_frame(self, exchange: Any, number: str, request: OrderRequest | AmendRequest | CancelRequest) -> Any:
        """A request as the venue's socket takes it; `number` comes back with the answer."""

    def socket_answer(self, exchange: Any, message: Any) -> tuple[str, Any] | None:
        """(number, result, or the exception that REST would have raised) of a message that answers a request, None for all others."""

    def socket_placed(self, exchange: Any, request: OrderRequest, result: Any) -> tuple[OrderEvent, list[FillEvent]]:
        """What the answer to an order says."""


def offers_of(dialect: Any) -> Offers:
    """What a dialect offers; one that says nothing of it offers nothing more."""
    return getattr(dialect, "offers", NOTHING_MORE)


class PerpetualAccountDialect(AccountDialect, Protocol):
    """The account of a venue of perpetuals."""

    async def positions(self, exchange: Any, symbols: tuple[str, ...]) -> list[PositionEvent]:
        """Our position in each of our symbols, also where it is zero."""

    async def funding_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FundingPayment]:
        """Funding of our positions since a moment."""


def acknowledged(request: OrderRequest, venue_order_id: str) -> OrderEvent:
    """An order whose venue has said no more of it than its id."""
    return OrderEvent(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        venue_order_id=venue_order_id,
        state=VenueOrderState.OPEN,
        side=request.side,
        kind=request.kind,
        time_in_force=request.time_in_force,
        price=None if request.price is None else Decimal(request.price),
        quantity=Decimal(request.quantity),
    )
