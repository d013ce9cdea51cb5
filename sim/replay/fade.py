"""What our own orders do to a simulated market: depth that fades before they arrive, comes back slowly, and moves away from us.

A tape cannot answer an order that was never sent, so this part of a replay is a **model, seeded and off by default**, never a
measurement (`reference` values: Almgren et al. 2005 and Tóth et al. 2011 for the square root; resilience after Obizhaeva and Wang 2013):

1. **Fade in flight.** When an order arrives, a share `1 − exp(−fade·E)` of every level is gone, E ~ Exp(1) drawn once an order.
2. **Fade elsewhere.** What we took on other venues in the same direction just before thins this one by `crowd · taken / near depth`.
3. **Own takes stay taken.** A level we consumed is short of that size, less half of it every `refill_s`.
4. **Impact.** All prices of the side move away from us by `impact_bps · √(taken / near depth)`, own takes decayed likewise.

Amounts are base currency; "near depth" is what the `NEAR` best levels show. Everything is a function of (seed, order ids, tape).
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import msgspec
from nautilus_trader.backtest.models import FillModel
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.enums import BookType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity

from adapters.nautilus.safe import Safe

NEAR = 20
FORGOTTEN = 12  # half-lives after which a take no longer counts


class FadeParams(msgspec.Struct, frozen=True, kw_only=True):
    """The knobs of the model; all at zero: the tape as it is, but own takes stay taken for ever within `refill_s`."""

    fade: float = 0.10  # mean of the exponent: 0.10 leaves 91 % of a level on average
    crowd: float = 0.3
    impact_bps: float = 0.3
    refill_s: float = 1.0

    def __post_init__(self) -> None:
        if min(self.fade, self.crowd, self.impact_bps) < 0 or self.refill_s <= 0:
            raise ValueError("fade: its numbers must not be negative, refill_s positive")


class _Take(msgspec.Struct, frozen=True):
    ts_ns: int
    venue: str
    price: Decimal
    quantity: float


class Footprint:
    """Own takes of every instrument and direction, shared by the venues' models."""

    def __init__(self, params: FadeParams, seed: int) -> None:
        self.params = params
        self.seed = seed
        self._takes: dict[tuple[str, bool], deque[_Take]] = {}

    def add(self, symbol: str, buy: bool, take: _Take) -> None:
        """Remember a take."""
        self._takes.setdefault((symbol, buy), deque()).append(take)

    def weighted(self, symbol: str, buy: bool, now_ns: int) -> list[tuple[_Take, float]]:
        """Takes that still count, with what is left of each (base)."""
        half_ns = self.params.refill_s * 1e9
        takes = self._takes.get((symbol, buy))
        while takes and now_ns - takes[0].ts_ns > FORGOTTEN * half_ns:
            takes.popleft()
        return [(take, take.quantity * 0.5 ** ((now_ns - take.ts_ns) / half_ns)) for take in takes or ()]

    def draw(self, order_id: str) -> float:
        """E ~ Exp(1) of one order."""
        digest = hashlib.blake2b(f"{self.seed}|{order_id}".encode(), digest_size=8).digest()
        return -math.log((int.from_bytes(digest, "big") + 1) / 2**64)


class FadingFills(FillModel):
    """One venue's fill model. The engine asks it for orders that trade at once; what rests is left to the engine."""

    def __init__(self, footprint: Footprint) -> None:
        super().__init__(random_seed=footprint.seed & 0xFFFFFFFF)
        self._footprint = footprint
        self._cache: Any = None
        self._clock: Any = None

    def bind(self, cache: Any, clock: Any) -> None:
        """The engine's cache (with managed books) and clock."""
        self._cache, self._clock = cache, clock

    def get_orderbook_for_fill_simulation(
        self, instrument: Any, order: Any, best_bid: Price, best_ask: Price
    ) -> OrderBook | None:
        """The book the order meets: one side of it, as much as the model leaves."""
        source = self._cache.order_book(instrument.id)
        if source is None:
            return None
        buy = order.side == OrderSide.BUY
        if order.has_price and (order.price < best_ask if buy else order.price > best_bid):
            return None  # it rests: the engine's own rules fill it
        shown = [(level.price, float(level.size())) for level in (source.asks() if buy else source.bids())]
        left = self._left(instrument, order, buy, shown)
        book = OrderBook(instrument.id, BookType.L2_MBP)
        if not left:
            left = [(shown[-1][0].as_decimal() if shown else best_ask.as_decimal(), 0.0)]
        side = OrderSide.SELL if buy else OrderSide.BUY
        wanted, limit = order.leaves_qty.as_decimal(), order.price.as_decimal() if order.has_price else None
        symbol, venue, now_ns = instrument.id.symbol.value, instrument.id.venue.value, self._clock.timestamp_ns()
        for number, (price, size) in enumerate(left):
            quantity = Decimal(size).quantize(instrument.size_increment.as_decimal(), ROUND_FLOOR)
            if quantity <= 0:
                continue
            told = Price(price, instrument.price_precision)
            book.add(BookOrder(side, told, Quantity(quantity, instrument.size_precision), number + 1), 0, 0)
            if wanted > 0 and (limit is None or (price <= limit if buy else price >= limit)):
                taken = min(wanted, quantity)
                wanted -= taken
                self._footprint.add(symbol, buy, _Take(now_ns, venue, price, float(taken)))
        return book

    def _left(
        self, instrument: Any, order: Any, buy: bool, shown: Sequence[tuple[Price, float]]
    ) -> list[tuple[Decimal, float]]:
        """Levels (price, size) after fade, own takes and impact."""
        footprint, params = self._footprint, self._footprint.params
        symbol, venue = instrument.id.symbol.value, instrument.id.venue.value
        near = sum(size for _, size in shown[:NEAR]) or 1.0
        takes = footprint.weighted(symbol, buy, self._clock.timestamp_ns())
        elsewhere = sum(weight for take, weight in takes if take.venue != venue)
        kept = math.exp(-params.fade * footprint.draw(order.client_order_id.value))
        kept *= max(0.0, 1.0 - params.crowd * min(1.0, elsewhere / near))
        taken: dict[Decimal, float] = {}
        for take, weight in takes:
            if take.venue == venue:
                taken[take.price] = taken.get(take.price, 0.0) + weight
        move = params.impact_bps * 1e-4 * math.sqrt(sum(weight for _, weight in takes) / near)
        tick = instrument.price_increment.as_decimal()
        rounding = ROUND_CEILING if buy else ROUND_FLOOR
        factor = Decimal(f"{1 + move if buy else 1 - move:.9f}")
        left = []
        for price, size in shown:
            exact = price.as_decimal()
            moved = (exact * factor / tick).to_integral_value(rounding) * tick
            left.append(
                (moved, size * kept - taken.get(exact, 0.0) - (taken.get(moved, 0.0) if moved != exact else 0.0))
            )
        return left


class FadeBooks(Safe, Actor):
    """Keeps the engine's books of every simulated venue in its cache, where the fill models look, and binds these."""

    def __init__(self, instruments: Sequence[InstrumentId], models: Sequence[FadingFills]) -> None:
        super().__init__(ActorConfig(component_id="FadeBooks"))
        self._instruments = tuple(instruments)
        self._models = tuple(models)

    def on_start(self) -> None:
        """Subscribe, and give the models their eyes."""
        for model in self._models:
            model.bind(self.cache, self.clock)
        for instrument_id in self._instruments:
            self.subscribe_order_book_deltas(instrument_id, managed=True)
