"""Slippage kernels against their plain twins; a bigger order is never cheaper; the library's own answers; files that must be refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router.slippage import features as kernel
from router.slippage.features import FEATURES, GROWING, WAIT
from router.slippage.predictor import Predictor, Source
from router.slippage.trees import ModelFault, ModelFile, Quantiles, Tree, load, save
from tests.oracles import slippage as twin

NOW = 1_700_000_000_000_000_000
Levels = list[tuple[int, int]]
sizes = st.lists(st.integers(1, 400), min_size=1, max_size=14)
WIDE = [(-1e9, 1e9)] * len(FEATURES)


def book_of(bids: Levels, asks: Levels) -> ConsolidatedBook:
    """One venue, prices in tenths, sizes in hundredths."""
    terms = VenueTerms(
        venue="V",
        taker_fee_bps=Decimal(4),
        tick=Decimal("0.1"),
        lot=Decimal("0.01"),
        price_decimals=1,
        size_decimals=2,
        max_age_ns=10**10,
    )
    book = ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 1, 2), [terms], depth=16)
    rows = [(1, price, size) for price, size in bids] + [(-1, price, size) for price, size in asks]
    book.apply("V", np.array(rows, dtype=np.int64), True, NOW)
    return book


def ladder(first: int, step: int, levels: list[int]) -> Levels:
    return [(first + step * n, size) for n, size in enumerate(levels)]


def row_of(book: ConsolidatedBook, side: str, lots: int, market: list[float]) -> list[float]:
    out = np.zeros(len(FEATURES))
    code = kernel.features(book.arena, 0, 1 if side == "buy" else 0, lots, np.array(market), out)
    assert code == kernel.OK
    return out.tolist()


@settings(max_examples=200, deadline=None)
@given(
    sizes,
    sizes,
    st.booleans(),
    st.integers(1, 9_000),
    st.floats(1e-6, 1e-3),
    st.floats(0, 5),
    st.floats(0, 1),
    st.sampled_from((0.0, 1e5)),
)
def test_the_kernel_is_its_plain_twin(
    bids: list[int], asks: list[int], buy: bool, lots: int, sigma: float, age: float, latency: float, adv: float
) -> None:
    bid_levels, ask_levels = ladder(10_000, -3, bids), ladder(10_002, 2, asks)
    book = book_of(bid_levels, ask_levels)
    told = row_of(book, "buy" if buy else "sell", lots, [10_001.5, sigma, age, latency, adv, 0.8])
    taken, other = (ask_levels, bid_levels) if buy else (bid_levels, ask_levels)
    expected = twin.features(
        taken, other, buy, lots, fair=10_001.5, sigma=sigma, age_s=age, latency_s=latency, adv=adv, impact=0.8
    )
    assert expected is not None
    assert told == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(sizes, sizes, st.booleans(), st.lists(st.integers(1, 20_000), min_size=2, max_size=12, unique=True))
def test_what_grows_with_the_size_never_falls(bids: list[int], asks: list[int], buy: bool, lots: list[int]) -> None:
    book = book_of(ladder(10_000, -3, bids), ladder(10_002, 2, asks))
    market = [10_001.0, 1e-4, 0.1, 0.02, 0.0, 1.0]
    rows = np.array([row_of(book, "buy" if buy else "sell", n, market) for n in sorted(lots)])
    assert (np.diff(rows[:, :GROWING], axis=0) >= -1e-9).all()
    assert (rows[:, GROWING:] == rows[0, GROWING:]).all()  # nothing else depends on the size
    theory = np.zeros((len(rows), 2))
    for row, out in zip(rows, theory, strict=True):
        kernel.prior(row, out)
    assert (np.diff(theory, axis=0) >= -1e-9).all()


def test_theory_on_a_case_worked_by_hand() -> None:
    # asks 1.00 at 1000.1, 1.00 at 1000.3; bid 999.9: mid 1000. Buying 2.00: average 1000.2, 2 bps.
    book = book_of([(9_999, 100)], [(10_001, 100), (10_003, 100)])
    row = row_of(book, "buy", 200, [10_000.0, 1e-4, 0.21, 0.04, 0.0, 1.0])
    assert row[0] == pytest.approx(2.0)
    assert row[WAIT] == pytest.approx(1.0 * 0.5)  # 1 bp per √s × √0.25 s
    out = np.zeros(2)
    kernel.prior(np.array(row), out)
    assert out.tolist() == pytest.approx([2.0 + 0.39894 * 0.5, 2.0 + 1.28155 * 0.5], abs=1e-5)
    # 1.00 beyond the book, ADV 100.00: 1 % of a day at σ_day = 1e-4 × √86400 costs √0.01 × 2.939 % of the worst price, 1000.3
    beyond = row_of(book, "buy", 300, [10_000.0, 1e-4, 0.21, 0.04, 10_000.0, 1.0])
    price = (1000.1 + 1000.3 + 1000.3 * (1 + 0.1 * 0.0293938769)) / 3
    assert beyond[0] == pytest.approx((price - 1000) / 1000 * 1e4)


def test_an_empty_side_has_no_row() -> None:
    book = book_of([(9_999, 100)], [])
    assert kernel.features(book.arena, 0, 1, 5, np.zeros(kernel.MARKET), np.zeros(len(FEATURES))) == kernel.NO_BOOK


# ---- trees ----------------------------------------------------------------------------------------


def split(feature: int, threshold: float, low: float, high: float, *, missing_left: bool = True) -> Tree:
    """One split: `low` left of the threshold, `high` right of it."""
    return Tree(
        feature=[feature, -1, -1],
        left=[1, 0, 0],
        right=[2, 0, 0],
        missing_left=[missing_left, False, False],
        value=[threshold, low, high],
    )


def model_file(*trees: Tree, **changed: Any) -> ModelFile:
    whole: dict[str, Any] = {
        "base": (0.25, 1.5),
        "trees": (list(trees), list(trees)),
        "ranges": WIDE,
        "trained_on": {"orders": 1},
        "metrics": {},
        "created_ns": 1,
        "expires_ns": NOW + 10**18,
    }
    return ModelFile(**{**whole, **changed})


numbers = st.floats(-5, 5, width=32)
# splits on features that do not grow with the size may go either way; on those that do, only upwards
any_split = st.builds(
    lambda feature, at, pair, left: split(
        feature, at, *(sorted(pair) if feature < GROWING else pair), missing_left=left
    ),
    st.integers(0, len(FEATURES) - 1),
    numbers,
    st.tuples(numbers, numbers),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(any_split, min_size=1, max_size=6),
    st.lists(st.one_of(numbers, st.just(float("nan"))), min_size=len(FEATURES), max_size=len(FEATURES)),
    st.floats(0.1, 4),
)
def test_trees_are_their_plain_twin(trees: list[Tree], row: list[float], span: float) -> None:
    file = model_file(*trees, ranges=[(-span, span)] * len(FEATURES))
    out = np.zeros(2)
    code = Quantiles.sealed(file).predict(np.array(row), out)
    p50, p90, outside, larger = twin.predict(file, row)
    assert out.tolist() == pytest.approx([p50, p90], nan_ok=True)
    assert (code == 1, code == 2) == (outside, larger)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_split, min_size=1, max_size=8), sizes, st.lists(st.integers(1, 6_000), min_size=2, max_size=10))
def test_no_model_that_loads_makes_a_bigger_order_cheaper(trees: list[Tree], asks: list[int], lots: list[int]) -> None:
    book = book_of([(10_000, 50)], ladder(10_002, 2, asks))
    narrow = [*[(0.0, 2.0)] * GROWING, *WIDE[GROWING:]]  # some sizes are larger than any trained on
    model = Quantiles.sealed(model_file(*trees, ranges=narrow))
    predictor = Predictor(model, latency_s=0.025, sigma=lambda symbol: 1e-4)
    told = []
    for n in sorted(lots):
        row = predictor.features(book, "V", "buy", Decimal(n) / 100, NOW)
        assert row is not None
        told.append(predictor.predict(row, NOW)[:2])
    assert (np.diff(np.array(told), axis=0) >= -1e-9).all()
    assert all(high >= low for low, high in told)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (model_file(split(0, 1.0, 2.0, 1.0)), "fall as sweep_bps grows"),
        (model_file(split(99, 1.0, 0.0, 1.0)), "splits on feature 99"),
        (model_file(msgspec.structs.replace(split(5, 1.0, 0.0, 1.0), left=[0, 0, 0])), "leads nowhere"),
        (model_file(msgspec.structs.replace(split(5, 1.0, 0.0, 1.0), right=[7, 0, 0])), "leads nowhere"),
        (model_file(msgspec.structs.replace(split(5, 1.0, 0.0, 1.0), value=[1.0, 0.0])), "differ in length"),
        (model_file(split(5, float("inf"), 0.0, 1.0)), "not finite"),
        (model_file(split(5, 1.0, 0.0, 1.0), features=("price",)), "other features"),
        (model_file(split(5, 1.0, 0.0, 1.0), version=2), "version 2"),
    ],
)
def test_a_model_that_could_mislead_is_refused(file: ModelFile, why: str) -> None:
    with pytest.raises(ModelFault, match=why):
        Quantiles.sealed(file)


def test_a_file_that_was_touched_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    kept = save(model_file(split(6, 1.0, 0.5, -0.5)), path)
    assert load(path).file == kept.file
    whole = path.read_bytes()
    for broken in (
        whole.replace(b'"value":[1.0,0.5,-0.5]', b'"value":[1.0,0.5,-0.6]'),
        whole[:-20],
        b"",
        b"[]",
        b"\xff\x00",
    ):
        assert broken != whole
        path.write_bytes(broken)
        with pytest.raises(ModelFault, match=r"model\.json"):
            load(path)
    with pytest.raises(ModelFault, match="No such file"):
        load(tmp_path / "none.json")


# ---- the predictor --------------------------------------------------------------------------------


def predictor_of(said: list[str], **changed: Any) -> Predictor:
    model = Quantiles.sealed(model_file(split(6, 1e6, 0.75, 9.0), **changed))
    return Predictor(model, latency_s=0.25, sigma=lambda symbol: 1e-4, say=said.append)


def test_a_model_answers_while_it_may_and_theory_after(tmp_path: Path) -> None:
    book = book_of([(9_999, 100)], [(10_001, 100), (10_003, 100)])
    said: list[str] = []
    predictor = predictor_of(said, expires_ns=NOW + 10)
    row = predictor.features(book, "V", "buy", Decimal(1), NOW)
    assert row is not None
    fresh = predictor.predict(row, NOW)
    # half-spread 1 bp, wait 1e-4 × √0.25 s = 0.5 bp, bracket 0.25 + 0.75 and 1.5 + 0.75
    assert fresh == (pytest.approx(1.0 + 0.5 * 1.0), pytest.approx(1.0 + 0.5 * 2.25), Source.MODEL)
    late = [predictor.predict(row, NOW + 10) for _ in range(3)]
    assert late[0] == (
        pytest.approx(1.0 + 0.39894 * 0.5, abs=1e-5),
        pytest.approx(1.0 + 1.28155 * 0.5, abs=1e-5),
        Source.PRIOR,
    )
    assert len(said) == 1 and "expired" in said[0]
    assert predictor.used == {Source.MODEL: 1, Source.PRIOR: 3}


def test_a_strange_market_is_for_theory_and_a_huge_order_never_below_it() -> None:
    book = book_of([(9_999, 100)], [(10_001, 100), (10_003, 100)])
    said: list[str] = []
    strange = [*WIDE[:6], (0.0, 0.5), *WIDE[7:]]  # σ of 1 bp per √s was never seen
    predictor = predictor_of(said, ranges=strange)
    row = predictor.features(book, "V", "buy", Decimal(1), NOW)
    assert row is not None and predictor.predict(row, NOW).source is Source.PRIOR
    assert len(said) == 1 and "outside" in said[0]
    small = [(-1e9, 1e9), (0.0, 0.4), *WIDE[2:]]  # at most 40 % of the visible side was ever sent
    cheap = predictor_of(said, ranges=small, base=(-3.0, -3.0))
    big = cheap.features(book, "V", "buy", Decimal("1.5"), NOW)
    assert big is not None
    told = cheap.predict(big, NOW)
    assert told.source is Source.MODEL and told.p50_bps == pytest.approx(float(big[0]) + 0.39894 * 0.5, abs=1e-5)


def test_loadings_are_what_a_venue_costs_beyond_its_book() -> None:
    book = book_of([(9_999, 100)], [(10_001, 100), (10_003, 100)])
    found = predictor_of([]).loadings(book, ["V"], "buy", Decimal("1.5"), NOW)
    assert found == {"V": Decimal("0.5000")}  # bracket 1.0 × wait 0.5 bp
    assert predictor_of([], base=(-5.0, 0.0)).loadings(book, ["V"], "sell", Decimal(1), NOW) == {"V": Decimal("0.0000")}
    assert predictor_of([], base=(900.0, 900.0)).loadings(book, ["V"], "buy", Decimal(1), NOW) == {
        "V": Decimal("50.0000")
    }
    assert predictor_of([]).loadings(book_of([(9_999, 1)], []), ["V"], "buy", Decimal(1), NOW) == {}
