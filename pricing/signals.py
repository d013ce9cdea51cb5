"""Streaming signals of one venue's stream: five together in one kernel, a few nanoseconds an event.

With e = exp(−Δt/τ) at every event, quotes (b, q_b, a, q_a) and trades (s = ±1 aggressor, v):

    order-flow imbalance   F ← e·F + e_n,  e_n = q_b·1{b ≥ b'} − q_b'·1{b ≤ b'} − q_a·1{a ≤ a'} + q_a'·1{a ≥ a'}
                           shown as F over the same sum of |e_n|: −1 all selling … +1 all buying
    queue imbalance        I = q_b / (q_b + q_a), of the last quote
    trade-flow imbalance   Σ s·v / Σ v, decayed; and Σ v² / (Σ v)²: 1 when one print was all the volume
    microprice drift       D ← e·D + (m − m')/mid', m = (a·q_b + b·q_a)/(q_b + q_a): relative, over about τ
    volatility             S ← e·S + r², W ← e·W + Δt, σ² = S/W per second, r the mid's relative move. Of every tick, so
                           the bounce is in it: a gauge of activity; quotes use `pricing.volatility`

Sources: Cont, Kukanov and Stoikov, *The price impact of order book events*, J. Financial Econometrics 12 (2014) 47;
Gatheral and Oomen (2010) for the microprice. One float64 array holds a stream's state; times are exact (two words).
Quotes without two positive, uncrossed sides and trades without size are counted as `S_REFUSED` and change nothing.
"""

from __future__ import annotations

from math import exp, sqrt

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.arena import H_DEPTH, HEADER, V_COUNT, VENUE_WORDS, Array, side_base
from pricing.entry import entry

Floats = npt.NDArray[np.float64]

QUOTE, TRADE = 0, 1
S_RATE, S_HIGH, S_LOW = 0, 1, 2  # 1/τ per ns; the time of the last event as high · 2^30 + low ns
S_BID, S_BID_SIZE, S_ASK, S_ASK_SIZE, S_MID, S_MICRO = 3, 4, 5, 6, 7, 8
S_OFI, S_OFI_ABS, S_QUEUE = 9, 10, 11
S_FLOW, S_VOLUME, S_VOLUME_SQUARES = 12, 13, 14
S_DRIFT, S_SQUARES, S_SECONDS = 15, 16, 17
S_EVENTS, S_REFUSED = 18, 19
WORDS = 20
LOW_BITS = 30
LOW_MASK = (1 << LOW_BITS) - 1


@njit(cache=True, nogil=True, forceinline=True)
def _observe(state: Floats, ts_ns: int, kind: int, a: int, b: int, c: int, d: int) -> None:
    if kind == QUOTE and not 0 < a < c:
        state[S_REFUSED] += 1.0
        return
    if b <= 0 or (kind == QUOTE and d <= 0):
        state[S_REFUSED] += 1.0
        return
    high, low = float(ts_ns >> LOW_BITS), float(ts_ns & LOW_MASK)
    elapsed = (high - state[S_HIGH]) * (1 << LOW_BITS) + (low - state[S_LOW])
    if state[S_EVENTS] == 0.0:
        elapsed = 0.0
    if elapsed > 0.0:
        fade = exp(-elapsed * state[S_RATE])
        state[S_OFI] *= fade
        state[S_OFI_ABS] *= fade
        state[S_FLOW] *= fade
        state[S_VOLUME] *= fade
        state[S_VOLUME_SQUARES] *= fade * fade
        state[S_DRIFT] *= fade
        state[S_SQUARES] *= fade
        state[S_SECONDS] = state[S_SECONDS] * fade + elapsed * 1e-9
    if elapsed > 0.0 or state[S_EVENTS] == 0.0:
        state[S_HIGH], state[S_LOW] = high, low
    state[S_EVENTS] += 1.0
    if kind == TRADE:
        volume = float(b)
        state[S_FLOW] += volume if a > 0 else -volume
        state[S_VOLUME] += volume
        state[S_VOLUME_SQUARES] += volume * volume
        return
    bid, bid_size, ask, ask_size = float(a), float(b), float(c), float(d)
    total = bid_size + ask_size
    queue = bid_size / total
    mid = 0.5 * (bid + ask)
    micro = bid + (ask - bid) * queue
    if state[S_BID] > 0.0:
        flow = 0.0
        if bid >= state[S_BID]:
            flow += bid_size
        if bid <= state[S_BID]:
            flow -= state[S_BID_SIZE]
        if ask <= state[S_ASK]:
            flow -= ask_size
        if ask >= state[S_ASK]:
            flow += state[S_ASK_SIZE]
        state[S_OFI] += flow
        state[S_OFI_ABS] += abs(flow)
        scale = 1.0 / state[S_MID]
        move = (mid - state[S_MID]) * scale
        state[S_DRIFT] += (micro - state[S_MICRO]) * scale
        state[S_SQUARES] += move * move
    state[S_BID], state[S_BID_SIZE], state[S_ASK], state[S_ASK_SIZE] = bid, bid_size, ask, ask_size
    state[S_MID], state[S_MICRO], state[S_QUEUE] = mid, micro, queue


@njit(cache=True, nogil=True)
def observe(state: Floats, ts_ns: int, kind: int, a: int, b: int, c: int, d: int) -> None:
    """One event. QUOTE: `a`, `b`, `c`, `d` = bid, its size, ask, its size. TRADE: `a` = ±1 aggressor, `b` = size."""
    _observe(state, ts_ns, kind, a, b, c, d)


@njit(cache=True, nogil=True)
def observe_all(state: Floats, events: Array) -> None:
    """Rows (ts_ns, kind, a, b, c, d) in order, as `observe` takes them."""
    for i in range(events.shape[0]):
        _observe(state, events[i, 0], events[i, 1], events[i, 2], events[i, 3], events[i, 4], events[i, 5])


@njit(cache=True, nogil=True)
def depth_imbalance(arena: Array, venue: int, levels: int) -> float:
    """Σ bid sizes / Σ sizes over the best `levels` of each side of a venue's book; 0.5 when there is nothing."""
    depth = arena[H_DEPTH]
    bids, total = 0.0, 0.0
    for side in range(2):
        n = arena[HEADER + venue * VENUE_WORDS + V_COUNT + side]
        end = side_base(arena, venue, side) + depth + n
        for i in range(end - min(n, levels), end):
            total += arena[i]
            if side == 0:
                bids += arena[i]
    return bids / total if total > 0.0 else 0.5


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream says. Imbalances −1 … 1 (`queue_imbalance` 0 … 1, bids' share); `drift_bps` over about τ;
    `sigma`: relative per √s; `trade_concentration`: 0 many small prints … 1 one print."""

    order_flow: float
    queue_imbalance: float
    trade_flow: float
    drift_bps: float
    sigma: float
    trade_concentration: float
    events: int


class Signals:
    """The signals of one stream; `tau_s`: memory of all of them. Sizes in any one unit, prices in any other."""

    __slots__ = ("_observe", "state")

    def __init__(self, tau_s: float = 10.0) -> None:
        if not tau_s > 0:
            raise ValueError("signals: tau_s must be positive")
        self.state = np.zeros(WORDS, dtype=np.float64)
        self.state[S_RATE] = 1e-9 / tau_s
        self._observe = entry(observe, "(float64[::1], int64, int64, int64, int64, int64, int64)")

    def quote(self, ts_ns: int, bid: int, bid_size: int, ask: int, ask_size: int) -> None:
        """A best bid and ask."""
        self._observe(self.state, ts_ns, QUOTE, bid, bid_size, ask, ask_size)

    def trade(self, ts_ns: int, side: int, size: int) -> None:
        """A print; `side` +1 when the buyer was the aggressor, −1 the seller."""
        self._observe(self.state, ts_ns, TRADE, side, size, 0, 0)

    def read(self, now_ns: int) -> Reading:
        """What it comes to at `now_ns`."""
        state = self.state.tolist()
        last = (int(state[S_HIGH]) << LOW_BITS) + int(state[S_LOW])
        since = max(now_ns - last, 0) if state[S_EVENTS] else 0
        fade = exp(-since * state[S_RATE])
        seconds = state[S_SECONDS] * fade + since * 1e-9
        return Reading(
            order_flow=_share(state[S_OFI], state[S_OFI_ABS]),
            queue_imbalance=state[S_QUEUE] if state[S_BID] else 0.5,
            trade_flow=_share(state[S_FLOW], state[S_VOLUME]),
            drift_bps=1e4 * fade * state[S_DRIFT],
            sigma=sqrt(fade * state[S_SQUARES] / seconds) if seconds > 0.0 else 0.0,
            trade_concentration=_share(state[S_VOLUME_SQUARES], state[S_VOLUME] ** 2),
            events=int(state[S_EVENTS]),
        )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 0.0
