"""`kerb split`: the answer of CONTRACT 6, and one clear line for each malformed request."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from router.exact.cli import split
from tests.oracles import split_requests

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
    text = request if isinstance(request, str | bytes) else json.dumps(request)
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
    code, _, err = run(REQUEST, "--explain", "--json")
    assert (code, err) == (0, "")


def explained(request: Any) -> str:
    code, _, err = run(request, "--explain", "--gap-bps", "0")
    assert code == 0
    return err


def test_a_child_is_explained_by_its_margin_and_by_the_order_without_it() -> None:
    lines = explained(REQUEST).splitlines()
    assert lines[0] == "buy 12.5, at most 8 children: fills it whole"
    assert lines[2].startswith("shadow price λ 60007.20012")  # 60001.20 and 1 bp
    rows = {line[:15].strip(): line.split() for line in lines if line.startswith(("venue A  ", "quote q1 of X  "))}
    assert rows["venue A"][2:] == ["7.5", "60001.20", "60007.1207787", "60007.20012", "none", "fills", "5", "only"]
    assert rows["quote q1 of X"][4:9] == ["5", "60003.5", "60003.5", "60003.5", "60007.20012"]
    assert rows["quote q1 of X"][9:] == ["costs", "18.5006", "more"]


@pytest.mark.parametrize(
    ("changes", "other", "reason"),
    [
        ({}, {"taker_fee_bps": "9"}, "fee: without its 9 bps, it would get"),
        ({}, {"fixed_cost": "99"}, "fixed cost: without its 99, it would get"),
        ({}, {"slippage_bps": "9"}, "expected slippage: without its 9 bps, it would get"),
        ({}, {"min_quantity": "4", "fixed_cost": "0"}, "too small: 4 is the least"),
        ({}, {"asks": [["70000", "3"]], "bids": []}, "price: its best unit is 70000 all-in"),
        ({}, {"asks": [], "bids": [["1", "1"]]}, "nothing on this side of its book"),
        ({}, {"balance": "0.5"}, "too small: 0.1 is the least"),
        ({"limit_price": "60001.5"}, {"asks": [["60002", "3"]], "bids": []}, "limit price: its best price is 60002"),
        ({"max_children": 1}, {}, "children limit: with 2 instead of 1, it would get 3"),
    ],
)
def test_who_is_left_out_is_told_why(changes: dict[str, Any], other: dict[str, Any], reason: str) -> None:
    plain = {"venue": "B", "lot": "0.1", "asks": [["60000", "3"]], "bids": []}
    err = explained(changed(venues=[VENUE, {**plain, **other}], quotes=[], **changes))
    line = next(line for line in err.split("left out")[1].splitlines() if line.startswith("  venue B"))
    assert reason in line, err


@pytest.mark.parametrize(
    ("quotes", "reason"),
    [
        (({"price": "60000"}, {"price": "60001"}), "one quote an LP: q1 is taken; without that, it would get 5"),
        (({"price": "60000", "quantity": "13"},), "too large: the least it takes is 13, the order is 12.5"),
        (({"price": "60000", "reject_probability": "0.9"},), "expected rejection: without its probability of 0.9"),
    ],
)
def test_a_quote_left_out_is_told_why(quotes: tuple[dict[str, str], ...], reason: str) -> None:
    offers = [{**QUOTE, "quote_id": f"q{i + 1}", "min_quantity": "0", **each} for i, each in enumerate(quotes)]
    err = explained(changed(quotes=offers, reject_cost_bps="5"))
    line = next(line for line in err.split("left out")[1].splitlines() if f"quote q{len(offers)} of X" in line)
    assert reason in line, err


def test_a_search_that_may_have_missed_a_fuller_plan_says_so() -> None:
    code, out, err = run(split_requests.adversarial(0, "subset sum", blocks=120), "--explain")
    body = json.loads(out)
    assert code == 0 and not body["optimal"]
    assert body["might_fill"] and float(body["filled"]) < float(body["might_fill"])
    assert float(body["bound"]) < float(body["cost"]) and float(body["gap_bps"]) > 0
    assert f"up to {body['might_fill']} might be filled" in err


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
        (b"\xff\xfe", "routing request"),
        (json.dumps(REQUEST).replace('"X"', '"\xff"').encode("latin-1"), "routing request"),
        ("not json", "routing request"),
        (json.dumps(REQUEST) + "]", "routing request"),
        ("[" * 200_000, "routing request"),
        ('{"side":' * 100_000, "routing request"),
        (" \n ", "empty"),
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
        (changed(venues=[{**VENUE, "asks": [], "bids": []}], quotes=[]), "every book is empty"),
        (changed(venues=None), "venues"),
        (changed(venues={}), "venues"),
        (changed(venues=[{**VENUE, "venue": f"V{i}"} for i in range(513)]), "more than 512"),
        (changed(max_children=-1), "max_children"),
        (changed(max_children=2.5), "max_children"),
        (changed(quantity=""), "quantity"),
        (changed(quantity="+"), "quantity"),
        (changed(quantity="0x10"), "quantity"),
        (changed(quantity="1_000"), "quantity"),
        (changed(quantity="0." + "0" * 18 + "1"), "quantity"),
        (changed(limit_price="Infinity"), "limit_price"),
        (changed(reject_cost_bps="NaN"), "reject_cost_bps"),
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
        (venue(asks=[["60000", "1", "2"]]), "asks"),
        (venue(asks=[["60000", "NaN"]]), "asks[0] quantity"),
        (venue(asks=[["1e30", "1"]]), "asks[0] price"),
        (venue(bids=[["59999", "0"]]), "bids[0] quantity"),
        (venue(taker_fee_bps="Infinity"), "taker_fee_bps"),
        (venue(slippage_bps="-1"), "slippage_bps"),
        (venue(slippage_bps="9999"), "slippage_bps"),
        (venue(slippage_bps=3), "slippage_bps"),
        (venue(lot=None), "lot"),
        (venue(venue=7), "venue"),
        (quote(price="0"), "price"),
        (quote(quantity="1E+30"), "quantity"),
        (quote(all_or_none=False, min_quantity="6"), "min_quantity"),
        (quote(reject_probability="1.5"), "reject_probability"),
        (quote(lp=""), "lp"),
        (quote(quote_id=" "), "quote_id"),
        (quote(quantity="0"), "quantity"),
        (quote(lot="0", all_or_none=False), "lot"),
        (quote(all_or_none="yes"), "all_or_none"),
        (quote(haste=1), "haste"),
        (
            '{"side":"buy","quantity":"1","quantity":"100","quotes":[{"lp":"A","quote_id":"q","price":"1","quantity":"1"}]}',
            "given twice",
        ),
    ],
)
def test_a_malformed_request_is_one_clear_line(request_: Any, word: str) -> None:
    code, out, err = run(request_)
    assert (code, out) == (2, "")
    assert word in err and len(err.strip().splitlines()) == 1, err


@pytest.mark.parametrize("request_", [b"[" * 100_000, b'{"side":"buy","quantity":"NaN","venues":[]}'])
def test_the_installed_command_refuses_in_one_line(request_: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "desk.cli", "split", "--request", "-", "--explain"],
        input=request_,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    err = done.stderr.decode()
    assert err.startswith("kerb: ") and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize("gap", ["-1", "NaN", "wide"])
def test_a_malformed_gap_is_refused(gap: str) -> None:
    code, _, err = run(REQUEST, "--gap-bps", gap)
    assert code == 2 and "gap-bps" in err
