"""Inventory bands turned into hedge parents: inside the soft band the desk skews and internalises, beyond it the router works.

One parent a symbol at a time; what it leaves is looked at again when it is done. Exposure counts the parent still working, so that a
burst of trades is never hedged twice.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from desk.config.model import Band, HedgingSection, InstrumentSection
from desk.ids import IdSource
from router.messages import ParentRequest
from router.orders import ParentOrder, ParentState

_STEP = Decimal("0.00000001")
_BPS = Decimal(10_000)


class Hedger:
    """Decides when a currency needs hedging and how much.

    `position(currency)`: inventory now. `fair(symbol)`: fair value or None (then nothing is sent: no price, no order).
    `send(request)`: to the router. `later(delay_ms, symbol)`: ask again.
    """

    def __init__(
        self,
        section: HedgingSection,
        instruments: list[InstrumentSection],
        ids: IdSource,
        *,
        position: Callable[[str], Decimal],
        fair: Callable[[str], Decimal | None],
        send: Callable[[ParentRequest], None],
        later: Callable[[int, str], None],
        now_ns: Callable[[], int],
        alert: Callable[[str, str], None],
    ) -> None:
        self._section = section
        self._by_symbol = {item.symbol: item for item in instruments}
        self._ids = ids
        self._position = position
        self._fair = fair
        self._send = send
        self._later = later
        self._now_ns = now_ns
        self._alert = alert
        self._working: dict[str, ParentRequest] = {}  # symbol -> the parent at work
        self._failures: dict[str, int] = {}
        self.paused = False  # halted: nothing new is sent

    def adopt(self, parent: ParentOrder) -> None:
        """A parent found working after a restart: it is this symbol's hedge until it is done."""
        self._working[parent.symbol] = ParentRequest(
            parent_id=parent.parent_id,
            symbol=parent.symbol,
            side=parent.side,
            quantity=parent.quantity,
            limit_price=parent.limit_price,
            deadline_ns=parent.deadline_ns,
            reason=parent.reason,
        )

    def working(self, symbol: str) -> bool:
        """Whether a hedge of this symbol is under way."""
        return symbol in self._working

    def check(self, symbol: str) -> None:
        """Look at the inventory of a symbol's base currency and send a hedge when it is beyond its soft band."""
        instrument = self._by_symbol.get(symbol)
        band = self._section.bands.get(instrument.base) if instrument else None
        if instrument is None or band is None or symbol in self._working or self.paused:
            return
        quantity = hedge_quantity(self._position(instrument.base), band)
        if abs(quantity) < self._section.min_quantity.get(instrument.base, _STEP):
            return
        fair = self._fair(symbol)
        if fair is None:
            self._later(self._section.retry_ms, symbol)
            return
        side = "buy" if quantity > 0 else "sell"
        slip = fair * self._section.max_slippage_bps / _BPS
        request = ParentRequest(
            parent_id=self._ids.new("p"),
            symbol=symbol,
            side=side,
            quantity=abs(quantity),
            limit_price=(fair + slip if side == "buy" else fair - slip).quantize(
                instrument.price_tick, rounding=ROUND_HALF_EVEN
            ),
            deadline_ns=self._now_ns() + self._section.deadline_ms * 1_000_000,
            reason="hedge",
        )
        self._working[symbol] = request
        self._send(request)

    def on_parent(self, parent: ParentOrder) -> None:
        """A parent changed: when the one at work is done, look again, with patience after a failure."""
        request = self._working.get(parent.symbol)
        if request is None or request.parent_id != parent.parent_id or parent.state is not ParentState.DONE:
            return
        del self._working[parent.symbol]
        if parent.filled > 0:
            self._failures.pop(parent.symbol, None)
            self._later(0 if parent.filled >= parent.quantity else self._section.retry_ms, parent.symbol)
            return
        failures = self._failures.get(parent.symbol, 0) + 1
        self._failures[parent.symbol] = failures
        if failures in (3, 10, 30):
            self._alert("critical", f"hedge of {parent.symbol} has failed {failures} times: {parent.reason}")
        self._later(self._section.retry_ms * min(failures, 20), parent.symbol)


def hedge_quantity(position: Decimal, band: Band) -> Decimal:
    """Signed quantity to trade (positive: buy) so that a position beyond `soft` comes back to `target × soft`; 0 inside it."""
    if abs(position) <= band.soft:
        return Decimal(0)
    goal = (band.soft * band.target).copy_sign(position)
    return (goal - position).quantize(_STEP, rounding=ROUND_DOWN)
