"""What a link says about a venue: plain values, no engine types. Prices and sizes of market data are ints in the market's units.

Of perpetuals, sizes and quantities are contracts, and mark and index prices, which have more digits than a tick, are Decimals.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec
import numpy as np


class Stream(StrEnum):
    """The kinds of market-data streams of one instrument; the last two of perpetuals only."""

    BOOK = "book"
    TRADES = "trades"
    QUOTES = "quotes"
    FUNDING = "funding"
    LIQUIDATIONS = "liquidations"


SPOT_STREAMS = (Stream.BOOK, Stream.TRADES, Stream.QUOTES)
QUIET_STREAMS = frozenset({Stream.TRADES, Stream.LIQUIDATIONS})  # may say nothing for long


class StreamStatus(StrEnum):
    """Whether a stream can be relied on."""

    CONNECTING = "connecting"
    LIVE = "live"
    DOWN = "down"  # disconnected, gapped, crossed, stale: being restored


class BookEventKind(StrEnum):
    """The same words as the engine-side `BookKind`."""

    SNAPSHOT = "snapshot"
    UPDATE = "update"
    CLEAR = "clear"


class BookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Changed levels. `levels`: int64 (n, 3): side +1 bid / -1 ask, price, size, in units of the market's precisions."""

    symbol: str
    kind: BookEventKind
    levels: np.ndarray
    sequence: int
    ts_event_ns: int  # 0: the venue gave no time
    reason: str = ""


class TradeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One public trade; `side` is the aggressor's: "buy", "sell"."""

    symbol: str
    trade_id: str
    price: int
    size: int
    side: str
    ts_event_ns: int


class QuoteEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and ask as the venue's own stream says them."""

    symbol: str
    bid: int
    bid_size: int
    ask: int
    ask_size: int
    ts_event_ns: int


class FundingEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Mark and index price of a perpetual, and the rate that will be settled at `next_ns` as it stands now (0.0001 = 1 bp)."""

    symbol: str
    mark: Decimal
    index: Decimal | None
    rate: Decimal
    next_ns: int
    ts_event_ns: int


class LiquidationEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A position that the venue closed by force: somebody's (public stream), or ours (`order_id` is the venue's).

    `side` is that of the closing order: "sell" closed a long. `price` is the average of its executions.
    """

    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    ts_event_ns: int
    order_id: str = ""


class VenueOrderState(StrEnum):
    """What the venue says of an order."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def closed(self) -> bool:
        """Whether it can fill no more."""
        return self is not VenueOrderState.OPEN


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the venue sees it. `filled` is the venue's cumulative quantity, or None where the message does not say."""

    symbol: str
    client_order_id: str
    venue_order_id: str
    state: VenueOrderState
    side: str = ""
    kind: str = "limit"  # "limit" | "market"
    time_in_force: str = "GTC"
    price: Decimal | None = None
    quantity: Decimal | None = None
    filled: Decimal | None = None
    reason: str = ""
    ts_event_ns: int = 0


class FillEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of ours. `client_order_id` may be empty where the venue names its own order id only."""

    symbol: str
    trade_id: str
    venue_order_id: str
    client_order_id: str
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool
    ts_event_ns: int


class Balance(msgspec.Struct, frozen=True):
    """One currency of the account."""

    currency: str
    total: Decimal
    locked: Decimal  # by open orders; of a margin account: its initial margin
    maintenance: Decimal = Decimal(0)


class PositionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Our position in one perpetual as the venue says it; None is what a message leaves out. `quantity`: negative is short.

    `side`: "" in one-way mode, the only one supported; "long" and "short" are the halves of a position in hedge mode.
    """

    symbol: str
    quantity: Decimal
    entry: Decimal
    unrealised: Decimal | None = None
    mark: Decimal | None = None
    liquidation: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: str = "cross"  # "cross" | "isolated"
    side: str = ""
    ts_event_ns: int = 0


class FundingPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Funding of our position at one settlement; `amount` negative: we paid. `payment_id` is the venue's own."""

    symbol: str
    payment_id: str
    amount: Decimal
    currency: str
    ts_event_ns: int
