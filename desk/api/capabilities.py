"""Which watch channel works how at which venue (CONTRACT 4): the one place behind `/v1/capabilities` and every subscription.

native    the venue's own stream          derived   computed from other streams of it
polled    asked for again and again       unsupported   refused with that word, never silently

How a venue's feeds come is `adapters.ccxt.capabilities`' to say; this desk may have less of them: no perpetual listed, no account, or an
account that is imagined (paper trading), of which everything is derived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.ccxt.capabilities import OF_ACCOUNT, Feed, Mode, source
from desk.api.messages import Capabilities

if TYPE_CHECKING:
    from desk.api.context import Api

MARKET_FEEDS = {
    "watch_ticker": Feed.TICKER,
    "watch_tickers": Feed.TICKER,
    "watch_order_book": Feed.BOOK,
    "watch_bids_asks": Feed.TOP,
    "watch_trades": Feed.TRADES,
    "watch_ohlcv": Feed.CANDLES,
    "watch_liquidations": Feed.LIQUIDATIONS,
    "watch_funding_rate": Feed.FUNDING,
    "watch_funding_rates": Feed.FUNDING,
    "watch_trades_for_symbols": Feed.TRADES,
    "watch_order_book_for_symbols": Feed.BOOK,
    "watch_ohlcv_for_symbols": Feed.CANDLES,
    "watch_funding_rates_for_symbols": Feed.FUNDING,
    "watch_liquidations_for_symbols": Feed.LIQUIDATIONS,
}
ACCOUNT_FEEDS = {
    "watch_orders": Feed.ORDERS,
    "watch_my_trades": Feed.FILLS,
    "watch_balance": Feed.BALANCE,
    "watch_position": Feed.POSITIONS,
    "watch_positions": Feed.POSITIONS,
    "watch_funding_rate_for_my_position": Feed.OWN_FUNDING,
    "watch_my_liquidations": Feed.OWN_LIQUIDATIONS,
    "watch_orders_for_symbols": Feed.ORDERS,
    "watch_my_trades_for_symbols": Feed.FILLS,
    "watch_position_for_symbols": Feed.POSITIONS,
    "watch_my_liquidations_for_symbols": Feed.OWN_LIQUIDATIONS,
}
MARKET_CHANNELS, ACCOUNT_CHANNELS = tuple(MARKET_FEEDS), tuple(ACCOUNT_FEEDS)
WATCH_CHANNELS = MARKET_FEEDS | ACCOUNT_FEEDS
_OF_CONTRACTS = (Feed.FUNDING, Feed.LIQUIDATIONS)
_OF_POSITIONS = (Feed.POSITIONS, Feed.OWN_FUNDING, Feed.OWN_LIQUIDATIONS)


def symbols_of(api: Api, venue: str) -> list[str]:
    """Instruments that `venue` has a book of."""
    return [symbol for symbol in api.market.books if venue in api.market.venues(symbol)]


def perpetuals_of(api: Api, venue: str) -> list[str]:
    """Perpetuals that `venue` has a book of."""
    return [symbol for symbol in symbols_of(api, venue) if ":" in symbol]


def exchanges_of(api: Api) -> list[str]:
    """Every venue with a book."""
    return sorted({venue for symbol in api.market.books for venue in api.market.venues(symbol)})


def lps_of(api: Api) -> list[str]:
    """Every liquidity provider."""
    return sorted({lp for instrument in api.service.instruments() for lp in instrument.lps})


def mode_of(api: Api, channel: str, venue: str) -> Mode:
    """How `channel` works at `venue`, an exchange or an LP."""
    feed = WATCH_CHANNELS[channel]
    if feed in OF_ACCOUNT and api.accounts is None:
        return "unsupported"
    if not symbols_of(api, venue):  # an LP: orders on its quotes, and their executions, as the router sees them
        return "derived" if feed in (Feed.ORDERS, Feed.FILLS) else "unsupported"
    mode = source(api.venues.exchanges.get(venue, venue.lower()), feed).mode
    match feed:
        case _ if feed in _OF_CONTRACTS and not perpetuals_of(api, venue):
            return "unsupported"
        case _ if feed in _OF_POSITIONS and (api.accounts is None or venue not in api.accounts.margin):
            return "unsupported"
        case _ if feed in OF_ACCOUNT and api.venues.paper:  # also of an exchange whose own account cannot be followed
            return "derived"
        case Feed.TOP if venue in api.venues.derived_tops:
            return "derived"
    return mode


def capabilities_of(api: Api) -> Capabilities:
    """The whole matrix, and what of the venues' rate limits is used."""
    venues = exchanges_of(api) + [lp for lp in lps_of(api) if not symbols_of(api, lp)]
    return Capabilities(
        venues={venue: {channel: mode_of(api, channel, venue) for channel in WATCH_CHANNELS} for venue in venues},
        rate_limits=api.venues.rate_limits(),
    )
