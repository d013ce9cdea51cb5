"""Plain-Python twin of the ladder kernel: levels sorted, exact fractions, one size after the other. Slow and obvious."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, exp, floor, sqrt

from tests.oracles.books import DictBook

SLACK = 1e-3
ROUNDS = 12


@dataclass
class Terms:
    """In fine ticks, by the kernel's words; `skew` is (bid's, ask's) by size, `room` lots by side (0 bids, 1 asks)."""

    fair: int
    fixed: int
    impact: int
    half: int
    centre: int
    tick: int
    collar: int
    ticket: int
    markup: list[int]
    skew: list[tuple[int, int]]
    room: tuple[int, int]
    tuned: tuple[int, int, int, int] = (
        0,
        0,
        0,
        0,
    )  # slope, share paid (ppm), floor, ceiling: `markup` is then the log odds at fair


def real_levels(
    books: list[DictBook], fees: list[int], ratios: list[int], side: int
) -> list[tuple[int, int, Fraction]]:
    """(ordering key, real lots, all-in price) of all levels, best first, the rest of what is shown at the worst one."""
    sign = 1 if side == 1 else -1
    rows = []
    for v, book in enumerate(books):
        ppm = int(Fraction(fees[v], 100))
        for price, size in book.side(side):
            all_in = Fraction(price * (10**8 + sign * fees[v]), 10**8)
            rows.append((sign * price * (10**6 + sign * ppm), size * ratios[v] // 2**20, all_in, size))
    rows.sort(key=lambda row: row[0])
    if rows:
        hidden = sum(row[3] - row[1] for row in rows)
        rows.append((rows[-1][0], hidden, rows[-1][2], 0))
    return [(key, lots, all_in) for key, lots, all_in, _ in rows]


def average(levels: list[tuple[int, int, Fraction]], lots: int, side: int) -> int:
    """All-in price of `lots` in fine ticks, against the client."""
    left, money = lots, Fraction(0)
    for _, size, all_in in levels:
        take = min(size, left)
        left -= take
        money += take * all_in
    fine = money / lots * 10_000
    return ceil(fine) if side == 1 else floor(fine)


def price(levels: list[tuple[int, int, Fraction]], lots: int, shown: int, side: int, at: int, terms: Terms) -> int:
    """Unrounded, without ticket."""
    sign = 1 if side == 1 else -1
    impact = ceil(terms.impact * sqrt(min(1.0, lots * (1.0 / shown))) - SLACK)
    swept, markup = average(levels, lots, side) + terms.skew[at][side], terms.markup[at]
    if terms.tuned[0]:
        markup = tuned(markup, sign * (swept - terms.fair) + impact + terms.fixed, *terms.tuned)
    raw = swept + sign * (impact + terms.fixed + markup)
    least = terms.fair + terms.centre + sign * terms.half
    return max(raw, least) if side == 1 else max(min(raw, least), 0)


def tuned(odds: int, cost: int, slope: int, paid: int, floor_: int, ceiling: int) -> int:
    """The markup that maximises the expected profit: where d/dm ln(P(c + m)·(m + s)) = 1/(m + s) − β(1 − P) is nothing, by
    bisection, with s what of the cost is not paid."""
    beta, spared = slope * 2.0**-56, cost - int(Fraction(cost * paid, 10**6)) if cost > 0 else 0

    def rising(m: int) -> bool:
        z = odds * 2.0**-32 - beta * (cost + m)
        losing = 1.0 / (1.0 + exp(min(z, 700.0)))
        return (m + spared) * beta * losing < 1.0

    if rising(ceiling):
        return ceiling
    low, high = -spared, ceiling  # rising at `low`, not at `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rising(middle) else (low, middle)
    return max(floor_, high)


def rounded(raw: int, lots: int, side: int, terms: Terms) -> int:
    """With ticket, on the tick."""
    ticket = ceil(Fraction(terms.ticket, lots))
    if side == 1:
        return ceil(Fraction(raw + ticket, terms.tick)) * terms.tick
    return floor(Fraction(raw - ticket, terms.tick)) * terms.tick


def ladder(
    books: list[DictBook],
    fees: list[int],
    ratios: list[list[int]],
    sizes: list[int],
    terms: Terms,
    money: bool = False,
) -> list[list[tuple[int, int]]]:
    """((bid, lots), (ask, lots)) for each size, 0 where there is no price. `fees` in 1e-8, `ratios` by side, in 2^-20."""
    out = [[(0, 0), (0, 0)] for _ in sizes]
    for side in (0, 1):
        levels = real_levels(books, fees, ratios[side], side)
        shown = sum(size for book in books for _, size in book.side(side))
        worse = max if side == 1 else min
        bound = 0
        for at, size in enumerate(sizes):

            def quoted(lots: int, at: int = at, bound: int = bound) -> int:
                raw = price(levels, lots, shown, side, at, terms)  # noqa: B023
                return worse(raw, bound) if bound else raw  # noqa: B023

            lots, limit = (size, 0) if not money else settled(size, quoted, shown, side, terms)
            if not 0 < lots <= shown:
                continue
            raw = quoted(lots)
            told = limit or rounded(raw, lots, side, terms)
            if told > 0 and abs(told - terms.fair) <= terms.collar and lots <= terms.room[side]:
                out[at][side] = (told, lots)
                bound = raw
    return out


def settled(money: int, quoted, shown: int, side: int, terms: Terms) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """(lots, the price to hold them at or 0) of an amount in ticks × lots."""
    told, before, limit = terms.fair, 0, 0
    worse = max if side == 1 else min
    for _ in range(ROUNDS):
        if told <= 0:
            return 0, 0
        wanted = Fraction(money * 10_000, told)
        lots = floor(wanted) if side == 1 else ceil(wanted)
        if not 0 < lots <= shown:
            return 0, 0
        next_ = rounded(quoted(lots), lots, side, terms)
        if next_ == told:
            return lots, 0
        dear = worse(next_, told)
        if limit:
            if dear == limit:
                return lots, limit
            limit = told = next_
        elif next_ == before:
            limit = told = dear
        else:
            before, told = told, next_
    return 0, 0
