"""`warm`: load the router's kernels and prove the splitter on golden vectors, after pricing's."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np

from pricing import kernel_cache
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from pricing.warm import NOW, Progress, check
from router.exact.request import Book, SplitQuote, SplitRequest
from router.exact.split import split
from router.live.splitter import splitter
from router.slippage.features import FEATURES
from router.slippage.predictor import Predictor
from router.slippage.trees import ModelFile, Quantiles, Tree

EXACT = "router.exact.search"  # the module whose kernels take longest to compile


def warm(progress: Progress | None = None) -> None:
    """Load every kernel of the router; raises `pricing.warm.StaleKernels` when one answers wrongly."""
    kernel_cache.refresh()
    warm_exact()
    _warm_live(progress)
    _warm_slippage(progress)


def warm_exact() -> None:
    """Load the kernels of the exact split, and have them answer an order worked by hand."""

    def book(name: str, fee: str, lot: str, *levels: tuple[str, str]) -> Book:
        return Book(
            venue=name,
            taker_fee_bps=Decimal(fee),
            lot=Decimal(lot),
            min_quantity=Decimal(lot),
            min_notional=Decimal(0),
            balance=None,
            fixed_cost=Decimal(0),
            levels=tuple((Decimal(price), Decimal(size)) for price, size in levels),
        )

    request = SplitRequest(
        side="buy",
        quantity=Decimal("3.5"),
        books=(
            book("A", "10", "0.1", ("100", "1.25"), ("101", "4")),
            book("B", "0", "0.5", ("100.05", "1.4"), ("103", "9")),
        ),
        quotes=(
            SplitQuote(lp="X", quote_id="x", price=Decimal("100.5"), quantity=Decimal("1.5"), all_or_none=True),
            SplitQuote(lp="X", quote_id="y", price=Decimal("100.2"), quantity=Decimal("4"), all_or_none=True),
        ),
    )
    result = split(request, gap_bps=Decimal(0))
    # B 1.0 at 100.05; X 1.5 at 100.5; A 1.0 at 100 with fee: 100.05 + 150.75 + 100.1
    children = [(child.target, child.quantity, child.limit_price) for child in result.children]
    expected = [
        ("A", Decimal(1), Decimal(100)),
        ("B", Decimal(1), Decimal("100.05")),
        ("X", Decimal("1.5"), Decimal("100.5")),
    ]
    check("split", (children, result.cost, result.optimal), (expected, Decimal("350.9"), True))


def _warm_live(progress: Progress | None) -> None:
    """The certified kernel over live books, on an order worked by hand."""
    if progress:
        progress("router: live split")
    terms = [
        VenueTerms(
            venue=name,
            taker_fee_bps=Decimal(fee),
            tick=Decimal("0.01"),
            lot=Decimal(lot),
            price_decimals=2,
            size_decimals=2,
            max_age_ns=NOW,
        )
        for name, fee, lot in (("A", "10", "0.01"), ("B", "0", "0.5"))
    ]
    book = ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 2, 2), terms, depth=4)
    for name, asks in (("A", [(10_000, 125), (10_100, 400)]), ("B", [(10_005, 140), (10_300, 900)])):
        rows = [(1, 9_900, 100), *((-1, price, size) for price, size in asks)]
        book.apply(name, np.array(rows, dtype=np.int64), True, NOW)
    quotes = [
        SplitQuote(lp="X", quote_id="x", price=Decimal("100.5"), quantity=Decimal("1.5")),
        SplitQuote(lp="X", quote_id="y", price=Decimal("100.2"), quantity=Decimal("4")),
    ]
    result = splitter(book).solve(
        book,
        side="buy",
        quantity=Decimal("3.75"),
        limit_price=None,
        quotes=quotes,
        balances={},
        max_children=None,
        exclude=frozenset(),
        now_ns=NOW,
        gap_bps=Decimal(10),
    )
    # B 1.0 at 100.05; X 1.5 at 100.5; A 1.25 at 100 with fee: 100.05 + 150.75 + 125.125 (lots cut B from 1.4 to 1.0)
    children = [(child.target, child.quantity, child.limit_price) for child in result.children] if result else []
    expected = [
        ("A", Decimal("1.25"), Decimal("100.00")),
        ("B", Decimal("1"), Decimal("100.05")),
        ("X", Decimal("1.5"), Decimal("100.5")),
    ]
    check("live split", (children, result and result.cost), (expected, Decimal("375.925")))
    _warm_search(book, progress)


def _warm_search(book: ConsolidatedBook, progress: Progress | None) -> None:
    """What the certified kernel leaves open: the same books, where B charges 1 for the ticket and X may be taken in part."""
    if progress:
        progress("router: search")
    book.set_terms(msgspec.structs.replace(book.terms("B"), fixed_cost=Decimal(1)))
    quote = SplitQuote(
        lp="X", quote_id="x", price=Decimal("100.5"), quantity=Decimal("2.5"), all_or_none=False, lot=Decimal("0.5")
    )
    result = splitter(book).solve(
        book, side="buy", quantity=Decimal("3.75"), quotes=[quote], now_ns=NOW, gap_bps=Decimal(0)
    )
    # A 1.25 at 100.1 with fee, X 2.5 at 100.5: 376.375; B instead of some of X saves 0.45 each of its 1.0, less than its ticket
    children = [(child.target, child.quantity, child.limit_price) for child in result.children] if result else []
    expected = [("A", Decimal("1.25"), Decimal("100.00")), ("X", Decimal("2.5"), Decimal("100.5"))]
    got = (children, result and result.cost, result and result.optimal)
    check("search", got, (expected, Decimal("376.375"), True))


def _warm_slippage(progress: Progress | None) -> None:
    """Features, theory and trees of an order worked by hand: 2.00 of asks 1.00 at 100.10 and 1.00 at 100.30, mid 100."""
    if progress:
        progress("router: slippage")
    terms = VenueTerms(
        venue="A",
        taker_fee_bps=Decimal(0),
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        price_decimals=2,
        size_decimals=2,
        max_age_ns=NOW,
    )
    book = ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 2, 2), [terms], depth=4)
    book.apply("A", np.array([(1, 9_990, 100), (-1, 10_010, 100), (-1, 10_030, 100)], dtype=np.int64), True, NOW)
    upward = Tree(
        feature=[1, -1, -1], left=[1, 0, 0], right=[2, 0, 0], missing_left=[True, False, False], value=[0.9, 1.0, 3.0]
    )
    file = ModelFile(
        base=(0.5, 1.5),
        trees=([upward], [upward]),
        ranges=[(-1e9, 1e9)] * len(FEATURES),
        trained_on={},
        metrics={},
        created_ns=0,
        expires_ns=2 * NOW,
    )
    predictors = [
        Predictor(model, latency_s=0.25, sigma=lambda symbol: 1e-4) for model in (None, Quantiles.sealed(file))
    ]
    told = []
    for predictor in predictors:
        row = predictor.features(book, "A", "buy", Decimal(2), NOW, Decimal(100))
        answer = predictor.predict(row, NOW) if row is not None else (0.0, 0.0, "")
        told.append([round(float(bps), 6) for bps in answer[:2]])
    # walk 100.20: 20 bps; σ√w = 1 bp × √0.25 = 0.5 bp; theory 0.398942 and 1.281552 of it, the trees 0.5 + 3 and 1.5 + 3
    check("slippage", told, [[20.199471, 20.640776], [21.75, 22.25]])
