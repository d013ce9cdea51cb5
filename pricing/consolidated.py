"""`ConsolidatedBook`: every venue's book of one instrument, and which of them may be priced from and routed to.

Promises: a venue whose book is gapped, stale, crossed or one-sided is out of every result at once and back by itself
when it is whole again; money comes out as exact decimals; nothing here waits, allocates without bound or decides a
price. One thread writes and reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from math import sqrt

import msgspec
import numpy as np

from pricing import book as kernels
from pricing.scale import EXACT, MAX_LOTS, MAX_TICKS, Scale

FEE_ONE = 10**8  # fees in 1e-8 of the notional: 1 bp = 10^4
MAX_VENUES = 60  # a live mask is one int64
OUTLIER_BPS = 50.0  # a venue this far from the median of three or more is left out of the fair value
DISAGREEMENT_BPS = 100.0  # two venues this far apart: nobody knows which is right, so there is no fair value


class VenueTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What trading at a venue costs and allows, for one instrument. Decimals in quote currency (`tick`, `min_notional`,
    `fixed_cost`) or base."""

    venue: str
    taker_fee_bps: Decimal
    tick: Decimal
    lot: Decimal
    min_quantity: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    price_decimals: int
    size_decimals: int
    max_age_ns: int
    fixed_cost: Decimal = Decimal(0)


class BookStatus(StrEnum):
    """Whether a venue's book may be used. Only LIVE is."""

    LIVE = "live"
    EMPTY = "empty"  # no snapshot yet, or nothing on one side
    GAPPED = "gapped"  # cleared: waits for a snapshot
    STALE = "stale"  # nothing heard for longer than `max_age_ns`
    CROSSED = "crossed"  # best bid ≥ best ask inside one venue


class LadderRow(msgspec.Struct, frozen=True):
    """One level of the merged view. `all_in` includes the taker fee; `cumulative` is base from the best row on."""

    venue: str
    price: Decimal
    size: Decimal
    all_in: Decimal
    cumulative: Decimal


class _Venue:
    __slots__ = ("condition", "fee", "gapped", "index", "last_ns", "reason", "resyncs", "terms", "updates")

    def __init__(self, index: int, terms: VenueTerms) -> None:
        self.index = index
        self.terms = terms
        self.fee = 0
        self.condition = kernels.ONE_SIDED
        self.gapped = False
        self.reason = "no snapshot yet"
        self.last_ns = 0
        self.updates = 0
        self.resyncs = 0


class ConsolidatedBook:
    """Books of one instrument over `venues`, each up to `depth` levels a side, on a common `scale` (the finest of
    them)."""

    def __init__(self, symbol: str, scale: Scale, venues: Sequence[VenueTerms], depth: int = 512) -> None:
        if not 0 < len(venues) <= MAX_VENUES:
            raise ValueError(f"{symbol}: {len(venues)} venues; 1 to {MAX_VENUES} are possible")
        self.symbol = symbol
        self.scale = scale
        self.depth = depth
        self.arena = kernels.new_arena(len(venues), depth)
        self._tops = np.zeros((len(venues), 4), dtype=np.int64)
        self._venues: dict[str, _Venue] = {}
        for index, terms in enumerate(venues):
            if terms.venue in self._venues:
                raise ValueError(f"{symbol}: venue {terms.venue} twice")
            self._venues[terms.venue] = _Venue(index, terms)
            self.set_terms(terms)

    @property
    def venues(self) -> list[str]:
        """Every venue, in the order given."""
        return list(self._venues)

    def terms(self, venue: str) -> VenueTerms:
        """The terms in force."""
        return self._venues[venue].terms

    def set_terms(self, terms: VenueTerms) -> None:
        """Replace the terms of a known venue. Its decimals may change only while its book is empty."""
        state = self._venues[terms.venue]
        scale = self.scale
        if terms.price_decimals > scale.price_decimals:
            raise ValueError(f"{self.symbol}: prices of {terms.venue} are finer than the scale {scale}")
        head = kernels.HEADER + state.index * kernels.VENUE_WORDS
        factors = (
            10 ** (scale.price_decimals - terms.price_decimals),
            _size_factor(scale.size_decimals - terms.size_decimals),
        )
        now = (int(self.arena[head + kernels.V_PRICE_FACTOR]), int(self.arena[head + kernels.V_SIZE_FACTOR]))
        if now not in ((0, 0), factors):
            kernels.clear_book(self.arena, state.index)
            state.condition, state.reason = kernels.ONE_SIDED, "decimals changed: waits for a snapshot"
        fee_ppm = terms.taker_fee_bps * 100
        if not -100_000 < fee_ppm < 100_000:
            raise ValueError(f"{self.symbol}: {terms.venue} fee of {terms.taker_fee_bps} bps")
        state.terms = terms
        state.fee = int((terms.taker_fee_bps * 10**4).to_integral_value(ROUND_CEILING))
        self.arena[head + kernels.V_FEE_PPM] = int(fee_ppm)
        self.arena[head + kernels.V_PRICE_FACTOR], self.arena[head + kernels.V_SIZE_FACTOR] = factors

    # what the feeds do

    def apply(self, venue: str, levels: kernels.Array, snapshot: bool, ts_ns: int) -> BookStatus:
        """Apply levels (n × 3: side ±1, price, size in the venue's decimals; size 0 removes). Updates before a snapshot
        are ignored.

        A malformed level clears the book until the next snapshot.
        """
        state = self._venues[venue]
        if not snapshot and (state.gapped or state.reason):
            return self.status(venue, ts_ns)
        flags = levels.flags
        if levels.dtype != np.int64 or not (flags.c_contiguous and flags.writeable):
            levels = np.array(levels, dtype=np.int64, order="C")
        code = kernels.apply_levels(self.arena, state.index, levels, int(snapshot), MAX_TICKS, MAX_LOTS)
        if code == kernels.MALFORMED:
            self.clear(venue, "malformed level", ts_ns)
            return BookStatus.GAPPED
        state.condition = code
        state.updates += 1
        if snapshot:
            state.resyncs += 1
            state.gapped = False
            state.reason = ""
        state.last_ns = max(state.last_ns, ts_ns)
        return self.status(venue, ts_ns)

    def clear(self, venue: str, reason: str, ts_ns: int) -> None:
        """The book cannot be trusted (gap, checksum, disconnect): out until the next snapshot."""
        state = self._venues[venue]
        kernels.clear_book(self.arena, state.index)
        state.condition = kernels.ONE_SIDED
        state.gapped = True
        state.reason = reason or "cleared"
        state.last_ns = max(state.last_ns, ts_ns)

    def touch(self, venue: str, ts_ns: int) -> None:
        """A heartbeat or any other message proves the feed alive."""
        state = self._venues[venue]
        state.last_ns = max(state.last_ns, ts_ns)

    def mark_top(self, venue: str, bid_px: int, bid_sz: int, ask_px: int, ask_sz: int, ts_ns: int) -> None:
        """A newer best bid and ask (venue decimals): drop better levels that the depth stream has not removed yet.

        Ignored when it is older than the book's last message. Nothing is inserted.
        """
        state = self._venues[venue]
        if ts_ns < state.last_ns or state.reason:
            return
        state.condition = kernels.trim_to_top(self.arena, state.index, bid_px, bid_sz, ask_px, ask_sz)
        state.last_ns = ts_ns

    # what may be used

    def status(self, venue: str, now_ns: int) -> BookStatus:
        """Whether the book of `venue` may be used at `now_ns`."""
        state = self._venues[venue]
        if state.gapped:
            return BookStatus.GAPPED
        if state.condition == kernels.CROSSED:
            return BookStatus.CROSSED
        if state.condition:
            return BookStatus.EMPTY
        if now_ns - state.last_ns > state.terms.max_age_ns:
            return BookStatus.STALE
        return BookStatus.LIVE

    def reason(self, venue: str) -> str:
        """Why the book was last cleared; empty while it is whole."""
        return self._venues[venue].reason

    def live(self, now_ns: int) -> list[str]:
        """Venues that may be used."""
        return [venue for venue in self._venues if self.status(venue, now_ns) is BookStatus.LIVE]

    def live_mask(self, now_ns: int) -> int:
        """The same as a bit per venue, for kernels."""
        mask = 0
        for state in self._venues.values():
            if not state.condition and not state.gapped and now_ns - state.last_ns <= state.terms.max_age_ns:
                mask |= 1 << state.index
        return mask

    def fees(self) -> list[int]:
        """Taker fee of each venue, in 1e-8 of the notional (`FEE_ONE`)."""
        return [state.fee for state in self._venues.values()]

    def age_ns(self, venue: str, now_ns: int) -> int:
        """Time since anything was heard of the venue."""
        return now_ns - self._venues[venue].last_ns

    def updates(self, venue: str) -> int:
        """Messages applied so far."""
        return self._venues[venue].updates

    def resyncs(self, venue: str) -> int:
        """Snapshots applied so far."""
        return self._venues[venue].resyncs

    # what it says

    def best(self, venue: str) -> tuple[Decimal, Decimal] | None:
        """Best bid and ask of a venue, whatever its status; None when a side is empty."""
        kernels.tops(self.arena, self._tops)
        bid, _, ask, _ = self._tops[self._venues[venue].index].tolist()
        return (self.scale.price(bid), self.scale.price(ask)) if bid and ask else None

    def side_levels(self, venue: str, side: int, depth: int | None = None) -> list[tuple[int, int]]:
        """(ticks, lots) of one side (0 bids, 1 asks), best first, whatever the status."""
        index = self._venues[venue].index
        head = kernels.HEADER + index * kernels.VENUE_WORDS
        n = int(self.arena[head + kernels.V_COUNT + side])
        base = int(kernels.side_base(self.arena, index, side))
        first = base + max(0, n - depth) if depth is not None else base
        keys = np.abs(self.arena[first : base + n])[::-1].tolist()
        sizes = self.arena[first + self.depth : base + self.depth + n][::-1].tolist()
        return list(zip(keys, sizes, strict=True))

    def levels(self, venue: str, depth: int) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """Bids and asks of a venue as (price, size), best first, whatever the status."""
        scale = self.scale
        bids, asks = (
            [(scale.price(ticks), scale.size(lots)) for ticks, lots in self.side_levels(venue, side, depth)]
            for side in (0, 1)
        )
        return bids, asks

    def ladder(self, depth: int, now_ns: int) -> tuple[list[LadderRow], list[LadderRow]]:
        """Bids and asks of the live venues merged on fee-adjusted price, best first, `depth` rows a side."""
        live = self.live(now_ns)
        return self._merged(live, 0, depth), self._merged(live, 1, depth)

    def _merged(self, live: list[str], side: int, depth: int) -> list[LadderRow]:
        sign = 1 if side == 1 else -1
        rows = []
        for venue in live:
            state = self._venues[venue]
            factor = FEE_ONE + sign * state.fee
            rows += [
                (sign * ticks * factor, state.index, ticks, lots)
                for ticks, lots in self.side_levels(venue, side, depth)
            ]
        rows.sort()
        names, scale, total = self.venues, self.scale, 0
        merged = []
        for key, index, ticks, lots in rows[:depth]:
            total += lots
            all_in = EXACT.scaleb(Decimal(abs(key)), Decimal(-8 - scale.price_decimals))
            merged.append(LadderRow(names[index], scale.price(ticks), scale.size(lots), all_in, scale.size(total)))
        return merged

    def fair(self, now_ns: int) -> Decimal | None:
        """Fair value: microprice (a·q_b + b·q_a)/(q_a + q_b) of each live venue, weighted by √min(q_a, q_b) ×
        freshness.

        Freshness falls linearly to 0 at `max_age_ns`. Venues further than `OUTLIER_BPS` from the median (three or more
        live) are left out; two that disagree by more than `DISAGREEMENT_BPS` give None, as does no live venue. Two
        decimals finer than the scale.
        """
        kernels.tops(self.arena, self._tops)
        tops = self._tops.tolist()
        found: list[tuple[float, float]] = []
        for state in self._venues.values():
            age = now_ns - state.last_ns
            if state.condition or state.gapped or age > state.terms.max_age_ns:
                continue
            bid, bid_size, ask, ask_size = tops[state.index]
            micro = (ask * bid_size + bid * ask_size) / (bid_size + ask_size)
            fresh = 1.0 - 0.999 * max(age, 0) / max(state.terms.max_age_ns, 1)
            found.append((micro, sqrt(min(bid_size, ask_size)) * fresh))
        if not found:
            return None
        ordered = sorted(micro for micro, _ in found)
        median = ordered[len(ordered) // 2]
        if len(found) > 2:
            found = [(m, w) for m, w in found if abs(m - median) <= OUTLIER_BPS * 1e-4 * median]
        elif abs(ordered[-1] - ordered[0]) > DISAGREEMENT_BPS * 1e-4 * median:
            return None
        weight = sum(w for _, w in found)
        ticks = sum(m * w for m, w in found) / weight
        return Decimal(round(ticks * 100)).scaleb(-(self.scale.price_decimals + 2))


def _size_factor(decimals: int) -> int:
    """Venue lots → scale lots: multiply, or (negative) divide and round down, so that nothing is shown that is not there."""
    return 10**decimals if decimals >= 0 else -(10**-decimals)
