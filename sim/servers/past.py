"""`Past`: every public trade of one symbol of a loopback venue, as far back as anybody asks.

Before the server started: a seeded market, the same whenever and in whatever pieces it is asked for, as far back as the epoch. Since then:
the trades that were told, of which the last `KEPT` are remembered. Trades are numbered without holes from the epoch on. In the seeded
market some minutes have no trade, and one in each hour has `BURST` trades in one millisecond: what paging by time stumbles over.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import NamedTuple
from zlib import crc32

import numpy as np

from sim.generator import START_PRICES
from sim.instruments import VenueInstrument

KEPT = 1_000_000
BURST = 130
MINUTE_MS = 60_000
CYCLE = 60  # minutes after which the counts of trades repeat
BURST_AT = 17

Array = np.ndarray


class Prints(NamedTuple):
    """Trades, oldest first: int64 columns. `price`, `size` in units of the instrument, `side` +1 where the buyer took."""

    number: Array
    trade_id: Array
    price: Array
    size: Array
    side: Array
    ts_ns: Array


class Bars(NamedTuple):
    """Candles, oldest first: int64 columns. `turnover` is price × size; a bar without trades repeats the close before it."""

    start_ms: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    turnover: Array
    trades: Array


class Past:
    """The trades of one instrument; `start_ms`: since when the server tells them."""

    def __init__(self, instrument: VenueInstrument, start_ms: int) -> None:
        self._seed = crc32(f"{instrument.venue} {instrument.symbol}".encode())
        rng = np.random.default_rng(self._seed)
        counts = rng.integers(0, 5, CYCLE) * rng.integers(0, 2, CYCLE)
        counts[BURST_AT] = BURST
        self._counts = counts
        self._firsts = np.concatenate(([0], np.cumsum(counts)))  # of a cycle's minutes, then of the next cycle
        self._phases = rng.uniform(0, 2 * np.pi, 2)
        self._price = START_PRICES.get(instrument.symbol.partition(":")[0], 100.0) * 10**instrument.price_decimals
        self._tick = instrument.tick
        self._lot = 10**instrument.size_decimals / 100
        self._seeded_end_ms = start_ms // MINUTE_MS * MINUTE_MS
        self._seeded = self._first_of_minute(start_ms // MINUTE_MS)
        self._forgotten = 0
        self._columns = [array("q") for _ in range(5)]  # trade id, price, size, side, ns

    def add(self, trade_id: int, price: int, size: int, side: int, trade_ms: int) -> None:
        """A trade is told now. Those of one millisecond are told apart by their nanoseconds."""
        times = self._columns[4]
        ts_ns = max(trade_ms * 1_000_000, times[-1] + 1 if times else 0)
        for column, value in zip(self._columns, (trade_id, price, size, side, ts_ns), strict=True):
            column.append(value)
        if len(self._columns[0]) > KEPT + KEPT // 10:
            surplus = len(self._columns[0]) - KEPT
            for column in self._columns:
                del column[:surplus]
            self._forgotten += surplus

    # ---- by number -----------------------------------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """The number that the next trade will have."""
        return self._seeded + self._forgotten + len(self._columns[0])

    def first_at(self, ms: int) -> int:
        """The number of the first trade at that moment or later."""
        if ms >= self._seeded_end_ms:
            return self._seeded + self._forgotten + bisect_left(self._columns[4], ms * 1_000_000)
        minute = max(0, ms) // MINUTE_MS
        first = self._first_of_minute(minute)
        ts_ns = self._seeded_times(np.arange(first, self._first_of_minute(minute + 1)))
        return first + int(np.searchsorted(ts_ns, ms * 1_000_000))

    def number_of(self, trade_id: int) -> int:
        """The number of a trade by its id, or of the first one after it."""
        if trade_id < self._seeded:
            return max(0, trade_id)
        return self._seeded + self._forgotten + bisect_left(self._columns[0], trade_id)

    def prints(self, first: int, end: int) -> Prints:
        """Trades by number, those that are remembered."""
        live = self._seeded + self._forgotten
        seeded = self._seeded_prints(np.arange(max(0, first), min(end, self._seeded)))
        begin, stop = max(first, live) - live, min(end, self.total) - live
        if stop <= begin:
            return seeded
        columns = [np.array(column[begin:stop], dtype=np.int64) for column in self._columns]
        heard = Prints(np.arange(live + begin, live + stop), *columns)
        return Prints(*(np.concatenate(pair) for pair in zip(seeded, heard, strict=True)))

    # ---- candles -------------------------------------------------------------------------------------------------------------------------

    def bars(self, step_ms: int, first_ms: int, last_ms: int) -> Bars:
        """Candles that open from `first_ms` to `last_ms`, both included, both multiples of `step_ms`; none before the first trade."""
        starts = np.arange(first_ms, last_ms + 1, step_ms, dtype=np.int64)
        lead_ms = max(0, first_ms - CYCLE * MINUTE_MS)  # has a trade, if the market was there
        trades = self.prints(self.first_at(lead_ms), self.first_at(last_ms + step_ms))
        at = np.searchsorted(trades.ts_ns, np.append(starts, last_ms + step_ms) * 1_000_000)
        begin, end = at[:-1], at[1:]
        known = end > 0
        starts, begin, end = starts[known], begin[known], end[known]
        if not len(starts):
            return Bars(starts, *(np.empty(0, dtype=np.int64) for _ in range(7)))
        price, sums = trades.price, [np.append(0, np.cumsum(x)) for x in (trades.size, trades.price * trades.size)]
        count = end - begin
        close = price[end - 1]
        first = np.where(count > 0, price[np.minimum(begin, len(price) - 1)], close)
        high, low = close.copy(), close.copy()
        for row in np.flatnonzero(count):
            part = price[begin[row] : end[row]]
            high[row], low[row] = part.max(), part.min()
        volume, turnover = (total[end] - total[begin] for total in sums)
        return Bars(starts, first, high, low, close, volume, turnover, count)

    # ---- the seeded market ---------------------------------------------------------------------------------------------------------------

    def _first_of_minute(self, minute: int) -> int:
        cycle, place = divmod(minute, CYCLE)
        return int(cycle * self._firsts[-1] + self._firsts[place])

    def _seeded_times(self, number: Array) -> Array:
        cycle, left = np.divmod(number, self._firsts[-1])
        place = np.searchsorted(self._firsts, left, "right") - 1
        nth = left - self._firsts[place]
        burst = place == BURST_AT
        spread = (nth + self._noise(number, 1)) / self._counts[place] * MINUTE_MS
        ms = (cycle * CYCLE + place) * MINUTE_MS + np.where(burst, MINUTE_MS // 2, spread.astype(np.int64))
        return ms * 1_000_000 + np.where(burst, nth * 1_000, 0)

    def _seeded_prints(self, number: Array) -> Prints:
        ts_ns = self._seeded_times(number)
        day = ts_ns / 86_400e9
        wave = 0.02 * np.sin(day * 0.9 + self._phases[0]) + 0.004 * np.sin(day * 50 + self._phases[1])
        price = self._price * (1 + wave + 0.0005 * (self._noise(number, 2) - 0.5))
        size = 1 + self._lot * self._noise(number, 3) ** 4
        side = np.where(self._noise(number, 4) < 0.5, -1, 1)
        ticks = np.maximum(1, price / self._tick).astype(np.int64)
        return Prints(number, number, ticks * self._tick, size.astype(np.int64), side, ts_ns)

    def _noise(self, number: Array, salt: int) -> Array:
        """Uniform in [0, 1), a function of the trade's number (splitmix64)."""
        with np.errstate(over="ignore"):
            x = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(self._seed * 8 + salt)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x ^= x >> np.uint64(31)
        return (x >> np.uint64(11)).astype(np.float64) / 2**53
