"""The ladder kernel: equal to its plain twin, equal to `price_quote`, and its promises."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.charges import Charges, Client
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.haircut import MOST_LOTS, VENUE_WORK, W_FEE, W_RATIO, Depth
from pricing.ladder import Priced, price_quote
from pricing.parameters import PricingParameters, SizeBucket
from pricing.rungs import (
    HEAD,
    L_CEILING,
    L_CENTRE,
    L_COLLAR,
    L_FAIR,
    L_FIXED,
    L_FLOOR,
    L_HALF,
    L_IMPACT,
    L_PAID,
    L_ROOM,
    L_SLOPE,
    L_TICK,
    L_TICKET,
    R_LOTS,
    R_MARKUP,
    R_PRICE,
    R_SKEW,
    RUNG,
    Ladder,
)
from pricing.scale import Scale
from pricing.winning import WinCurve, WinModel
from tests.oracles import ladder as twin
from tests.oracles.books import DictBook

NOW = 10**9
SCALE = Scale("GOLD/USD", 1, 8)


def made(r: Random) -> tuple[ConsolidatedBook, list[DictBook], list[int]]:
    """One to four venues of up to eight levels a side around 1,000 ticks, and their twins."""
    venues = r.randint(1, 4)
    fees = [Decimal(r.randint(-400, 3000)) / 100 for _ in range(venues)]
    terms = [
        VenueTerms(
            venue=f"V{v}",
            taker_fee_bps=fee,
            tick=Decimal("0.1"),
            lot=Decimal("0.00000001"),
            price_decimals=1,
            size_decimals=8,
            max_age_ns=NOW,
        )
        for v, fee in enumerate(fees)
    ]
    book = ConsolidatedBook("GOLD/USD", SCALE, terms, depth=8)
    plain = []
    for v in range(venues):
        twin_book, rows = DictBook(8), []
        for side in (1, -1):
            at = 10_000 - side * r.randint(1, 30)
            for _ in range(r.randint(1, 8)):
                size = r.choice((r.randint(1, 50), r.randint(1, 10**9), 10**8))
                rows.append((side, at, size))
                twin_book.set(side, at, size)
                at -= side * r.randint(1, 40)
        book.apply(f"V{v}", np.array(rows, dtype=np.int64), True, NOW)
        plain.append(twin_book)
    return book, plain, [int(fee * 10_000) for fee in fees]


def charged(r: Random, book: ConsolidatedBook, **changes: Any) -> tuple[dict[str, Any], str]:
    """Arguments of `Charges`, and a tier, drawn."""
    fields: dict[str, Any] = {
        "fill_ratio": r.choice((1.0, 0.9, 0.5, r.uniform(0.01, 1))),
        "impact_bps": Decimal(r.randint(0, 500)) / 10,
        "min_spread_bps": Decimal(r.randint(0, 400)) / 10,
        "skew_model": r.choice(("linear", "glft", "bbg")),
        "skew_bps_at_band": Decimal(r.randint(0, 300)) / 10,
        "min_ticket": Decimal(r.choice((0, 0, 1, 50))),
        "max_deviation_bps": Decimal(r.choice((10_000, 10_000, 60))),
        "credit_bps": Decimal(r.choice((0, 1, 30))) / 10,
        "settlement_days": r.choice((0.0, 2.0)),
        "markup_floor_bps": Decimal(r.choice((0, 1, 8))) / 10,
        "markup_ceiling_bps": Decimal(r.choice((1, 5, 50))),
        "tune_markup": r.random() < 0.5,
        "size_buckets": r.choice(((), (SizeBucket(notional=Decimal(500), multiplier=Decimal(r.randint(0, 30)) / 10),))),
    }
    parameters = PricingParameters(**{**fields, **changes})
    tier = r.choice(("standard", "silver", "gold", "other"))
    curves = [
        WinCurve(
            tier=name,
            intercept=r.uniform(-3, 4),
            distance=-r.choice((0.001, r.uniform(0.05, 3), 40.0)),
            size=r.uniform(-0.5, 0.2),
            n=100,
            won=40,
        )
        for name in ("standard", "gold")
    ]
    return (
        {
            "fair": book.fair(NOW) or Decimal(1000),
            "ttl_ms": r.choice((0, 2000)),
            "inventory": Decimal(r.randint(-120, 120)) / 10,
            "band": Decimal(r.choice((0, 10))),
            "volatility": r.choice((0.0, 2e-5, 1e-4)),
            "parameters": parameters,
            "tick": Decimal(r.choice(("0.1", "0.01", "2.5"))),
            "win": WinModel(curves=tuple(curves), paid=r.choice((1.0, 0.3, 0.0, r.random()))),
        },
        tier,
    )


def known(r: Random, venues: int) -> dict[str, Depth]:
    """What might be known of the venues' depth."""
    return {f"V{v}": Depth(r.random(), r.uniform(0, 99), r.choice((0, r.randint(0, 10**6)))) for v in range(venues)}


def drawn_sizes(r: Random) -> list[Decimal]:
    units = r.sample(range(1, 3 * 10**9), r.randint(1, 5)) if r.random() < 0.8 else r.sample(range(1, 60), 3)
    return sorted(Decimal(unit).scaleb(-8) for unit in units)


def words_of(ladder: Ladder, venues: int) -> tuple[twin.Terms, list[list[int]]]:
    """What the kernel was given, as its twin takes it."""
    work = ladder.work.tolist()
    first = HEAD + venues * VENUE_WORK
    rows = [work[first + i * RUNG : first + (i + 1) * RUNG] for i in range(len(ladder.sizes))]
    terms = twin.Terms(
        fair=work[L_FAIR],
        fixed=work[L_FIXED],
        impact=work[L_IMPACT],
        half=work[L_HALF],
        centre=work[L_CENTRE],
        tick=work[L_TICK],
        collar=work[L_COLLAR],
        ticket=work[L_TICKET],
        markup=[row[R_MARKUP] for row in rows],
        skew=[(row[R_SKEW], row[R_SKEW + 1]) for row in rows],
        room=(work[L_ROOM], work[L_ROOM + 1]),
        tuned=(work[L_SLOPE], work[L_PAID], work[L_FLOOR], work[L_CEILING]),
    )
    return terms, [[work[HEAD + v * VENUE_WORK + W_RATIO + side] for v in range(venues)] for side in (0, 1)]


def answers(ladder: Ladder) -> list[list[tuple[int, int]]]:
    rows = ladder.work[-len(ladder.sizes) * RUNG :].reshape(-1, RUNG).tolist()
    return [[(row[R_PRICE + side], row[R_LOTS + side]) for side in (0, 1)] for row in rows]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**40), money=st.booleans())
def test_the_kernel_equals_its_twin(seed: int, money: bool) -> None:
    r = Random(seed)
    book, plain, fees = made(r)
    terms, tier = charged(r, book)
    sizes = drawn_sizes(r)
    ladder = Ladder(book, [size * 1000 for size in sizes] if money else sizes, money=money)
    charges = Charges(book.scale, client=Client(tier, (r.uniform(-9, 9), r.uniform(0, 99)), r.random()), **terms)
    ladder.set_charges(charges, known(r, len(plain)), known(r, len(plain)))
    if r.random() < 0.5:
        ladder.set_room(Decimal(r.randint(-5, 40)), Decimal(r.randint(-5, 40)))
    ladder.price(NOW)
    words, ratios = words_of(ladder, len(plain))
    units = [int(size * 10**9) for size in ladder.sizes] if money else [int(size * 10**8) for size in sizes]
    assert [ladder.work[HEAD + v * VENUE_WORK + W_FEE] for v in range(len(plain))] == fees
    got = answers(ladder)
    assert got == twin.ladder(plain, fees, ratios, units, words, money)
    check_promises(got, words, units, money, bool(terms["parameters"].min_ticket))


def check_promises(
    got: list[list[tuple[int, int]]], words: twin.Terms, units: list[int], money: bool, ticket: bool
) -> None:
    """Monotone, uncrossed by the least spread, inside collar and band, quote sizes settled to the unit."""
    bids = [rung[0] for rung in got if rung[0][0]]
    asks = [rung[1] for rung in got if rung[1][0]]
    if not ticket:
        assert [price for price, _ in asks] == sorted(price for price, _ in asks)
        assert [price for price, _ in bids] == sorted((price for price, _ in bids), reverse=True)
    if bids and asks:
        spread = min(price for price, _ in asks) - max(price for price, _ in bids)
        assert spread >= 2 * words.half
    for side, rungs in ((0, bids), (1, asks)):
        for price, lots in rungs:
            assert abs(price - words.fair) <= words.collar and lots <= words.room[side] and price % words.tick == 0
    if money:
        for unit, rung in zip(units, got, strict=True):
            for side, (price, lots) in enumerate(rung):
                left = unit * 10_000 - price * lots
                assert not lots or (0 <= left < price if side == 1 else -price < left <= 0)


@settings(max_examples=75, deadline=None)
@given(seed=st.integers(0, 2**40), money=st.booleans())
def test_a_ladder_of_one_size_is_the_firm_quote(seed: int, money: bool) -> None:
    r = Random(seed)
    book, plain, _ = made(r)
    terms, tier = charged(r, book)
    client = Client(tier, (r.uniform(-9, 9), r.uniform(0, 99)), r.random())
    learnt = known(r, len(plain))
    for size in drawn_sizes(r):
        size = size * 1000 if money else size
        ladder = Ladder(book, [size], money=money)
        ladder.set_charges(Charges(book.scale, client=client, **terms), learnt, learnt)
        ladder.price(NOW)
        for side, told, base in zip(("sell", "buy"), ladder.prices()[0][1:], ladder.quantities()[0], strict=True):
            quoted = price_quote(
                book,
                side=side,
                quantity=None if money else size,
                quote_amount=size if money else None,
                now_ns=NOW,
                tier=tier,
                markout=client.markout,
                utilisation=client.utilisation,
                fill_ratios=learnt,
                **terms,
            )
            if isinstance(quoted, Priced):
                assert (quoted.price, quoted.quantity) == (told, base), (side, size)
                assert quoted.fair + sum(amount for _, amount in quoted.waterfall) == quoted.price
            else:
                assert told is None, quoted


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**40), money=st.booleans())
def test_every_rung_of_a_ladder_is_the_explained_price(seed: int, money: bool) -> None:
    """Tiers, buckets, tuned markups, tickets, credit, markouts, haircuts, skew models, collar, band: quotes held one to the other."""
    r = Random(seed)
    book, plain, _ = made(r)
    terms, tier = charged(r, book)
    client = Client(tier, (r.uniform(-9, 9), r.uniform(0, 99)), r.random())
    learnt = {"sell": known(r, len(plain)), "buy": known(r, len(plain))}
    sizes = [size * 1000 if money else size for size in drawn_sizes(r)]
    room = {"sell": Decimal(r.randint(-5, 40)), "buy": Decimal(r.randint(-5, 40))}
    ladder = Ladder(book, sizes, money=money)
    ladder.set_charges(Charges(book.scale, client=client, **terms), learnt["sell"], learnt["buy"])
    ladder.set_room(room["buy"], room["sell"])
    ladder.price(NOW)
    for side, at in (("sell", 0), ("buy", 1)):
        bound = None
        for size, told, bases in zip(sizes, ladder.prices(), ladder.quantities(), strict=True):
            quoted = price_quote(
                book,
                side=side,
                quantity=None if money else size,
                quote_amount=size if money else None,
                now_ns=NOW,
                tier=tier,
                markout=client.markout,
                utilisation=client.utilisation,
                fill_ratios=learnt[side],
                room=max(room[side], Decimal(0)),
                bound=bound,
                **terms,
            )
            if isinstance(quoted, Priced):
                assert (quoted.price, quoted.quantity) == (told[1 + at], bases[at]), (side, size)
                assert quoted.fair + sum(amount for _, amount in quoted.waterfall) == quoted.price
                bound = quoted.bare
            else:
                assert told[1 + at] is None, quoted


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_moving_only_the_fair_value_is_charging_anew(seed: int) -> None:
    r = Random(seed)
    book, _, _ = made(r)
    terms, tier = charged(r, book, size_buckets=(), tune_markup=False)  # both go by the size's value at the old fair
    one, two = (Ladder(book, drawn_sizes(Random(seed))) for _ in range(2))
    one.set_charges(Charges(book.scale, client=Client(tier), **terms))
    moved = terms["fair"] + Decimal(r.randint(-900, 900)) / 1000
    one.set_fair(moved)
    two.set_charges(Charges(book.scale, client=Client(tier), **{**terms, "fair": moved}))
    assert one.work.tolist() == two.work.tolist()


def test_nothing_is_quoted_that_would_pass_the_hard_band() -> None:
    r = Random(7)
    book, _, _ = made(r)
    terms, tier = charged(r, book, max_deviation_bps=Decimal(10_000), min_ticket=Decimal(0))
    ladder = Ladder(book, [Decimal("0.0000001"), Decimal("0.0000002")])
    ladder.set_charges(Charges(book.scale, client=Client(tier), **terms))
    ladder.set_room(Decimal("0.0000001"), Decimal(-3))
    ladder.price(NOW)
    (_, no_bid, ask), (_, still_none, no_ask) = ladder.prices()
    assert ask is not None and no_bid is None and still_none is None and no_ask is None
    ladder.set_room(Decimal(MOST_LOTS), Decimal(MOST_LOTS))
    assert ladder.price(NOW) == 4
    ladder.clear()
    assert all(row[1] is None and row[2] is None for row in ladder.prices())
