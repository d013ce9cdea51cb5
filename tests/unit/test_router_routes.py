"""The choice of a route: parts that add up, reasons in words, perpetuals shown and refused, requests that are malformed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pricing.offers import Venue
from router.routes.book import RouteBook
from router.routes.choice import Alternative, RouteKind, RouteRequest, choose
from router.routes.cli import route
from router.routes.perpetual import Perpetual, carry, payments_in

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "route.json"


def venue(name: str, fee: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Venue:
    return Venue(
        venue=name,
        taker_fee_bps=Decimal(fee),
        lot=Decimal("0.0001"),
        min_quantity=Decimal(0),
        min_notional=Decimal(0),
        balance=None,
        fixed_cost=Decimal(0),
        asks=tuple((Decimal(price), Decimal(size)) for price, size in asks),
        bids=tuple((Decimal(price), Decimal(size)) for price, size in bids),
    )


def spot(symbol: str, bid: str, ask: str, size: str, fee: str = "0", sigma: float = 0.0) -> RouteBook:
    fair = (Decimal(bid) + Decimal(ask)) / 2
    return RouteBook(symbol=symbol, venues=(venue("V", fee, [(bid, size)], [(ask, size)]),), fair=fair, sigma=sigma)


def perpetual(bid: str, ask: str, *, fee: str = "0", rate: str = "0", **carry_terms: Any) -> Perpetual:
    fair = (Decimal(bid) + Decimal(ask)) / 2
    venues = (venue("P", fee, [(bid, "1000")], [(ask, "1000")]),)
    return Perpetual(symbol="BTC/USDT:USDT", venues=venues, fair=fair, funding_rate=Decimal(rate), **carry_terms)


def ask(side: str = "buy", quantity: str = "1", **more: Any) -> RouteRequest:
    return RouteRequest(base="BTC", terms="EUR", side=side, quantity=Decimal(quantity), **more)


TRIANGLE = {
    book.symbol: book
    for book in (spot("BTC/USDT", "60000", "60000.01", "100"), spot("EUR/USDT", "1.25", "1.2500001", "10000000"))
}


def by_kind(alternatives: tuple[Alternative, ...], kind: RouteKind) -> Alternative:
    return next(item for item in alternatives if item.kind is kind)


def test_a_hand_computed_triangle() -> None:
    choice = choose(ask("sell", "2", leg_risk_multiplier=0.0), TRIANGLE)
    assert choice.chosen is not None and choice.chosen.kind is RouteKind.SYNTHETIC
    first, second = choice.chosen.legs
    assert (first.symbol, first.side, first.quantity) == ("BTC/USDT", "sell", Decimal(2))
    assert (second.symbol, second.side) == ("EUR/USDT", "buy")
    assert second.quantity.quantize(Decimal("0.0001")) == Decimal("95999.9923")  # 120000 / 1.2500001
    assert choice.chosen.price is not None and choice.chosen.price.quantize(Decimal("0.0001")) == Decimal("47999.9962")


def test_the_second_leg_is_charged_for_the_time_the_first_one_takes() -> None:
    risky = dict(TRIANGLE) | {"EUR/USDT": spot("EUR/USDT", "1.25", "1.2500001", "10000000", sigma=0.0001)}
    free, paid = (choose(ask(leg_risk_multiplier=k, leg_latency_s=0.25), risky).chosen for k in (0.0, 0.4))
    assert free is not None and paid is not None
    assert free.cost.leg_risk == 0
    assert paid.cost.leg_risk == pytest.approx(Decimal("0.2"), rel=Decimal("0.001"))  # 0.4 × 1 bp/√s × √¼ s
    assert paid.cost.total - free.cost.total == paid.cost.leg_risk
    assert paid.price == free.price  # expected, not paid


def test_a_triangle_that_does_not_close_shows_as_basis() -> None:
    books = dict(TRIANGLE) | {"BTC/EUR": spot("BTC/EUR", "48095", "48105", "100")}
    choice = choose(ask("buy", "1", leg_risk_multiplier=0.0), books)
    synthetic = by_kind(choice.alternatives, RouteKind.SYNTHETIC)
    assert synthetic.cost.basis == pytest.approx(Decimal("-20.79"), abs=Decimal("0.01"))  # 48000 against 48100
    assert choice.chosen is synthetic and "less than direct BTC/EUR" in choice.reason


def test_one_book_short_is_made_up_by_the_other_route() -> None:
    books = dict(TRIANGLE) | {"BTC/EUR": spot("BTC/EUR", "47999", "48001", "1.5")}
    books["BTC/USDT"] = spot("BTC/USDT", "60000", "60000.01", "1")
    choice = choose(ask("buy", "2"), books)
    assert choice.chosen is not None and choice.chosen.kind is RouteKind.SPLIT
    assert choice.chosen.legs[0].quantity + choice.chosen.legs[1].quantity == 2
    assert "only 1.5 of 2" in by_kind(choice.alternatives, RouteKind.DIRECT).refused
    none = choose(ask("buy", "3"), books)
    assert none.chosen is None and "only 1.5 of 3" in none.reason


def test_no_book_no_route() -> None:
    choice = choose(ask(), {"ETH/USDT": TRIANGLE["BTC/USDT"]} | {})
    assert choice.chosen is None and choice.fair is None and "no book of BTC/EUR" in choice.reason


def _against_usdt(
    side: str, quantity: str, *perpetuals: Perpetual, size: str = "100", fee: str = "4", **more: Any
) -> Any:
    books = {"BTC/USDT": spot("BTC/USDT", "60000", "60001", size, fee)}
    return choose(
        RouteRequest(base="BTC", terms="USDT", side=side, quantity=Decimal(quantity), **more),
        books,
        perpetuals=perpetuals,
    )


def test_a_perpetual_is_paid_for_twice_and_wins_by_a_lower_fee_only_if_that_pays_both_ways() -> None:
    dear = _against_usdt("buy", "1", perpetual("60000", "60001", fee="2.5", executable=True))
    cheap = _against_usdt("buy", "1", perpetual("60000", "60001", fee="1.5", executable=True))
    assert dear.chosen.kind is RouteKind.DIRECT and cheap.chosen.kind is RouteKind.PERPETUAL
    cost = cheap.chosen.cost
    assert cost.fees == pytest.approx(Decimal("1.5"), rel=Decimal("0.001"))
    assert cost.close == pytest.approx(Decimal("1.5") + Decimal("0.0833"), rel=Decimal("0.001"))


def test_without_a_venue_a_perpetual_is_priced_told_and_refused() -> None:
    choice = _against_usdt("buy", "1", perpetual("60000", "60001"))
    shown = by_kind(choice.alternatives, RouteKind.PERPETUAL)
    assert shown.price is not None and shown.refused == "no perpetual venue configured"
    assert choice.chosen.kind is RouteKind.DIRECT and "would be" in choice.reason and shown.refused in choice.reason


def test_funding_is_paid_by_longs_at_its_times_and_received_by_shorts() -> None:
    item = perpetual("60000", "60001", rate="0.0003", funding_interval_s=28_800, next_funding_s=1_800)
    fair = Decimal("60000.5")
    assert [payments_in(item, seconds) for seconds in (0, 1_799, 1_800, 30_599, 30_600)] == [0, 0, 1, 1, 2]
    long, short = (carry(item, side=side, spot_fair=fair, horizon_s=3_600) for side in ("buy", "sell"))
    assert long.funding_bps == 3 and short.funding_bps == -3
    even = perpetual("60000", "60001", rate="0.0003", funding_interval_s=28_800)
    assert carry(even, side="buy", spot_fair=fair, horizon_s=2_880).funding_bps == Decimal("0.3")


def test_a_basis_costs_what_it_is_expected_to_move_while_held() -> None:
    terms = {"mean_basis_bps": Decimal(0), "basis_halflife_s": Decimal(600)}
    item = perpetual("59976", "59978", **terms)  # 24 under spot
    fair = Decimal(60_001)
    held = {
        seconds: carry(item, side="buy", spot_fair=fair, horizon_s=seconds).basis_bps for seconds in (0, 600, 6_000_000)
    }
    assert held[0] == 0
    assert held[600] == pytest.approx(Decimal(-24) / fair * 10_000 / 2, rel=Decimal("1e-6"))  # half of it comes back
    assert held[6_000_000] == pytest.approx(Decimal(-24) / fair * 10_000, rel=Decimal("1e-6"))
    assert carry(item, side="sell", spot_fair=fair, horizon_s=600).basis_bps == -held[600]
    assert carry(perpetual("59976", "59978"), side="buy", spot_fair=fair, horizon_s=600).basis_bps == 0  # nobody knows


# ---- kerb route ----------------------------------------------------------------------------------------------------------


def ran(text: str, *options: str) -> Any:
    return CliRunner().invoke(route, ["--request", "-", *options], input=text)


def test_the_example_of_the_documentation() -> None:
    result = ran(EXAMPLE.read_text(), "--explain")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["chosen"]["kind"] == "split" and "no perpetual venue configured" in told["reason"]
    for item in told["alternatives"]:
        parts = {name: Decimal(value) for name, value in item["cost_bps"].items()}
        assert parts.pop("total") == sum(parts.values())
    assert "→ split" in result.stderr and "leg_risk" in result.stderr


def test_a_broken_peg_is_routed_around() -> None:
    request = json.loads(EXAMPLE.read_text())
    request["books"].append(
        {"symbol": "USDT/USD", "venues": [{"venue": "K", "asks": [["0.981", "9"]], "bids": [["0.979", "9"]]}]}
    )
    request["pegs"] = {"USDT/USD": "50"}
    request["quantity"] = "2"
    result = ran(json.dumps(request))
    told = json.loads(result.stdout)
    assert told["chosen"]["kind"] == "direct" and "200.0 bps off its peg" in told["refused"][0]


def _changed(**fields: Any) -> str:
    return json.dumps(json.loads(EXAMPLE.read_text()) | fields)


def _book(**fields: Any) -> str:
    request = json.loads(EXAMPLE.read_text())
    request["books"][0] |= fields
    return json.dumps(request)


MALFORMED = {
    "empty": "",
    "no JSON": "{",
    "an array": "[]",
    "deep": "[" * 100_000,
    "unknown field": _changed(colour="red"),
    "negative": _changed(quantity="-1"),
    "NaN": _changed(quantity="NaN"),
    "huge": _changed(quantity="1" + "0" * 30),
    "a number": _changed(quantity=6),
    "side": _changed(side="both"),
    "same currency": _changed(terms="BTC"),
    "no currency": _changed(base="btc!"),
    "no books": _changed(books=[]),
    "horizon": _changed(horizon_s=-1),
    "latency": _changed(leg_latency_ms=10**9),
    "symbol": _book(symbol="BTCEUR"),
    "twice": _changed(books=json.loads(EXAMPLE.read_text())["books"] * 2),
    "one side": _book(venues=[{"venue": "K", "asks": [["1", "1"]]}]),
    "crossed": _book(venues=[{"venue": "K", "asks": [["1", "1"]], "bids": [["2", "1"]]}]),
    "no venue": _book(venues=[]),
    "volatility": _book(volatility_per_sqrt_s="-1"),
    "peg": _changed(pegs={"USDC/USDT": "30"}),
    "children": _changed(max_children=0),
    "perpetual": _changed(perpetuals=[{"symbol": "BTC/EUR", "venues": [], "funding_rate": "0"}]),
    "funding": _changed(perpetuals=[json.loads(EXAMPLE.read_text())["perpetuals"][0] | {"funding_rate": "2"}]),
}


@pytest.mark.parametrize("name", list(MALFORMED))
def test_a_malformed_request_gets_one_line_and_exit_2(name: str) -> None:
    result = ran(MALFORMED[name])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1 and result.stderr.startswith("Error: ")


def test_bytes_that_are_no_text_get_exit_2() -> None:
    result = CliRunner().invoke(route, ["--request", "-"], input=b"\xff\xfe{}")
    assert result.exit_code == 2


def test_nothing_that_fills_is_exit_1_with_the_reason() -> None:
    result = ran(_changed(quantity="100000"))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["chosen"] is None
