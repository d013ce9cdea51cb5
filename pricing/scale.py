"""`Scale`: exact conversion between decimals and the integers that kernels work on.

A price is `ticks` × 10^-price_decimals, a size is `lots` × 10^-size_decimals. Nothing is ever rounded silently: a
decimal that does not fall on the grid raises `ScaleFault`.

Why int64 cannot overflow: a price is below 2^41 ticks and a size below 2^60 lots (checked on entry). Ordering keys are
ticks × (10^6 ± fee in ppm) with |fee| < 10^5 ppm, so below 2^41 × 1.1·10^6 < 2^62. A sweep of `q` lots adds Σ ticks ×
lots ≤ q × (worst price), and `fits` refuses it before the kernel is called when that reaches 2^62.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal, Inexact

import msgspec

MAX_TICKS = 1 << 41  # a price in ticks; times 10^6 + 10^5 (fee in ppm) stays below 2^62
MAX_LOTS = 1 << 60  # a size in lots
MAX_NOTIONAL = 1 << 62  # Σ ticks × lots of one sweep

EXACT = Context(prec=100, traps=[Inexact])  # a product or sum that would lose a digit raises


class ScaleFault(ValueError):
    """A decimal is off the grid, or too large for it."""


class Scale(msgspec.Struct, frozen=True):
    """The integer grid of one instrument. `price_decimals` in quote currency per base, `size_decimals` in base."""

    symbol: str
    price_decimals: int
    size_decimals: int

    def ticks(self, price: Decimal) -> int:
        """Price → ticks; raises `ScaleFault` unless exact."""
        return _exact(price, self.price_decimals, MAX_TICKS, "price", self.symbol)

    def lots(self, size: Decimal) -> int:
        """Size → lots; raises `ScaleFault` unless exact."""
        return _exact(size, self.size_decimals, MAX_LOTS, "size", self.symbol)

    def lots_up(self, size: Decimal) -> int:
        """Size → lots, rounded up."""
        return _bounded(int(size.scaleb(self.size_decimals).to_integral_value(ROUND_CEILING)), MAX_LOTS, "size")

    def price(self, ticks: int) -> Decimal:
        """Ticks → price, with all its decimals."""
        return Decimal(int(ticks)).scaleb(-self.price_decimals)

    def size(self, lots: int) -> Decimal:
        """Lots → size, with all its decimals."""
        return Decimal(int(lots)).scaleb(-self.size_decimals)

    def amount(self, notional: int) -> Decimal:
        """Ticks × lots → quote currency, exactly."""
        return EXACT.scaleb(Decimal(int(notional)), Decimal(-(self.price_decimals + self.size_decimals)))

    def fits(self, lots: int, worst_ticks: int) -> bool:
        """Whether a sweep of `lots` up to `worst_ticks` can be summed in int64."""
        return 0 <= lots < MAX_LOTS and lots * worst_ticks < MAX_NOTIONAL


def _exact(value: Decimal, decimals: int, bound: int, what: str, symbol: str) -> int:
    if not value.is_finite():
        raise ScaleFault(f"{symbol}: {what} {value} is not a number")
    scaled = EXACT.scaleb(value, Decimal(decimals))
    whole = int(scaled)
    if scaled != whole:
        raise ScaleFault(f"{symbol}: {what} {value} has more than {decimals} decimals")
    return _bounded(whole, bound, what)


def _bounded(value: int, bound: int, what: str) -> int:
    if not -bound < value < bound:
        raise ScaleFault(f"{what} {value} (in units) is beyond {bound}")
    return value
