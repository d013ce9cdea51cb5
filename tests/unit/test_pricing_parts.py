"""Scale, book states, fair value, volatility, skew, warm start: small cases worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from math import exp, log, sqrt
from random import Random

import numpy as np
import pytest

from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.parameters import PricingParameters
from pricing.scale import Scale, ScaleFault
from pricing.volatility import Volatility
from pricing.warm import StaleKernels, check, warm
from pricing.waterfall import build, round_against

SECOND = 10**9


def terms(name: str, **changes: object) -> VenueTerms:
    fields = {
        "taker_fee_bps": Decimal(10),
        "tick": Decimal("0.1"),
        "lot": Decimal("0.01"),
        "price_decimals": 1,
        "size_decimals": 2,
        "max_age_ns": SECOND,
    }
    return VenueTerms(venue=name, **{**fields, **changes})  # type: ignore[arg-type]


def levels(*rows: tuple[int, int, int]) -> np.ndarray:
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def made(*names: str) -> ConsolidatedBook:
    return ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 1, 2), [terms(name) for name in names])


WHOLE = levels((1, 999, 100), (1, 998, 50), (-1, 1001, 300), (-1, 1002, 70))


def test_scale_is_exact_or_refuses() -> None:
    scale = Scale("BTC/USDT", 2, 8)
    assert scale.ticks(Decimal("60000.01")) == 6_000_001 and scale.price(6_000_001) == Decimal("60000.01")
    assert scale.lots(Decimal("1e-8")) == 1 and scale.amount(6_000_001 * 150_000_000) == Decimal("90000.015")
    for bad in ("60000.001", "NaN", "Infinity", "1e30"):
        with pytest.raises(ScaleFault):
            scale.ticks(Decimal(bad))
    assert not scale.fits(1 << 40, 1 << 22) and scale.fits(1 << 40, 1 << 21)


def test_a_book_is_live_only_while_it_is_whole_fresh_and_uncrossed() -> None:
    book = made("A")
    assert book.status("A", 0) is BookStatus.EMPTY and book.reason("A")
    assert book.apply("A", WHOLE, False, 0) is BookStatus.EMPTY and book.best("A") is None
    assert book.apply("A", WHOLE, True, 0) is BookStatus.LIVE
    assert book.status("A", SECOND) is BookStatus.LIVE and book.status("A", SECOND + 1) is BookStatus.STALE
    book.touch("A", SECOND + 1)
    assert book.status("A", SECOND + 1) is BookStatus.LIVE and book.live(SECOND + 1) == ["A"]
    assert book.apply("A", levels((1, 1001, 5)), False, SECOND + 2) is BookStatus.CROSSED
    assert book.live(SECOND + 2) == [] and book.live_mask(SECOND + 2) == 0 and book.fair(SECOND + 2) is None
    assert book.apply("A", levels((1, 1001, 0)), False, SECOND + 3) is BookStatus.LIVE
    book.clear("A", "sequence gap", SECOND + 4)
    assert book.status("A", SECOND + 4) is BookStatus.GAPPED and book.reason("A") == "sequence gap"
    assert book.apply("A", WHOLE, False, SECOND + 5) is BookStatus.GAPPED
    assert book.apply("A", WHOLE, True, SECOND + 6) is BookStatus.LIVE
    assert (book.resyncs("A"), book.updates("A"), book.reason("A")) == (2, 4, "")


@pytest.mark.parametrize("row", [(2, 999, 1), (1, 0, 1), (1, -5, 1), (1, 999, -1), (1, 1 << 60, 1), (1, 999, 1 << 62)])
def test_a_malformed_level_takes_the_book_out(row: tuple[int, int, int]) -> None:
    book = made("A", "B")
    book.apply("A", WHOLE, True, 0)
    book.apply("B", WHOLE, True, 0)
    assert book.apply("A", levels(row), False, 1) is BookStatus.GAPPED
    assert book.reason("A") == "malformed level" and book.live(1) == ["B"] and book.best("A") is None


def test_a_newer_top_trims_what_the_depth_stream_still_shows() -> None:
    book = made("A")
    book.apply("A", WHOLE, True, 10)
    book.mark_top("A", 998, 20, 1002, 90, 9)
    assert book.best("A") == (Decimal("99.9"), Decimal("100.1"))  # older: ignored
    book.mark_top("A", 998, 20, 1002, 90, 11)
    bids, asks = book.levels("A", 5)
    assert bids == [(Decimal("99.8"), Decimal("0.20"))] and asks == [(Decimal("100.2"), Decimal("0.70"))]


def test_levels_of_another_layout_are_read_as_well() -> None:
    book = made("A")
    frozen = WHOLE.copy()
    frozen.flags.writeable = False
    assert book.apply("A", frozen, True, 0) is BookStatus.LIVE
    assert book.apply("A", np.asfortranarray(WHOLE), True, 0) is BookStatus.LIVE
    assert book.apply("A", WHOLE.astype(np.int32), True, 0) is BookStatus.LIVE
    assert book.best("A") == (Decimal("99.9"), Decimal("100.1"))


def test_the_merged_ladder_is_ordered_by_what_it_costs() -> None:
    book = made("A", "B")
    book.set_terms(terms("B", taker_fee_bps=Decimal(0)))
    book.apply("A", WHOLE, True, 0)
    book.apply("B", WHOLE, True, 0)
    bids, asks = book.ladder(3, 0)
    assert [(row.venue, row.price) for row in asks] == [
        ("B", Decimal("100.1")),
        ("B", Decimal("100.2")),
        ("A", Decimal("100.1")),
    ]
    assert asks[-1].cumulative == sum(row.size for row in asks)
    assert [row.all_in for row in bids] == sorted((row.all_in for row in bids), reverse=True)
    assert book.ladder(3, 2 * SECOND) == ([], [])


def test_fair_is_the_weighted_microprice_without_outliers() -> None:
    book = made("A", "B", "C")
    book.apply("A", WHOLE, True, 0)
    assert book.fair(0) == Decimal("99.950")  # (100.1·1 + 99.9·3) / 4
    for name in ("B", "C"):
        book.apply(name, WHOLE, True, 0)
    book.apply("C", levels((1, 1099, 1000), (-1, 1101, 1000)), True, 0)
    assert book.fair(0) == Decimal("99.950")  # C is far from the others
    book.clear("B", "gap", 0)
    assert book.fair(0) is None  # two that disagree: nobody knows
    book.clear("C", "gap", 0)
    assert book.fair(0) == Decimal("99.950") and book.fair(2 * SECOND) is None


def test_volatility_of_a_known_walk_and_of_nothing() -> None:
    quiet = Volatility(60.0, 1e-6)
    quiet.update(0, 100.0)
    assert quiet.sigma == 1e-6
    for i in range(200):
        quiet.update(i * SECOND, 100.0)
    assert quiet.sigma == 1e-6
    before = quiet.state.copy()
    for ts_ns, mid in ((1, float("nan")), (1, -1.0), (300 * SECOND, 0.0)):
        quiet.update(ts_ns, mid)
    assert quiet.sigma == 1e-6 and (quiet.state == before).all()
    r, mid, sigma = Random(3), 60_000.0, 4e-5
    seen = Volatility(3_000.0, 0.0, grid_s=1.0, short_s=3_000.0)
    for i in range(20_000):
        seen.update(i * SECOND, mid)
        mid *= exp(r.gauss(0.0, sigma))
    assert seen.sigma == pytest.approx(sigma, rel=0.05)


def test_volatility_is_not_fooled_by_bounce_on_ticks() -> None:
    r, seen = Random(5), Volatility(600.0, 0.0, grid_s=5.0)
    sigma, mid = 1e-4, 60_000.0
    naive = 0.0
    last = mid
    for i in range(36_000):  # an hour of 0.1 s ticks with 0.5 bp of noise
        mid *= exp(r.gauss(0.0, sigma * sqrt(0.1)))
        shown = mid * (1 + r.gauss(0.0, 0.5e-4))
        naive += log(shown / last) ** 2
        last = shown
        seen.update(i * SECOND // 10, shown)
    assert sqrt(naive / 3600) > 1.8 * sigma
    assert seen.sigma == pytest.approx(sigma, rel=0.25)


def test_waterfall_rounds_against_the_client() -> None:
    price, steps = build(Decimal("100.003"), {"sweep": Decimal("0.0001")}, "buy", Decimal("0.01"))
    assert price == Decimal("100.01") and Decimal("100.003") + sum(amount for _, amount in steps) == price
    assert round_against(Decimal("100.0199"), Decimal("0.01"), "sell") == Decimal("100.01")
    assert round_against(Decimal("100.02"), Decimal("0.01"), "buy") == Decimal("100.02")


def test_parameters_refuse_nonsense() -> None:
    assert PricingParameters().markup("nobody") == PricingParameters().markup("standard")
    for wrong in ({"impact_bps": Decimal(-1)}, {"ttl_ms": 0}, {"markup_bps": {"gold": Decimal(1)}}):
        with pytest.raises(ValueError):
            PricingParameters(**wrong)  # type: ignore[arg-type]


def test_warm_proves_the_kernels_and_a_wrong_answer_is_caught() -> None:
    said: list[str] = []
    warm(said.append)
    assert said
    with pytest.raises(StaleKernels):
        check("sweep", 1, 2)
