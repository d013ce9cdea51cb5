"""The second exchange: a seeded, synthetic transform of a Binance stream into what a smaller venue of the same pair could have shown.

Two companies' books of one pair over the same minutes are not to be had publicly, so this is said plainly: Kraken here is
derived. From each live book of the source, at each of its updates:

1. **Basis.** Prices move by a whole number of the target's ticks, `round(mid × basis)`; basis follows a seeded
   Ornstein-Uhlenbeck process (standard deviation `basis_bps`, half-life `basis_half_life_s`) sampled each `basis_step_s`
   with a dead band of `basis_deadband_bps`, so that each venue is the better one part of the time, on either side.
2. **Ticks.** Bids round down, asks round up to the target's tick; levels that meet are added up. The spread never shrinks.
3. **Depth.** Each level is kept with probability `keep`, its size scaled by a factor in `scale`; both are a hash of (seed,
   side, price), so a level does not flicker. The best level is always kept. At most `depth` levels a side. Sizes floor to
   the target's lot; those of an inverse contract are what the source's are worth.
4. **Latency.** The venue's clock lags by `lag_ms` (seeded, drawn anew every second); arrival keeps the source's delay.
   Arrival times never decrease.
5. **Trades.** A print is kept with probability `keep_trades`, moved by the basis, its size scaled, its id counted from 1.
6. **Quotes.** Top of the derived book whenever it changes; the source's own ticker is not used.

A cleared source clears the target at the same (lagged) moment with the same reason. Pure: events in, events out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from sim.events import ASK, BID, EventKind, VenueEvent
from sim.instruments import VenueInstrument
from sim.levels import LevelBook, LevelSide

_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


class TransformSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the transform; see the module's rules for their meaning."""

    basis_bps: float = 2.0
    basis_half_life_s: float = 8.0
    basis_step_s: float = 1.0
    basis_deadband_bps: float = 0.5
    keep: float = 0.6
    scale: tuple[float, float] = (0.25, 0.75)
    depth: int = 200
    lag_ms: tuple[float, float] = (5.0, 40.0)
    keep_trades: float = 0.4


class _Basis:
    """The basis process: its value in bps at a time, advanced in fixed steps from the first time asked."""

    def __init__(self, spec: TransformSpec, rng: random.Random) -> None:
        self._rng = rng
        self._step_ns = int(spec.basis_step_s * 1e9)
        self._decay = 0.5 ** (spec.basis_step_s / spec.basis_half_life_s)
        self._noise = spec.basis_bps * math.sqrt(1 - self._decay**2)
        self._deadband = spec.basis_deadband_bps
        self._value = rng.gauss(0, spec.basis_bps)
        self._shown = self._value
        self._next_ns: int | None = None

    def at(self, ts_ns: int) -> float:
        if self._next_ns is None:
            self._next_ns = ts_ns + self._step_ns
        if ts_ns - self._next_ns > 600 * self._step_ns:  # a hole in the tape: no need to walk through it
            self._next_ns = ts_ns
        while ts_ns >= self._next_ns:
            self._next_ns += self._step_ns
            self._value = self._value * self._decay + self._rng.gauss(0, self._noise)
            if abs(self._value - self._shown) >= self._deadband:
                self._shown = self._value
        return self._shown


class _Lag:
    """How far the venue's clock lags the source's, ns: drawn anew each second of the source's time."""

    def __init__(self, spec: TransformSpec, rng: random.Random) -> None:
        self._rng, self._range = rng, spec.lag_ms
        self._until_ns, self._value = 0, 0

    def at(self, ts_ns: int) -> int:
        if ts_ns >= self._until_ns:
            self._until_ns = ts_ns + 1_000_000_000
            self._value = int(self._rng.uniform(*self._range) * 1e6)
        return self._value


def _hash_unit(seed: int, side: int, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two uniform numbers in [0, 1) for each (seed, side, price): splitmix64."""
    with np.errstate(over="ignore"):
        z = prices.astype(np.uint64) * np.uint64(2) + np.uint64(side == BID)
        z = (z + np.uint64(seed & 0xFFFFFFFF) * np.uint64(0x9E3779B97F4A7C15)) & _MASK
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(32)) / 2.0**32, (z & np.uint64(0xFFFFFFFF)) / 2.0**32


class Transform:
    """One symbol's transform: feed it the source's events in order, it answers with the target's."""

    def __init__(
        self, seed: int, source: VenueInstrument, target: VenueInstrument, spec: TransformSpec | None = None
    ) -> None:
        self.spec = spec or TransformSpec()
        rng = random.Random(f"{seed}:{target.venue}:{target.symbol}")
        self._seed = rng.getrandbits(32)
        self._basis = _Basis(self.spec, random.Random(rng.getrandbits(64)))
        self._lag = _Lag(self.spec, random.Random(rng.getrandbits(64)))
        self._trades = random.Random(rng.getrandbits(64))
        self._source = LevelBook()
        self._shown: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
        self._live = False
        self._top: tuple[int, int, int, int] | None = None
        self._last_init = self._last_event = 0
        self._trade_id = 0
        self._symbol = target.symbol
        # source units per target tick: an integer when the target's decimals are fewer, else a factor on the target's side
        shift = source.price_decimals - target.price_decimals
        self._unit = target.tick
        self._tick = self._unit * (10**shift if shift > 0 else 1)
        self._up = 10**-shift if shift < 0 else 1
        self._size_factor = 10.0 ** (target.size_decimals - source.size_decimals)
        contract = target.contract
        # of an inverse contract: how many contracts one of the base is at one tick of the price
        inverse = contract if contract and contract.inverse else None
        self._per_tick = float(target.price(target.tick) / inverse.size) if inverse else 0.0

    def feed(self, event: VenueEvent) -> list[VenueEvent]:
        """The target's events that one source event causes."""
        match event.kind:
            case EventKind.CLEAR:
                if not self._live:
                    return []
                self._live, self._top = False, None
                self._source.clear()
                self._shown = {BID: {}, ASK: {}}
                return [self._event(event, EventKind.CLEAR, reason=event.reason)]
            case EventKind.SNAPSHOT:
                self._source.load(event.levels)
                self._shown = self._derive(event.ts_init_ns)
                self._live = True
                levels = [(BID, price, size) for price, size in sorted(self._shown[BID].items(), reverse=True)]
                levels += [(ASK, price, size) for price, size in sorted(self._shown[ASK].items())]
                rows = np.array(levels, dtype=np.int64).reshape(-1, 3)
                return [self._event(event, EventKind.SNAPSHOT, levels=rows), *self._quote(event)]
            case EventKind.UPDATE if self._live:
                self._source.apply(event.levels)
                return self._changed(event)
            case EventKind.TRADE if self._live:
                return self._trade(event)
        return []

    # --- inside ------------------------------------------------------------------------------------------------------------------------

    def _offset(self, ts_ns: int) -> int:
        """The basis in target ticks at this time."""
        bid, ask = self._source.bids.best(), self._source.asks.best()
        mid = ((bid or ask or 0) + (ask or bid or 0)) / 2
        return round(mid * self._basis.at(ts_ns) / 10_000 / self._tick * self._up)

    def _derive(self, ts_ns: int) -> dict[int, dict[int, int]]:
        offset = self._offset(ts_ns)
        return {BID: self._side(self._source.bids, offset), ASK: self._side(self._source.asks, offset)}

    def _side(self, side: LevelSide, offset: int) -> dict[int, int]:
        """The target's levels of one side, price → size in target units, best first."""
        keys = side.keys[-self.spec.depth * 4 :]
        if not keys:
            return {}
        # keys are price × side, ascending: floor division by the tick rounds bids down and asks up
        prices = np.array(keys[::-1], dtype=np.int64) * self._up // self._tick
        sizes = np.array([side.sizes[key] for key in reversed(keys)], dtype=np.float64)
        starts = np.flatnonzero(np.diff(prices, prepend=prices[0] + 1))
        sizes = np.add.reduceat(sizes, starts)
        prices = prices[starts] * side.side
        sizes = sizes * prices * self._per_tick if self._per_tick else sizes
        chance, factor = _hash_unit(self._seed, side.side, prices)
        low, high = self.spec.scale
        scaled = np.floor(sizes * self._size_factor * (low + (high - low) * factor)).astype(np.int64)
        kept = chance < self.spec.keep
        kept[0] = True
        kept &= scaled > 0
        moved = ((prices + offset) * self._unit)[kept][: self.spec.depth]
        return dict(zip(moved.tolist(), scaled[kept][: self.spec.depth].tolist(), strict=True))

    def _changed(self, event: VenueEvent) -> list[VenueEvent]:
        after = self._derive(event.ts_init_ns)
        levels: list[tuple[int, int, int]] = []
        for side in (BID, ASK):
            old, new = self._shown[side], after[side]
            levels.extend((side, price, 0) for price in old if price not in new)
            levels.extend((side, price, size) for price, size in new.items() if old.get(price) != size)
        self._shown = after
        if not levels:
            return []
        rows = np.array(levels, dtype=np.int64)
        return [self._event(event, EventKind.UPDATE, levels=rows), *self._quote(event)]

    def _quote(self, event: VenueEvent) -> list[VenueEvent]:
        bids, asks = self._shown[BID], self._shown[ASK]
        if not bids or not asks:
            return []
        bid, ask = next(iter(bids)), next(iter(asks))
        top = (bid, bids[bid], ask, asks[ask])
        if top == self._top:
            return []
        self._top = top
        return [self._event(event, EventKind.QUOTE, bid=bid, bid_size=bids[bid], ask=ask, ask_size=asks[ask])]

    def _trade(self, event: VenueEvent) -> list[VenueEvent]:
        chance, factor = self._trades.random(), self._trades.random()
        low, high = self.spec.scale
        worth = event.price * self._up / self._tick * self._per_tick if self._per_tick else 1.0
        size = int(event.size * worth * self._size_factor * (low + (high - low) * factor))
        if chance >= self.spec.keep_trades or size <= 0:
            return []
        self._trade_id += 1
        units = event.price * self._up
        ticks = -(-units // self._tick) if event.side > 0 else units // self._tick
        return [
            self._event(
                event,
                EventKind.TRADE,
                price=(ticks + self._offset(event.ts_init_ns)) * self._unit,
                size=size,
                side=event.side,
                trade_id=str(self._trade_id),
            )
        ]

    def _event(self, source: VenueEvent, kind: EventKind, **fields: object) -> VenueEvent:
        lag = self._lag.at(source.ts_init_ns)
        self._last_init = max(self._last_init, source.ts_init_ns + lag)
        self._last_event = max(self._last_event, source.ts_event_ns + lag)
        return VenueEvent(
            kind=kind,
            symbol=self._symbol,
            ts_event_ns=min(self._last_event, self._last_init),
            ts_init_ns=self._last_init,
            **fields,  # type: ignore[arg-type]
        )


def transform(
    events: Iterable[VenueEvent],
    seed: int,
    source: VenueInstrument,
    target: VenueInstrument,
    spec: TransformSpec | None = None,
) -> Iterator[VenueEvent]:
    """The target venue's events: a pure function of (events, seed, spec)."""
    derived = Transform(seed, source, target, spec)
    for event in events:
        yield from derived.feed(event)
