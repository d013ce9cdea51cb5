"""What the exact split is measured against: the two policies that simple routers use, behind the splitter's own call.

`best_venue` sends the whole to the one venue or LP quote that fills most of it, at the least all-in cost. `pro_rata` spreads it over the
venues in proportion to what each displays within `BAND_BPS` of the best all-in price, and takes no LP quote. Both use the same books,
fees, lots, minimums, limits and balances as the exact split, because each part is a split of its own over one venue.
Chosen by `router.policy`; a desk that trades uses "exact", the others are there to be compared with (`kerb study router`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pricing.consolidated import FEE_ONE, BookStatus, ConsolidatedBook
from risk.exact import ZERO, add
from router.exact.request import SplitQuote
from router.exact.result import SplitChild, SplitResult
from router.live.split import split_book
from router.plan import floor_to

BAND_BPS = 5


Split = Callable[..., SplitResult]  # the splitter's call, `router.live.split.split_book`


def best_venue(
    book: ConsolidatedBook,
    *,
    side: str,
    quantity: Decimal,
    quotes: Sequence[SplitQuote] = (),
    exclude: frozenset[str] = frozenset(),
    now_ns: int,
    **terms: Any,
) -> SplitResult:
    """The whole order to one place: most filled first, then the least all-in cost per unit."""
    found: list[SplitResult] = []
    for venue in _usable(book, exclude, now_ns):
        others = exclude | (frozenset(book.venues) - {venue})
        found.append(split_book(book, side=side, quantity=quantity, exclude=others, now_ns=now_ns, **terms))
    everywhere = exclude | frozenset(book.venues)
    for quote in quotes:
        one = split_book(book, side=side, quantity=quantity, quotes=[quote], exclude=everywhere, now_ns=now_ns, **terms)
        found.append(one)
    placed = [result for result in found if result.filled > 0]
    if not placed:
        return _together(side, quantity, [])
    return min(placed, key=lambda result: (result.unfilled, result.cost / result.filled))


def pro_rata(
    book: ConsolidatedBook,
    *,
    side: str,
    quantity: Decimal,
    quotes: Sequence[SplitQuote] = (),
    exclude: frozenset[str] = frozenset(),
    now_ns: int,
    **terms: Any,
) -> SplitResult:
    """Shares by displayed size near the best price; what lots and minimums leave goes to the venue that displays most."""
    usable = _usable(book, exclude, now_ns)
    shown = _near(book, usable, 1 if side == "buy" else 0)
    total = sum(shown.values())
    if not total:
        return _together(side, quantity, [])
    ranked = sorted(shown, key=lambda venue: (-shown[venue], venue))
    parts = {venue: floor_to(quantity * shown[venue] / total, book.terms(venue).lot) for venue in ranked[1:]}
    placed: list[SplitResult] = []
    rest = quantity
    for venue in (*ranked[1:], ranked[0]):  # the largest last: it takes what the others could not
        part = rest if venue == ranked[0] else parts[venue]
        if part <= 0:
            continue
        others = exclude | (frozenset(book.venues) - {venue})
        result = split_book(book, side=side, quantity=part, exclude=others, now_ns=now_ns, **terms)
        rest = add(rest, -result.filled)
        placed.append(result)
    return _together(side, quantity, placed)


POLICIES: Mapping[str, Split] = {"exact": split_book, "best_venue": best_venue, "pro_rata": pro_rata}


def _usable(book: ConsolidatedBook, exclude: frozenset[str], now_ns: int) -> list[str]:
    return [name for name in book.venues if name not in exclude and book.status(name, now_ns) is BookStatus.LIVE]


def _near(book: ConsolidatedBook, venues: Iterable[str], side: int) -> dict[str, int]:
    """Lots each venue shows within `BAND_BPS` of the best all-in price of them all."""
    sign = 1 if side == 1 else -1
    fees = dict(zip(book.venues, book.fees(), strict=True))
    keys = {
        venue: [(sign * ticks * (FEE_ONE + sign * fees[venue]), lots) for ticks, lots in book.side_levels(venue, side)]
        for venue in venues
    }
    best = min((levels[0][0] for levels in keys.values() if levels), default=0)
    bound = best + abs(best) * BAND_BPS // 10_000
    return {venue: sum(lots for key, lots in levels if key <= bound) for venue, levels in keys.items()}


def _together(side: str, quantity: Decimal, parts: Sequence[SplitResult]) -> SplitResult:
    """Several splits as one result; nothing is proven of it, so its bound is its cost and it is never called optimal."""
    children: list[SplitChild] = [child for part in parts for child in part.children]
    filled, cost = ZERO, ZERO
    for part in parts:
        filled, cost = add(filled, part.filled), add(cost, part.cost)
    return SplitResult(
        side=side,
        filled=filled,
        unfilled=add(quantity, -filled),
        cost=cost,
        bound=cost,
        gap_bps=ZERO,
        optimal=False,
        children=children,
        nodes=0,
    )
