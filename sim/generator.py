"""A seeded market when there is no tape: a random-walk middle, a full book around it, trades and a ticker; endless.

The middle follows a geometric random walk (`volatility_bps` a second) with a weak pull to its start, so that a demo may run for days. The
book has `depth` levels a side whose distances grow with rank and whose sizes are lognormal; each step some levels change, levels the middle
runs over disappear, new ones are filled in. Trades arrive as a Poisson stream at the touch. Synthetic: for demos and tests without a tape.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import msgspec

from sim.events import ASK, BID, EventKind, VenueEvent, rows
from sim.instruments import VenueInstrument, binance_instrument
from sim.levels import LevelBook

START_PRICES = {
    "BTC/USDT": 60_000.0,
    "BTC/USDC": 60_000.0,
    "BTC/USD": 60_000.0,
    "ETH/USDT": 2_600.0,
    "ETH/USDC": 2_600.0,
    "SOL/USDT": 150.0,
    "XRP/USDT": 0.6,
}


_TOUCH_RANKS = 10  # ranks at the touch that are always there


class GeneratorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the generated market; sizes are notional in quote currency."""

    step_ms: int = 100
    depth: int = 200
    volatility_bps: float = 1.0  # of the middle, a second
    level_notional: float = 20_000.0  # median of a level
    churn: int = 12  # levels a side that change in a step
    trades_per_s: float = 3.0
    trade_notional: float = 1_500.0
    spread_ticks: int = 1


class _Walk:
    """The middle as a multiple of its start."""

    def __init__(self, spec: GeneratorSpec, rng: random.Random) -> None:
        self._rng = rng
        self._sigma = spec.volatility_bps / 10_000 * math.sqrt(spec.step_ms / 1000)
        self._log = 0.0

    def step(self) -> float:
        self._log += self._rng.gauss(0, self._sigma) - self._log * 1e-4
        return math.exp(self._log)


class _Generated:
    """The state of one generated market."""

    def __init__(self, symbol: str, seed: int, spec: GeneratorSpec, instrument: VenueInstrument) -> None:
        self.spec, self.symbol = spec, symbol
        self.rng = random.Random(f"{seed}:{symbol}:market")
        self.walk = _Walk(spec, random.Random(self.rng.getrandbits(64)))
        self.tick = 10.0**-instrument.price_decimals
        self.lot = 10.0**-instrument.size_decimals
        self.start = START_PRICES.get(symbol, 100.0)
        self.book = LevelBook()
        self.trade_id = 0

    def touch(self, price: float) -> tuple[int, int]:
        """Best bid and ask in ticks around a price."""
        bid = math.floor(price / self.tick)
        return bid, bid + self.spec.spread_ticks

    def size(self, price: int) -> int:
        notional = self.spec.level_notional * math.exp(self.rng.gauss(0, 1))
        return max(1, int(notional / (price * self.tick) / self.lot))

    def distance(self, rank: int) -> int:
        """Ticks from the touch of a level of this rank: dense at the touch, about 0.5 % away at the end."""
        span = self.start * 0.005 / self.tick
        return int(rank + span * (rank / self.spec.depth) ** 2)

    def fill_side(self, side: int, best: int) -> list[tuple[int, int, int]]:
        """New levels at the touch, then until the side is full again, at the ranks' distances."""
        book_side = self.book.side(side)
        out = []
        for rank in range(self.spec.depth):
            if rank >= _TOUCH_RANKS and len(book_side) + len(out) >= self.spec.depth:
                break
            price = best - side * self.distance(rank)
            if price > 0 and not book_side.size(price):
                out.append((side, price, self.size(price)))
        return out

    def step(self) -> list[tuple[int, int, int]]:
        """Move the market by one step; answers the changed levels."""
        bid, ask = self.touch(self.start * self.walk.step())
        changed: list[tuple[int, int, int]] = []
        for side, best in ((BID, bid), (ASK, ask)):
            book_side = self.book.side(side)
            changed += [(side, price, 0) for price in book_side.better_than(best)]
            self.book.apply(changed)
            if not book_side.size(best):
                changed.append((side, best, self.size(best)))
            known = len(book_side)
            for _ in range(min(self.spec.churn, known)):
                # mostly near the touch, as in life
                rank = min(known - 1, int(self.rng.expovariate(8 / known)))
                price = book_side.keys[-1 - rank] * side
                changed.append((side, price, self.size(price)))
            far = book_side.keys[: max(0, known - self.spec.depth)]
            changed += [(side, key * side, 0) for key in far]
            self.book.apply(changed)
            filled = self.fill_side(side, best)
            self.book.apply(filled)
            changed += filled
        return list({(side, price): (side, price, size) for side, price, size in changed}.values())


def generated_events(
    symbol: str, seed: int, *, start_ns: int = 0, spec: GeneratorSpec | None = None
) -> Iterator[VenueEvent]:
    """Endless events of a generated Binance market, a pure function of (symbol, seed, spec), in Binance's units."""
    spec = spec or GeneratorSpec()
    market = _Generated(symbol, seed, spec, binance_instrument(symbol))
    step_ns = spec.step_ms * 1_000_000
    now = start_ns
    last_top: tuple[int, ...] = ()
    bid, ask = market.touch(market.start)
    for side, best in ((BID, bid), (ASK, ask)):
        market.book.apply(market.fill_side(side, best))

    def event(kind: EventKind, at_ns: int, **fields: object) -> VenueEvent:
        return VenueEvent(kind=kind, symbol=symbol, ts_event_ns=at_ns - 2_000_000, ts_init_ns=at_ns, **fields)  # type: ignore[arg-type]

    yield event(EventKind.SNAPSHOT, now, levels=market.book.array())
    while True:
        chance, at = spec.trades_per_s * spec.step_ms / 1000, now
        while market.rng.random() < chance:
            at = min(now + step_ns - 1, at + market.rng.randrange(1, step_ns // 4))
            side = 1 if market.rng.random() < 0.5 else -1
            price = market.book.side(-side).best()
            if price is None:
                break
            notional = spec.trade_notional * math.exp(market.rng.gauss(0, 1))
            size = max(1, int(notional / (price * market.tick) / market.lot))
            market.trade_id += 1
            trade_id = str(market.trade_id)
            yield event(EventKind.TRADE, at, price=price, size=size, side=side, trade_id=trade_id)
        now += step_ns
        yield event(EventKind.UPDATE, now, levels=rows(market.step()))
        (bid, bid_size), (ask, ask_size) = market.book.bids.top(1)[0], market.book.asks.top(1)[0]
        if (bid, bid_size, ask, ask_size) != last_top:
            last_top = (bid, bid_size, ask, ask_size)
            yield event(EventKind.QUOTE, now, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size)
