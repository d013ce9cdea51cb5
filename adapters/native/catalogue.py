"""The exchanges that can be followed through the engine's own adapters. Spot."""

from __future__ import annotations

DEPTHS = {"binance": 1000, "bybit": 200, "kraken": 500, "okx": 400}  # levels a side that are subscribed
EXCHANGES = tuple(DEPTHS)

# Bybit's best prices are a book of one level. The adapter tells that one as changes of the deep book, and changes of the deep book as best
# prices (with sizes of zero): neither is asked for nor believed, they are read from the book.
DERIVES_TOP = ("bybit",)


def unknown(exchange: str) -> str:
    """Why an exchange cannot be had this way, in words."""
    return f'the engine has no adapter for {exchange!r} that we use: there are {", ".join(EXCHANGES)}; kind = "ccxt" has the others'
