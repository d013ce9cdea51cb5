"""What holds for every quote: the waterfall adds up, the two sides never meet, size costs, inventory pushes the other
way."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.ladder import NoPrice, NoPriceReason, Priced, price_quote
from pricing.parameters import PricingParameters
from pricing.scale import Scale
from pricing.waterfall import STEPS

NOW = 10**9
TICK = Decimal("0.01")
PARAMETERS = PricingParameters(max_deviation_bps=Decimal(2000))


def book(seed: int) -> ConsolidatedBook:
    """Two or three venues of 40 levels a side around 60,000."""
    r = Random(seed)
    grids = ((2, 5), (1, 8), (2, 4))[: r.randint(2, 3)]
    terms = [
        VenueTerms(
            venue=f"V{i}",
            taker_fee_bps=Decimal(r.randint(-5, 100)) / 10,
            tick=Decimal(1).scaleb(-price),
            lot=Decimal(1).scaleb(-size),
            price_decimals=price,
            size_decimals=size,
            max_age_ns=10**9,
        )
        for i, (price, size) in enumerate(grids)
    ]
    made = ConsolidatedBook("BTC/USDT", Scale("BTC/USDT", 2, 8), terms)
    for i, (price, size) in enumerate(grids):
        rows = []
        mid = 60_000 * 10**price + r.randint(-5, 5) * 10**price
        for side in (1, -1):
            at = mid - side * r.randint(1, 9)
            for _ in range(40):
                rows.append((side, at, r.randint(1, 3 * 10**size)))
                at -= side * r.randint(1, 40)
        made.apply(f"V{i}", np.array(rows, dtype=np.int64), True, NOW)
    return made


def ask(made: ConsolidatedBook, side: str, **changes: Any) -> Priced | NoPrice:
    arguments: dict[str, Any] = {
        "now_ns": NOW,
        "ttl_ms": 2000,
        "inventory": Decimal(0),
        "band": Decimal(10),
        "volatility": 2e-5,
        "tier": "standard",
        "parameters": PARAMETERS,
        "tick": TICK,
    }
    return price_quote(made, side=side, **{**arguments, **changes})


sizes = st.decimals("0.00000001", "30", places=8)


def rungs(seed: int) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    r = Random(seed)
    found = []
    for _ in range(r.randint(0, 4)):
        half = Decimal(r.randint(1, 3000)) / 100
        found.append((r.choice("XY"), Decimal(r.randint(1, 80)) / 10, Decimal(60_000) - half, Decimal(60_000) + half))
    return found


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    quantity=sizes,
    inventory=st.decimals("-20", "20", places=3),
    side=st.sampled_from(("buy", "sell")),
)
def test_fair_and_steps_are_the_price(seed: int, quantity: Decimal, inventory: Decimal, side: str) -> None:
    quoted = ask(book(seed), side, quantity=quantity, inventory=inventory, rungs=rungs(seed))
    assume(isinstance(quoted, Priced))
    assert isinstance(quoted, Priced)
    steps = dict(quoted.waterfall)
    assert tuple(steps) == STEPS
    assert quoted.fair + sum(steps.values()) == quoted.price and quoted.price % TICK == 0
    assert quoted.amount == quoted.price * quoted.quantity and quoted.quantity == quantity
    sign = 1 if side == "buy" else -1
    assert 0 <= sign * steps["rounding"] < TICK
    assert all(sign * steps[step] >= 0 for step in ("impact", "volatility", "adverse_selection", "credit"))
    assert steps["skew"] == 0 or (steps["skew"] > 0) == (inventory < 0)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), one=sizes, two=sizes, inventory=st.decimals("-20", "20", places=3))
def test_bid_is_below_ask_and_size_costs(seed: int, one: Decimal, two: Decimal, inventory: Decimal) -> None:
    made = book(seed)
    small, large = sorted((one, two))
    with_lp = rungs(seed)
    buy, sell = (
        ask(made, "buy", quantity=one, inventory=inventory, rungs=with_lp),
        ask(made, "sell", quantity=two, inventory=inventory, rungs=with_lp),
    )
    if isinstance(buy, Priced) and isinstance(sell, Priced):
        assert buy.price - sell.price >= buy.fair * PARAMETERS.min_spread_bps / 10_000 - TICK
        assert sell.price < buy.price
    for side, sign in (("buy", 1), ("sell", -1)):
        cheap, dear = (ask(made, side, quantity=size, inventory=inventory) for size in (small, large))
        if isinstance(dear, Priced):
            assert isinstance(cheap, Priced) and sign * cheap.price <= sign * dear.price


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), amount=st.decimals("10", "900000", places=2), side=st.sampled_from(("buy", "sell")))
def test_a_quote_currency_size_settles_to_its_amount(seed: int, amount: Decimal, side: str) -> None:
    quoted = ask(book(seed), side, quote_amount=amount)
    assume(isinstance(quoted, Priced))
    assert isinstance(quoted, Priced)
    unit = Decimal("0.00000001") * quoted.price
    if side == "buy":
        assert amount - unit < quoted.amount <= amount
    else:
        assert amount <= quoted.amount < amount + unit
    assert quoted.quantity == quoted.quantity.quantize(Decimal("0.00000001"))
    assert quoted.fair + sum(amount for _, amount in quoted.waterfall) == quoted.price
    alone = ask(book(seed), side, quantity=quoted.quantity)
    assert isinstance(alone, Priced)
    assert (quoted.price - alone.price) * (1 if side == "buy" else -1) >= 0  # never better than its size deserves


def test_no_price_says_why() -> None:
    made = book(1)
    reasons = [
        (ask(made, "buy", quantity=Decimal(10_000)), NoPriceReason.NO_LIQUIDITY),
        (ask(made, "buy", quantity=Decimal("NaN")), NoPriceReason.BAD_SIZE),
        (ask(made, "hold", quantity=Decimal(1)), NoPriceReason.BAD_SIZE),
        (ask(made, "buy", quantity=Decimal(1), now_ns=NOW + 2 * 10**9), NoPriceReason.NO_LIVE_VENUE),
        (ask(made, "buy", quantity=Decimal("1e30")), NoPriceReason.NO_LIQUIDITY),
        (
            ask(made, "buy", quantity=Decimal(1), parameters=PricingParameters(max_deviation_bps=Decimal("0.001"))),
            NoPriceReason.DEVIATION,
        ),
    ]
    for got, reason in reasons:
        assert isinstance(got, NoPrice) and got.reason is reason and got.message


def test_an_lp_rung_is_used_whole_or_not_at_all() -> None:
    made = book(2)
    alone = ask(made, "buy", quantity=Decimal(5))
    better = [("X", Decimal(5), Decimal(59_000), Decimal(59_900)), ("X", Decimal(2), Decimal(59_000), Decimal(59_800))]
    helped = ask(made, "buy", quantity=Decimal(5), rungs=better)
    assert isinstance(alone, Priced) and isinstance(helped, Priced)
    assert helped.sources == ("X",) and helped.price < alone.price
    small = ask(made, "buy", quantity=Decimal("1.9"), rungs=better)
    assert isinstance(small, Priced) and "X" not in small.sources


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), units=st.integers(1, 120), side=st.sampled_from(("buy", "sell")))
def test_the_best_of_all_combinations_of_lp_rungs_is_found(seed: int, units: int, side: str) -> None:
    """Up to five LPs of up to three sizes: no combination by itself, rest from the books, is cheaper; whatever their order."""
    r, made, quantity = Random(seed), book(seed), Decimal(units) / 10
    offered = [
        (lp, Decimal(r.randint(1, 60)) / 10, Decimal(60_000) - half, Decimal(60_000) + half)
        for lp in "ABCDE"[: r.randint(1, 5)]
        for half in [Decimal(r.randint(-500, 3000)) / 100 for _ in range(r.randint(1, 3))]
    ]
    sign, free = (1 if side == "buy" else -1), PricingParameters(fill_ratio=1.0, impact_bps=Decimal(0))
    best = ask(made, side, quantity=quantity, rungs=offered, parameters=free)
    again = ask(made, side, quantity=quantity, rungs=r.sample(offered, len(offered)), parameters=free)
    costs = []
    by_lp = [[None, *(one for one in offered if one[0] == lp)] for lp in sorted({one[0] for one in offered})]
    for chosen in product(*by_lp):
        taken = [one for one in chosen if one is not None]
        rest = quantity - sum(one[1] for one in taken)
        alone = ask(made, side, quantity=rest, parameters=free) if rest > 0 else None
        if rest < 0 or isinstance(alone, NoPrice):
            continue
        swept = Decimal(0) if alone is None else rest * (alone.fair + dict(alone.waterfall)["sweep"])
        money = sum((one[1] * (one[3] if side == "buy" else one[2]) for one in taken), swept)
        costs.append(sign * money / quantity)
    assert isinstance(best, Priced) == bool(costs)
    if isinstance(best, Priced):
        assert isinstance(again, Priced) and again.price == best.price
        got = sign * (best.fair + dict(best.waterfall)["sweep"])
        assert abs(got - min(costs)) < Decimal("0.00001")  # averages are told to six decimals


def test_sixty_lps_are_weighed_in_no_time_and_none_is_forgotten() -> None:
    made = book(3)
    poor = [(f"L{i}", Decimal(i + 1).scaleb(-3), Decimal(59_000), Decimal(61_000)) for i in range(60)]
    for at in (0, 30, 60):
        rungs = [*poor[:at], ("GOOD", Decimal(5), Decimal(60_000), Decimal(59_000)), *poor[at:]]
        quoted = ask(made, "buy", quantity=Decimal(5), rungs=rungs)
        assert isinstance(quoted, Priced) and quoted.sources == ("GOOD",)
