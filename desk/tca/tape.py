"""What the market traded: running sums by symbol, so that any interval's volume and money are two subtractions.

Exact integers: the engine's own fixed-point numbers, never rounded. Public trades of every venue that is watched, our
own prints there among them (no venue says which are ours).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model.objects import FIXED_PRECISION

from risk.exact import EXACT

Mark = tuple[int, int]  # Σ price·size, Σ size, as raw integers
_START: Mark = (0, 0)


class TradedVolume:
    """`trade(tick)` for every public trade, `mark(symbol)` at the ends of an interval, `between` for what lies in it."""

    def __init__(self) -> None:
        self._sums: dict[str, Mark] = {}
        self._symbols: dict[Any, str] = {}

    def trade(self, tick: Any) -> None:
        """Count a `TradeTick`."""
        symbol = self._symbols.get(tick.instrument_id)
        if symbol is None:
            symbol = self._symbols[tick.instrument_id] = tick.instrument_id.symbol.value
        money, size = self._sums.get(symbol, _START)
        raw = tick.size.raw
        self._sums[symbol] = (money + tick.price.raw * raw, size + raw)

    def mark(self, symbol: str) -> Mark:
        """Where the sums stand."""
        return self._sums.get(symbol, _START)

    def between(self, start: Mark, end: Mark) -> tuple[Decimal, Decimal]:
        """(quantity, notional) traded between two marks of one symbol."""
        quantity = EXACT.scaleb(Decimal(end[1] - start[1]), -FIXED_PRECISION)
        notional = EXACT.scaleb(Decimal(end[0] - start[0]), -2 * FIXED_PRECISION)
        return quantity.normalize(EXACT), notional.normalize(EXACT)
