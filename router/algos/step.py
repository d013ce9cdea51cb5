"""What an algo is shown, and what it answers. Pure values: the same spec, standing, progress, view and seed give the same step.

Progress   how far the parent is, from its accounting
View       the market as the router sees it now
Step       take so much through the plan · place or pull a resting order · look again at `wake_ns` · or be finished, and why
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from risk.exact import EXACT, ZERO, add, times

FOREVER = 2**62


class Resting(msgspec.Struct, frozen=True, kw_only=True):
    """A resting child that is not proven to have ended."""

    child_id: str
    venue: str
    price: Decimal
    leaves: Decimal
    since_ns: int
    pulled: bool = False  # its cancel is under way, or nobody knows what became of it


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in base. `least`: what is too small for every venue is below it; `unit`: the finest lot of any venue."""

    side: str
    quantity: Decimal
    filled: Decimal
    reserved: Decimal  # open or unknown
    limit_price: Decimal | None
    arrival: Decimal | None = None
    least: Decimal = ZERO
    unit: Decimal = Decimal("0.00000001")
    resting: tuple[Resting, ...] = ()
    placed: int = 0  # resting children so far
    ended_ns: int = 0  # when the last of them ended
    sent_since: Callable[[int], Decimal] = lambda _: ZERO  # filled or open, of children made at or after a time

    @property
    def released(self) -> Decimal:
        """Filled or still able to fill."""
        return add(self.filled, self.reserved)

    @property
    def free(self) -> Decimal:
        """What may be sent now."""
        return max(ZERO, add(self.quantity, -self.released))


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """A live venue where an order of ours may rest now. `bids`, `asks`: its best levels (price, size), best first; `fee_bps`:
    the maker's."""

    venue: str
    tick: Decimal
    lot: Decimal
    least: Decimal
    fee_bps: Decimal
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class Offer(msgspec.Struct, frozen=True):
    """A level that can be taken. `all_in` with the taker fee."""

    venue: str
    price: Decimal
    size: Decimal
    all_in: Decimal


class View(Protocol):
    """The market now. `volume`: base that others have traded since the schedule was laid; `fair` None: no live book."""

    now_ns: int
    fair: Decimal | None
    volume: Decimal

    def tops(self) -> Sequence[Top]:
        """Venues that may be rested at, in the book's order."""

    def offers(self) -> Sequence[Offer]:
        """What can be taken on the parent's side, best all-in price first."""


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """A limit order to be laid into a venue's book."""

    venue: str
    price: Decimal
    quantity: Decimal
    post_only: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now. At most one of `take` and `place`; `all_in`: the worst price with fees that may be taken at."""

    wake_ns: int
    take: Decimal = ZERO
    all_in: Decimal | None = None
    ask_lps: bool = True
    place: Rest | None = None
    pull: tuple[str, ...] = ()
    target: Decimal | None = None  # base, what should be released by now; None: the algo has no schedule
    finished: str = ""  # why nothing more will be sent


class Algo(Protocol):
    """One algorithm at work on one parent. Holds what was drawn and computed when its schedule was laid, and nothing that changes."""

    def step(self, progress: Progress, view: View) -> Step:
        """What to do now."""


def floor_to(quantity: Decimal, unit: Decimal) -> Decimal:
    """The largest multiple of `unit` not above `quantity`, exact."""
    return times(EXACT.divide_int(quantity, unit), unit)


def clip(due: Decimal, most: Decimal, progress: Progress, *, join: bool) -> Decimal:
    """What to send of what is due: at most `most`, nothing below the least. `join`: a tail too small to be sent alone goes along."""
    take = min(due, most, progress.free)
    if take <= 0:
        return ZERO
    if join and progress.free - take < progress.least:
        take = progress.free
    if take < progress.free:
        take = floor_to(take, progress.unit)
    return take if take >= progress.least and take > 0 else ZERO


def where_to_rest(tops: Sequence[Top], wanted: str, side: str) -> Top | None:
    """The venue asked for; else the one with the least fee, then with most at its own best price, then the first by name."""
    if wanted:
        return next((top for top in tops if top.venue == wanted), None)

    def shown(top: Top) -> Decimal:
        own = top.bids if side == "buy" else top.asks
        return own[0][1] if own else ZERO

    return min(tops, key=lambda top: (top.fee_bps, -shown(top), top.venue), default=None)


def onto_tick(price: Decimal, tick: Decimal, side: str) -> Decimal:
    """`price` on a tick, rounded away from the other side: a buy down, a sale up."""
    down = floor_to(price, tick)
    return down if side == "buy" or down == price else add(down, tick)
