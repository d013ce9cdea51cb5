"""Inventory bands turned into hedge parents: inside the soft band the desk skews and internalises, beyond it the router works.

Inventory is per currency, never per pair: a currency is worked in its home instrument (against the report currency, if there
is one), whatever was traded with the client. A trade in ETH/BTC that takes both currencies out of their bands is hedged by two
legs that carry one `route_id`. Where there is another way to the same exposure, `routes` chooses (`router.routes.choice`): a second leg
is sent when the first has filled, for exactly what the first one moved.

One hedge a currency at a time; what it leaves is looked at again when it is done. Exposure counts what parents at work are still
going to trade, in both of their currencies, so that a burst of trades or a leg under way is never hedged twice. A parent that is only
waited for (past its deadline, with an order whose outcome nobody can tell yet) stands in nobody's way: what its orders may still fill
counts as traded, and the rest is hedged without it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

import msgspec

from desk.config.model import Band, HedgingSection, InstrumentSection
from desk.ids import IdSource
from pricing.triangle import Form, form_of
from router.messages import ParentRequest
from router.orders import ChildOrder, ParentOrder, ParentState
from router.routes.choice import RouteChoice, second_side

_STEP = Decimal("0.00000001")
_BPS = Decimal(10_000)
_ZERO = Decimal(0)

Routes = Callable[
    [str, str, Decimal], RouteChoice | None
]  # (home symbol, side, quantity) → the choice, None: no choice


class _Next(msgspec.Struct, frozen=True, kw_only=True):
    """The second leg, to be sent for what the first one moved."""

    symbol: str
    side: str
    form: Form


class _Work(msgspec.Struct, kw_only=True):
    """A currency's hedge: the parent at work, and the leg after it."""

    request: ParentRequest
    filled: Decimal = _ZERO
    notional: Decimal = _ZERO  # of what is filled
    open: dict[str, Decimal] = msgspec.field(default_factory=dict)  # child id -> what it may still fill
    waiting: bool = False  # nothing new is sent for it
    following: _Next | None = None


class Hedger:
    """Decides when a currency needs hedging and how much.

    `position(currency)`: inventory now. `fair(symbol)`: fair value or None (then nothing is sent: no price, no order).
    `send(request)`: to the router. `later(delay_ms, symbol)`: ask again. `routes`: the choice of a route, where there is one.
    `zone(home symbol)`: the part of the hard band inside which waiting for clients is best; None: the configured soft bands.
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
        routes: Routes = lambda symbol, side, quantity: None,
        currency: str = "USDT",
        zone: Callable[[str], float] | None = None,
        lots: Callable[[str], list[Decimal]] = lambda symbol: [],
    ) -> None:
        self._section = section
        self._by_symbol = {item.symbol: item for item in instruments}
        self._home = homes(instruments, currency)
        self._ids = ids
        self._position = position
        self._fair = fair
        self._send = send
        self._later = later
        self._now_ns = now_ns
        self._alert = alert
        self._routes = routes
        self._zone = zone
        self._lots = lots
        self._working: dict[str, _Work] = {}  # currency -> its hedge
        self._failures: dict[str, int] = {}
        self.paused = False  # halted: nothing new is sent

    def adopt(self, parent: ParentOrder) -> None:
        """A parent found working after a restart: it is its currency's hedge until it is done."""
        currency = parent.symbol.split("/")[0]
        request = ParentRequest(
            parent_id=parent.parent_id,
            symbol=parent.symbol,
            side=parent.side,
            quantity=parent.quantity,
            limit_price=parent.limit_price,
            deadline_ns=parent.deadline_ns,
            reason=parent.reason,
            route_id=parent.route_id,
            route_reason=parent.route_reason,
        )
        key = parent.parent_id if currency in self._working else currency
        self._working[key] = _Work(request=request, filled=parent.filled, notional=parent.notional)

    def working(self, symbol: str) -> bool:
        """Whether a hedge of the symbol's base currency is under way."""
        return symbol.split("/")[0] in self._working

    def hedging(self, symbol: str) -> Decimal:
        """What hedges at work are still going to trade of a symbol's base currency, signed (positive: buy)."""
        return self.pending(symbol.split("/")[0])

    def pending(self, currency: str) -> Decimal:
        """How the position in a currency still moves when all parents at work fill, the quote side at fair value; a leg that
        follows gives back whatever the first one moves."""
        total = _ZERO
        for work in self._working.values():
            request = work.request
            base, quote = request.symbol.split("/")
            sign = 1 if request.side == "buy" else -1
            left = sum(work.open.values(), _ZERO) if work.waiting else request.quantity - work.filled
            signed = sign * left
            if currency == base:
                total += signed
            elif currency == quote and work.following is not None:
                total += sign * work.notional
            elif currency == quote and (fair := self._fair(request.symbol)) is not None:
                total -= signed * fair
        return total

    def check(self, symbol: str) -> None:
        """Look at the inventory in a symbol's two currencies and send hedges of what is beyond its soft band."""
        if symbol not in self._by_symbol or self.paused:
            return
        wanted = [found for currency in symbol.split("/") if (found := self._wanted(currency)) is not None]
        route_id = self._ids.new("x") if len(wanted) > 1 else ""
        reason = f"{' and '.join(home for home, _, _ in wanted)}: the two legs of {symbol}" if route_id else ""
        for home, quantity, fair in wanted:
            self._hedge(home, quantity, fair, route_id, reason)

    def _wanted(self, currency: str) -> tuple[str, Decimal, Decimal] | None:
        """(home symbol, signed quantity, fair value) of a hedge that is due, or None."""
        home, band = self._home.get(currency), self._section.bands.get(currency)
        if home is None or band is None or currency in self._working:
            return None
        if self._zone is not None:
            band = internalisation_band(band, self._zone(home))
        quantity = hedge_quantity(self._position(currency) + self.pending(currency), band)
        least = self._section.min_quantity.get(currency, _STEP)
        lot = whole_lot(self._lots(home), max(least, band.soft / 1000))
        quantity = (quantity / lot).to_integral_value(rounding=ROUND_DOWN) * lot
        if abs(quantity) < least:
            return None
        fair = self._fair(home)
        if fair is None:
            self._later(self._section.retry_ms, home)
            return None
        return home, quantity, fair

    def _hedge(self, home: str, quantity: Decimal, fair: Decimal, route_id: str, reason: str) -> None:
        side = "buy" if quantity > 0 else "sell"
        choice = None if route_id else self._routes(home, side, abs(quantity))
        taken = choice.chosen if choice is not None else None
        if choice is None or taken is None or len(taken.legs) == 1:
            why = reason or (choice.reason if choice is not None else "")
            self._begin(_Work(request=self._request(home, side, abs(quantity), fair, route_id, why)))
            return
        *direct, first, second = taken.legs
        first_fair = self._fair(first.symbol)
        if first_fair is None:
            self._later(self._section.retry_ms, home)
            return
        route_id, form = self._ids.new("x"), form_of(home, first.symbol, second.symbol)
        for leg in direct:
            self._begin(_Work(request=self._request(home, side, leg.quantity, fair, route_id, choice.reason)))
        self._begin(
            _Work(
                request=self._request(first.symbol, side, first.quantity, first_fair, route_id, choice.reason),
                following=_Next(symbol=second.symbol, side=second_side(form, side), form=form),
            ),
            route_id if direct else "",
        )

    def _begin(self, work: _Work, key: str = "") -> None:
        self._working[key or work.request.symbol.split("/")[0]] = work
        self._send(work.request)

    def _request(
        self, symbol: str, side: str, quantity: Decimal, fair: Decimal, route_id: str, reason: str
    ) -> ParentRequest:
        slip = fair * self._section.max_slippage_bps / _BPS
        return ParentRequest(
            parent_id=self._ids.new("p"),
            symbol=symbol,
            side=side,
            quantity=quantity,
            limit_price=(fair + slip if side == "buy" else fair - slip).quantize(
                self._by_symbol[symbol].price_tick, rounding=ROUND_HALF_EVEN
            ),
            deadline_ns=self._now_ns() + self._section.deadline_ms * 1_000_000,
            reason="hedge",
            route_id=route_id,
            route_reason=reason,
        )

    def on_child(self, child: ChildOrder) -> None:
        """An order of a hedge changed: remember what it may still fill."""
        for work in self._working.values():
            if work.request.parent_id == child.parent_id:
                work.open.pop(child.child_id, None)
                if child.leaves > 0:
                    work.open[child.child_id] = child.leaves

    def on_parent(self, parent: ParentOrder) -> None:
        """A parent changed: when the one at work is done, send the leg after it or look again, with patience after a failure."""
        found = next(
            ((key, work) for key, work in self._working.items() if work.request.parent_id == parent.parent_id), None
        )
        if found is None:
            return
        key, work = found
        work.filled, work.notional = parent.filled, parent.notional
        if parent.state is ParentState.CANCELLING and not work.waiting:
            self._step_aside(key, work)
        if parent.state is not ParentState.DONE:
            return
        del self._working[key]
        home = self._home.get(parent.symbol.split("/")[0], parent.symbol)
        if parent.filled > 0:
            self._failures.pop(home, None)
            if work.following is not None and self._follow(key, work.following, parent):
                return
            self._later(0 if parent.filled >= parent.quantity else self._section.retry_ms, home)
            return
        failures = self._failures.get(home, 0) + 1
        self._failures[home] = failures
        if failures in (3, 10, 30):
            self._alert("critical", f"hedge of {home} has failed {failures} times: {parent.reason}")
        self._later(self._section.retry_ms * min(failures, 20), home)

    def _step_aside(self, key: str, work: _Work) -> None:
        """A parent for which nothing new is sent leaves its currency to the next one."""
        work.waiting = True
        if key in self._home:
            self._working[work.request.parent_id] = self._working.pop(key)
            self._later(0, self._home[key])

    def _follow(self, key: str, leg: _Next, first: ParentOrder) -> bool:
        """Send leg 2 for what leg 1 moved of the currency between them (fees stay inventory). False: it has no price now,
        and the currency's own band looks after it."""
        fair = self._fair(leg.symbol)
        if fair is None or self.paused:
            return False
        quantity = first.notional if leg.form is Form.MULTIPLY else first.notional / fair
        quantity = quantity.quantize(self._by_symbol[leg.symbol].quantity_step, rounding=ROUND_DOWN)
        if quantity <= 0:
            return False
        request = self._request(leg.symbol, leg.side, quantity, fair, first.route_id, first.route_reason)
        self._begin(_Work(request=request), key)
        return True


def homes(instruments: list[InstrumentSection], currency: str) -> dict[str, str]:
    """Where each currency is hedged: the instrument against `currency` that venues list, else the first that they list."""
    found: dict[str, str] = {}
    for item in sorted(instruments, key=lambda item: item.quote != currency):
        if item.direct:
            found.setdefault(item.base, item.symbol)
    return found


def internalisation_band(band: Band, zone: float) -> Band:
    """The band of a desk that waits for clients up to `zone` × hard and hedges back to there: beyond it another unit of risk
    costs more than hedging it (`pricing.inventory`)."""
    return Band(
        soft=(band.hard * Decimal(zone)).quantize(_STEP, rounding=ROUND_DOWN), hard=band.hard, target=Decimal(1)
    )


def whole_lot(lots: list[Decimal], most: Decimal) -> Decimal:
    """What hedges are a multiple of: the coarsest of the venues' lots that is not above `most`. What is left of a lot stays in inventory:
    only the finest venue would take it, in an order of its own and at that venue's minimum."""
    return max((lot for lot in lots if 0 < lot <= most), default=_STEP)


def hedge_quantity(position: Decimal, band: Band) -> Decimal:
    """Signed quantity to trade (positive: buy) so that a position beyond `soft` comes back to `target × soft`; 0 inside it."""
    if abs(position) <= band.soft:
        return Decimal(0)
    goal = (band.soft * band.target).copy_sign(position)
    return (goal - position).quantize(_STEP, rounding=ROUND_DOWN)
