"""What a frame of a watch channel is about: the symbols in it, whatever ccxt structure it carries."""

from __future__ import annotations

from typing import Any

from tests.e2e.contract_shapes import ACCOUNT_CHANNELS, MARKET_CHANNELS

WATCH_CHANNELS = MARKET_CHANNELS + ACCOUNT_CHANNELS
BY_SYMBOL = ("watch_tickers", "watch_ohlcv_for_symbols", "watch_funding_rates", "watch_funding_rates_for_symbols")
NAMELESS = ("watch_ohlcv", "watch_balance")  # rows of numbers; currencies


def symbols_in(channel: str, data: Any) -> set[str]:
    """The symbols a frame's data are of."""
    if channel in NAMELESS:
        return set()
    if channel in BY_SYMBOL:
        return set(data)
    rows = data if isinstance(data, list) else [data]
    return {row["symbol"] for row in rows}
