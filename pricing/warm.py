"""`warm`: compile or load every pricing kernel before the first quote, and run golden vectors through them.

numba's on-disk cache is keyed by source and processor; a wrong entry would give wrong numbers without an error, so kernels
whose sources changed are compiled anew (`pricing.kernel_cache`) and each load is checked against results computed by hand.
A mismatch raises `StaleKernels`: delete the `__pycache__` folders and start again.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import exp, pi

import numpy as np

from pricing import kernel_cache
from pricing.arrivals import TAKE_TOP, take_top
from pricing.charges import Charges, Client
from pricing.concentration import Concentration
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.cross import CrossBook
from pricing.entry import entry
from pricing.haircut import Depth
from pricing.inventory import solve
from pricing.ladder import Priced, price_quote
from pricing.parameters import Flow, PricingParameters, TierFlow
from pricing.rungs import Ladder
from pricing.scale import Scale
from pricing.signals import Signals, observe
from pricing.skew import glft_slope
from pricing.volatility import Volatility
from pricing.winning import ODDS_ONE, SLOPE_ONE, tuned_markup

Progress = Callable[[str], None]
NOW = 1_000_000_000


class StaleKernels(RuntimeError):
    """A kernel answered a golden vector wrongly: its cache belongs to other code."""


def check(what: str, got: object, expected: object) -> None:
    """Raise `StaleKernels` unless a golden vector came out as expected."""
    if got != expected:
        raise StaleKernels(f"{what}: {got!r} instead of {expected!r}; delete the __pycache__ folders and start again")


def _venue(name: str, fee_bps: int, price_decimals: int, size_decimals: int) -> VenueTerms:
    return VenueTerms(
        venue=name,
        taker_fee_bps=Decimal(fee_bps),
        tick=Decimal("0.1"),
        lot=Decimal("0.01"),
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        max_age_ns=NOW,
    )


def warm(progress: Progress | None = None) -> None:
    """Load every kernel and prove it on golden vectors. The first time on a machine this compiles for a few seconds."""
    say = progress or (lambda _: None)
    kernel_cache.refresh()
    say("pricing: books")
    venues = [_venue("A", 10, 1, 2), _venue("B", 0, 0, 1)]
    book = ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 1, 2), venues, depth=4)
    rows = [[1, 990, 100], [1, 999, 50], [-1, 1001, 50], [-1, 1010, 100], [-1, 1020, 7], [-1, 1030, 7], [-1, 1040, 7]]
    check("snapshot", book.apply("A", np.array(rows, dtype=np.int64), True, NOW), BookStatus.LIVE)
    rows = [[1, 99, 10], [-1, 101, 20]]
    check("snapshot", book.apply("B", np.array(rows, dtype=np.int64), True, NOW), BookStatus.LIVE)
    update = np.array([[1, 999, 60], [-1, 1010, 0], [-1, 1040, 9]], dtype=np.int64)
    check("update", book.apply("A", update, False, NOW), BookStatus.LIVE)
    asks = [
        (Decimal("100.1"), Decimal("0.50")),
        (Decimal("102.0"), Decimal("0.07")),
        (Decimal("103.0"), Decimal("0.07")),
    ]
    check("levels", book.levels("A", 4)[1], [*asks, (Decimal("104.0"), Decimal("0.09"))])
    book.mark_top("A", 998, 50, 1001, 40, NOW)
    check("top", book.best("A"), (Decimal("99.0"), Decimal("100.1")))
    check("top", book.levels("A", 1)[1], [(Decimal("100.1"), Decimal("0.40"))])
    _warm_market(say)
    say("pricing: sweep and ladder")
    parameters = PricingParameters(
        volatility_multiplier=0.0,
        fill_ratio=1.0,
        impact_bps=Decimal(0),
        skew_bps_at_band=Decimal(0),
        adverse_bps=Decimal(0),
        credit_bps=Decimal(0),
        markup_bps={"standard": Decimal(0)},
    )
    quoted = price_quote(
        book,
        side="buy",
        quantity=Decimal("2"),
        now_ns=NOW,
        ttl_ms=0,
        inventory=Decimal(0),
        band=Decimal(1),
        volatility=0.0,
        tier="standard",
        parameters=parameters,
        tick=Decimal("0.1"),
        fair=Decimal(100),
    )
    # 0.4 × 100.1 × 1.001 + 1.6 × 101 = 201.68004 for 2
    check("price", quoted.price if isinstance(quoted, Priced) else quoted, Decimal("100.9"))
    check("sweep", quoted.waterfall[0] if isinstance(quoted, Priced) else quoted, ("sweep", Decimal("0.84002")))
    charges = Charges(
        book.scale,
        fair=Decimal(100),
        ttl_ms=0,
        inventory=Decimal(0),
        band=Decimal(1),
        volatility=0.0,
        client=Client(),
        parameters=parameters,
        tick=Decimal("0.1"),
    )
    rungs = Ladder(book, [Decimal("0.4"), Decimal("2"), Decimal("90")])
    rungs.set_charges(charges)
    rungs.price(NOW)
    prices = [
        (Decimal("0.4"), Decimal("99.0"), Decimal("100.3")),
        (Decimal("2"), Decimal("98.9"), Decimal("100.9")),
        (Decimal("90"), None, None),
    ]
    check("ladder", rungs.prices(), prices)
    rungs.set_charges(charges, None, {"A": Depth(0.5, float("inf"))})
    rungs.price(NOW)
    # half of A's asks: 0.2 × 100.1 × 1.001 + 1.8 × 101 = 201.84002 for 2
    check("haircut", rungs.prices()[1], (Decimal("2"), Decimal("98.9"), Decimal("101.0")))
    rungs = Ladder(book, [Decimal("100")], money=True)
    rungs.set_charges(charges)
    rungs.price(NOW)
    check("ladder in quote currency", rungs.quantities(), [(Decimal("1.02"), Decimal("0.99"))])
    # log odds 2 at fair that fall by a little over 1/1000 a fine tick: W(e) = 1, so the best markup is just below 2 × 1000
    check("tuned markup", tuned_markup(2 * ODDS_ONE, SLOPE_ONE // 1000 + 1, 1000, 0, 0, 10_000), 1000)
    _warm_cross(say)
    say("pricing: inventory control")
    # the currency dealer of arXiv:2106.06974, section 4: its smallest size is quoted 0.32 bps wide
    dealer = TierFlow(tier="dealer", alpha=-1.0, beta_per_bps=10.0)
    flow = Flow(tiers=(dealer,), risk_aversion=0.05, hedge_cost_bps=0.2, hedge_impact=1e-3, permanent_impact_bps=0.5)
    solved = solve(flow, 50.0)
    check("inventory control", round(2 * solved.distance("dealer", 0.01, 0.0, 1), 2), 0.32)
    check("hedging", (solved.hedge_rate(0.1), solved.hedge_rate(0.5) < 0.0), (0.0, True))
    check("skew", glft_slope(flow, 50e-4 / 86_400**0.5) > 0.0, True)


def _warm_market(say: Progress) -> None:
    """Merged view, fair value, signals, volatility and concentration on two books of round numbers."""
    say("pricing: fair value, signals, volatility")
    venues = [_venue("A", 10, 1, 2), _venue("B", 0, 1, 2)]
    book = ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 1, 2), venues, depth=32)
    levels = [(side, 1000 - side * (1 + i), 100 if side == 1 else 300) for side in (1, -1) for i in range(16)]
    for venue in ("A", "B"):
        book.apply(venue, np.array(levels, dtype=np.int64), True, NOW)
    check("fair", book.fair(NOW), Decimal("99.950"))
    check("depth imbalance", book.depth_imbalance("A", 4), 0.25)
    check("merged", [row.venue for row in book.ladder(4, NOW)[1]], ["B", "B", "A", "B"])
    book.apply("B", np.array([[-1, 1001, 0], [-1, 1000, 7]], dtype=np.int64), False, NOW)
    check(
        "merged", [row.price for row in book.ladder(3, NOW)[1]], [Decimal("100.0"), Decimal("100.2"), Decimal("100.1")]
    )
    seen = Concentration(book.arena, book.venues)
    seen.scan("A", NOW)
    reading = seen.read("A", 1)
    check("concentration", (reading.hhi, reading.top_share, reading.wall), (1 / 16, 5 / 16, 0.25))
    signals = Signals(1e9)
    events = [[NOW, 0, 999, 10, 1001, 10], [2 * NOW, 0, 1000, 30, 1001, 10], [2 * NOW, 1, -1, 5, 0, 0]]
    for ts, kind, a, b, c, d in events:
        observe(signals.state, ts, kind, a, b, c, d)
    entry(take_top, TAKE_TOP)(book.arena, 0, 990, 5, 1001, 5, 2 * NOW, Signals(1e9).state)
    check("top", book.best("A"), (Decimal("99.0"), Decimal("100.1")))
    told = signals.read(2 * NOW)
    check("signals", (told.order_flow, told.queue_imbalance, told.trade_flow), (1.0, 0.75, -1.0))
    volatility = Volatility(1e12, 0.0, grid_s=1.0, short_s=1e12)
    for i in range(40):
        volatility.update((i + 1) * NOW, 100.0 * exp(1e-4 * i))
    got = [round(value, 9) for value in (volatility.short, volatility.two_scale, volatility.bipower)]
    # every move is 1 bp in 1 s: on 25 ticks 25 bp at once, (625/25 − 1/25)/(1 − 1/25) = 26 bp² a second
    check("volatility", got, [1e-4, round(1e-4 * 26**0.5, 9), round(1e-4 * (pi / 2) ** 0.5, 9)])


def _warm_cross(say: Progress) -> None:
    """A/B through A/X and B/X, and through A/X and X/B, against prices worked out by hand."""
    say("pricing: synthetic books")
    first, second = (ConsolidatedBook(of, Scale(of, 1, 2), [_venue("A", 0, 1, 2)], depth=4) for of in ("A/X", "B/X"))
    third = ConsolidatedBook("X/B", Scale("X/B", 1, 2), [_venue("A", 0, 1, 2)], depth=4)
    books = ((first, 2000, 2020, 100), (second, 40, 41, 100), (third, 3, 5, 10**5))
    for book, bid, ask, size in books:
        book.apply("A", np.array([[1, bid, size], [-1, ask, size]], dtype=np.int64), True, NOW)
    divided = CrossBook("A/B", Scale("A/B", 3, 2), [], (first, second), depth=4)
    multiplied = CrossBook("A/B", Scale("A/B", 3, 2), [], (first, third), depth=4)
    for cross in (divided, multiplied):
        cross.renew(NOW)
    # 200.0 / 4.1 down, 202.0 / 4.0; 1 B is 4.0 X: 0.0198 of A, so 1 lot
    check(
        "cross",
        divided.levels("A/X+B/X", 2),
        ([(Decimal("48.780"), Decimal("0.02"))], [(Decimal("50.500"), Decimal("0.01"))]),
    )
    # 200.0 × 0.3 and 202.0 × 0.5; 1000 X are enough for all of leg 1
    whole = Decimal("1.00")
    check("cross", multiplied.levels("A/X+X/B", 2), ([(Decimal("60.000"), whole)], [(Decimal("101.000"), whole)]))
