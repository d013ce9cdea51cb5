"""Pairs that the simulated desk offers although no simulated venue lists them: ETH/BTC from ETH/USDT and BTC/USDT."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

TERMS = "BTC"  # what crosses are priced in
TICK_DIGITS = 4  # digits of the price before its tick: about a fifth of a basis point to two


class Cross(msgspec.Struct, frozen=True):
    """A pair without a book of its own: its legs, roughly where it trades, and a tick to quote it in."""

    symbol: str
    legs: tuple[str, str]
    price: Decimal
    price_tick: Decimal


def crosses(prices: Mapping[str, Decimal]) -> list[Cross]:
    """Every other coin against BTC, where both trade against the same currency. `prices`: where each symbol trades."""
    found = []
    for symbol, price in prices.items():
        base, _, quote = symbol.partition("/")
        other = prices.get(f"{TERMS}/{quote}")
        if base != TERMS and quote != TERMS and other and f"{base}/{TERMS}" not in prices:
            ratio = price / other
            tick = Decimal(1).scaleb(ratio.adjusted() - TICK_DIGITS)
            found.append(Cross(f"{base}/{TERMS}", (symbol, f"{TERMS}/{quote}"), +ratio.quantize(tick), tick))
    return found
