"""What was to be seen when a child order was decided: `Decision`, read from the live books at that very moment.

The router publishes a new child in the same breath as it plans it, so the books here are the ones the plan was made
from. Reads only; a few microseconds for an ordinary child. Loop thread.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

from desk.market import Market
from pricing.consolidated import ConsolidatedBook
from risk.exact import ZERO
from router.costs.shortfall import Decision
from router.orders import INTERNAL, ChildOrder

FIRST_LEVELS = 16  # enough for most children; four times as many each time it is not
HALF_NORMAL = 0.3989422804014327  # E[X⁺] = σ·√(τ/2π) of X ~ N(0, σ²τ)


def decision_of(market: Market, child: ChildOrder, quoted: Decimal | None, latency_ns: int, now_ns: int) -> Decision:
    """What is seen of a child that is new. `quoted`: the LP's price of the quote it takes; `latency_ns`: how long orders
    take to its venue."""
    mid = market.fair(child.symbol, now_ns)
    book = market.books.get(child.symbol)
    if child.quote_id or child.venue == INTERNAL or book is None or child.venue not in book.venues:
        price = child.limit_price if quoted is None else quoted
        return Decision(ts_ns=now_ns, mid=mid, touch=None, levels=((price, child.quantity),))
    terms = book.terms(child.venue)
    age_ns = max(0, book.age_ns(child.venue, now_ns))
    sigma = market.volatility[child.symbol].sigma
    best = book.best(child.venue)
    return Decision(
        ts_ns=now_ns,
        mid=mid,
        touch=None if best is None else best[child.side == "buy"],
        levels=_levels(book, child),
        fee_bps=terms.resting_fee_bps if child.resting else terms.taker_fee_bps,
        fixed=terms.fixed_cost,
        noise_bps=HALF_NORMAL * sigma * sqrt((age_ns + max(0, latency_ns)) * 1e-9) * 1e4,
    )


def best_all_in(market: Market, symbol: str, side: str, now_ns: int) -> tuple[Decimal, Decimal] | None:
    """(price, fee bps) of the live venue that is cheapest for us at its best price, fee included; None without one."""
    book = market.books.get(symbol)
    buy = side == "buy"
    found: list[tuple[Decimal, Decimal, Decimal]] = []
    for venue in book.live(now_ns) if book is not None else ():
        best = book.best(venue) if book is not None else None
        if best is not None and book is not None:
            price, fee = best[buy], book.terms(venue).taker_fee_bps
            found.append((price * (10_000 + fee) if buy else -price * (10_000 - fee), price, fee))
    if not found:
        return None
    _, price, fee = min(found)
    return price, fee


def _levels(book: ConsolidatedBook, child: ChildOrder) -> tuple[tuple[Decimal, Decimal], ...]:
    """Levels of the child's venue within its limit, best first, until they hold its quantity."""
    buy = child.side == "buy"
    depth = FIRST_LEVELS
    while True:
        rows = book.side_levels(child.venue, 1 if buy else 0, depth)
        found: list[tuple[Decimal, Decimal]] = []
        left = child.quantity
        for ticks, lots in rows:
            price = book.scale.price(ticks)
            if (price > child.limit_price) if buy else (price < child.limit_price):
                return tuple(found)
            size = book.scale.size(lots)
            found.append((price, size))
            left -= size
            if left <= ZERO:
                return tuple(found)
        if len(rows) < depth:
            return tuple(found)
        depth *= 4
