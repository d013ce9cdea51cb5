"""`kerb price`: the answer of CONTRACT 7, its identity, and one clear line for each malformed request."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cli import price
from pricing.waterfall import STEPS

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
    "bids": [["59999.99", "0.5"], ["59998.80", "20"]],
}
QUOTE = {"lp": "X", "quote_id": "q1", "price": "60003.5", "quantity": "5", "all_or_none": True, "min_quantity": "5"}
REQUEST: dict[str, Any] = {
    "instrument": "BTC/USDT",
    "tick": "0.01",
    "side": "two_way",
    "quantities": ["0.1", "1", "5"],
    "ttl_ms": 2000,
    "hedge_ms": 800,
    "volatility_per_sqrt_s": "0.00002",
    "inventory": "3.2",
    "band": "10",
    "client": {"tier": "gold", "markup_bps": "1.5", "markout_bps": "0.2"},
    "venues": [VENUE],
    "quotes": [],
}


def run(request: Any, *arguments: str, obj: Any = None) -> tuple[int, str, str]:
    text = request if isinstance(request, str | bytes) else json.dumps(request)
    result = CliRunner().invoke(price, ["--request", "-", *arguments], input=text, obj=obj)
    return result.exit_code, result.stdout, result.stderr


def answer(request: dict[str, Any], *arguments: str) -> dict[str, Any]:
    code, out, err = run(request, *arguments)
    assert code == 0, err
    return json.loads(out)


def changed(**fields: Any) -> dict[str, Any]:
    return {**REQUEST, **fields}


def venue(**fields: Any) -> dict[str, Any]:
    return changed(venues=[{**VENUE, **fields}])


def test_every_step_of_one_rung_by_hand() -> None:
    body = answer(changed(quantities=["1"], side="buy"))
    (rung,) = body["rungs"]
    assert body["fair"] == "60000" and "bid" not in rung
    # sweep: (0.5 × 60000.01 + 0.5 × 60001.20) × 1.0001 − 60000
    # impact: only 0.45 of the best level are real, so 0.05 × 1.19 × 1.0001 more, + 1 bp × √(1 / 20.5)
    # volatility: 0.4 × 0.00002 × √2.8 × 60000; skew: −0.32 × 3 bp; adverse 0.2, credit 0.1, markup 1.5 bp
    assert rung["waterfall"]["ask"] == [
        {"step": "sweep", "amount": "6.605061"},
        {"step": "impact", "amount": "1.384685"},
        {"step": "volatility", "amount": "0.803194"},
        {"step": "skew", "amount": "-5.76"},
        {"step": "adverse_selection", "amount": "1.2"},
        {"step": "credit", "amount": "0.6"},
        {"step": "markup", "amount": "9"},
        {"step": "rounding", "amount": "0.00706"},
    ]
    assert rung["ask"] == "60013.84"


def test_what_is_left_out_is_echoed_under_parameters() -> None:
    bare = {key: REQUEST[key] for key in ("instrument", "tick", "side", "quantities", "venues")}
    parameters = answer(bare)["parameters"]
    assert parameters == {
        "ttl_ms": 2000,
        "hedge_ms": 800,
        "volatility_per_sqrt_s": "0.000005",
        "volatility_multiplier": "0.4",
        "inventory": "0",
        "band": "0",
        "tier": "standard",
        "utilisation": "0",
        "markup_bps": "2",
        "markout_bps": "0.2",
        "fill_ratio": "0.9",
        "impact_bps": "1",
        "skew_model": "linear",
        "skew_bps_at_band": "3",
        "skew_max_bps": "25",
        "credit_bps": "0.1",
        "utilisation_bps": "0.5",
        "markup_floor_bps": "0",
        "markup_ceiling_bps": "50",
        "min_ticket": "0",
        "min_spread_bps": "0.5",
        "max_deviation_bps": "150",
    }
    said = answer({**bare, "parameters": {"impact_bps": "0", "fill_ratio": "1", "credit_bps": "7"}})
    assert (said["parameters"]["impact_bps"], said["parameters"]["credit_bps"]) == ("0", "7")
    assert said["rungs"][0]["waterfall"]["bid"][1] == {"step": "impact", "amount": "0"}


def test_parameters_come_from_the_configuration_of_the_command_line(tmp_path: Path) -> None:
    from desk.cli import section

    file = tmp_path / "desk.toml"
    file.write_text('[pricing]\nimpact_bps = "9"\nhedge_ms = 50\n')
    request = {key: value for key, value in REQUEST.items() if key != "hedge_ms"}
    code, out, err = run(request, "--config", str(file), obj=section)
    assert code == 0, err
    parameters = json.loads(out)["parameters"]
    assert (parameters["impact_bps"], parameters["hedge_ms"]) == ("9", 50)


def test_quantities_may_be_in_quote_currency() -> None:
    rungs = answer(changed(currency="USDT", quantities=["1000", "100000"]))["rungs"]
    for amount, rung in zip((1000, 100_000), rungs, strict=True):
        ask, bid = (Decimal(rung[side]) * Decimal(rung["base"][side]) for side in ("ask", "bid"))
        unit = Decimal(rung["ask"]) * Decimal("0.00000001")
        assert amount - unit < ask <= amount <= bid < amount + unit
    assert answer(changed(currency="BTC"))["rungs"] == answer(REQUEST)["rungs"]


def test_credit_in_use_and_a_ticket_cost() -> None:
    used = answer(changed(client={"tier": "gold", "utilisation": "0.5"}))["rungs"][1]["waterfall"]["ask"]
    free = answer(changed(client={"tier": "gold"}, parameters={"min_ticket": "12"}))["rungs"]
    assert used[5] == {"step": "credit", "amount": "2.1"}  # 0.1 + half of 0.5 bp
    markups = [Decimal(rung["waterfall"]["ask"][6]["amount"]) for rung in free]
    assert markups == [Decimal("123.6"), Decimal("15.6"), Decimal("6")]  # 0.6 bp, and 12 USDT a trade


def test_a_negative_markout_costs_nothing_and_gives_nothing_back() -> None:
    rung = answer(changed(client={"tier": "gold", "markout_bps": "-4"}))["rungs"][0]
    assert rung["waterfall"]["ask"][4] == {"step": "adverse_selection", "amount": "0"}


def test_a_quote_serves_the_side_of_fair_value_it_is_on_or_the_one_it_names() -> None:
    offers = answer(changed(quotes=[QUOTE, {**QUOTE, "quote_id": "q2", "price": "59999"}]))
    assert [quote["side"] for quote in offers["quotes"]] == ["buy", "sell"]
    assert offers["rungs"][2]["waterfall"]["ask"][0] == {"step": "sweep", "amount": "3.5"}
    assert offers["rungs"][2]["waterfall"]["bid"][0] == {"step": "sweep", "amount": "-1"}
    named = answer(changed(quotes=[{**QUOTE, "price": "59999.5", "side": "buy"}]))
    assert named["rungs"][2]["waterfall"]["ask"][0] == {"step": "sweep", "amount": "-0.5"}


def test_a_size_beyond_the_books_has_no_price_and_says_why() -> None:
    rungs = answer(changed(quantities=["1", "21"]))["rungs"]
    assert rungs[0]["ask"] is not None and rungs[1]["ask"] is None and rungs[1]["bid"] is None
    assert answer(changed(quantities=["999999999999999999"]))["rungs"][0]["ask"] is None
    assert answer(changed(quantities=["0.000000000000000001"]))["rungs"][0]["ask"] is not None
    assert "live venues show 20.5" in rungs[1]["reasons"]["ask"]


def test_levels_at_one_price_are_added_up() -> None:
    split = [["60000.01", "0.2"], ["60000.01", "0.3"], ["60001.20", "20"]]
    assert answer(venue(asks=split))["rungs"][1] == answer(REQUEST)["rungs"][1]


def test_explain_says_what_each_step_changed() -> None:
    code, out, err = run(REQUEST, "--explain")
    assert code == 0 and json.loads(out) == answer(REQUEST)
    lines = [line.split() for line in err.splitlines() if line.startswith("  markup")]
    assert len(lines) == 7 and all(line[4:] == ["gold", "1.5", "bps"] for line in lines[1:])
    assert all("ttl" not in line.lower() for line in err.splitlines()[10:]) and "√2.8 s" in err
    flat = answer(changed(inventory="0", quantities=["0.1"]))["rungs"][0]
    assert f"without skew the ask would be {flat['ask']} (-0.960 bps)" in err
    body = answer(REQUEST, "--explain", "--json")
    plain = answer(changed(client={"tier": "gold", "markup_bps": "0", "markout_bps": "0.2"}))
    for with_markup, without in zip(body["rungs"], plain["rungs"], strict=True):
        for side in ("bid", "ask"):
            difference = Decimal(with_markup[side]) - Decimal(without[side])
            assert Decimal(with_markup["changed"][side]["markup"]) == difference


def test_no_fair_value_is_a_failure_not_a_usage_fault() -> None:
    code, out, err = run(venue(bids=[]))
    assert (code, out) == (1, "") and "fair" not in out and len(err.strip().splitlines()) == 1


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_ladders_add_up_stay_monotone_and_never_cross(data: st.DataObject) -> None:
    cents = st.integers(1, 400)
    venues = []
    for name in "ABC"[: data.draw(st.integers(1, 3))]:
        rows: dict[str, list[list[str]]] = {"asks": [], "bids": []}
        for side, sign in (("asks", 1), ("bids", -1)):
            at = 6_000_000
            for _ in range(data.draw(st.integers(1, 4))):
                at += sign * data.draw(cents)
                size = Decimal(data.draw(st.integers(1, 300))).scaleb(-2)
                rows[side].append([str(Decimal(at).scaleb(-2)), str(size)])
        venues.append({"venue": name, "taker_fee_bps": str(data.draw(st.integers(-1, 10))), **rows})
    quotes = [
        {
            "lp": data.draw(st.sampled_from("XY")),
            "quote_id": f"q{i}",
            "price": str(Decimal(6_000_000 + sign * data.draw(cents)).scaleb(-2)),
            "quantity": str(Decimal(data.draw(st.integers(1, 90))).scaleb(-1)),
            "all_or_none": data.draw(st.booleans()),
            "side": "buy" if sign > 0 else "sell",
            "fixed_cost": data.draw(st.sampled_from(("0", "1.7"))),
        }
        for i, sign in enumerate(data.draw(st.lists(st.sampled_from((1, -1)), max_size=4)))
    ]
    sizes = data.draw(st.lists(st.integers(1, 900), min_size=1, max_size=5))
    body = answer(changed(venues=venues, quotes=quotes, quantities=[str(Decimal(s).scaleb(-2)) for s in sizes]))
    fair = Decimal(body["fair"])
    for side, sign in (("ask", 1), ("bid", -1)):
        prices = []
        for size, rung in sorted(zip(sizes, body["rungs"], strict=True), key=lambda pair: pair[0]):
            if rung[side] is None:
                assert rung["waterfall"][side] == [] and rung["reasons"][side]
                continue
            steps = rung["waterfall"][side]
            assert [step["step"] for step in steps] == list(STEPS)
            assert fair + sum(Decimal(step["amount"]) for step in steps) == Decimal(rung[side]), size
            assert Decimal(rung[side]) % Decimal("0.01") == 0
            prices.append(sign * Decimal(rung[side]))
        assert prices == sorted(prices)
    asks = [Decimal(rung["ask"]) for rung in body["rungs"] if rung["ask"]]
    bids = [Decimal(rung["bid"]) for rung in body["rungs"] if rung["bid"]]
    assert not asks or not bids or max(bids) < min(asks)


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("{", "pricing request"),
        ("[]", "pricing request"),
        ("{}", "instrument"),
        (b"\xff\xfe", "pricing request"),
        (changed(instrument=" "), "instrument"),
        (changed(instrument="BTC\n/USDT"), "instrument"),
        (changed(instrument="B" * 10_000), "instrument"),
        (changed(client={"tier": ""}), "client.tier"),
        ("\ufeff" + json.dumps(REQUEST), "pricing request"),
        (json.dumps(REQUEST) * 2, "pricing request"),
        ("NaN", "pricing request"),
        ('{"a":' * 5000, "pricing request"),
        (changed(quantities=["1\n"]), "quantities[0]"),
        (changed(quantities=["\u0661"]), "quantities[0]"),
        (changed(ttl_ms=10**30), "ttl_ms"),
        (changed(quotes=[{**QUOTE, "quote_id": str(i)} for i in range(65)]), "quotes"),
        (venue(venue="A\u0000"), "venues"),
        (venue(asks=[[str(60_001 + i), "1"] for i in range(20_001)]), "venues[0].asks"),
        (changed(tick="0"), "tick"),
        (changed(tick=0.01), "tick"),
        (changed(side="hold"), "side"),
        (changed(quantities=[]), "quantities"),
        (changed(quantities="1"), "quantities"),
        (changed(quantities=["-1"]), "quantities[0]"),
        (changed(quantities=["1", "NaN"]), "quantities[1]"),
        (changed(quantities=["0"]), "quantities[0]"),
        (changed(quantities=["Infinity"]), "quantities[0]"),
        (changed(quantities=["1" + "0" * 30]), "quantities[0]"),
        (changed(quantities=["1e30"]), "quantities[0]"),
        (changed(quantities=[1]), "quantities"),
        (changed(ttl_ms=-1), "ttl_ms"),
        (changed(ttl_ms="2000"), "ttl_ms"),
        (changed(hedge_ms=10**12), "hedge_ms"),
        (changed(volatility_per_sqrt_s="-0.1"), "volatility_per_sqrt_s"),
        (changed(volatility_per_sqrt_s="nan"), "volatility_per_sqrt_s"),
        (changed(volatility_per_sqrt_s="500"), "volatility_per_sqrt_s"),
        (changed(inventory="lots"), "inventory"),
        (changed(band="-10"), "band"),
        (changed(client={"tier": "gold", "markup_bps": "-1"}), "markup_bps"),
        (changed(client={"tier": "gold", "markup_bps": "99999"}), "markup_bps"),
        (changed(client={"tier": "gold", "mood": "good"}), "mood"),
        (changed(client="gold"), "client"),
        (changed(client={"utilisation": "1.5"}), "utilisation"),
        (changed(currency="EUR"), "currency"),
        (changed(parameters={"fill_ratio": "0"}), "fill_ratio"),
        (changed(parameters={"skew_model": "magic"}), "skew_model"),
        (changed(parameters={"markup_floor_bps": "60"}), "markup_floor_bps"),
        (changed(parameters={"credit_bps": "-2"}), "credit_bps"),
        (changed(parameters={"max_deviation_bps": "0"}), "max_deviation_bps"),
        (changed(hurry=True), "hurry"),
        (changed(venues=[]), "venues"),
        (changed(venues=[VENUE, VENUE]), "twice"),
        (venue(colour="red"), "colour"),
        (venue(taker_fee_bps="2000"), "fee"),
        (venue(bids=[["60000.01", "1"]]), "crossed"),
        (venue(asks=[["60001", "1"], ["60000", "1"]]), "asks[1]"),
        (venue(asks=[["60000.01", "-1"]]), "asks[0]"),
        (venue(asks=[["999999999999999999", "1"]]), "venues[0]"),
        (venue(asks=[["60000.01", "999999999999999999.123456789"]]), "venues[0]"),
        (changed(quotes=[{**QUOTE, "side": "both"}]), "side"),
        (changed(quotes=[QUOTE, QUOTE]), "twice"),
        (changed(quotes=[{**QUOTE, "price": "-3"}]), "price"),
        (json.dumps(changed()).replace('"side"', '"side": "sell", "side"', 1), "'side' is given twice"),
    ],
)
def test_a_malformed_request_is_one_clear_line(request_: Any, word: str) -> None:
    code, out, err = run(request_)
    assert (code, out) == (2, ""), err
    assert word in err and len(err.strip().splitlines()) == 1, err


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ("", "empty"),
        (changed(quantities=["-1"]), "quantities[0]"),
        (changed(inventory="NaN"), "inventory"),
        (venue(bids=[["60000.01", "1"]]), "crossed"),
        (changed(hurry=True), "hurry"),
        (venue(taker_fee_bps="1" + "0" * 30), "taker_fee_bps"),
        (None, "No such file"),
    ],
)
def test_the_installed_command_says_one_line_and_exits_with_2(
    request_: Any, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from desk.cli import main

    file = tmp_path / "request.json"
    if request_ is not None:
        file.write_text(request_ if isinstance(request_, str) else json.dumps(request_))
    monkeypatch.setattr("sys.argv", ["kerb", "price", "--request", str(file), "--explain"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and len(err.splitlines()) == 1
    assert err.startswith("kerb: ") and word in err


def test_a_held_rung_says_so_and_every_step_tells_its_numbers() -> None:
    _, _, err = run(changed(quantities=["0.1", "5"], quotes=[QUOTE]), "--explain")
    blocks = err.split("5 ask: from X")
    assert "held to the price of a smaller size" in blocks[1] and "held to" not in blocks[0]
    for told in (
        "A 0.1 (fee 1 bps)",
        "√(0.1/20.5 displayed)",
        "0.4 × σ 0.2 bps/√s × √2.8 s",
        "−3 bps × +0.32 of the band",
    ):
        assert told in blocks[0]
    assert "0.1 bps + 0 d × 500 bps a year + 0% of the line × 0.5 bps → 0.1 bps" in blocks[0]
