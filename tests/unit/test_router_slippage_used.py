"""The split with expected slippage: it moves orders away from venues that cost more than they show, and never costs money by itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from desk.compose import build_desk
from desk.errors import ConfigFault
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router.exact.request import SplitQuote
from router.live.baselines import POLICIES, best_venue, pro_rata
from router.live.split import split_book
from sim.replay.command import prepare_generated
from sim.replay.ledger import MemoryLedger
from sim.studies.parents import run_parents, script_parents, sizes_of, wide
from tests.property.test_router_slippage import model_file, split

NOW = 1_700_000_000_000_000_000


def book_of(*venues: tuple[str, str, list[tuple[int, int]]], depth: int = 8) -> ConsolidatedBook:
    """Venues as (name, fee in bps, asks in tenths and hundredths); bids far below."""
    terms = [
        VenueTerms(
            venue=name,
            taker_fee_bps=Decimal(fee),
            tick=Decimal("0.1"),
            lot=Decimal("0.01"),
            price_decimals=1,
            size_decimals=2,
            max_age_ns=10**10,
        )
        for name, fee, _ in venues
    ]
    book = ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 1, 2), terms, depth=depth)
    for name, _, asks in venues:
        rows = [(1, 9_900, 500), *((-1, price, size) for price, size in asks)]
        book.apply(name, np.array(rows, dtype=np.int64), True, NOW)
    return book


TWO = (("A", "1", [(10_000, 300)]), ("B", "1", [(10_003, 300)]))


def test_expected_slippage_decides_between_venues_and_is_not_money() -> None:
    book = book_of(*TWO)
    plain = split_book(book, side="buy", quantity=Decimal(2), now_ns=NOW)
    assert [child.venue for child in plain.children] == ["A"]
    wary = split_book(book, side="buy", quantity=Decimal(2), now_ns=NOW, slippage_bps={"A": Decimal("4.5")})
    assert [child.venue for child in wary.children] == ["B"]  # 3 bps dearer to look at, 1.5 cheaper to get
    assert wary.cost == Decimal("2000.6") * Decimal("1.0001")
    small = split_book(book, side="buy", quantity=Decimal(2), now_ns=NOW, slippage_bps={"A": Decimal("1.5")})
    assert small.children == plain.children and small.cost == plain.cost


def test_baselines_do_what_they_are_called() -> None:
    book = book_of(("A", "0", [(10_000, 300), (10_004, 100)]), ("B", "0", [(10_001, 100), (10_200, 900)]))
    one = best_venue(book, side="buy", quantity=Decimal(4), now_ns=NOW)
    assert [(child.venue, child.quantity) for child in one.children] == [("A", Decimal(4))]
    # within 5 bps of 1000.0: 4.00 at A, 1.00 at B
    parts = pro_rata(book, side="buy", quantity=Decimal(4), now_ns=NOW)
    assert {child.venue: child.quantity for child in parts.children} == {"A": Decimal("3.2"), "B": Decimal("0.8")}
    assert parts.filled == 4 and parts.unfilled == 0
    cheap = SplitQuote(lp="X", quote_id="q", price=Decimal("999"), quantity=Decimal(4))
    quoted = best_venue(book, side="buy", quantity=Decimal(4), quotes=[cheap], now_ns=NOW)
    assert [child.quote_id for child in quoted.children] == ["q"]
    nothing = best_venue(book, side="buy", quantity=Decimal(4), exclude=frozenset({"A", "B"}), now_ns=NOW)
    assert nothing.children == [] and nothing.unfilled == 4


def test_no_baseline_is_cheaper_than_the_exact_split() -> None:
    r = np.random.default_rng(4)
    for _ in range(60):
        venues = []
        for name in ("A", "B", "C"):
            prices = 10_000 + np.cumsum(r.integers(1, 6, 6))
            asks = [(int(price), int(size)) for price, size in zip(prices, r.integers(5, 400, 6), strict=True)]
            venues.append((name, str(int(r.integers(0, 8))), asks))
        book = book_of(*venues)
        quantity = Decimal(int(r.integers(2, 800))) / 100
        found = {
            name: policy(book, side="buy", quantity=quantity, now_ns=NOW, balances={"A": Decimal(3_000)})
            for name, policy in POLICIES.items()
        }
        exact = found["exact"]
        for name, other in found.items():
            assert sum((child.quantity for child in other.children), Decimal(0)) == other.filled <= quantity
            assert other.filled <= exact.filled
            if other.filled == exact.filled:
                assert other.cost * (1 + Decimal("1e-6")) >= exact.cost, name


@pytest.mark.parametrize("word", ["prior", "model"])
def test_a_desk_routes_with_expected_slippage(word: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    from router.slippage.trees import save

    save(model_file(split(6, 1.0, 0.2, 0.6)), path)
    job = prepare_generated(20.0, seed=2)
    config = wide(job.config)
    named = "prior" if word == "prior" else str(path)
    config = msgspec.structs.replace(config, router=msgspec.structs.replace(config.router, slippage_model=named))
    parents = script_parents(4, sizes_of(config), duration_s=20.0, every_s=1.0)
    outcomes, _ = run_parents(job.data, config, parents, 2, fade=None, lps=False)
    assert len(outcomes) == len(parents) > 8 and all(one.filled > 0 for one in outcomes)


def test_a_model_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    job = prepare_generated(5.0, seed=2)
    (tmp_path / "model.json").write_text("{}")
    for name in (str(tmp_path / "model.json"), str(tmp_path / "none.json")):
        router = msgspec.structs.replace(job.config.router, slippage_model=name)
        with pytest.raises(ConfigFault, match="slippage_model"):
            build_desk(
                msgspec.structs.replace(job.config, router=router),
                ledger=MemoryLedger(),  # type: ignore[arg-type]
                epoch="x",
                now_ns=lambda: NOW,
            )
