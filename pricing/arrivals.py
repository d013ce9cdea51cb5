"""Kernels that do all that one message of a venue asks for in one call: the book, when it was heard, and the signals.

A call from Python costs more than what most messages change, so a tick is one call. The parts are those of
`pricing.book` and `pricing.signals`; nothing is computed here that they do not.
"""

from __future__ import annotations

from numba import njit

from pricing.arena import HEADER, V_AWAIT, V_LAST_NS, V_MAX_AGE_NS, VENUE_WORDS, Array
from pricing.book import MALFORMED, apply_levels, mark_top
from pricing.signals import QUOTE, Floats, _observe

IGNORED = -2  # an update for a book that waits for a snapshot
STALE = 64  # beside the bits of a condition: nothing heard for too long
TAKE_LEVELS = "(int64[::1], int64, int64[:,::1], int64, int64)"
TAKE_TOP = "(int64[::1], int64, int64, int64, int64, int64, int64, float64[::1])"


@njit(cache=True, nogil=True)
def take_levels(arena: Array, venue: int, levels: Array, snapshot: int, ts_ns: int) -> int:
    """A book message (`pricing.book.apply_levels`) that arrived at `ts_ns`. Returns the book's condition, with `STALE` when
    the message was older than the venue's greatest age; `IGNORED`, or `MALFORMED`: then the caller must clear the book."""
    head = HEADER + venue * VENUE_WORDS
    if snapshot == 0 and arena[head + V_AWAIT] != 0:
        return IGNORED
    found = apply_levels(arena, venue, levels, snapshot)
    if found == MALFORMED:
        return MALFORMED
    if ts_ns > arena[head + V_LAST_NS]:
        arena[head + V_LAST_NS] = ts_ns
    if ts_ns - arena[head + V_LAST_NS] > arena[head + V_MAX_AGE_NS]:
        found |= STALE
    return found


@njit(cache=True, nogil=True)
def take_top(
    arena: Array, venue: int, bid: int, bid_size: int, ask: int, ask_size: int, ts_ns: int, signals: Floats
) -> int:
    """A newer best bid and ask in the venue's decimals: to the book (`mark_top`) and to the signals of its stream. Returns
    the book's condition."""
    found = mark_top(arena, venue, bid, bid_size, ask, ask_size, ts_ns)
    _observe(signals, ts_ns, QUOTE, bid, bid_size, ask, ask_size)
    return found
