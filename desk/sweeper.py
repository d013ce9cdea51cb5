"""After a halt, the venues themselves are told to cancel every order of ours.

The router cancels its open orders one by one at once. `GRACE_S` later, while the halt still stands, each venue is told once more to cancel
whatever is left of ours: orders claimed from an earlier run, or whose answers were lost. Those of others on the account are left alone.
What a venue still has open then, or that it cannot be asked, is an alert, and is tried again until it is done or the desk resumes.
"""

from __future__ import annotations

from collections.abc import Callable

from nautilus_trader.common.actor import Actor

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.safe import Alarm, LoopSafe, Safe
from adapters.nautilus.sweep import SweepOrders, Swept
from risk.state import Trading, TradingState

CHECK_NS = 500_000_000
GRACE_S = 3.0
AGAIN_S = 10.0


class HaltSweeper(Safe, LoopSafe, Actor):
    """`trading()`: what the desk may do now. `alert(level, text)` tells the operator."""

    def __init__(
        self, venues: tuple[str, ...], trading: Callable[[], Trading], alert: Callable[[str, str], None]
    ) -> None:
        super().__init__()
        self._venues = venues
        self._trading = trading
        self._alert = alert
        self._due_ns: dict[str, int] = {}  # by venue: when it is to be asked (again); none: nothing to do there

    def on_start(self) -> None:
        """Watch the trading state."""
        self.bind_loop()
        self._bus = Bus(self)
        self._was = Trading()
        self.every_ns("halted", CHECK_NS, self._check)

    def on_stop(self) -> None:
        """Leave the bus."""
        self.cancel_all()
        self._bus.close()

    def _check(self, _: Alarm) -> None:
        now, trading = self.clock.timestamp_ns(), self._trading()
        halted = trading.state is TradingState.HALTED
        if halted and self._was.state is not TradingState.HALTED:
            self._due_ns = dict.fromkeys(self._venues, now + int(GRACE_S * 1e9))
        elif not halted:
            self._due_ns.clear()
        self._was = trading
        for venue in [venue for venue, due_ns in self._due_ns.items() if due_ns <= now]:
            self._due_ns[venue] = now + int(AGAIN_S * 1e9)
            if not self._bus.send(topics.sweep(venue), SweepOrders(reply=self._swept)):
                del self._due_ns[venue]  # a venue of paper, or one without an account

    def _swept(self, swept: Swept) -> None:
        if swept.fault:
            self._alert("critical", f"{swept.venue} could not be told to cancel all orders: {swept.fault}")
        elif swept.still_open:
            self._alert(
                "critical", f"{swept.venue} still has orders open after the halt: {', '.join(swept.still_open)}"
            )
        else:
            self._due_ns.pop(swept.venue, None)
