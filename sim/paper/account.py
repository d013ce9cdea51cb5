"""`PaperAccount`: what an account at a venue would hold and remember, durable before anybody is told.

Like a venue, it remembers every order by its id, so that the outcome of an order can be proven after a crash of the desk: an order that
is not in the file never arrived. One file of JSON lines per account: `balances` states them all, each `order` after it adds its fills.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import msgspec

from pricing.scale import EXACT
from sim.servers.journal import VenueJournal

KEPT_ORDERS = 10_000  # older ones are forgotten: the desk asks for outcomes within minutes, not months
BPS = Decimal("0.0001")
FEE_UNIT = Decimal("0.00000001")
ZERO = Decimal(0)


class PaperFill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution. `fee` is paid in `fee_currency`, on top."""

    trade_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str


class PaperOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order; `order_id` is what the sender knows it by. `reason`: why it is not filled, or not wholly.

    `resting`: it has not ended. Each record of such an order holds the fills since the one before; the last says that it has ended.
    """

    order_id: str
    symbol: str
    side: str
    ts_ns: int
    fills: tuple[PaperFill, ...] = ()
    reason: str = ""
    rejected: bool = False
    resting: bool = False

    @property
    def filled(self) -> Decimal:
        """Base currency, of all fills."""
        return sum((fill.quantity for fill in self.fills), ZERO)


class PaperAccount:
    """Balances and past orders of one account, kept in `path`. Loop thread only, but for
    `record`, which blocks on the disk.

    `opening` counts for a new file only. `overdraft`: balances may go negative, as an LP settles later; otherwise `lacks` says
    what is missing.
    """

    def __init__(self, path: Path, opening: Mapping[str, Decimal], *, overdraft: bool = False) -> None:
        self.overdraft = overdraft
        self.balances: dict[str, Decimal] = {}
        self.opened_with = dict(opening)
        self._orders: OrderedDict[str, PaperOrder] = OrderedDict()
        self._journal = VenueJournal(path)
        lines = self._journal.load()
        for line in lines:
            if line["k"] == "balances":
                self.balances = {currency: Decimal(amount) for currency, amount in line["held"].items()}
            else:
                self._remember(msgspec.convert(line["order"], PaperOrder, strict=False))
        if not lines:
            self.balances = dict(opening)
            self._journal.append([self._statement()])
        elif len(lines) > 2 * KEPT_ORDERS:
            self._compact(path)

    def order(self, order_id: str) -> PaperOrder | None:
        """An order with all its fills so far, or None: there never was one (or more than `KEPT_ORDERS` ago)."""
        return self._orders.get(order_id)

    def lacks(self, order: PaperOrder) -> str:
        """What the account has too little of for these fills, in words; "" when it has enough."""
        if self.overdraft:
            return ""
        for currency, change in _changes(order).items():
            held = self.balances.get(currency, ZERO)
            if EXACT.add(held, change) < 0:
                return f"insufficient balance: needs {-change:f} {currency}, holds {held:f}"
        return ""

    def apply(self, order: PaperOrder) -> None:
        """Book an order that has ended, or what is new of one that rests, in memory: what the next order finds."""
        self._remember(order)

    def record(self, order: PaperOrder) -> None:
        """Make it durable; returns when it is on disk. For a worker thread."""
        self._journal.append([{"k": "order", "order": msgspec.to_builtins(order)}])

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def _remember(self, order: PaperOrder) -> None:
        known = self._orders.get(order.order_id)
        fills = known.fills if known is not None and known.resting else ()
        self._orders[order.order_id] = msgspec.structs.replace(order, fills=fills + order.fills)
        while len(self._orders) > KEPT_ORDERS:
            self._orders.popitem(last=False)
        for currency, change in _changes(order).items():
            self.balances[currency] = EXACT.add(self.balances.get(currency, ZERO), change)

    def _statement(self) -> dict[str, object]:
        return {
            "k": "balances",
            "held": {currency: f"{amount:f}" for currency, amount in sorted(self.balances.items())},
        }

    def _compact(self, path: Path) -> None:
        """Start the file anew with the orders that are remembered, then the balances they led to."""
        self._journal.close()
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        fresh = VenueJournal(draft)
        fresh.load()
        orders = [{"k": "order", "order": msgspec.to_builtins(order)} for order in self._orders.values()]
        fresh.append([*orders, self._statement()])
        fresh.close()
        os.replace(draft, path)
        self._journal = VenueJournal(path)
        self._journal.load()


def fee_of(price: Decimal, quantity: Decimal, fee_bps: Decimal) -> Decimal:
    """The fee on one fill in quote currency, rounded up to 1e-8 as venues do."""
    return EXACT.multiply(EXACT.multiply(price, quantity), fee_bps * BPS).quantize(FEE_UNIT, ROUND_CEILING)


def _changes(order: PaperOrder) -> dict[str, Decimal]:
    """What an order's fills do to the balances."""
    base, quote = order.symbol.split(":")[0].split("/")
    sign = 1 if order.side == "buy" else -1
    changes: dict[str, Decimal] = {}
    for fill in order.fills:
        for currency, amount in (
            (base, sign * fill.quantity),
            (quote, -sign * EXACT.multiply(fill.price, fill.quantity)),
            (fill.fee_currency, -fill.fee),
        ):
            changes[currency] = EXACT.add(changes.get(currency, ZERO), amount)
    return changes
