"""Which watch channel works how at which venue (CONTRACT 4): the one table behind `/v1/capabilities` and every
subscription.

native    the venue's own stream          derived   computed from other streams of it
polled    asked for again and again       unsupported   refused with that word, never silently
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from desk.api.messages import Capabilities

if TYPE_CHECKING:
    from desk.api.context import Api

Mode = Literal["native", "derived", "polled", "unsupported"]

MARKET_CHANNELS = (
    "watch_ticker",
    "watch_tickers",
    "watch_order_book",
    "watch_bids_asks",
    "watch_trades",
    "watch_ohlcv",
    "watch_liquidations",
    "watch_funding_rate",
    "watch_funding_rates",
    "watch_trades_for_symbols",
    "watch_order_book_for_symbols",
    "watch_ohlcv_for_symbols",
    "watch_funding_rates_for_symbols",
    "watch_liquidations_for_symbols",
)
ACCOUNT_CHANNELS = (
    "watch_orders",
    "watch_my_trades",
    "watch_balance",
    "watch_position",
    "watch_positions",
    "watch_funding_rate_for_my_position",
    "watch_my_liquidations",
    "watch_orders_for_symbols",
    "watch_my_trades_for_symbols",
    "watch_position_for_symbols",
    "watch_my_liquidations_for_symbols",
)
WATCH_CHANNELS = MARKET_CHANNELS + ACCOUNT_CHANNELS
_OF_PERPETUALS = frozenset(
    {
        "watch_liquidations",
        "watch_funding_rate",
        "watch_funding_rates",
        "watch_funding_rates_for_symbols",
        "watch_liquidations_for_symbols",
    }
)
_OF_POSITIONS = frozenset(
    {
        "watch_position",
        "watch_positions",
        "watch_position_for_symbols",
        "watch_my_liquidations",
        "watch_my_liquidations_for_symbols",
    }
)


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
    account = ("watch_orders", "watch_my_trades", "watch_orders_for_symbols", "watch_my_trades_for_symbols")
    if channel in account:
        return "unsupported" if api.accounts is None else "native" if symbols_of(api, venue) else "derived"
    if not symbols_of(api, venue):
        return "unsupported"
    match channel:
        case "watch_balance" if api.accounts is not None:
            return "native"
        case "watch_order_book" | "watch_trades" | "watch_order_book_for_symbols" | "watch_trades_for_symbols":
            return "native"
        case "watch_bids_asks":
            return "native" if any(of == venue for _, of in api.market.last_quote) else "derived"
        case "watch_ticker" | "watch_tickers" | "watch_ohlcv" | "watch_ohlcv_for_symbols":
            return "derived"
        case _ if channel in _OF_PERPETUALS:
            return "native" if perpetuals_of(api, venue) else "unsupported"
        case _ if channel in _OF_POSITIONS and api.accounts is not None and venue in api.accounts.margin:
            return "native"
        case "watch_funding_rate_for_my_position" if api.accounts is not None and venue in api.accounts.margin:
            return "derived"
        case _:
            return "unsupported"


def capabilities_of(api: Api) -> Capabilities:
    """The whole matrix."""
    venues = exchanges_of(api) + [lp for lp in lps_of(api) if not symbols_of(api, lp)]
    return Capabilities(
        venues={venue: {channel: mode_of(api, channel, venue) for channel in WATCH_CHANNELS} for venue in venues}
    )
