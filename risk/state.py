"""What the checks look at: trading states, positions, and what is already promised (`Reservation`).

Loop-thread only, no clock of its own (time comes with each intent), no I/O. A reservation is exposure that may
still happen: a firm quote until it ends or is taken, a trade until it is booked, a child order until it can fill no
more. Totals are kept as they change.
"""

from __future__ import annotations

import heapq
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Protocol

import msgspec

from risk.decision import Intent, Stage
from risk.exact import ZERO, add, times


class TradingState(StrEnum):
    """What may happen in a scope (everywhere, at one venue or LP, with one client)."""

    ACTIVE = "active"
    REDUCING = "reducing"  # only what brings inventory towards zero
    HALTED = "halted"  # nothing new; cancels and reconciliation go on: they never come to the gate


class Trading(msgspec.Struct, frozen=True):
    """A trading state and why."""

    state: TradingState = TradingState.ACTIVE
    reason: str = ""


class References(Protocol):
    """Prices the gate compares with, from whoever keeps the books."""

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value in quote currency per base from live books only; None: there is none."""

    def book_age_ns(self, symbol: str, venue: str, now_ns: int) -> int | None:
        """Age of the venue's live book; of the youngest live book when `venue` is empty or has no book (an LP). None:
        none is live.
        """


class Pair(msgspec.Struct, frozen=True):
    """The two currencies of a symbol."""

    base: str
    quote: str


@lru_cache(maxsize=4096)
def pair_of(symbol: str) -> Pair:
    """`BTC/USDT` or `BTC/USDT:USDT` → its currencies; ("", "") when it is no symbol."""
    base, slash, rest = symbol.partition("/")
    quote = rest.partition(":")[0]
    return Pair(base, quote) if slash and base and quote else Pair("", "")


class Reservation(msgspec.Struct):
    """Exposure that may still happen: `quantity` of base, worth `notional`."""

    intent: Intent
    quantity: Decimal
    notional: Decimal

    @property
    def inventory(self) -> Decimal:
        """How the desk's base position moves if all of it happens, signed."""
        return inventory_of(self.intent, self.quantity)


def inventory_of(intent: Intent, quantity: Decimal) -> Decimal:
    """How `quantity` of the intent moves the desk's base position: our buy and a client's sell raise it, an order
    worked for somebody else leaves it alone.
    """
    if intent.account:
        return ZERO
    ours = intent.stage is Stage.CHILD
    return quantity if (intent.side == "buy") is ours else -quantity


def paid_for(inventory: Decimal, notional: Decimal) -> Decimal:
    """How the quote currency moves when the base moves by `inventory`: the other way, by the notional."""
    return -notional if inventory > 0 else notional if inventory < 0 else ZERO


class Tally:
    """Sums of a signed amount by key, upward and downward moves apart: the worst case in a direction ignores the other
    one.
    """

    def __init__(self) -> None:
        self._up: dict[object, Decimal] = {}
        self._down: dict[object, Decimal] = {}

    def put(self, key: object, amount: Decimal) -> None:
        """Add a signed amount. To take it back: `take` with the same sign."""
        side = self._up if amount > 0 else self._down
        side[key] = add(side.get(key, ZERO), abs(amount))

    def take(self, key: object, amount: Decimal) -> None:
        """Take back what `put` added."""
        side = self._up if amount > 0 else self._down
        left = add(side.get(key, ZERO), -abs(amount))
        if left > 0:
            side[key] = left
        else:
            side.pop(key, None)

    def ahead(self, key: object, amount: Decimal) -> Decimal:
        """The sum (≥ 0) of moves in the direction of `amount`."""
        return (self._up if amount > 0 else self._down).get(key, ZERO)

    def gross(self, key: object) -> Decimal:
        """The sum of all moves, whatever the direction."""
        return add(self._up.get(key, ZERO), self._down.get(key, ZERO))


class RiskState:
    """The gate's memory. Give it the ledger's positions at start (`set_position`); the gate keeps it up to date from
    then on.
    """

    def __init__(self) -> None:
        self.trading = Trading()
        self.venues: dict[str, Trading] = {}
        self.clients: dict[str, Trading] = {}
        self.positions: dict[str, Decimal] = {}  # currency -> desk position, booked
        self.pnl: dict[str, Decimal] = {}  # currency -> profit (+) or loss (-) of the day
        self.exposure: dict[
            tuple[str, str], Decimal
        ] = {}  # (client, quote currency) -> net unsettled, + the client owes us
        self.reservations: dict[tuple[Stage, str], Reservation] = {}
        self.firm = Tally()  # currency -> inventory of open children and unbooked trades, base and quote side
        self.quoted = Tally()  # currency -> inventory of open quotes
        self.open_notional = Tally()  # quote currency -> value of open children
        self.quoted_notional = Tally()  # quote currency -> value of open quotes
        self.client_notional = Tally()  # (client, quote currency) -> value of open quotes and unbooked trades
        self._ends: list[tuple[int, str]] = []

    # ---- what the owner tells it ----------

    def set_trading(self, state: TradingState, reason: str, *, venue: str = "", client_id: str = "") -> None:
        """Set the trading state everywhere, or of one venue/LP, or of one client."""
        trading = Trading(state, reason)
        match venue, client_id:
            case "", "":
                self.trading = trading
            case _, "":
                self.venues[venue] = trading
            case "", _:
                self.clients[client_id] = trading
            case _:
                raise ValueError("a scope is a venue or a client, not both")

    def set_position(self, currency: str, position: Decimal) -> None:
        """The booked position of a currency, from the ledger: absolute, so saying it again changes nothing."""
        self.positions[currency] = position

    def set_exposure(self, client_id: str, currency: str, net: Decimal) -> None:
        """A client's net unsettled amount of quote currency, from the ledger (+ the client owes us)."""
        self.exposure[(client_id, currency)] = net

    def set_pnl(self, currency: str, total: Decimal) -> None:
        """The profit (+) or loss (-) that `max_loss` is held against."""
        self.pnl[currency] = total

    # ---- what the checks ask ----------

    def scopes(self, intent: Intent) -> list[tuple[str, Trading]]:
        """The trading states an intent falls under, widest first."""
        scopes = [("desk", self.trading)]
        if intent.venue in self.venues:
            scopes.append((intent.venue, self.venues[intent.venue]))
        if intent.client_id in self.clients:
            scopes.append((intent.client_id, self.clients[intent.client_id]))
        return scopes

    def position(self, currency: str) -> Decimal:
        """The booked position of a currency."""
        return self.positions.get(currency, ZERO)

    def reduces(self, intent: Intent) -> bool:
        """Whether the intent, and all firm ones already under way in its direction, bring the position towards zero,
        not through it.
        """
        base = pair_of(intent.symbol).base
        move, position = inventory_of(intent, intent.quantity), self.position(base)
        if move == 0 or position == 0 or (move > 0) == (position > 0):
            return False
        return add(abs(move), self.firm.ahead(base, move)) <= abs(position)

    def quote_behind(self, intent: Intent) -> Reservation | None:
        """At TRADE: the reservation of the quote it takes."""
        return self.reservations.get((Stage.QUOTE, intent.quote_id or intent.intent_id))

    # ---- reservations (called by the gate) ----------

    def reserve(self, intent: Intent, ends_ns: int = 0) -> None:
        """Hold the exposure of an approved intent. `ends_ns`: a quote's end, after which it is let go by itself."""
        if intent.stage is Stage.TRADE:
            self.drop(Stage.QUOTE, intent.quote_id or intent.intent_id)
        held = Reservation(intent, intent.quantity, times(intent.quantity, intent.price))
        self.reservations[(intent.stage, intent.intent_id)] = held
        self._count(held, held.inventory, held.notional, Tally.put)
        if ends_ns:
            heapq.heappush(self._ends, (ends_ns, intent.intent_id))

    def shrink(self, stage: Stage, intent_id: str, quantity: Decimal) -> Reservation | None:
        """Let `quantity` of a reservation go (never more than it holds); the reservation as it was, or None if there
        is none.
        """
        held = self.reservations.get((stage, intent_id))
        if held is None:
            return None
        before = Reservation(held.intent, held.quantity, held.notional)
        part = min(quantity, held.quantity)
        notional = times(part, held.intent.price)
        self._count(held, inventory_of(held.intent, part), notional, Tally.take)
        held.quantity = add(held.quantity, -part)
        held.notional = add(held.notional, -notional)
        if held.quantity == 0:
            del self.reservations[(stage, intent_id)]
        return before

    def drop(self, stage: Stage, intent_id: str) -> None:
        """Let a whole reservation go; nothing happens if there is none."""
        held = self.reservations.get((stage, intent_id))
        if held is not None:
            self.shrink(stage, intent_id, held.quantity)

    def expire(self, now_ns: int) -> None:
        """Let go the quotes that ended before `now_ns`."""
        while self._ends and self._ends[0][0] < now_ns:
            self.drop(Stage.QUOTE, heapq.heappop(self._ends)[1])

    def book(self, intent: Intent, quantity: Decimal) -> None:
        """It happened: the position moves, and at TRADE what the client owes."""
        pair = pair_of(intent.symbol)
        moved = inventory_of(intent, quantity)
        self.positions[pair.base] = add(self.position(pair.base), moved)
        self.positions[pair.quote] = add(self.position(pair.quote), paid_for(moved, times(quantity, intent.price)))
        if intent.stage is Stage.TRADE:
            key = (intent.client_id, pair.quote)
            owed = times(quantity, intent.price)
            self.exposure[key] = add(self.exposure.get(key, ZERO), owed if intent.side == "buy" else -owed)

    def _count(self, held: Reservation, inventory: Decimal, notional: Decimal, how: Counting) -> None:
        intent = held.intent
        pair = pair_of(intent.symbol)
        owed = notional if intent.side == "buy" else -notional
        match intent.stage:
            case Stage.CHILD:
                self._moves(self.firm, pair, inventory, notional, how)
                how(self.open_notional, pair.quote, owed)
            case Stage.TRADE:
                self._moves(self.firm, pair, inventory, notional, how)
                how(self.client_notional, (intent.client_id, pair.quote), owed)
            case Stage.QUOTE:
                self._moves(self.quoted, pair, inventory, notional, how)
                how(self.quoted_notional, pair.quote, owed)
                how(self.client_notional, (intent.client_id, pair.quote), owed)

    @staticmethod
    def _moves(tally: Tally, pair: Pair, inventory: Decimal, notional: Decimal, how: Counting) -> None:
        """Both currencies of a pair move: ETH/BTC fills the desk's BTC as well."""
        how(tally, pair.base, inventory)
        if inventory:
            how(tally, pair.quote, paid_for(inventory, notional))


class Counting(Protocol):
    """`Tally.put` or `Tally.take`."""

    def __call__(self, tally: Tally, key: object, amount: Decimal, /) -> None: ...
