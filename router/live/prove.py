"""What the certified kernel leaves open, proven by the search: the words of an order turned into the search's arena and back.

Same books, same caps, same slopes as `router.live.fast` reads them, so both answer the same question; fixed costs and quotes that
may be taken in part come in here. Slopes are taken relative to the least one and divided by a common divisor of all money,
which is exact. When a number does not fit, `WIDE_NUMBERS` says so and nothing was solved.
"""

from __future__ import annotations

from numba import njit

from pricing.book import H_DEPTH
from pricing.pointer import doubles, integers
from router.exact import arena
from router.exact.arena import (
    AT,
    BLOCK,
    BLOCKS,
    CHILDREN,
    COUNT,
    FIXED,
    GROUP,
    HEADER,
    HIGH,
    LOT,
    LOW,
    MOST_ATOMS,
    MOST_COST,
    NODES,
    PATIENCE,
    QUANTITY,
    SEGMENTS,
    TOLERANCE,
)
from router.exact.arena import TAKEN as BLOCK_TAKEN
from router.exact.search import solve
from router.live.fast import TOO_LARGE, prepare
from router.live.layout import (
    BLOCK_OF,
    CAP_LOTS,
    CAP_NOTIONAL,
    CHARGE,
    CHOICE,
    END,
    HEAD,
    MOST,
    MOST_LOTS,
    OUT_LOTS,
    OUT_NOTIONAL,
    OUT_WORST,
    Q_FIXED,
    Q_GROUP,
    Q_KEY,
    Q_LOT,
    Q_LOW,
    Q_SIZE,
    Q_TAKEN,
    QUOTE,
    QUOTES,
    SHARE,
    TOP,
    USED,
    VENUE,
    W_CHILDREN,
    W_QUOTES,
    W_TOLERANCE,
    W_TOTAL,
    W_VENUES,
    Array,
    U,
)
from router.live.layout import LOT as VENUE_LOT
from router.live.layout import LOW as VENUE_LOW
from router.live.merge import shown

PROVE = "(int64, int64, int64, int64, int64, int64)"  # signature of `prove`
READY, WIDE_NUMBERS = 0, -1  # beyond int64: nothing was solved
PATIENT = 130_000  # steps of the search, 5 to 7 ns each: below 1.2 ms with all that is around them


def new_search(venues: int, depth: int, quotes: int, nodes: int) -> Array:
    """An arena for the search over books of that shape."""
    return arena.new_arena(venues + quotes, venues * depth + quotes, nodes)


@njit(cache=True, nogil=True, error_model="numpy")
def least_slope(book: Array, work: Array) -> int:
    """The least slope of all venues and quotes."""
    least = MOST
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        if work[row + USED] == 1:
            least = min(least, -book[U(work[row + TOP])] * work[row + CHOICE])
    for j in range(work[W_QUOTES]):
        least = min(least, work[QUOTES + U(j) * QUOTE + Q_KEY])
    return least


@njit(cache=True, nogil=True, error_model="numpy")
def lay_venue(book: Array, work: Array, a: Array, venue: int, block: int, at: int, base: int, unit: int) -> int:
    """A venue as a block with its levels from `at` on. How many levels; 0: it can take nothing, -1: a number does not fit."""
    row, to, depth, total = HEAD + U(venue) * VENUE, HEADER + block * BLOCK, book[U(H_DEPTH)], work[W_TOTAL]
    share, choice, money = work[row + SHARE], work[row + CHOICE], work[row + CAP_NOTIONAL]
    room, lot = min(total, work[row + CAP_LOTS]), work[row + VENUE_LOT]
    count, level, taken, spent = 0, work[row + TOP], 0, 0
    while level >= work[row + END] and taken < room:  # how many levels it takes
        ticks = abs(book[U(level)])
        size = min(shown(book[U(level + depth)], share), room - taken)
        take = min(size, (money - spent) // ticks) if money < MOST else size
        taken += take
        spent += take * ticks
        count += take > 0
        level -= 1
        if take < size:
            break
    high = taken // lot * lot
    if high < work[row + VENUE_LOW]:
        return 0
    dearest = (-book[U(level + 1)] * choice - base) // unit
    if dearest > 0 and high > MOST_COST // dearest:
        return -1
    a[to + LOW], a[to + HIGH], a[to + LOT] = work[row + VENUE_LOW], high, lot
    a[to + FIXED], a[to + GROUP], a[to + AT] = work[row + CHARGE] // unit, -1, at
    end, cost, i, level = 0, 0, at, work[row + TOP]
    while end < high:
        size = min(shown(book[U(level + depth)], share), high - end)
        if size > 0:
            slope = (-book[U(level)] * choice - base) // unit
            end += size
            cost += slope * size
            a[i], a[i + count], a[i + 2 * count] = slope, end, cost
            i += 1
        level -= 1
    used = i - at
    if used < count:  # the last level held less than a lot
        for j in range(used):
            a[at + used + j] = a[at + count + j]
        for j in range(used):
            a[at + 2 * used + j] = a[at + 2 * count + j]
    a[to + COUNT] = used
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def lay_quote(work: Array, a: Array, quote: int, block: int, at: int, base: int, unit: int) -> int:
    """A quote as a block with one level at `at`: 1; 0: it can take nothing, -1: a number does not fit."""
    row, to = QUOTES + U(quote) * QUOTE, HEADER + block * BLOCK
    low, lot = work[row + Q_LOW], work[row + Q_LOT]
    high = min(work[row + Q_SIZE], work[W_TOTAL])
    if high < low:
        return 0
    high = low + (high - low) // lot * lot
    slope = (work[row + Q_KEY] - base) // unit
    if slope > 0 and high > MOST_COST // slope:
        return -1
    a[to + LOW], a[to + HIGH], a[to + LOT] = low, high, lot if low < high else low
    a[to + FIXED], a[to + GROUP] = work[row + Q_FIXED] // unit, work[row + Q_GROUP]
    a[to + AT], a[to + COUNT] = at, 1
    a[at], a[at + 1], a[at + 2] = slope, high, slope * high
    return 1


@njit(cache=True, nogil=True, error_model="numpy")
def lay(book: Array, work: Array, a: Array, base: int, unit: int) -> int:
    """The whole order in the search's arena; how many blocks, or `WIDE_NUMBERS`. BLOCK_OF and Q_TAKEN say which is which."""
    blocks, at, total = 0, a[SEGMENTS], work[W_TOTAL]
    dearest, charges = 0, 0
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        work[row + BLOCK_OF] = -1
        if work[row + USED] == 0:
            continue
        levels = lay_venue(book, work, a, v, blocks, at, base, unit)
        if levels < 0:
            return WIDE_NUMBERS
        if levels > 0:
            work[row + BLOCK_OF] = blocks
            dearest, charges = max(dearest, a[at + levels - 1]), charges + a[HEADER + blocks * BLOCK + FIXED]
            blocks += 1
            at += 3 * levels
    for j in range(work[W_QUOTES]):
        row = QUOTES + U(j) * QUOTE
        work[row + Q_TAKEN] = -1
        levels = lay_quote(work, a, j, blocks, at, base, unit)
        if levels < 0:
            return WIDE_NUMBERS
        if levels > 0:
            work[row + Q_TAKEN] = blocks
            dearest, charges = max(dearest, a[at]), charges + a[HEADER + blocks * BLOCK + FIXED]
            blocks += 1
            at += 3
    fits = total < MOST_ATOMS and total <= (MOST_LOTS << 1) // (blocks + 1) and charges < MOST_COST >> 1
    if not fits or (dearest > 0 and total > (MOST_COST >> 1) // dearest):
        return WIDE_NUMBERS
    return blocks


@njit(cache=True, nogil=True, error_model="numpy")
def unpack(book_at: int, order_at: int, search_at: int) -> None:
    """The search's plan in the OUT words and Q_TAKEN; addresses, as `router.live.fast.certify` takes them."""
    book, work, a = integers(book_at), integers(order_at), integers(search_at)
    depth = book[U(H_DEPTH)]
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        work[row + OUT_LOTS] = 0
        if work[row + USED] == 0 or work[row + BLOCK_OF] < 0:
            continue
        lots = a[HEADER + work[row + BLOCK_OF] * BLOCK + BLOCK_TAKEN]
        left, notional, worst, level = lots, 0, 0, work[row + TOP]
        while left > 0:
            take = min(left, shown(book[U(level + depth)], work[row + SHARE]))
            worst = abs(book[U(level)])
            notional += take * worst
            left -= take
            level -= 1
        work[row + OUT_LOTS], work[row + OUT_NOTIONAL], work[row + OUT_WORST] = lots, notional, worst
    for j in range(work[W_QUOTES]):
        row = QUOTES + U(j) * QUOTE
        block = work[row + Q_TAKEN]
        work[row + Q_TAKEN] = a[HEADER + block * BLOCK + BLOCK_TAKEN] if block >= 0 else 0


@njit(cache=True, nogil=True, error_model="numpy")
def pack(book_at: int, order_at: int, search_at: int, unit: int) -> int:
    """The order ready to be searched: `READY`, or `WIDE_NUMBERS`."""
    book, work, a = integers(book_at), integers(order_at), integers(search_at)
    if prepare(book, work, doubles(order_at)) == TOO_LARGE:
        return WIDE_NUMBERS
    base = least_slope(book, work)
    blocks = lay(book, work, a, base, unit) if base < MOST else 0
    if blocks < 0:
        return WIDE_NUMBERS
    a[BLOCKS], a[QUANTITY] = blocks, work[W_TOTAL]
    a[CHILDREN] = min(work[W_CHILDREN], blocks)
    a[TOLERANCE] = int(float(abs(base)) * 1e-12 * float(work[W_TOLERANCE]) * 0.99) // unit
    return READY


@njit(cache=True, nogil=True)
def prove(book_at: int, order_at: int, search_at: int, unit: int, nodes: int, patience: int) -> int:
    """Search the order for at most `nodes` nodes and `patience` steps; the search's status, or `WIDE_NUMBERS`. `unit` divides all
    money of the order; COST and BOUND of the arena at `search_at` are relative: × unit + least slope × FILLED. The plan is in the
    OUT words and Q_TAKEN."""
    if pack(book_at, order_at, search_at, unit) != READY:
        return WIDE_NUMBERS
    a = integers(search_at)
    a[NODES], a[PATIENCE] = nodes, patience
    status = solve(a)
    unpack(book_at, order_at, search_at)
    return status
