"""`Volatility`: σ per √second of one mid, for quoting: robust to microstructure noise and to jumps, quick to rise.

Fed with the mid as often as wanted (10 times a second does). With e = exp(−ln2·Δt/halflife), x = ln mid:

    two scales   RV_all ← e·RV_all + (x_i − x_{i−1})²,  RV_K ← e·RV_K + (x_i − x_{i−K})²/K,  W ← e·W + Δt
                 σ²_ts = (RV_K − RV_all/K)/(1 − 1/K)/W; noise variance ω² = (RV_all − σ²_ts·W)/2n
    on a grid    r over at least `grid_s`: S ← e·S + r² with a short memory, B ← e·B + (π/2)·|r_i|·|r_{i−1}| with the long one
                 (moves scaled to one length of time), both less 2ω² a sample; jump share = 1 − B/S, S with the long memory
    sigma        max(σ_ts, σ_B, σ_short, floor)

Two scales because tick variance measures the bounce: at 0.5 bp of noise, 60 % true volatility reads 139 % on 0.1 s ticks,
66 % on a 2 s grid, 60 % here. Bipower leaves single jumps out; the short memory answers at once when the market wakes
up, and a quote should be wide then, so the largest counts. Time of day: moves are measured in the day profile's own time
(`pricing.day_profile`), so that a quiet hour does not make the next busy one look wild.

Sources: Zhang, Mykland and Aït-Sahalia, *A tale of two time scales*, JASA 100 (2005) 1394; Barndorff-Nielsen and
Shephard, *Power and bipower variation*, J. Financial Econometrics 2 (2004) 1. Floats: a statistic, not money.
"""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.day_profile import DayProfile
from pricing.entry import entry

Floats = npt.NDArray[np.float64]

SCALE = 25  # ticks of the slow scale: 2.5 s at ten ticks a second
P_LONG, P_SHORT, P_GRID = 0, 1, 2  # ln2/halflife per s (long, short), grid in s
T_HIGH, T_LOW, T_LAST, T_COUNT, T_AT = 3, 4, 5, 6, 7  # last tick: time in two words, x; ticks seen, ring position
T_ALL, T_SLOW, T_SECONDS, T_N = 8, 9, 10, 11
G_SECONDS, G_LAST, G_BEFORE, G_SAMPLES = 12, 13, 14, 15  # since the last grid sample; x there; |r|/√s before; samples
G_SHORT, G_SHORT_N, G_SHORT_SECONDS = 16, 17, 18
G_LONG, G_BIPOWER, G_LONG_N, G_LONG_SECONDS, G_PAIRS_SECONDS = 19, 20, 21, 22, 23
G_MOVE, G_ELAPSED = 24, 25  # of the newest grid sample: r, real seconds
G_REAL = 26  # real seconds since the last grid sample
RING = 27
WORDS = RING + SCALE
LOW_BITS = 30
LOW_MASK = (1 << LOW_BITS) - 1
HALF_PI = pi / 2.0


@njit(cache=True, nogil=True)
def observe(state: Floats, ts_ns: int, mid: float, pace: float) -> int:
    """The mid at `ts_ns`, while the day runs at `pace` times its mean variance; 1 when it was a grid sample.

    Times that do not advance and mids that are not positive and finite change nothing.
    """
    if not 0.0 < mid < np.inf or not pace > 0.0:
        return 0
    x = np.log(mid)
    high, low = float(ts_ns >> LOW_BITS), float(ts_ns & LOW_MASK)
    if state[T_COUNT] == 0.0:
        state[T_HIGH], state[T_LOW], state[T_LAST], state[T_COUNT] = high, low, x, 1.0
        state[RING], state[T_AT], state[G_LAST] = x, 1.0, x
        return 0
    real = ((high - state[T_HIGH]) * (1 << LOW_BITS) + (low - state[T_LOW])) * 1e-9
    if real <= 0.0:
        return 0
    elapsed = real * pace
    fade = np.exp(-state[P_LONG] * real)
    at = int(state[T_AT])
    state[T_ALL] = state[T_ALL] * fade + (x - state[T_LAST]) ** 2
    state[T_SLOW] *= fade
    state[T_SECONDS] = state[T_SECONDS] * fade
    state[T_N] = state[T_N] * fade
    if state[T_COUNT] >= SCALE:
        state[T_SLOW] += (x - state[RING + at]) ** 2 / SCALE
        state[T_SECONDS] += elapsed
        state[T_N] += 1.0
    else:  # the slow scale is not there yet: neither may the fast one count
        state[T_ALL] = 0.0
    state[RING + at] = x
    state[T_AT] = at + 1.0 if at + 1 < SCALE else 0.0
    state[T_COUNT] += 1.0
    state[T_HIGH], state[T_LOW], state[T_LAST] = high, low, x
    state[G_SECONDS] += elapsed
    state[G_REAL] += real
    if state[G_REAL] < state[P_GRID]:
        return 0
    _sample(state, x)
    return 1


@njit(cache=True, nogil=True)
def _sample(state: Floats, x: float) -> None:
    """A move on the grid: into the short, the long and the bipower sums."""
    real, elapsed, move = state[G_REAL], state[G_SECONDS], x - state[G_LAST]
    short, long = np.exp(-state[P_SHORT] * real), np.exp(-state[P_LONG] * real)
    state[G_SHORT] = state[G_SHORT] * short + move * move
    state[G_SHORT_N] = state[G_SHORT_N] * short + 1.0
    state[G_SHORT_SECONDS] = state[G_SHORT_SECONDS] * short + elapsed
    state[G_LONG] = state[G_LONG] * long + move * move
    state[G_LONG_N] = state[G_LONG_N] * long + 1.0
    state[G_LONG_SECONDS] = state[G_LONG_SECONDS] * long + elapsed
    size = abs(move) / np.sqrt(elapsed)
    state[G_BIPOWER] *= long
    state[G_PAIRS_SECONDS] *= long
    if state[G_SAMPLES] > 0.0:
        state[G_BIPOWER] += HALF_PI * size * state[G_BEFORE] * elapsed
        state[G_PAIRS_SECONDS] += elapsed
    state[G_BEFORE] = size
    state[G_SAMPLES] += 1.0
    state[G_LAST], state[G_SECONDS], state[G_REAL] = x, 0.0, 0.0
    state[G_MOVE], state[G_ELAPSED] = move, real


@njit(cache=True, nogil=True)
def observe_all(state: Floats, first_ns: int, step_ns: int, mids: Floats) -> None:
    """Mids at equal steps, for studies."""
    for i in range(mids.shape[0]):
        observe(state, first_ns + i * step_ns, mids[i], 1.0)


class Volatility:
    """σ per √s of one mid. `halflife_s`: memory (`short_s`: of the quick part); `floor`: the least it ever says;
    `grid_s`: sampling interval against the bounce; `profile`: the time of day, learnt as it goes."""

    def __init__(
        self,
        halflife_s: float = 120.0,
        floor: float = 5e-6,
        grid_s: float = 2.0,
        short_s: float = 20.0,
        profile: DayProfile | None = None,
    ) -> None:
        if halflife_s <= 0 or grid_s <= 0 or short_s <= 0 or floor < 0:
            raise ValueError("volatility: halflife_s, short_s and grid_s must be positive, floor not negative")
        self.floor = floor
        self.profile = profile
        self._pace = 1.0
        self._sigma: float | None = floor  # None: not worked out since the last mid
        self.state = np.zeros(WORDS, dtype=np.float64)
        self._words = memoryview(self.state)  # the same memory: single words are read faster, and as Python's floats
        self._observe = entry(observe, "(float64[::1], int64, float64, float64)")
        self.state[P_LONG], self.state[P_SHORT] = log(2.0) / halflife_s, log(2.0) / short_s
        self.state[P_GRID] = grid_s

    def update(self, ts_ns: int, mid: float) -> None:
        """Show it the mid at `ts_ns`. Times that go back and mids that are not positive are ignored."""
        profile = self.profile
        if profile is not None:
            self._pace = profile.pace(ts_ns)
        if self._observe(self.state, ts_ns, mid, self._pace) and profile is not None:
            profile.observe(ts_ns, self._words[G_MOVE] ** 2, self._words[G_ELAPSED])
        self._sigma = None

    @property
    def samples(self) -> int:
        """Moves measured on the grid so far."""
        return int(self._words[G_SAMPLES])

    @property
    def two_scale(self) -> float:
        """σ per √s from the two scales alone; 0 until there are more than `SCALE` ticks."""
        return _root(self._two_scale(), self._pace)

    @property
    def bipower(self) -> float:
        """σ per √s without single jumps, less the noise."""
        state = self._words
        noise = 2.0 * self._noise() * state[G_LONG_N]
        if state[G_PAIRS_SECONDS] <= 0.0 or state[G_LONG_SECONDS] <= 0.0:
            return 0.0
        return _root(state[G_BIPOWER] / state[G_PAIRS_SECONDS] - noise / state[G_LONG_SECONDS], self._pace)

    @property
    def short(self) -> float:
        """σ per √s of the last moments, less the noise."""
        state = self._words
        if state[G_SHORT_SECONDS] <= 0.0:
            return 0.0
        variance = (state[G_SHORT] - 2.0 * self._noise() * state[G_SHORT_N]) / state[G_SHORT_SECONDS]
        return _root(variance, self._pace)

    @property
    def noise_bps(self) -> float:
        """Standard deviation of the mid's noise, in bp."""
        return 1e4 * sqrt(self._noise())

    @property
    def jump_share(self) -> float:
        """Part of the variance on the grid that came in jumps, 0 … 1."""
        state = self._words
        if state[G_LONG] <= 0.0 or state[G_PAIRS_SECONDS] <= 0.0:
            return 0.0
        smooth = state[G_BIPOWER] / state[G_PAIRS_SECONDS] * state[G_LONG_SECONDS]
        return float(max(0.0, 1.0 - smooth / state[G_LONG]))

    @property
    def sigma(self) -> float:
        """σ per √s, relative (1e-5 = 0.1 bp per √s), for quoting; the floor until there is a sample."""
        if self._sigma is None:
            self._sigma = max(self.floor, self.two_scale, self.bipower, self.short)
        return self._sigma

    def _two_scale(self) -> float:
        """Variance per second of the profile's time."""
        state = self._words
        if state[T_SECONDS] <= 0.0:
            return 0.0
        variance = (state[T_SLOW] - state[T_ALL] / SCALE) / (1.0 - 1.0 / SCALE) / state[T_SECONDS]
        return max(0.0, float(variance))

    def _noise(self) -> float:
        state = self._words
        if state[T_N] <= 0.0:
            return 0.0
        return max(0.0, float(state[T_ALL] - self._two_scale() * state[T_SECONDS]) / (2.0 * float(state[T_N])))


def _root(variance: float, pace: float) -> float:
    return sqrt(max(0.0, float(variance)) * pace)
