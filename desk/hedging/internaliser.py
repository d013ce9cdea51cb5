"""Internalisation first: an order worked for a client or another book meets the desk's own opposing inventory before any venue.

    crossed at    the fair value, on the client's tick: neither side pays a spread
    crossed up to what brings the desk's inventory to zero, less what a hedge already at work is going to take
    crossed when  the fair value is inside the order's limit, and the value is worth a record

The inventory is what client flow left with the desk; crossing it only ever brings it towards zero, so no band is left.
The router books a cross as a fill at venue INTERNAL (`router.orders`), durable with the order in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from desk.config.model import InstrumentSection
from router.messages import Cross

ZERO = Decimal(0)


class Internaliser:
    """Implements `router.messages.Crossing` from the desk's books.

    `position(currency)`: inventory; `fair(symbol)`: fair value or None; `hedging(symbol)`: signed quantity that a working
    hedge is still going to trade (positive: buy).
    """

    def __init__(
        self,
        instruments: Mapping[str, InstrumentSection],
        *,
        position: Callable[[str], Decimal],
        fair: Callable[[str], Decimal | None],
        hedging: Callable[[str], Decimal],
    ) -> None:
        self._instruments = instruments
        self._position = position
        self._fair = fair
        self._hedging = hedging

    def offer(self, symbol: str, side: str, quantity: Decimal, limit_price: Decimal | None) -> Cross | None:
        """What of `quantity` the desk takes the other side of now, and at which price."""
        instrument, fair = self._instruments.get(symbol), self._fair(symbol)
        if instrument is None or fair is None:
            return None
        price = (fair / instrument.price_tick).to_integral_value(ROUND_HALF_EVEN) * instrument.price_tick
        sign = 1 if side == "buy" else -1
        if price <= 0 or (limit_price is not None and sign * price > sign * limit_price):
            return None
        spare = sign * (self._position(instrument.base) + self._hedging(symbol))
        most = min(quantity, spare, instrument.max_quantity)
        crossed = (most / instrument.quantity_step).to_integral_value(ROUND_FLOOR) * instrument.quantity_step
        if crossed < instrument.min_quantity:
            return None
        return Cross(quantity=crossed, price=price)
