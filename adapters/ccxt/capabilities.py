"""How each stream comes from each exchange: one line an exchange, of what we read, not of what ccxt says it has.

`native` is the venue's own stream, `method` the ccxt.pro method whose stream it is; `derived` is made of other streams of it; `polled` is
asked for by REST, again and again or after each event that may have changed it. What is not in a line cannot be had. A test holds every
native entry to four witnesses: this table and the dialect's own declaration, ccxt's has-flag, a method of ccxt's class for the venue that
overrides the base's, and a card that has run it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

Mode = Literal["native", "derived", "polled", "unsupported"]


class Feed(StrEnum):
    """What there is to watch, of one symbol or several."""

    BOOK = "book"
    TRADES = "trades"
    TOP = "top"  # best bid and ask
    TICKER = "ticker"
    CANDLES = "candles"
    FUNDING = "funding"
    LIQUIDATIONS = "liquidations"
    ORDERS = "orders"  # from here on our own
    FILLS = "fills"
    BALANCE = "balance"
    POSITIONS = "positions"
    OWN_FUNDING = "own funding"
    OWN_LIQUIDATIONS = "own liquidations"


OF_ACCOUNT = frozenset(list(Feed)[list(Feed).index(Feed.ORDERS) :])


class Source(NamedTuple):
    """Where a feed comes from."""

    mode: Mode
    method: str = ""


DERIVED, POLLED, UNSUPPORTED = Source("derived"), Source("polled"), Source("unsupported")
Line = dict[Feed, Source]


def _native(method: str) -> Source:
    return Source("native", method)


_OF_ALL: Line = {
    Feed.BOOK: _native("watch_order_book"),
    Feed.TRADES: _native("watch_trades"),
    Feed.TOP: DERIVED,
    Feed.TICKER: DERIVED,
    Feed.CANDLES: DERIVED,
}
_SPOT: Line = _OF_ALL | {
    Feed.TOP: _native("watch_bids_asks"),
    Feed.ORDERS: _native("watch_orders"),
    Feed.FILLS: _native("watch_my_trades"),
    Feed.BALANCE: _native("watch_balance"),
}
_PERPETUAL: Line = _SPOT | {
    Feed.FUNDING: _native("watch_mark_price"),  # the rate comes with it; ccxt has no stream of the rate alone
    Feed.LIQUIDATIONS: _native("watch_liquidations"),
    Feed.POSITIONS: _native("watch_positions"),
    Feed.OWN_FUNDING: DERIVED,
    Feed.OWN_LIQUIDATIONS: _native("watch_my_liquidations"),
}

SOURCES: dict[str, Line] = {
    "binance": _SPOT,
    "binanceusdm": _PERPETUAL | {Feed.BALANCE: POLLED},  # with its margins
    "bybit": _SPOT,
    "coinbase": _SPOT | {Feed.TOP: DERIVED, Feed.FILLS: POLLED, Feed.BALANCE: POLLED},
    "kraken": _SPOT | {Feed.BALANCE: POLLED},  # with what orders hold of them
    "krakenfutures": _PERPETUAL
    | {
        Feed.TOP: DERIVED,  # the venue's own come once a second
        Feed.FUNDING: _native("watch_ticker"),
        Feed.LIQUIDATIONS: DERIVED,  # of the trades
        Feed.BALANCE: POLLED,  # with their margins
        Feed.OWN_LIQUIDATIONS: DERIVED,  # of our executions
    },
    "okx": _SPOT,
}


def source(exchange: str, feed: Feed) -> Source:
    """Where a feed of an exchange (its ccxt id) comes from. One without a line of its own is read for its books and trades only."""
    return SOURCES.get(exchange, _OF_ALL).get(feed, UNSUPPORTED)
