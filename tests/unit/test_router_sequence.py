"""Who goes first, by rule: each case by name, and what waits for how long."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.nautilus.lp import LpQuote
from router.parameters import RouterParameters
from router.plan import PlannedChild
from router.sequence import MS, Wave, first_wave

D = Decimal
NOW = 10**18


def quote(lp: str = "LPX", size: str = "0.5", life_ms: int = 1_000) -> LpQuote:
    return LpQuote(
        lp=lp, rfq_id=f"r-{lp}-{size}", quote_id=f"{lp}-{size}", symbol="BTC/USDT", bid=D(1), ask=D(1), quantity=D(size),
        valid_until_ns=NOW + life_ms * MS, ts_ns=NOW,
    )  # fmt: skip


def taking(found: LpQuote) -> PlannedChild:
    return PlannedChild(
        venue=found.lp, quantity=found.quantity, limit_price=D(1), quote_id=found.quote_id, valid_until_ns=found.valid_until_ns
    )  # fmt: skip


VENUES = [PlannedChild(venue=name, quantity=D("0.25"), limit_price=D(1)) for name in ("BINANCE", "KRAKEN")]


def wave(quotes: list[LpQuote], taken: list[LpQuote], refusals: dict[str, str] | None = None, **keys: Any) -> Wave:
    return first_wave(
        [*VENUES, *(taking(found) for found in taken)],
        quotes=quotes,
        parameters=RouterParameters(**keys),
        refusal=lambda lp: D((refusals or {}).get(lp, "0.02")),
        now_ns=NOW,
    )


def names(found: Wave) -> list[str]:
    return [child.venue for child in found.children]


def test_a_firm_quote_that_outlives_the_venues_goes_last_when_a_larger_one_may_be_needed() -> None:
    half, whole = quote(), quote(size="1")
    found = wave([half, whole], [half])
    assert names(found) == ["BINANCE", "KRAKEN"]
    assert found.until_ns == NOW + (1_000 - 60 - 1) * MS  # the way to the LP is left
    assert found.swept == {"BINANCE", "KRAKEN"}
    assert {child.why for child in found.children} == {found.why}
    assert found.why == "LPX last: its quote is good for 1000 ms, and for 1 should venues fall short"


def test_what_could_not_change_leaves_together_the_lp_ahead() -> None:
    found = wave([quote()], [quote()])
    assert (names(found), found.until_ns) == (["LPX", "BINANCE", "KRAKEN"], 0)
    assert "nothing they do" in found.children[0].why


@pytest.mark.parametrize(("life_ms", "last"), [(259, False), (260, True)])
def test_a_short_life_leaves_together(life_ms: int, last: bool) -> None:
    half, whole = quote(life_ms=life_ms), quote(size="1", life_ms=life_ms)
    found = wave([half, whole], [half])
    assert ("LPX" not in names(found)) is last
    assert last or "ends in 259 ms" in found.children[0].why


@pytest.mark.parametrize(("refusal", "first"), [("0.049", False), ("0.05", True)])
def test_who_is_known_to_refuse_goes_first_and_the_venues_wait(refusal: str, first: bool) -> None:
    half, whole = quote(), quote(size="1")
    found = wave([half, whole], [half], {"LPX": refusal})
    assert (names(found) == ["LPX"]) is first
    assert not first or found.until_ns == NOW + 250 * MS
    assert not first or not found.swept


def test_with_several_lps_each_has_its_turn() -> None:
    shy, brief, firm = quote("SHY"), quote("BRIEF", life_ms=100), quote("FIRM")
    quotes = [shy, brief, firm, quote("FIRM", "1")]
    found = wave(quotes, [shy, brief, firm], {"SHY": "0.3"})
    assert names(found) == ["SHY", "BRIEF"]  # brief cannot wait; firm and the venues do
    found = wave(quotes, [brief, firm])
    assert names(found) == ["BRIEF", "BINANCE", "KRAKEN"] and found.until_ns


@pytest.mark.parametrize(
    ("order", "life_ms", "leaving", "waits"),
    [
        ("first", 1_000, ["LPX"], True),
        ("together", 1_000, ["LPX", "BINANCE", "KRAKEN"], False),
        ("last", 1_000, ["BINANCE", "KRAKEN"], True),
        ("last", 200, ["LPX", "BINANCE", "KRAKEN"], False),
    ],
)
def test_the_configuration_has_the_last_word(order: str, life_ms: int, leaving: list[str], waits: bool) -> None:
    found = wave([quote(life_ms=life_ms)], [quote(life_ms=life_ms)], lp_order=order)
    assert (names(found), bool(found.until_ns)) == (leaving, waits)


def test_a_plan_of_one_kind_has_no_order() -> None:
    for children in (VENUES, [taking(quote())], []):
        found = first_wave(children, quotes=[], parameters=RouterParameters(), refusal=lambda lp: D(1), now_ns=NOW)
        assert [child.venue for child in found.children] == [child.venue for child in children]
        assert not found.until_ns


def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="lp_order"):
        RouterParameters(lp_order="whenever")
