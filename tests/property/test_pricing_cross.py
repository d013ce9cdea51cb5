"""The synthetic book: the kernel is its plain twin bit for bit, never says less than the legs cost, and hardly more; the choice
between direct and synthetic is what a linear program over the single legs finds."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.cross import CrossBook
from pricing.offers import Venue
from pricing.scale import Scale
from pricing.synthetic import MOST, _quotient
from pricing.triangle import Form, form_of
from router.exact.request import SplitRequest
from router.exact.split import split
from router.routes.book import RouteBook, compose, fair_of, virtual_book, walk
from router.routes.choice import RouteKind, RouteRequest, choose, second_side
from tests.oracles.cross import composed, exact_cost, merged

NOW = 1_000_000_000
SYMBOLS = {Form.DIVIDE: ("AAA/BBB", "AAA/XXX", "BBB/XXX"), Form.MULTIPLY: ("AAA/BBB", "AAA/XXX", "XXX/BBB")}
PRICE_DECIMALS = 8


def book_of(
    symbol: str, sides: dict[str, tuple[list[tuple[int, int]], list[tuple[int, int]]]], fees: list[int]
) -> ConsolidatedBook:
    """Bids and asks by venue; prices with 2 decimals, sizes with 4; fees in ppm."""
    terms = [
        VenueTerms(
            venue=venue,
            taker_fee_bps=Decimal(fee) / 100,
            tick=Decimal("0.01"),
            lot=Decimal("0.0001"),
            price_decimals=2,
            size_decimals=4,
            max_age_ns=NOW,
        )
        for venue, fee in zip(sides, fees, strict=True)
    ]
    book = ConsolidatedBook(symbol, Scale(symbol, 2, 4), terms)
    for venue, (bids, asks) in sides.items():
        rows = [[1, price, size] for price, size in bids] + [[-1, price, size] for price, size in asks]
        assert book.apply(venue, np.array(rows, dtype=np.int64), True, NOW) is BookStatus.LIVE
    return book


@st.composite
def legs(
    draw: st.DrawFn, symbol: str, middle: int
) -> tuple[ConsolidatedBook, list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """A book of one or two venues around `middle` ticks, and its levels as the oracle takes them."""
    sides, fees = {}, []
    bids_all, asks_all = [], []
    for venue in ("V", "W")[: draw(st.integers(1, 2))]:
        fee = draw(st.integers(-200, 2_000))
        fees.append(fee)
        levels = []
        for sign in (-1, 1):
            price, rows = middle, []
            for _ in range(draw(st.integers(1, 6))):
                price += sign * draw(st.integers(1, max(middle // 200, 1)))
                rows.append((price, draw(st.integers(1, 10**6))))
            levels.append(rows)
        sides[venue] = (levels[0], levels[1])
        bids_all += [(price, size, fee) for price, size in levels[0]]
        asks_all += [(price, size, fee) for price, size in levels[1]]
    return book_of(symbol, sides, fees), bids_all, asks_all


@given(data=st.data(), form=st.sampled_from(Form), load=st.sampled_from([0.0, 1e-5, 0.0003]))
@settings(max_examples=150, deadline=None)
def test_the_synthetic_book_is_the_oracle_s_and_covers_the_legs_exact_cost(
    data: st.DataObject, form: Form, load: float
) -> None:
    symbol, one, two = SYMBOLS[form]
    first, bids_1, asks_1 = data.draw(legs(one, data.draw(st.integers(2_000, 10_000_000))))
    second, bids_2, asks_2 = data.draw(legs(two, data.draw(st.integers(2_000, 10_000_000))))
    cross = CrossBook(symbol, Scale(symbol, PRICE_DECIMALS, 4), [], (first, second), load=lambda: load, depth=64)
    cross.renew(NOW)
    extra = round(load * 1_000_000)
    for side in (0, 1):
        side_2 = 1 - side if form is Form.DIVIDE else side
        levels_1 = merged((bids_1, asks_1)[side], side, 0)
        levels_2 = merged((bids_2, asks_2)[side_2], side_2, extra)
        expected = composed(levels_1, levels_2, form, side, (2, 4), (2, 4), PRICE_DECIMALS, 64)
        if any(price >= 1 << 41 or price <= 0 for price, _ in expected):
            continue  # beyond the scale: refused below
        got = cross._side(side, [3, 3])[::-1]
        assert [(int(price), int(lots)) for _, price, lots in got] == expected
        assert all(mark == (-1 if side else 1) for mark, _, _ in got)
        prices = [price for price, _ in expected]
        assert prices == sorted(prices, reverse=side == 0)
        _covers(expected, levels_1, levels_2, form, side)


def _covers(
    levels: list[tuple[int, int]], one: list[tuple[int, int]], two: list[tuple[int, int]], form: Form, side: int
) -> None:
    """At every breakpoint the book's money is never better for us than the legs', nor much worse."""
    exact_1 = [(Fraction(key, 10**8), Fraction(size, 10**4)) for key, size in one]
    exact_2 = [(Fraction(key, 10**8), Fraction(size, 10**4)) for key, size in two]
    money = done = Fraction(0)
    for price, lots in levels:
        size = Fraction(lots, 10**4)
        money, done = money + Fraction(price, 10**PRICE_DECIMALS) * size, done + size
        true = exact_cost(exact_1, exact_2, form, done)
        assert true is not None
        lost = money - true if side == 1 else true - money
        assert lost >= 0
        # a tick on everything; at each breakpoint passed a lot and a unit of leg 2, taken at this level instead of the best
        worst = Fraction(price, 10**PRICE_DECIMALS)
        best = exact_1[0][0] / exact_2[0][0] if form is Form.DIVIDE else exact_1[0][0] * exact_2[0][0]
        moved = max(key for key, _ in exact_2) if form is Form.DIVIDE else Fraction(1)  # X in a unit of leg 2
        lot = (1 + moved / min(key for key, _ in exact_1)) / 10**4
        room = done / 10**PRICE_DECIMALS + (len(one) + len(two)) * lot * (
            abs(worst - best) + Fraction(1, 10**PRICE_DECIMALS)
        )
        assert lost <= room


def whole_numbers(r: Random, most: int) -> int:
    """0 to `most`, every length alike, powers of two and what lies beside them more often."""
    value = r.getrandbits(r.randrange(1, most.bit_length() + 1))
    if r.random() < 0.25:
        value = (1 << r.randrange(most.bit_length())) + r.choice((-1, 0, 1))
    return min(max(value, 0), most)


def test_quotients_are_exact_beyond_64_bits() -> None:
    r = Random(1)
    for _ in range(20_000):
        a, b, c, up = *(whole_numbers(r, 2**61 - 1) for _ in range(3)), r.choice((0, 1))
        c = max(c, 1)
        whole, rest = divmod(a * b, c)
        expected = whole + (1 if up and rest else 0)
        found = _quotient(a, b, c, up)
        assert found == expected if whole < MOST - 4 else found >= MOST - 4, (a, b, c, up)


def test_quotients_next_to_a_whole_number_are_exact() -> None:
    r = Random(2)
    for _ in range(20_000):
        q, b, c = whole_numbers(r, MOST - 5), whole_numbers(r, 2**60), whole_numbers(r, 2**61 - 1)
        b, c = max(b, 1), max(c, 1)
        a = min(max(q * c // b + r.choice((-1, 0, 1)), 0), 2**61 - 1)
        expected = a * b // c
        if expected < MOST - 4:
            assert (_quotient(a, b, c, 0), _quotient(a, b, c, 1)) == (expected, -(-a * b // c)), (a, b, c)


def test_a_synthetic_book_lives_and_dies_with_its_legs() -> None:
    first = book_of("ETH/USDT", {"V": ([(260_000, 10_000)], [(260_010, 10_000)])}, [0])
    second = book_of("BTC/USDT", {"V": ([(6_000_000, 10_000)], [(6_000_100, 10_000)])}, [0])
    cross = CrossBook("ETH/BTC", Scale("ETH/BTC", 9, 4), [], (first, second))
    assert cross.live(NOW) == ["ETH/USDT+BTC/USDT"]
    assert cross.fair(NOW) == (Decimal("2600.05") / Decimal("60000.5")).quantize(Decimal("1e-11"))
    assert cross.levels(cross.route, 1)[1][0][0] == Decimal("0.043335000")  # 2600.10 / 60000.00, up
    second.clear("V", "gap", NOW)
    assert cross.live(NOW) == [] and cross.fair(NOW) is None
    assert cross.reason(cross.route) == "no live book of BTC/USDT"
    second.apply("V", np.array([[1, 6_000_000, 5], [-1, 6_000_100, 5]], dtype=np.int64), True, NOW + 1)
    assert cross.live(NOW + 1) == [cross.route]
    assert cross.live(2 * NOW + 2) == []  # leg 1 is stale then


def test_a_fee_or_a_leg_at_risk_makes_the_synthetic_price_worse_on_both_sides() -> None:
    def top(fee: int, load: float) -> tuple[Decimal, Decimal]:
        first = book_of("ETH/USDT", {"V": ([(260_000, 10_000)], [(260_010, 10_000)])}, [fee])
        second = book_of("BTC/USDT", {"V": ([(6_000_000, 10_000)], [(6_000_100, 10_000)])}, [fee])
        cross = CrossBook("ETH/BTC", Scale("ETH/BTC", 9, 4), [], (first, second), load=lambda: load)
        cross.renew(NOW)
        best = cross.best(cross.route)
        assert best is not None
        return best

    free, paid, risky = top(0, 0.0), top(400, 0.0), top(400, 0.0001)
    assert risky[0] < paid[0] < free[0] < free[1] < paid[1] < risky[1]
    assert paid[1] / free[1] == pytest.approx(Decimal("1.0004") / Decimal("0.9996"), rel=Decimal("1e-6"))


def test_legs_that_do_not_make_the_pair_are_refused() -> None:
    for wrong in (
        ("BTC/USDT", "ETH/USDT"),
        ("ETH/USDT", "BTC/USDC"),
        ("ETH/BTC", "BTC/USDT"),
        ("ETH/USDT", "USDT/EUR"),
    ):
        with pytest.raises(ValueError, match="do not make ETH/BTC"):
            form_of("ETH/BTC", *wrong)


# ---- the choice against a linear program over the single legs -------------------------------------------------------------


def _venues(rng: np.random.Generator, middle: float, names: str, spread: float) -> tuple[Venue, ...]:
    found = []
    for name in names:
        sides = []
        for sign in (-1, 1):
            price, levels = middle * (1 + sign * spread * rng.uniform(0.2, 1)), []
            for _ in range(int(rng.integers(2, 7))):
                levels.append((Decimal(f"{price:.4f}"), Decimal(int(rng.integers(1, 400))) / 100))
                price *= 1 + sign * rng.uniform(0.00002, 0.0006)
            sides.append(tuple(levels))
        found.append(
            Venue(
                venue=name,
                taker_fee_bps=Decimal(int(rng.integers(-1, 8))),
                lot=Decimal("0.00000001"),
                min_quantity=Decimal(0),
                min_notional=Decimal(0),
                balance=None,
                fixed_cost=Decimal(0),
                asks=sides[1],
                bids=sides[0],
            )
        )
    return tuple(found)


def _route_book(
    rng: np.random.Generator, symbol: str, middle: float, names: str, spread: float, scale: int
) -> RouteBook:
    venues = _venues(rng, middle, names, spread)
    wider = tuple(
        Venue(
            **{name: getattr(venue, name) for name in venue.__struct_fields__ if name not in ("asks", "bids")},
            asks=tuple((price, size * scale) for price, size in venue.asks),
            bids=tuple((price, size * scale) for price, size in venue.bids),
        )
        for venue in venues
    )
    fair = fair_of(wider)
    assert fair is not None
    return RouteBook(symbol=symbol, venues=wider, fair=fair)


def _program(direct: RouteBook, one: RouteBook, two: RouteBook, form: Form, side: str, quantity: float) -> float:
    """Least B paid (or − most B received) for `quantity` of A, over the levels of all three books at once (HiGHS)."""
    sign = 1 if side == "buy" else -1
    side_2 = second_side(form, side)
    costs, bounds, base_row, x_row = [], [], [], []
    for book, taken in ((direct, side), (one, side), (two, side_2)):
        turn = 1 if taken == "buy" else -1
        for venue in book.venues:
            for price, size in venue.asks if taken == "buy" else venue.bids:
                all_in = float(price) * (1 + turn * float(venue.taker_fee_bps) / 10_000)
                bounds.append((0.0, float(size)))
                if book is direct:
                    costs.append(sign * all_in), base_row.append(1.0), x_row.append(0.0)
                elif book is one:
                    costs.append(0.0), base_row.append(1.0), x_row.append(all_in)
                elif form is Form.DIVIDE:  # its base is B, its money X
                    costs.append(float(sign)), base_row.append(0.0), x_row.append(-all_in)
                else:
                    costs.append(sign * all_in), base_row.append(0.0), x_row.append(-1.0)
    found = linprog(costs, A_eq=[base_row, x_row], b_eq=[quantity, 0.0], bounds=bounds, method="highs")
    assert found.status == 0, found.message
    return float(found.fun)


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_split_between_direct_and_synthetic_is_the_linear_program_s(form: Form, side: str) -> None:
    rng = np.random.default_rng(41 + 2 * form + (side == "buy"))
    mixed = 0
    for _ in range(25):
        _, first, second = "BTC/EUR", "BTC/USDT", "EUR/USDT" if form is Form.DIVIDE else "USDT/EUR"
        rate = 1.09 if form is Form.DIVIDE else 1 / 1.09
        one = _route_book(rng, first, 60_000.0, "PQ", 0.0001, 1)
        two = _route_book(rng, second, rate, "RS", 0.00005, 100_000)
        direct = _route_book(rng, "BTC/EUR", 60_000 / 1.09, "TU", 0.0004, 1)
        quantity = Decimal(int(rng.integers(1, 700))) / 100
        virtual = virtual_book(
            "S", compose(walk(one, side), walk(two, second_side(form, side)), form, side), one.lot, side
        )
        request = SplitRequest(side=side, quantity=quantity, books=(*direct.books(side), virtual))
        result = split(request, gap_bps=Decimal(0))
        if result.unfilled:
            continue
        least = _program(direct, one, two, form, side, float(quantity))
        assert float(result.cost) == pytest.approx(least, rel=2e-9)
        mixed += len({child.venue == "S" for child in result.children}) == 2
        books = {book.symbol: book for book in (direct, one, two)}
        choice = choose(RouteRequest(base="BTC", terms="EUR", side=side, quantity=quantity), books)
        assert choice.chosen is not None and choice.chosen.price is not None and choice.fair is not None
        assert float(choice.chosen.price * quantity) == pytest.approx(abs(least), rel=2e-9)
        assert choice.chosen.cost.total <= min(
            item.cost.total for item in choice.alternatives if item.price is not None
        )
        for item in choice.alternatives:
            if item.price is not None:
                away = (item.price - choice.fair) * (1 if side == "buy" else -1) / choice.fair * 10_000
                assert abs(item.cost.total - item.cost.leg_risk - away) < Decimal("1e-6")
                if item.kind is RouteKind.SPLIT:
                    assert item.legs[0].quantity + item.legs[1].quantity == quantity
    assert mixed >= 5  # the seeds must meet orders that need both
