"""What the market traded: running sums by symbol, so that any interval's volume and money are two subtractions.

Exact integers: the engine's own fixed-point numbers, never rounded. Public trades of every venue that is watched, our
own prints there among them (no venue says which are ours).
"""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.model.objects import FIXED_PRECISION

from risk.exact import EXACT

Mark = tuple[int, int]  # Σ price·size, Σ size, as raw integers


class Traded:
    """The sums of one symbol. `add` is called for every public trade of it."""

    __slots__ = ("money", "size")

    def __init__(self) -> None:
        self.money = self.size = 0

    def add(self, price: int, size: int) -> None:
        """Count a trade, in the engine's raw integers."""
        self.money += price * size
        self.size += size


class TradedVolume:
    """`of(symbol)` counts trades, `mark(symbol)` at the ends of an interval, `between` for what lies in it."""

    def __init__(self) -> None:
        self._sums: dict[str, Traded] = {}

    def of(self, symbol: str) -> Traded:
        """The sums of a symbol: one object for as long as the desk runs."""
        return self._sums.setdefault(symbol, Traded())

    def mark(self, symbol: str) -> Mark:
        """Where the sums stand."""
        traded = self.of(symbol)
        return traded.money, traded.size

    def between(self, start: Mark, end: Mark) -> tuple[Decimal, Decimal]:
        """(quantity, notional) traded between two marks of one symbol."""
        quantity = EXACT.scaleb(Decimal(end[1] - start[1]), -FIXED_PRECISION)
        notional = EXACT.scaleb(Decimal(end[0] - start[0]), -2 * FIXED_PRECISION)
        return quantity.normalize(EXACT), notional.normalize(EXACT)
