"""Past orders lived again: books are built up message by message, and every order is looked at when it was decided and when it ended.

The same classes as in the running desk apply the messages (`pricing.consolidated`, the market's volatility), so a row made here has the
features the desk saw. A message counts once it had arrived (`ts_init`): nothing later than the decision is known to it. A book without a
snapshot before the first order, or with rows dropped under pressure, is not whole: its orders are left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from desk.market import SAMPLE_NS, Market
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router.orders import ChildOrder
from router.slippage.predictor import Predictor
from sim.learn.examples import Bench

MAX_AGE_NS = 5_000_000_000
SNAPSHOT, CLEAR = "snapshot", "clear"


class Message(NamedTuple):
    """A book message. `levels`: (side ±1, price, size) in 10^-decimals of the listing."""

    ts_ns: int
    venue: str
    kind: str
    levels: list[tuple[int, int, int]]


class Top(NamedTuple):
    """A venue's best bid and ask with sizes, in the same units."""

    ts_ns: int
    venue: str
    bid: int
    bid_size: int
    ask: int
    ask_size: int


class Listing(NamedTuple):
    """Decimals of a venue's prices and sizes."""

    venue: str
    price_decimals: int
    size_decimals: int


class Lived(NamedTuple):
    """An order: as it was decided, and as it ended."""

    first: ChildOrder
    last: ChildOrder


def relive(
    symbol: str, listings: Iterable[Listing], events: Iterable[Message | Top], orders: Iterable[Lived], latency_s: float
) -> Bench:
    """Examples of one symbol's orders; `events` by time of arrival."""
    book = _book(symbol, list(listings))
    market = Market([book])
    bench = Bench(Predictor(latency_s=latency_s, sigma=lambda name: market.volatility[name].sigma))
    steps: list[tuple[int, int, str, Lived]] = []
    for order in orders:
        steps.append((order.first.created_ns, 0, order.first.child_id, order))
        steps.append((order.last.updated_ns, 1, order.first.child_id, order))
    waiting = iter(sorted(steps, key=itemgetter(0, 1, 2)))
    step = next(waiting, None)
    next_tick_ns = 0
    for event in events:
        while step is not None and step[0] < event.ts_ns:
            _look(bench, book, step)
            step = next(waiting, None)
        if step is None:
            break
        _apply(book, event)
        if isinstance(event, Message) and event.kind != CLEAR and event.ts_ns >= next_tick_ns:
            next_tick_ns = event.ts_ns + SAMPLE_NS
            fair = market.fair(symbol, event.ts_ns)
            if fair is not None:
                market.volatility[symbol].update(event.ts_ns, float(fair))
    while step is not None:
        _look(bench, book, step)
        step = next(waiting, None)
    return bench


def _look(bench: Bench, book: ConsolidatedBook, step: tuple[int, int, str, Lived]) -> None:
    at_ns, ending, _, order = step
    if book.status(order.first.venue, at_ns) is not BookStatus.LIVE:
        bench.lost(order.first.child_id)
    elif ending:
        bench.ended(order.last, book, at_ns)
    else:
        bench.decided(order.first, book, at_ns)


def _apply(book: ConsolidatedBook, event: Message | Top) -> None:
    if isinstance(event, Top):
        book.mark_top(event.venue, event.bid, event.bid_size, event.ask, event.ask_size, event.ts_ns)
    elif event.kind == CLEAR:
        book.clear(event.venue, "cleared", event.ts_ns)
    else:
        levels = np.array(event.levels, dtype=np.int64).reshape(-1, 3)
        book.apply(event.venue, levels, event.kind == SNAPSHOT, event.ts_ns)


def _book(symbol: str, listings: list[Listing]) -> ConsolidatedBook:
    scale = Scale(symbol, max(one.price_decimals for one in listings), max(one.size_decimals for one in listings))
    terms = [
        VenueTerms(
            venue=one.venue,
            taker_fee_bps=Decimal(0),  # no feature knows of fees
            tick=Decimal(1).scaleb(-one.price_decimals),
            lot=Decimal(1).scaleb(-one.size_decimals),
            price_decimals=one.price_decimals,
            size_decimals=one.size_decimals,
            max_age_ns=MAX_AGE_NS,
        )
        for one in listings
    ]
    return ConsolidatedBook(symbol, scale, terms)
