"""`Ladder`: bid and ask of many sizes in one kernel call, for screens and scans; `price_quote` is the one that explains itself.

One int64 array holds the request and the answer (words `L_*`, then the venues' words of `pricing.haircut`, then `R_*` for each
size), so that a call has three arguments. Whole numbers throughout: an average is divided exactly, charges are those of
`pricing.charges`. Per side, from the smallest size up:

    price = average of the real depth + impact·√(size/displayed) + fixed charges + markup, at least half the least spread
            from the skewed centre; no better per unit than the size before; + ticket; on the tick, against the client

0 where there is no price: the books end, the price would be further from fair than the collar, or the trade would take the
desk over its hard band (`room`). A size in quote currency (`L_MONEY`) is priced at the quantity of base that it buys, found
as `price_quote` finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil, floor, sqrt

import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.arena import H_ROWS, H_VENUES, H_VIEW, ROWS, WHOLE, Array, view_base
from pricing.charges import FINE, FINE_ONE, MOST_SLOPE, RATIO_ONE, SLACK, Charges
from pricing.consolidated import FEE_ONE, ConsolidatedBook
from pricing.entry import entry
from pricing.haircut import (
    MOST_LOTS,
    MOST_MONEY,
    VENUE_WORK,
    W_FACTOR,
    W_FEE,
    W_RATIO,
    W_USED_RATIO,
    FillRatios,
    average,
    displayed,
    divided,
    fill_ratio,
    real,
    start,
    take,
    worst,
)
from pricing.merged import LAST_VENUE, TICK_BITS, TICK_MASK, refill
from pricing.parameters import PricingParameters
from pricing.pointer import integers
from pricing.winning import MOST_ODDS, ODDS_ONE, PAID_ONE, SLOPE_ONE, tuned_markup

Floats = npt.NDArray[np.float64]

L_RUNGS, L_MONEY, L_FAIR, L_FIXED, L_IMPACT, L_HALF, L_CENTRE, L_TICK, L_COLLAR = 0, 1, 2, 3, 4, 5, 6, 7, 8
L_ROOM = 9  # +0: lots that clients may sell to us, +1: that they may buy
L_TICKET = 11  # fine ticks × lots, per trade
L_LIMIT = 12  # scratch: the price a size in quote currency settled at when no price implies itself
L_SLOPE, L_FLOOR, L_CEILING, L_PAID = 13, 14, 15, 16  # of a tuned markup (`pricing.winning`); slope 0: none is tuned
HEAD = 17
R_SIZE, R_MARKUP, R_SKEW, R_PRICE, R_LOTS = 0, 1, 2, 4, 6  # skew, price, lots: +0 bid, +1 ask
RUNG = 8  # words a size; R_MARKUP of a tuned markup: the log odds at fair
B_FIXED, B_IMPACT, B_HALF, B_COLLAR, B_SLOPE, B_FLOOR, B_CEILING, B_PAID = 0, 3, 4, 5, 6, 7, 8, 9  # `Charges.bps`, then
B_CENTRE, B_RUNGS = 10, 11  # the centre, and 3 words a size
ROUNDS = 12  # of the fixed point price ↔ quantity for sizes in quote currency
LADDER = "(int64[::1], int64, int64[::1])"  # signature of `ladder_kernel`
U = np.uint64  # an index that cannot be negative needs no check
MOST_PRICE = 1 << 49  # fine ticks, of a price that sizes in quote currency are divided by


@njit(cache=True, nogil=True, forceinline=True)
def _charged(work: Array, side: int, row: int, swept: int, lots: int, per_lot: float) -> int:
    """Unrounded price in fine ticks without ticket of a size that sweeps at `swept`; `per_lot`: 1 / displayed lots."""
    sign = 1 if side == 1 else -1
    edge = ceil(work[L_IMPACT] * sqrt(min(1.0, lots * per_lot)) - SLACK) + work[L_FIXED]
    markup = work[row + R_MARKUP]
    if work[L_SLOPE] > 0:
        cost = sign * (swept + work[row + R_SKEW + side] - work[L_FAIR]) + edge
        markup = tuned_markup(markup, work[L_SLOPE], cost, work[L_PAID], work[L_FLOOR], work[L_CEILING])
    raw = swept + sign * (edge + markup) + work[row + R_SKEW + side]
    least = work[L_FAIR] + work[L_CENTRE] + sign * work[L_HALF]
    return max(raw, least) if side == 1 else max(min(raw, least), 0)


@njit(cache=True, nogil=True)
def _shown(work: Array, side: int, price: int, lots: int) -> int:
    """The price with its ticket on the tick, against the client."""
    tick = work[L_TICK]
    if work[L_TICKET] > 0:
        ticket = -(-work[L_TICKET] // lots)
        price += ticket if side == 1 else -ticket
    rest = price - int(float(price) / float(tick)) * tick  # a division of floats, mended: faster than one of integers
    while rest < 0:
        rest += tick
    while rest >= tick:
        rest -= tick
    if rest == 0:
        return price
    return price - rest + tick if side == 1 else price - rest


@njit(cache=True, nogil=True)
def _divided(money: int, price: int, side: int) -> int:
    """Money (ticks × lots) / price (fine ticks) in lots: down for a client's buy, up for a sell; exact below `MOST_PRICE`."""
    whole = money // price
    rest = (money - whole * price) * FINE_ONE
    return whole * FINE_ONE + (rest // price if side == 1 else -(-rest // price))


@njit(cache=True, nogil=True)
def _lots_of(
    arena: Array,
    live: int,
    work: Array,
    side: int,
    row: int,
    bound: int,
    total: int,
    end: int,
    end_ticks: int,
    peak: float,
) -> int:
    """Lots whose price × quantity comes closest to the money of a rung: not above it for a client's buy, not below it for a
    sell; 0 when none settles. `bound`: the price of the size before, 0 for the first.

    A larger price buys less, and less is no dearer: the prices tried approach the one that implies itself from both sides.
    When two imply each other, the one worse for the client is honest at its own, smaller size (`L_LIMIT`).
    """
    money, per_lot = work[row + R_SIZE], 1.0 / max(total, 1)
    price, before, limit = work[L_FAIR], 0, 0
    work[L_LIMIT] = 0
    for _ in range(ROUNDS):
        if price <= 0 or price >= MOST_PRICE:
            return 0
        lots = _divided(money, price, side)
        if lots <= 0 or lots > total or lots > MOST_LOTS or float(lots) * peak >= MOST_MONEY:
            return 0
        start(arena, work, HEAD, side, live)
        used = take(arena, work, HEAD, side, 0, lots)
        swept = average(arena, work, HEAD, side, lots, lots - used, end, end_ticks)
        if swept < 0:
            return 0
        raw = _charged(work, side, row, swept, lots, per_lot)
        if bound != 0:
            raw = max(raw, bound) if side == 1 else min(raw, bound)
        shown = _shown(work, side, raw, lots)
        if shown == price:
            return lots
        worse = max(shown, price) if side == 1 else min(shown, price)
        if limit != 0:
            if worse == limit:
                work[L_LIMIT] = limit
                return lots
            limit = shown
            price = shown
        elif shown == before:
            limit = worse
            price = worse
        else:
            before = price
            price = shown
    return 0


@njit(cache=True, nogil=True, forceinline=True)
def _open(arena: Array, live: int, work: Array, side: int) -> None:
    """Per venue: 10^8 ± fee, and the fill ratio while it is live (0 else), for the walk along the merged view."""
    for venue in range(arena[H_VENUES]):
        w = HEAD + venue * VENUE_WORK
        fee = work[w + W_FEE]
        work[w + W_FACTOR] = FEE_ONE + fee if side == 1 else FEE_ONE - fee
        work[w + W_USED_RATIO] = work[w + W_RATIO + side] if (live >> venue) & 1 else 0


@njit(cache=True, nogil=True)
def ladder_kernel(arena: Array, live: int, work: Array) -> int:
    """Fill prices (fine ticks) and lots of all rungs, sizes ascending; returns how many prices there are.

    Walks along the merged view (`pricing.merged`), whose rows are all venues' levels in all-in order; where the view ends
    before the books do, and for sizes in quote currency, the books are merged here.
    """
    books, words = integers(arena.ctypes.data), integers(work.ctypes.data)
    priced = 0
    first = HEAD + books[H_VENUES] * VENUE_WORK
    for side in range(2):
        total = displayed(books, side, live)
        per_lot = 1.0 / max(total, 1)
        end, end_ticks, peak = worst(books, side, live)
        deep = words[L_MONEY] == 1
        if not deep:
            refill(books, side)
            _open(books, live, words, side)
        view = view_base(books, side)
        at = books[H_ROWS + side] - 1  # row of the view, its real lots still there, and what was taken so far
        left, used, exact, rough = -1, 0, 0, 0.0
        bound = 0
        for rung in range(words[L_RUNGS]):
            row = first + rung * RUNG
            words[row + R_PRICE + side] = 0
            words[row + R_LOTS + side] = 0
            lots = words[row + R_SIZE]
            if words[L_MONEY] == 1:
                lots = _lots_of(books, live, words, side, row, bound, total, end, end_ticks, peak)
                start(books, words, HEAD, side, live)
                used = 0
            if lots <= 0 or lots > total or lots > MOST_LOTS or float(lots) * peak >= MOST_MONEY:
                continue
            while used < lots and at >= 0 and not deep:
                ref = books[U(view + ROWS + at)]
                w = U(HEAD + (LAST_VENUE - (ref >> TICK_BITS)) * VENUE_WORK)
                if left < 0:
                    left = real(books[U(view + 2 * ROWS + at)], words[w + U(W_USED_RATIO)])
                here = min(left, lots - used)
                used += here
                left -= here
                money, factor = here * (ref & TICK_MASK), words[w + U(W_FACTOR)]
                exact += money * factor
                rough += float(money) * float(factor)
                if left == 0:
                    at -= 1
                    left = -1
            if not deep and used < lots and books[H_VIEW + side] != WHOLE:
                deep, used = True, 0
                start(books, words, HEAD, side, live)
            if deep:
                used = take(books, words, HEAD, side, used, lots)
                swept = average(books, words, HEAD, side, lots, lots - used, end, end_ticks)
            elif used < lots:  # beyond what is real: at the worst displayed price
                factor, rest = words[HEAD + end * VENUE_WORK + W_FACTOR], lots - used
                most = rough + float(rest) * float(end_ticks) * float(factor)
                swept = divided(exact + rest * end_ticks * factor, most, lots, side)
            else:
                swept = divided(exact, rough, lots, side)
            if swept < 0:
                continue
            price = _charged(words, side, row, swept, lots, per_lot)
            if bound != 0:
                price = max(price, bound) if side == 1 else min(price, bound)
            bare = price
            price = _shown(words, side, price, lots)
            if words[L_MONEY] == 1 and words[L_LIMIT] != 0:
                price = words[L_LIMIT]
            if price > 0 and abs(price - words[L_FAIR]) <= words[L_COLLAR] and lots <= words[L_ROOM + side]:
                words[row + R_PRICE + side] = price
                words[row + R_LOTS + side] = lots
                bound = bare
                priced += 1
    return priced


@njit(cache=True, nogil=True)
def scale_kernel(bps: Floats, fair: int, work: Array, first: int) -> None:
    """Charges in bps (words `B_*`, then markup or log odds, bid's and ask's skew of each size) → fine ticks at `fair`: costs rounded up,
    skews to the nearest."""
    bp = fair * 1e-4
    work[L_FAIR] = fair
    fixed = 0
    for charge in range(B_FIXED, B_FIXED + 3):
        fixed += ceil(bps[charge] * bp - SLACK)
    work[L_FIXED] = fixed
    work[L_IMPACT] = ceil(bps[B_IMPACT] * bp - SLACK)
    work[L_HALF] = ceil(bps[B_HALF] * bp - SLACK)
    work[L_COLLAR] = floor(bps[B_COLLAR] * bp)
    work[L_CENTRE] = int(np.rint(bps[B_CENTRE] * bp))
    slope = min(max(np.rint(bps[B_SLOPE] / bp * SLOPE_ONE), 1.0), float(MOST_SLOPE)) if bps[B_SLOPE] > 0.0 else 0.0
    work[L_SLOPE] = int(slope)
    work[L_FLOOR] = ceil(bps[B_FLOOR] * bp - SLACK)
    work[L_CEILING] = ceil(bps[B_CEILING] * bp - SLACK)
    work[L_PAID] = int(np.rint(bps[B_PAID] * PAID_ONE))
    for rung in range(work[L_RUNGS]):
        row, at = first + rung * RUNG, B_RUNGS + 3 * rung
        if slope > 0.0:
            work[row + R_MARKUP] = int(np.rint(min(max(bps[at], -MOST_ODDS), MOST_ODDS) * ODDS_ONE))
        else:
            work[row + R_MARKUP] = ceil(bps[at] * bp - SLACK)
        work[row + R_SKEW] = int(np.rint(bps[at + 1] * bp))
        work[row + R_SKEW + 1] = int(np.rint(bps[at + 2] * bp))


class Ladder:
    """A ladder of one book: its sizes, and the array the kernel works on.

    `sizes`: ascending, in base; `money`: they are in quote currency. `set_charges` when fair, inventory, client or parameters
    changed; `set_room` for the hard band; `price` after each book change.
    """

    def __init__(self, book: ConsolidatedBook, sizes: Sequence[Decimal], *, money: bool = False) -> None:
        if any(size <= 0 for size in sizes) or sorted(sizes) != list(sizes):
            raise ValueError("ladder: sizes must be positive and ascending")
        self.book, self.sizes, self.money = book, tuple(sizes), money
        self._first = HEAD + len(book.venues) * VENUE_WORK
        self.work = np.zeros(self._first + len(sizes) * RUNG, dtype=np.int64)
        self._kernel = entry(ladder_kernel, LADDER)
        self.work[L_RUNGS], self.work[L_MONEY] = len(sizes), int(money)
        self.work[L_ROOM : L_ROOM + 2] = MOST_LOTS
        self._bps = np.zeros(B_RUNGS + 3 * len(sizes))
        scale = book.scale
        unit = Decimal(10) ** (scale.price_decimals + scale.size_decimals)
        for i, size in enumerate(sizes):
            words = int(size * unit) if money else scale.lots_up(size)
            self.work[self._first + i * RUNG + R_SIZE] = words if words < MOST_MONEY else 0  # too large: no price

    def set_charges(self, charges: Charges, bids: FillRatios | None = None, asks: FillRatios | None = None) -> None:
        """Charges of the client whom the ladder is for, and what is known of each venue's depth, side by side."""
        unit = 10.0**self.book.scale.size_decimals
        sizes = [float(size) / charges.price if self.money else float(size) for size in self.sizes]
        skews = charges.skews(sizes)
        bps = self._bps
        bps[: len(charges.bps)] = charges.bps
        bps[B_CENTRE] = skews.centre
        rows = bps[B_RUNGS:].reshape(-1, 3)
        rows[:, 0] = [charges.by_size(size) for size in sizes]
        rows[:, 1] = skews.bids
        rows[:, 2] = skews.asks
        self.work[L_TICK] = charges.fine_tick
        self.work[L_TICKET] = ceil(charges.ticket * unit - SLACK)
        for side, learnt in enumerate((bids, asks)):
            set_venues(self.book, self.work[HEAD:], charges.parameters, side, learnt)
        scale_kernel(bps, charges.fair, self.work, self._first)

    def set_fair(self, fair: Decimal) -> None:
        """Only the fair value moved: the same charges in bps of the new one."""
        scale_kernel(self._bps, round(fair.scaleb(self.book.scale.price_decimals + FINE)), self.work, self._first)

    def set_room(self, buy: Decimal, sell: Decimal) -> None:
        """The most (base) that a client may still buy from us and sell to us before the hard band; below zero: nothing."""
        for side, room in ((1, buy), (0, sell)):
            lots = int(max(room, Decimal(0)).scaleb(self.book.scale.size_decimals))
            self.work[L_ROOM + side] = min(lots, MOST_LOTS)

    def price(self, now_ns: int) -> int:
        """Price all sizes from the books as they are; returns how many prices there are."""
        return int(self._kernel(self.book.arena, self.book.live_mask(now_ns), self.work))

    def clear(self) -> None:
        """There is nothing to price from."""
        self._rows()[:, R_PRICE:] = 0

    def prices(self) -> list[tuple[Decimal, Decimal | None, Decimal | None]]:
        """(size, bid, ask) of the last pricing; None where there is no price."""
        scale = Decimal(1).scaleb(-self.book.scale.price_decimals) / FINE_ONE
        return [
            (size, bid * scale if bid else None, ask * scale if ask else None)
            for size, (bid, ask) in zip(self.sizes, self._rows()[:, R_PRICE : R_PRICE + 2].tolist(), strict=True)
        ]

    def quantities(self) -> list[tuple[Decimal, Decimal]]:
        """Base quantity behind each bid and ask; 0 where there is no price."""
        scale = self.book.scale
        rows = self._rows()[:, R_LOTS : R_LOTS + 2].tolist()
        return [(scale.size(bid), scale.size(ask)) for bid, ask in rows]

    def _rows(self) -> Array:
        return self.work[self._first :].reshape(-1, RUNG)


def set_venues(
    book: ConsolidatedBook, work: Array, parameters: PricingParameters, side: int, learnt: FillRatios | None
) -> str:
    """Fees and a side's fill ratios of a book's venues, where the kernels of `pricing.haircut` look for them; the ratios in
    words."""
    said = []
    for i, (venue, fee) in enumerate(zip(book.venues, book.fees(), strict=True)):
        ratio = fill_ratio(parameters, venue, learnt)
        work[i * VENUE_WORK + W_FEE] = fee
        work[i * VENUE_WORK + W_RATIO + side] = round(ratio * RATIO_ONE)
        said.append(f"{venue} {ratio:.3g}")
    return ", ".join(said)
