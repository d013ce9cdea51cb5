"""Fair value of an instrument from the tops of its live venues, with what each venue weighed and why one was left out.

    m_v = (ask·q_bid + bid·q_ask) / (q_bid + q_ask)       microprice: the mid leaning to the side about to be consumed
    w_v = √min(q_bid, q_ask) · fresh_v                    fresh_v falls linearly from 1 to 0.001 at the venue's greatest age
    F   = Σ w_v·m_v / Σ w_v                               over venues that are live and no outlier

b, a, q are the venue's own top-of-book stream's while that is younger than `QUOTE_NS` (it runs ahead of the depth stream),
else the book's. Outliers: further from the median microprice than `MADS` × 1.4826 × MAD, but never nearer than `NEAR_BPS` (venues
differ by that much on ordinary days) and always beyond `FAR_BPS`. When fewer than half agree, or two venues are
`DISAGREEMENT_BPS` apart, nobody knows which is right and there is no fair value. Ticks of the instrument's scale, float: what
is quoted from it is rounded by the ladder. Microprice: Gatheral and Oomen, *Zero-intelligence realized variance
estimation* (2010); √ of the thinner side as weight damps venues that show size they do not have.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.arena import (
    CROSSED,
    H_DEPTH,
    H_VENUES,
    HEADER,
    ONE_SIDED,
    Q_ASK,
    Q_ASK_SIZE,
    Q_BID,
    Q_BID_SIZE,
    Q_NS,
    V_AWAIT,
    V_CONDITION,
    V_COUNT,
    V_LAST_NS,
    V_MAX_AGE_NS,
    VENUE_WORDS,
    Array,
    quote_base,
    side_base,
)

Floats = npt.NDArray[np.float64]

MADS, NEAR_BPS, FAR_BPS, DISAGREEMENT_BPS = 5.0, 10.0, 50.0, 100.0
QUOTE_NS = 500_000_000
SIGMA_OF_MAD = 1.4826  # MAD × this = σ of a normal law
O_FAIR, O_VENUES = 0, 4  # out: fair (0 = none), three words unused, then per venue the columns below
C_MICRO, C_WEIGHT, C_VERDICT, C_SORTED = 0, 1, 2, 3
COLUMNS = 4


class Verdict(IntEnum):
    """Why a venue is, or is not, part of the fair value."""

    USED = 0
    AWAITED = 1  # no snapshot yet, or none since it was cleared
    EMPTY = 2
    CROSSED = 3
    STALE = 4
    OUTLIER = 5  # far from the median of the others
    DISPUTED = 6  # the venues disagree, and there is no telling who is right


class VenueFair(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's part. `micro` in quote currency (None without both sides); `weight` is its share, 0 when not used."""

    venue: str
    micro: Decimal | None
    weight: Decimal
    verdict: Verdict


class FairValue(msgspec.Struct, frozen=True, kw_only=True):
    """The fair value, or None, and how it came about."""

    value: Decimal | None
    venues: tuple[VenueFair, ...]


def new_out(venues: int) -> Floats:
    """The work and result array of `fair_kernel`."""
    return np.zeros(O_VENUES + COLUMNS * venues, dtype=np.float64)


@njit(cache=True, nogil=True)
def fair_kernel(arena: Array, now_ns: int, out: Floats) -> float:
    """Fair value in ticks, 0.0 when there is none; `out` gets microprice, weight and verdict of each venue."""
    venues, depth = arena[H_VENUES], arena[H_DEPTH]
    live = 0
    for venue in range(venues):
        head = HEADER + venue * VENUE_WORDS
        row = O_VENUES + COLUMNS * venue
        out[row + C_MICRO] = 0.0
        out[row + C_WEIGHT] = 0.0
        condition, age = arena[head + V_CONDITION], now_ns - arena[head + V_LAST_NS]
        oldest = arena[head + V_MAX_AGE_NS]
        if arena[head + V_AWAIT]:
            out[row + C_VERDICT] = 1.0
            continue
        if condition & ONE_SIDED:
            out[row + C_VERDICT] = 2.0
            continue
        bid_at = side_base(arena, venue, 0) + arena[head + V_COUNT] - 1
        ask_at = side_base(arena, venue, 1) + arena[head + V_COUNT + 1] - 1
        bid, bid_size = arena[bid_at], arena[bid_at + depth]
        ask, ask_size = -arena[ask_at], arena[ask_at + depth]
        quote = quote_base(arena, venue)
        if arena[quote + Q_NS] > 0 and now_ns - arena[quote + Q_NS] <= QUOTE_NS:
            b, q_b, a, q_a = (
                arena[quote + Q_BID],
                arena[quote + Q_BID_SIZE],
                arena[quote + Q_ASK],
                arena[quote + Q_ASK_SIZE],
            )
            if b < a and q_b > 0 and q_a > 0:
                bid, bid_size, ask, ask_size = b, q_b, a, q_a
        total = float(bid_size) + float(ask_size)
        micro = (float(ask) * bid_size + float(bid) * ask_size) / total
        out[row + C_MICRO] = micro
        if condition & CROSSED:
            out[row + C_VERDICT] = 3.0
            continue
        if age > oldest:
            out[row + C_VERDICT] = 4.0
            continue
        fresh = 1.0 - 0.999 * max(age, 0) / max(oldest, 1)
        out[row + C_WEIGHT] = np.sqrt(float(min(bid_size, ask_size))) * fresh
        out[row + C_VERDICT] = 0.0
        at = live  # insertion into the sorted column
        while at > 0 and out[O_VENUES + COLUMNS * (at - 1) + C_SORTED] > micro:
            out[O_VENUES + COLUMNS * at + C_SORTED] = out[O_VENUES + COLUMNS * (at - 1) + C_SORTED]
            at -= 1
        out[O_VENUES + COLUMNS * at + C_SORTED] = micro
        live += 1
    if live > 1:
        _judge(venues, live, out)
    weight, total = 0.0, 0.0
    for venue in range(venues):
        row = O_VENUES + COLUMNS * venue
        if out[row + C_VERDICT] == 0.0:
            weight += out[row + C_WEIGHT]
            total += out[row + C_WEIGHT] * out[row + C_MICRO]
    out[O_FAIR] = total / weight if weight > 0.0 else 0.0
    return out[O_FAIR]


@njit(cache=True, nogil=True)
def _middle(out: Floats, n: int) -> float:
    """Median of the `n` sorted values."""
    low = out[O_VENUES + COLUMNS * ((n - 1) // 2) + C_SORTED]
    high = out[O_VENUES + COLUMNS * (n // 2) + C_SORTED]
    return 0.5 * (low + high)


@njit(cache=True, nogil=True)
def _judge(venues: int, live: int, out: Floats) -> None:
    """Mark outliers among `live` ≥ 2 venues, or all of them as disputed. The sorted column is used up."""
    centre = _middle(out, live)
    if live == 2:
        apart = out[O_VENUES + COLUMNS + C_SORTED] - out[O_VENUES + C_SORTED]
        if apart > DISAGREEMENT_BPS * 1e-4 * centre:
            _dispute(venues, out)
        return
    filled = 0
    for venue in range(venues):  # sort the deviations where the prices were
        row = O_VENUES + COLUMNS * venue
        if out[row + C_VERDICT] != 0.0:
            continue
        deviation = abs(out[row + C_MICRO] - centre)
        at = filled
        while at > 0 and out[O_VENUES + COLUMNS * (at - 1) + C_SORTED] > deviation:
            out[O_VENUES + COLUMNS * at + C_SORTED] = out[O_VENUES + COLUMNS * (at - 1) + C_SORTED]
            at -= 1
        out[O_VENUES + COLUMNS * at + C_SORTED] = deviation
        filled += 1
    band = MADS * SIGMA_OF_MAD * _middle(out, live)
    band = min(max(band, NEAR_BPS * 1e-4 * centre), FAR_BPS * 1e-4 * centre)
    agree = 0
    for venue in range(venues):
        row = O_VENUES + COLUMNS * venue
        if out[row + C_VERDICT] == 0.0:
            if abs(out[row + C_MICRO] - centre) > band:
                out[row + C_VERDICT] = 5.0
            else:
                agree += 1
    if 2 * agree < live:
        _dispute(venues, out)


@njit(cache=True, nogil=True)
def _dispute(venues: int, out: Floats) -> None:
    for venue in range(venues):
        row = O_VENUES + COLUMNS * venue
        if out[row + C_VERDICT] == 0.0 or out[row + C_VERDICT] == 5.0:
            out[row + C_VERDICT] = 6.0
