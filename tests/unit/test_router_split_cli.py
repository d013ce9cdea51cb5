"""`kerb split`: the answer of CONTRACT 6, and one clear line for each malformed request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from router.exact.cli import split

VENUE = {
    "venue": "A",
    "taker_fee_bps": "1.0",
    "lot": "0.0001",
    "tick": "0.01",
    "min_quantity": "0.0001",
    "min_notional": "10",
    "balance": "1000000",
    "fixed_cost": "0",
    "asks": [["60000.01", "0.5"], ["60001.20", "20"]],
    "bids": [["59999.00", "3"]],
}
QUOTE = {
    "lp": "X",
    "quote_id": "q1",
    "price": "60003.5",
    "quantity": "5",
    "all_or_none": True,
    "min_quantity": "5",
    "fixed_cost": "0",
    "reject_probability": "0",
}
REQUEST: dict[str, Any] = {
    "side": "buy",
    "quantity": "12.5",
    "limit_price": None,
    "max_children": 8,
    "venues": [VENUE],
    "quotes": [QUOTE],
}


def run(request: Any, *arguments: str) -> tuple[int, str, str]:
    text = request if isinstance(request, str) else json.dumps(request)
    result = CliRunner().invoke(split, ["--request", "-", *arguments], input=text)
    return result.exit_code, result.stdout, result.stderr


def test_the_answer_of_the_contract() -> None:
    code, out, err = run(REQUEST, "--gap-bps", "0")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "filled": "12.5",
        "cost": "750070.9058405",
        "children": [
            {"venue": "A", "limit_price": "60001.20", "quantity": "7.5"},
            {"lp": "X", "quote_id": "q1", "quantity": "5"},
        ],
        "optimal": True,
        "bound": "750070.9058405",
        "gap_bps": "0.0",
        "unfilled": "0",
    }


def test_explain_goes_to_stderr_only() -> None:
    code, out, err = run(REQUEST, "--explain")
    assert code == 0 and json.loads(out)["filled"] == "12.5"
    assert "no plan is cheaper" in err and "venue A alone" in err


def test_nothing_to_take_is_an_answer() -> None:
    code, out, _ = run({**REQUEST, "limit_price": "1", "quotes": []})
    assert code == 0
    assert json.loads(out)["filled"] == "0" and json.loads(out)["children"] == []


def changed(**fields: Any) -> dict[str, Any]:
    return {**REQUEST, **fields}


def venue(**fields: Any) -> dict[str, Any]:
    return changed(venues=[{**VENUE, **fields}])


def quote(**fields: Any) -> dict[str, Any]:
    return changed(quotes=[{**QUOTE, **fields}])


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ("", "empty"),
        ("{", "routing request"),
        ("[]", "routing request"),
        ("{}", "side"),
        (b"\xff\xfe".decode("latin-1"), "routing request"),
        (changed(side="hold"), "side"),
        (changed(quantity="-1"), "quantity"),
        (changed(quantity="0"), "quantity"),
        (changed(quantity="NaN"), "quantity"),
        (changed(quantity="Infinity"), "quantity"),
        (changed(quantity="1e30"), "quantity"),
        (changed(quantity="1" + "0" * 30), "quantity"),
        (changed(quantity=1.5), "quantity"),
        (changed(quantity=None), "quantity"),
        (changed(hurry=True), "hurry"),
        (changed(max_children=0), "max_children"),
        (changed(max_children="3"), "max_children"),
        (changed(limit_price="-5"), "limit_price"),
        (changed(reject_cost_bps="-1"), "reject_cost_bps"),
        (changed(venues=[], quotes=[]), "venues"),
        (changed(venues=[VENUE, VENUE]), "twice"),
        (changed(quotes=[QUOTE, QUOTE]), "twice"),
        (venue(colour="red"), "colour"),
        (venue(venue=" "), "name"),
        (venue(lot="0"), "lot"),
        (venue(tick="-0.01"), "tick"),
        (venue(taker_fee_bps="10000"), "taker_fee_bps"),
        (venue(min_notional="-1"), "min_notional"),
        (venue(balance="-1"), "balance"),
        (venue(fixed_cost="nan"), "fixed_cost"),
        (venue(asks=[["60000", "0"]]), "asks[0] quantity"),
        (venue(asks=[["-60000", "1"]]), "asks[0] price"),
        (venue(asks=[["60001", "1"], ["60000", "1"]]), "asks[1]"),
        (venue(bids=[["59000", "1"], ["59500", "1"]]), "bids[1]"),
        (venue(bids=[["60000.01", "1"]]), "crossed"),
        (venue(asks=[["60000"]]), "asks"),
        (venue(asks="cheap"), "asks"),
        (quote(price="0"), "price"),
        (quote(quantity="1E+30"), "quantity"),
        (quote(all_or_none=False, min_quantity="6"), "min_quantity"),
        (quote(reject_probability="1.5"), "reject_probability"),
        (quote(lp=""), "lp"),
    ],
)
def test_a_malformed_request_is_one_clear_line(request_: Any, word: str) -> None:
    code, out, err = run(request_)
    assert (code, out) == (2, "")
    assert word in err and len(err.strip().splitlines()) == 1, err


@pytest.mark.parametrize("gap", ["-1", "NaN", "wide"])
def test_a_malformed_gap_is_refused(gap: str) -> None:
    code, _, err = run(REQUEST, "--gap-bps", gap)
    assert code == 2 and "gap-bps" in err
