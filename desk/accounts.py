"""`VenueAccounts`: the desk's own orders, executions, balances and positions at each venue, and who else trades there."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.model.identifiers import ClientOrderId, Venue

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.external import ExternalOrder, ExternalOrders
from adapters.nautilus.outcome import VenueFill
from adapters.nautilus.perpetual import FundingPaid, Liquidation, VenuePosition, VenuePositions
from adapters.nautilus.safe import Safe
from adapters.nautilus.standing import AccountStanding
from router.orders import ChildOrder

RECENT = 200  # executions of a venue, and orders of it that are over, kept for those who begin to watch


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order of ours as it stands: what the router knows of it, the venue's id, and the fees of its executions."""

    child: ChildOrder
    venue_order_id: str | None
    fees: dict[str, Decimal]
    last_fill_ns: int


class VenueAccounts(Safe, Actor):
    """Hears the router and the venues' clients; loop-thread only. `on_…`: who is told, after every change.

    `margin`: the venues where the desk holds positions in perpetuals.
    """

    def __init__(self, margin: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.margin = margin
        self.on_positions: list[Callable[[VenuePositions], None]] = []
        self.on_liquidation: list[Callable[[Liquidation], None]] = []
        self.on_funding_paid: list[Callable[[FundingPaid], None]] = []
        self._positions: dict[str, VenuePositions] = {}
        self._liquidations: defaultdict[str, deque[Liquidation]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._paid: defaultdict[str, deque[FundingPaid]] = defaultdict(lambda: deque(maxlen=RECENT))
        self.on_order: list[Callable[[VenueOrder], None]] = []
        self.on_fill: list[Callable[[VenueFill], None]] = []
        self._orders: defaultdict[str, OrderedDict[str, ChildOrder]] = defaultdict(OrderedDict)
        self._external: dict[str, tuple[ExternalOrder, ...]] = {}
        self._standings: dict[str, AccountStanding] = {}
        self._fills: defaultdict[str, deque[VenueFill]] = defaultdict(lambda: deque(maxlen=RECENT))

    def on_start(self) -> None:
        """Begin to hear."""
        self._bus = Bus(self)
        self._bus.subscribe(topics.CHILD, self._child)
        self._bus.subscribe(topics.FILL, self._fill)
        self._bus.subscribe(topics.EXTERNAL, self._others)
        self._bus.subscribe(topics.STANDING, self._stands)
        self._bus.subscribe(topics.POSITIONS, self._held)
        self._bus.subscribe(topics.OWN_LIQUIDATION, self._liquidated)
        self._bus.subscribe(topics.FUNDING_PAID, self._funded)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def orders(self, venue: str) -> list[VenueOrder]:
        """Orders that can still fill, oldest first."""
        return [self._view(child) for child in self._orders[venue].values() if not child.state.terminal]

    def fills(self, venue: str) -> list[VenueFill]:
        """The last executions, oldest first."""
        return list(self._fills[venue])

    def positions(self, venue: str) -> list[VenuePosition]:
        """Positions in perpetuals as the venue says them, flat ones as well; [] before it has."""
        known = self._positions.get(venue)
        return [] if known is None else list(known.positions)

    def liquidations(self, venue: str) -> list[Liquidation]:
        """The last executions by which the venue closed positions of ours, oldest first."""
        return list(self._liquidations[venue])

    def funding(self, venue: str, symbol: str) -> list[FundingPaid]:
        """The last funding payments of one position, oldest first."""
        return [paid for paid in self._paid[venue] if paid.symbol == symbol]

    def external(self) -> list[ExternalOrder]:
        """Open orders on the desk's accounts that are not the desk's, by venue, then as the venue lists them."""
        return [order for venue in sorted(self._external) for order in self._external[venue]]

    def standings(self) -> list[AccountStanding]:
        """How each account stands, by venue."""
        return [self._standings[venue] for venue in sorted(self._standings)]

    def balances(self, venue: str) -> dict[str, tuple[Decimal, Decimal, Decimal]] | None:
        """By currency: total, free, locked. None while the account is not known."""
        account = self.cache.account_for_venue(Venue(venue))
        if account is None:
            return None
        return {
            currency.code: (balance.total.as_decimal(), balance.free.as_decimal(), balance.locked.as_decimal())
            for currency, balance in account.balances().items()
        }

    def _held(self, held: VenuePositions) -> None:
        self._positions[held.venue] = held
        for listener in self.on_positions:
            listener(held)

    def _liquidated(self, closed: Liquidation) -> None:
        self._liquidations[closed.venue].append(closed)
        for listener in self.on_liquidation:
            listener(closed)

    def _funded(self, paid: FundingPaid) -> None:
        self._paid[paid.venue].append(paid)
        for listener in self.on_funding_paid:
            listener(paid)

    def _child(self, child: ChildOrder) -> None:
        orders = self._orders[child.venue]
        orders[child.child_id] = child
        orders.move_to_end(child.child_id)
        while len(orders) > RECENT:
            over = next((child_id for child_id, old in orders.items() if old.state.terminal), None)
            if over is None:
                break
            del orders[over]
        if self.on_order:
            view = self._view(child)
            for listener in self.on_order:
                listener(view)

    def _fill(self, fill: VenueFill) -> None:
        self._fills[fill.venue].append(fill)
        for listener in self.on_fill:
            listener(fill)

    def _stands(self, standing: AccountStanding) -> None:
        self._standings[standing.venue] = standing

    def _others(self, message: ExternalOrders) -> None:
        self._external[message.venue] = message.orders

    def _view(self, child: ChildOrder) -> VenueOrder:
        order = self.cache.order(ClientOrderId(child.child_id))
        fees: dict[str, Decimal] = {}
        last_ns = 0
        for fill in self._fills[child.venue]:
            if fill.client_order_id == child.child_id:
                fees[fill.fee_currency] = fees.get(fill.fee_currency, Decimal(0)) + fill.fee
                last_ns = max(last_ns, fill.ts_ns)
        known = order is not None and order.venue_order_id is not None
        return VenueOrder(
            child=child, venue_order_id=order.venue_order_id.value if known else None, fees=fees, last_fill_ns=last_ns
        )
