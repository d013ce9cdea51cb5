"""`ConsolidatedBook`: every venue's book of one instrument, and which of them may be priced from and routed to.

Promises: a venue whose book is gapped, stale, crossed or one-sided is out of every result at once and back by itself
when it is whole again; money comes out as exact decimals; nothing here waits, allocates without bound or decides a
price. One thread writes and reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

import msgspec
import numpy as np

from pricing import book as kernels
from pricing import fair as values
from pricing import merged
from pricing.arena import ROWS, view_base
from pricing.arrivals import IGNORED, STALE, TAKE_LEVELS, take_levels
from pricing.entry import entry
from pricing.fair import FairValue, VenueFair, Verdict
from pricing.scale import EXACT, Scale
from pricing.signals import depth_imbalance

FEE_ONE = 10**8  # fees in 1e-8 of the notional: 1 bp = 10^4
MAX_VENUES = 60  # a live mask is one int64


class VenueTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What trading at a venue costs and allows, for one instrument. Decimals in quote currency (`tick`, `min_notional`,
    `fixed_cost`) or base. `maker_fee_bps` None: not known."""

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
    maker_fee_bps: Decimal | None = None

    @property
    def resting_fee_bps(self) -> Decimal:
        """What an order pays that lies in the book until it is taken; the taker's fee while nobody knows."""
        return self.taker_fee_bps if self.maker_fee_bps is None else self.maker_fee_bps


class BookStatus(StrEnum):
    """Whether a venue's book may be used. Only LIVE is."""

    LIVE = "live"
    EMPTY = "empty"  # no snapshot yet, or nothing on one side
    GAPPED = "gapped"  # cleared: waits for a snapshot
    STALE = "stale"  # nothing heard for longer than `max_age_ns`
    CROSSED = "crossed"  # best bid ≥ best ask inside one venue


_STATUSES = {  # of what `take_levels` returns; a book with an empty side is EMPTY whatever else it is
    0: BookStatus.LIVE,
    STALE: BookStatus.STALE,
    kernels.CROSSED: BookStatus.CROSSED,
    kernels.CROSSED | STALE: BookStatus.CROSSED,
}


class LadderRow(msgspec.Struct, frozen=True):
    """One level of the merged view. `all_in` includes the taker fee; `cumulative` is base from the best row on."""

    venue: str
    price: Decimal
    size: Decimal
    all_in: Decimal
    cumulative: Decimal


class _Venue:
    """What the arena does not hold of a venue. `head`: its first word there; `sides`: where its bids and asks begin."""

    __slots__ = ("fee", "gapped", "head", "index", "reason", "resyncs", "sides", "terms", "updates")

    def __init__(self, index: int, terms: VenueTerms, arena: kernels.Array) -> None:
        self.index = index
        self.head = kernels.HEADER + index * kernels.VENUE_WORDS
        self.sides = tuple(int(kernels.side_base(arena, index, side)) for side in (0, 1))
        self.terms = terms
        self.fee = 0
        self.gapped = False  # cleared after it had been whole, or by a fault
        self.reason = "no snapshot yet"
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
        self._words = memoryview(self.arena)  # the same memory; single words are read and written faster this way
        self._fair = values.new_out(len(venues))
        self._take_levels = entry(take_levels, TAKE_LEVELS)
        self._live_mask = entry(kernels.live_mask, "(int64[::1], int64)")
        self._fair_kernel = entry(values.fair_kernel, "(int64[::1], int64, float64[::1])")
        self._fair_unit = 10 ** (scale.price_decimals + 2)
        self._venues: dict[str, _Venue] = {}
        for index, terms in enumerate(venues):
            if terms.venue in self._venues:
                raise ValueError(f"{symbol}: venue {terms.venue} twice")
            self._venues[terms.venue] = _Venue(index, terms, self.arena)
            self.set_terms(terms)

    @property
    def venues(self) -> list[str]:
        """Every venue, in the order given."""
        return list(self._venues)

    def index(self, venue: str) -> int:
        """The number of a venue in the arena."""
        return self._venues[venue].index

    def terms(self, venue: str) -> VenueTerms:
        """The terms in force."""
        return self._venues[venue].terms

    def set_terms(self, terms: VenueTerms) -> None:
        """Replace the terms of a known venue. Its decimals may change only while its book is empty."""
        state = self._venues[terms.venue]
        scale = self.scale
        if terms.price_decimals > scale.price_decimals:
            raise ValueError(f"{self.symbol}: prices of {terms.venue} are finer than the scale {scale}")
        words, head = self._words, state.head
        factors = (
            10 ** (scale.price_decimals - terms.price_decimals),
            _size_factor(scale.size_decimals - terms.size_decimals),
        )
        if (words[head + kernels.V_PRICE_FACTOR], words[head + kernels.V_SIZE_FACTOR]) not in ((0, 0), factors):
            kernels.clear_book(self.arena, state.index)
            state.reason = "decimals changed: waits for a snapshot"
        fee_ppm = terms.taker_fee_bps * 100
        if not -100_000 < fee_ppm < 100_000:
            raise ValueError(f"{self.symbol}: {terms.venue} fee of {terms.taker_fee_bps} bps")
        state.terms = terms
        state.fee = int((terms.taker_fee_bps * 10**4).to_integral_value(ROUND_CEILING))
        if words[head + kernels.V_FEE_PPM] != int(fee_ppm):
            words[head + kernels.V_FEE_PPM] = int(fee_ppm)
            merged.spoil(self.arena)
        words[head + kernels.V_PRICE_FACTOR], words[head + kernels.V_SIZE_FACTOR] = factors
        words[head + kernels.V_MAX_AGE_NS] = terms.max_age_ns

    # what the feeds do

    def apply(self, venue: str, levels: kernels.Array, snapshot: bool, ts_ns: int) -> BookStatus:
        """Apply levels (n × 3: side ±1, price, size in the venue's decimals; size 0 removes). Updates before a snapshot
        are ignored.

        A malformed level clears the book until the next snapshot.
        """
        state = self._venues[venue]
        flags = levels.flags
        if levels.dtype != np.int64 or not (flags.c_contiguous and flags.writeable):
            levels = np.array(levels, dtype=np.int64, order="C")
        found = self._take_levels(self.arena, state.index, levels, int(snapshot), ts_ns)
        if found == IGNORED:
            return self._status(state, ts_ns)
        if found == kernels.MALFORMED:
            self.clear(venue, "malformed level", ts_ns)
            return BookStatus.GAPPED
        state.updates += 1
        if snapshot:
            state.resyncs += 1
            state.gapped, state.reason = False, ""
        return _STATUSES.get(found, BookStatus.EMPTY)

    def clear(self, venue: str, reason: str, ts_ns: int) -> None:
        """The book cannot be trusted (gap, checksum, disconnect): out until the next snapshot."""
        state = self._venues[venue]
        kernels.clear_book(self.arena, state.index)
        state.reason = reason or "cleared"
        state.gapped = True
        self._heard(state, ts_ns)

    def touch(self, venue: str, ts_ns: int) -> None:
        """A heartbeat or any other message proves the feed alive."""
        self._heard(self._venues[venue], ts_ns)

    def _heard(self, state: _Venue, ts_ns: int) -> None:
        at = state.head + kernels.V_LAST_NS
        if ts_ns > self._words[at]:
            self._words[at] = ts_ns

    def mark_top(self, venue: str, bid_px: int, bid_sz: int, ask_px: int, ask_sz: int, ts_ns: int) -> None:
        """A newer best bid and ask (venue decimals): drop better levels that the depth stream has not removed yet.

        Ignored when it is older than the book's last message. Nothing is inserted.
        """
        kernels.mark_top(self.arena, self._venues[venue].index, bid_px, bid_sz, ask_px, ask_sz, ts_ns)

    # what may be used

    def status(self, venue: str, now_ns: int) -> BookStatus:
        """Whether the book of `venue` may be used at `now_ns`."""
        return self._status(self._venues[venue], now_ns)

    def _status(self, state: _Venue, now_ns: int) -> BookStatus:
        words, head = self._words, state.head
        if words[head + kernels.V_AWAIT]:
            return BookStatus.GAPPED if state.gapped else BookStatus.EMPTY
        match words[head + kernels.V_CONDITION]:
            case 0:
                late = now_ns - words[head + kernels.V_LAST_NS] > words[head + kernels.V_MAX_AGE_NS]
                return BookStatus.STALE if late else BookStatus.LIVE
            case kernels.CROSSED:
                return BookStatus.CROSSED
            case _:
                return BookStatus.EMPTY

    def reason(self, venue: str) -> str:
        """Why the book was last cleared; empty while it is whole."""
        return self._venues[venue].reason

    def live(self, now_ns: int) -> list[str]:
        """Venues that may be used."""
        mask = self.live_mask(now_ns)
        return [venue for venue, state in self._venues.items() if mask >> state.index & 1]

    def live_mask(self, now_ns: int) -> int:
        """The same as a bit per venue, for kernels."""
        return int(self._live_mask(self.arena, now_ns))

    def fees(self) -> list[int]:
        """Taker fee of each venue, in 1e-8 of the notional (`FEE_ONE`)."""
        return [state.fee for state in self._venues.values()]

    def age_ns(self, venue: str, now_ns: int) -> int:
        """Time since anything was heard of the venue."""
        return now_ns - int(self._words[self._venues[venue].head + kernels.V_LAST_NS])

    def updates(self, venue: str) -> int:
        """Messages applied so far."""
        return self._venues[venue].updates

    def resyncs(self, venue: str) -> int:
        """Snapshots applied so far."""
        return self._venues[venue].resyncs

    # what it says

    def best(self, venue: str) -> tuple[Decimal, Decimal] | None:
        """Best bid and ask of a venue, whatever its status; None when a side is empty."""
        state, words = self._venues[venue], self._words
        bids, asks = words[state.head + kernels.V_COUNT], words[state.head + kernels.V_COUNT + 1]
        if not bids or not asks:
            return None
        bid, ask = words[state.sides[0] + bids - 1], -words[state.sides[1] + asks - 1]
        return self.scale.price(bid), self.scale.price(ask)

    def side_levels(self, venue: str, side: int, depth: int | None = None) -> list[tuple[int, int]]:
        """(ticks, lots) of one side (0 bids, 1 asks), best first, whatever the status."""
        state = self._venues[venue]
        n, base = self._words[state.head + kernels.V_COUNT + side], state.sides[side]
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

    def depth_imbalance(self, venue: str, levels: int) -> float:
        """The bids' share of what the best `levels` of both sides of a venue show; 0.5 when there is nothing."""
        return float(depth_imbalance(self.arena, self._venues[venue].index, levels))

    def ladder(self, depth: int, now_ns: int) -> tuple[list[LadderRow], list[LadderRow]]:
        """Bids and asks of the live venues merged on fee-adjusted price, best first, `depth` rows a side."""
        mask = self.live_mask(now_ns)
        return self._best_rows(mask, 0, depth), self._best_rows(mask, 1, depth)

    def _best_rows(self, mask: int, side: int, depth: int) -> list[LadderRow]:
        """From the merged view; by a merge of the venues' levels when that ends before `depth` rows of live venues."""
        merged.refill(self.arena, side)
        rows = self._view(mask, side, depth)
        if rows is None:
            rows = self._merged(mask, side, depth)
        sign, scale, names, total = (1 if side else -1), self.scale, self.venues, 0
        states = list(self._venues.values())
        made = []
        for venue, ticks, lots in rows:
            total += lots
            all_in = EXACT.scaleb(Decimal(ticks * (FEE_ONE + sign * states[venue].fee)), -8 - scale.price_decimals)
            made.append(LadderRow(names[venue], scale.price(ticks), scale.size(lots), all_in, scale.size(total)))
        return made

    def _view(self, mask: int, side: int, depth: int) -> list[tuple[int, int, int]] | None:
        """(venue, ticks, lots), best first, of the rows whose venue is in `mask`; None when the view is too short."""
        n = self._words[kernels.H_ROWS + side]
        base = view_base(self.arena, side) + ROWS
        refs = self.arena[base : base + n][::-1].tolist()
        sizes = self.arena[base + ROWS : base + ROWS + n][::-1].tolist()
        rows = []
        for ref, lots in zip(refs, sizes, strict=True):
            venue = merged.LAST_VENUE - (ref >> merged.TICK_BITS)
            if mask >> venue & 1:
                rows.append((venue, ref & merged.TICK_MASK, lots))
                if len(rows) == depth:
                    return rows
        return rows if self._words[kernels.H_VIEW + side] == kernels.WHOLE else None

    def _merged(self, mask: int, side: int, depth: int) -> list[tuple[int, int, int]]:
        sign = 1 if side == 1 else -1
        rows = []
        for venue, state in self._venues.items():
            if mask >> state.index & 1:
                fee = self._words[state.head + kernels.V_FEE_PPM]
                rows += [
                    (sign * ticks * (kernels.PPM + sign * fee), state.index, ticks, lots)
                    for ticks, lots in self.side_levels(venue, side, depth)
                ]
        rows.sort()
        return [(venue, ticks, lots) for _, venue, ticks, lots in rows[:depth]]

    def fair(self, now_ns: int) -> Decimal | None:
        """Fair value of the live venues (`pricing.fair`), None when there is none. Two decimals finer than the scale."""
        return self._price(self._fair_kernel(self.arena, now_ns, self._fair))

    def mid(self, now_ns: int) -> float:
        """`fair` as the nearest float, for statistics; 0.0 when there is none."""
        ticks = self._fair_kernel(self.arena, now_ns, self._fair)
        return round(ticks * 100) / self._fair_unit if ticks > 0.0 else 0.0

    def explain_fair(self, now_ns: int) -> FairValue:
        """The same with each venue's microprice, its share of the weight, and why it was left out."""
        value = self.fair(now_ns)
        self._fair_kernel(self.arena, now_ns, self._fair)
        rows = self._fair[values.O_VENUES :].reshape(-1, values.COLUMNS).tolist()
        verdicts = [Verdict(int(row[values.C_VERDICT])) for row in rows]
        weights = [row[values.C_WEIGHT] if v is Verdict.USED else 0.0 for row, v in zip(rows, verdicts, strict=True)]
        whole = sum(weights) or 1.0
        parts = zip(self._venues, rows, verdicts, weights, strict=True)
        return FairValue(
            value=value,
            venues=tuple(
                VenueFair(
                    venue=venue,
                    micro=self._price(row[values.C_MICRO]),
                    weight=Decimal(round(1e4 * weight / whole)).scaleb(-4),
                    verdict=verdict,
                )
                for venue, row, verdict, weight in parts
            ),
        )

    def _price(self, ticks: float) -> Decimal | None:
        return Decimal(round(ticks * 100)).scaleb(-(self.scale.price_decimals + 2)) if ticks > 0.0 else None


def _size_factor(decimals: int) -> int:
    """Venue lots → scale lots: multiply, or (negative) divide and round down, so that nothing is shown that is not there."""
    return 10**decimals if decimals >= 0 else -(10**-decimals)
