"""The inventory that a pair's price is skewed by: both of its currencies count, each as a share of its own hard band.

A client who buys ETH/BTC takes ETH from the desk and leaves BTC with it. So the pair's inventory is the base's, less the
quote currency's carried over at equal shares of the bands: q = q_base − band_base · q_quote / band_quote. A currency
without a band (the one that P&L is told in) counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from desk.config.model import Band, InstrumentSection


def pair_inventory(item: InstrumentSection, bands: Mapping[str, Band], position: Callable[[str], Decimal]) -> Decimal:
    """Inventory of a pair in units of its base currency."""
    own = position(item.base)
    base, quote = bands.get(item.base), bands.get(item.quote)
    if base is None or quote is None or not quote.hard:
        return own
    return own - base.hard * position(item.quote) / quote.hard
