"""The gate, row by row of the control matrix: each check lets its limit pass and refuses one step beyond it."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from risk.checks import CHECKS
from risk.decision import Approved, Intent, NotMinted, Refused, Stage, claim_press
from risk.gate import Gate, control_matrix
from risk.limits import Rate, RiskLimits, SymbolLimits
from risk.matrix import page
from risk.state import RiskState, TradingState

D = Decimal
STEP = D("0.000000000000000001")  # the smallest quantity there is
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


class Fixed:
    """References that say what the test says."""

    def __init__(self, fair: Decimal | None = D(100), age_ns: int | None = 0) -> None:
        self.price, self.age = fair, age_ns

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        return self.price

    def book_age_ns(self, symbol: str, venue: str, now_ns: int) -> int | None:
        return self.age


LIMITS = RiskLimits(
    default=SymbolLimits(
        max_quantity=D(10),
        max_notional=D(900),
        max_child_quantity=D(5),
        max_child_notional=D(400),
        quote_collar_bps=D(200),
        child_collar_bps=D(100),
        max_book_age_ms=1_000,
    ),
    child_rate=Rate(per_s=10, burst=3),
    quote_rate=Rate(per_s=2, burst=2),
    max_position={"BTC": D(20)},
    max_open_notional=D(1_000),
    max_quoted_notional=D(2_000),
    client_notional=D(1_500),
    max_loss={"USDT": D(50)},
)


class Bench:
    """A gate over known limits and references."""

    def __init__(self, limits: RiskLimits = LIMITS, references: Fixed | None = None) -> None:
        self.state = RiskState()
        self.references = references or Fixed()
        self.gate = Gate(limits, self.state, self.references, "g")
        self.count = 0

    def ask(self, stage: Stage = Stage.CHILD, **changes: Any) -> Approved | Refused:
        self.count += 1
        known: dict[str, Any] = {
            "stage": stage,
            "intent_id": f"i{self.count}",
            "symbol": "BTC/USDT",
            "side": "buy",
            "quantity": D(1),
            "price": D(100),
            "now_ns": NOW,
        }
        known |= {"venue": "KRAKEN"} if stage is Stage.CHILD else {"client_id": "acme"}
        return self.gate.decide(Intent(**(known | changes)))

    def passes(self, stage: Stage = Stage.CHILD, **changes: Any) -> Approved:
        decision = self.ask(stage, **changes)
        assert isinstance(decision, Approved), decision
        return decision

    def refuses(self, check: str, stage: Stage = Stage.CHILD, **changes: Any) -> Refused:
        before = self.gate.refused[check]
        decision = self.ask(stage, **changes)
        assert isinstance(decision, Refused), decision
        assert decision.check == check, decision
        assert decision.value and decision.limit and decision.message
        assert self.gate.refused[check] == before + 1
        return decision


# ---- one row each: (check, what passes at the limit, what is refused beyond it) ----------


def _finite(bench: Bench) -> None:
    bench.passes(quantity=STEP * 10, price=D("99.5"))
    for number in ("NaN", "sNaN", "Infinity", "-Infinity", "0", "-0", "-1", "1E+30", "1E-19"):
        bench.refuses("finite", quantity=D(number))
        bench.refuses("finite", price=D(number))
    for number in (None, 1, 1.0, "1"):
        bench.refuses("finite", quantity=number)
    bench.refuses("finite", side="BUY")
    bench.refuses("finite", symbol="BTC")
    bench.refuses("finite", intent_id="")
    bench.refuses("finite", venue="")
    bench.refuses("finite", Stage.QUOTE, client_id="")


def _kill_switch(bench: Bench) -> None:
    bench.passes()
    for scope in ({}, {"venue": "KRAKEN"}):
        bench.state.set_trading(TradingState.HALTED, "test", **scope)
        assert "test" in bench.refuses("kill_switch").message
        bench.state.set_trading(TradingState.ACTIVE, "", **scope)
        bench.passes()
    bench.state.set_trading(TradingState.HALTED, "", venue="BINANCE")
    bench.passes()  # another venue
    bench.state.set_trading(TradingState.HALTED, "", client_id="acme")
    bench.refuses("kill_switch", Stage.QUOTE)
    bench.refuses("kill_switch", Stage.TRADE)
    bench.passes(Stage.QUOTE, client_id="other")


def _duplicate(bench: Bench) -> None:
    bench.passes(intent_id="x")
    bench.refuses("duplicate", intent_id="x")
    bench.gate.release("x")
    bench.refuses("duplicate", intent_id="x")  # also when it is long over
    bench.passes(Stage.QUOTE, intent_id="x")  # another stage
    bench.passes(Stage.TRADE, intent_id="x")


def _staleness(bench: Bench) -> None:
    bench.references.age = SECOND
    bench.passes()
    bench.references.age = SECOND + 1
    assert "1001 ms" in bench.refuses("staleness").message
    bench.references.age = None
    bench.refuses("staleness")
    bench.references.age = 0
    for fair in (None, D("NaN"), D(0), D(-1)):
        bench.references.price = fair
        for stage in Stage:
            bench.refuses("staleness", stage)


def _size(bench: Bench) -> None:
    bench.passes(quantity=D(5), price=D("80"))
    bench.refuses("size", quantity=D(5) + STEP, price=D("70"))
    bench.passes(Stage.TRADE, quantity=D(10), price=D(90), side="sell")
    bench.refuses("size", Stage.TRADE, quantity=D(10) + STEP, price=D(90), side="sell")


def _notional(bench: Bench) -> None:
    bench.passes(quantity=D(4))
    bench.refuses("notional", quantity=D(4) + STEP)
    bench.passes(Stage.QUOTE, quantity=D(9))
    bench.refuses("notional", Stage.QUOTE, quantity=D(9) + STEP)


def _collar(bench: Bench) -> None:
    for side, edge, beyond, passive in (("buy", "101", "101.000000000000000001", "90"), ("sell", "99", "98.99", "110")):
        bench.passes(side=side, price=D(edge), now_ns=NOW + bench.count * SECOND)
        bench.refuses("collar", side=side, price=D(beyond))
        bench.passes(side=side, price=D(passive), now_ns=NOW + bench.count * SECOND)
    for side in ("buy", "sell"):
        for edge, beyond in (("102", "102.01"), ("98", "97.99")):
            bench.passes(Stage.QUOTE, side=side, price=D(edge), now_ns=NOW + bench.count * SECOND)
            bench.refuses("collar", Stage.QUOTE, side=side, price=D(beyond), now_ns=NOW + bench.count * SECOND)
    bench.passes(Stage.TRADE, side="buy", price=D(98))
    bench.refuses("collar", Stage.TRADE, side="buy", price=D("97.99"))  # we would sell far below fair
    bench.passes(Stage.TRADE, side="buy", price=D(110))  # firm, and the market came our way
    bench.passes(Stage.TRADE, side="sell", price=D(102))
    bench.refuses("collar", Stage.TRADE, side="sell", price=D("102.01"))


def _position(bench: Bench) -> None:
    bench.state.set_position("BTC", D(16))
    bench.passes(quantity=D(2))
    bench.passes(quantity=D(2))
    bench.refuses("position", quantity=STEP)  # 16 and 4 pending
    bench.passes(quantity=D(4), side="sell")
    bench.state.set_position("BTC", D(-16))
    bench.refuses("position", Stage.TRADE, side="buy", quantity=STEP)  # 4 pending sells already make it 20
    bench.passes(Stage.TRADE, side="sell", quantity=D(9))
    bench.state.set_position("BTC", D(-15))
    bench.passes(Stage.TRADE, side="buy", quantity=D(1))  # exactly at the other end of the band
    bench.refuses("position", symbol="DOGE/USDT")  # no band at all


def _open_notional(bench: Bench) -> None:
    for i in range(2):
        bench.passes(quantity=D(4), venue=f"V{i}")
    bench.passes(quantity=D(2), side="sell", venue="V3")
    bench.refuses("open_notional", quantity=STEP)
    bench.passes(symbol="BTC/USDC")  # another currency is another account
    for i in range(4):
        bench.passes(Stage.QUOTE, quantity=D(5), client_id=f"c{i}", side="buy" if i % 2 else "sell")
    bench.refuses("open_notional", Stage.QUOTE, quantity=STEP)


def _client_notional(bench: Bench) -> None:
    bench.state.set_exposure("acme", "USDT", D(700))
    bench.passes(Stage.QUOTE, quantity=D(8), intent_id="q")
    bench.refuses("client_notional", Stage.QUOTE, quantity=STEP)
    bench.passes(Stage.QUOTE, quantity=D(9), side="sell")  # the other way it is 700 - 900
    bench.passes(Stage.TRADE, quantity=D(8), intent_id="q")  # its own quote is not counted twice
    bench.refuses("client_notional", Stage.TRADE, quantity=STEP)
    bench.passes(Stage.TRADE, quantity=D(1), client_id="other")


def _loss(bench: Bench) -> None:
    bench.state.set_pnl("USDT", D(-50))
    bench.passes()
    bench.state.set_pnl("USDT", D(-50) - STEP)
    bench.refuses("loss")
    bench.state.set_position("BTC", D(3))
    bench.refuses("loss", quantity=D(1))  # would add
    bench.passes(side="sell", quantity=D(2))


def _rate(bench: Bench) -> None:
    for _ in range(3):
        bench.passes(quantity=D(1))
    assert bench.refuses("rate").value == "4 at once"
    bench.passes(venue="BINANCE")  # a bucket of its own
    bench.refuses("rate", now_ns=NOW + SECOND // 10 - 1)
    bench.passes(now_ns=NOW + SECOND // 10)
    bench.refuses("rate", now_ns=NOW + SECOND // 10)
    bench.passes(Stage.QUOTE)
    bench.passes(Stage.QUOTE)
    bench.refuses("rate", Stage.QUOTE)
    bench.passes(Stage.QUOTE, client_id="other")


CASES: dict[str, Callable[[Bench], None]] = {
    "finite": _finite,
    "kill_switch": _kill_switch,
    "duplicate": _duplicate,
    "staleness": _staleness,
    "size": _size,
    "notional": _notional,
    "collar": _collar,
    "position": _position,
    "open_notional": _open_notional,
    "client_notional": _client_notional,
    "loss": _loss,
    "rate": _rate,
}
FREE = Rate(per_s=1_000_000, burst=1_000_000)
WIDE = D(10) ** 12


def _bench_of(name: str) -> Bench:
    """Only the limits of the row are tight, so that nothing else can refuse."""
    limits: dict[str, Any] = {}
    if name != "rate":
        limits |= {"child_rate": FREE, "quote_rate": FREE}
    if name != "open_notional":
        limits |= {"max_open_notional": WIDE, "max_quoted_notional": WIDE}
    if name != "client_notional":
        limits |= {"client_notional": WIDE}
    if name not in ("position",):
        limits |= {"max_position": {"BTC": WIDE}}
    if name != "loss":
        limits |= {"max_loss": {}}
    return Bench(msgspec.structs.replace(LIMITS, **limits))


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_each_check_passes_its_limit_and_refuses_beyond_it(name: str) -> None:
    CASES[name](_bench_of(name))


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_each_row_depends_on_its_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check its case fails: the row tests what it says."""
    bench = _bench_of(name)
    bench.gate._checks = {
        stage: tuple(check for check in checks if check.name != name) for stage, checks in bench.gate._checks.items()
    }
    with pytest.raises(Exception):  # noqa: B017  an AssertionError, or what a malformed intent does to the checks behind
        CASES[name](bench)


def test_the_control_matrix_names_every_check_with_its_source() -> None:
    rows = control_matrix()
    assert [row.check for row in rows] == [check.name for check in CHECKS] == list(CASES)
    assert all(row.stages and row.source and row.limit and row.control[0].isdigit() for row in rows)
    fields = {*RiskLimits.__struct_fields__, *SymbolLimits.__struct_fields__} - {"default", "symbols"}
    named = {word for row in rows for word in row.limit.replace(",", " ").split()}
    assert fields - named == {"client_notionals", "quote_reserve_ms"}  # an exception of a limit, and not a limit


# ---- approvals ----------


def test_only_the_gate_makes_an_approval() -> None:
    approved = Bench().passes()
    with pytest.raises(NotMinted):
        Approved(intent=approved.intent, decision_id="mine", limits={})
    with pytest.raises(NotMinted):
        msgspec.structs.replace(approved, decision_id="mine")
    with pytest.raises(NotMinted):
        claim_press()


def test_a_forged_or_used_up_approval_is_not_held() -> None:
    bench, other = Bench(), Bench()
    approved = bench.passes()
    assert bench.gate.holds(approved)
    assert not other.gate.holds(approved)
    bench.gate.release(approved.intent.intent_id)
    assert not bench.gate.holds(approved)


def test_decisions_are_numbered_heard_in_order_and_repeatable() -> None:
    def story() -> list[tuple[str, str]]:
        bench, heard = Bench(), []
        bench.gate.listeners.append(lambda d: heard.append((d.decision_id, getattr(d, "check", "approved"))))
        bench.passes()
        bench.refuses("size", quantity=D(6), price=D(50))
        bench.passes(Stage.QUOTE)
        assert (bench.gate.approved, dict(bench.gate.refused)) == (2, {"size": 1})
        return heard

    assert story() == story() == [("g-1", "approved"), ("g-2", "size"), ("g-3", "approved")]


def test_an_approval_says_what_it_was_held_against() -> None:
    limits = Bench().passes().limits
    assert limits["size"] == "5" and limits["position"] == "20" and limits["loss"] == "50 USDT"
    assert list(limits) == [check.name for check in CHECKS if Stage.CHILD in check.stages]


# ---- reservations ----------


def test_a_child_is_reserved_until_filled_or_released() -> None:
    bench = Bench()
    bench.passes(intent_id="c", quantity=D(3))
    assert bench.state.firm.ahead("BTC", D(1)) == 3
    assert bench.state.open_notional.gross("USDT") == 300
    bench.gate.fill("c", D(1))
    assert bench.state.position("BTC") == 1
    assert bench.state.firm.ahead("BTC", D(1)) == 2
    bench.gate.release("c", D("0.5"))
    assert bench.state.firm.ahead("BTC", D(1)) == D("1.5")
    bench.gate.release("c")
    assert bench.state.firm.ahead("BTC", D(1)) == 0 == bench.state.open_notional.gross("USDT")
    assert bench.gate.fill("c", D(1)) is False  # nothing is held any more
    assert bench.state.position("BTC") == 1


def test_a_sell_child_lowers_the_position() -> None:
    bench = Bench()
    bench.passes(intent_id="c", side="sell", quantity=D(3))
    assert (bench.state.firm.ahead("BTC", D(-1)), bench.state.firm.ahead("BTC", D(1))) == (3, 0)
    bench.gate.fill("c", D(3))
    assert bench.state.position("BTC") == -3
    assert bench.state.reservations == {}


def test_a_quote_is_reserved_until_it_ends() -> None:
    bench = Bench()
    bench.passes(Stage.QUOTE, intent_id="q", quantity=D(4), valid_until_ns=NOW + SECOND)
    assert bench.state.quoted.ahead("BTC", D(-1)) == 4  # the client buys: our inventory would fall
    bench.passes(Stage.QUOTE, now_ns=NOW + SECOND, reserve=False)
    assert bench.state.quoted.ahead("BTC", D(-1)) == 4
    bench.passes(Stage.QUOTE, now_ns=NOW + SECOND + 1, reserve=False)
    assert bench.state.quoted.ahead("BTC", D(-1)) == 0
    bench.passes(Stage.QUOTE, intent_id="r", quantity=D(1), now_ns=NOW + 2 * SECOND)
    bench.passes(now_ns=NOW + 12 * SECOND)
    assert (Stage.QUOTE, "r") in bench.state.reservations  # no end of its own: `quote_reserve_ms`
    bench.passes(now_ns=NOW + 12 * SECOND + 1)
    assert (Stage.QUOTE, "r") not in bench.state.reservations


def test_a_trade_takes_over_the_reservation_of_its_quote() -> None:
    bench = Bench()
    bench.passes(Stage.QUOTE, intent_id="q", quantity=D(4))
    bench.passes(Stage.TRADE, intent_id="t", quote_id="q", quantity=D(3))
    assert bench.state.quoted.ahead("BTC", D(-1)) == 0
    assert bench.state.firm.ahead("BTC", D(-1)) == 3
    assert bench.state.client_notional.ahead(("acme", "USDT"), D(1)) == 300
    bench.gate.fill("t", D(3), Stage.TRADE)
    assert bench.state.position("BTC") == -3
    assert bench.state.exposure[("acme", "USDT")] == 300
    assert bench.state.reservations == {}


def test_a_trade_that_was_not_booked_may_be_tried_again() -> None:
    bench = Bench()
    bench.passes(Stage.TRADE, intent_id="t")
    bench.gate.release("t", stage=Stage.TRADE)
    bench.passes(Stage.TRADE, intent_id="t")


def test_open_quotes_do_not_keep_the_desk_from_hedging() -> None:
    bench = Bench(msgspec.structs.replace(LIMITS, client_notional=WIDE, max_quoted_notional=WIDE, quote_rate=FREE))
    for _ in range(4):
        bench.passes(Stage.QUOTE, side="sell", quantity=D(5))
    bench.refuses("position", Stage.QUOTE, side="sell", quantity=STEP)
    bench.passes(side="buy", quantity=D(4))


def test_reducing_lets_only_reducing_intents_pass() -> None:
    bench = Bench()
    bench.state.set_position("BTC", D(3))
    bench.state.set_trading(TradingState.REDUCING, "test")
    bench.refuses("kill_switch", side="buy")
    bench.refuses("kill_switch", side="sell", quantity=D("3.1"))  # through zero
    bench.passes(side="sell", quantity=D(2))
    bench.refuses("kill_switch", side="sell", quantity=D("1.1"))  # 2 are under way
    bench.passes(side="sell", quantity=D(1))
    bench.state.set_position("BTC", D(0))
    bench.refuses("kill_switch", side="buy")
    bench.state.set_position("BTC", D(-3))
    bench.passes(Stage.TRADE, side="sell", quantity=D(3))  # the client sells, we buy back
    bench.refuses("kill_switch", Stage.TRADE, side="buy")


def test_what_is_adopted_counts_and_takes_no_token() -> None:
    bench = Bench()
    old = Intent(
        stage=Stage.CHILD,
        intent_id="old",
        symbol="BTC/USDT",
        side="buy",
        quantity=D(15),
        price=D(100),
        now_ns=NOW,
        venue="KRAKEN",
    )
    bench.gate.adopt(old)
    bench.gate.adopt(old)
    assert bench.state.firm.ahead("BTC", D(1)) == 15
    bench.refuses("duplicate", intent_id="old")
    assert bench.gate.approved == 0


# ---- limits and speed ----------


@pytest.mark.parametrize(
    "text",
    [
        '{"max_open_notional":"NaN"}',
        '{"max_open_notional":"0"}',
        '{"max_position":{"BTC":"-1"}}',
        '{"default":{"max_quantity":"Infinity"}}',
        '{"child_rate":{"per_s":0,"burst":1}}',
        '{"symbols":{"BTC/USDT":{"max_book_age_ms":-1}}}',
        '{"max_opn_notional":"1"}',
    ],
)
def test_senseless_limits_are_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=RiskLimits)


def test_limits_of_a_symbol_and_a_venue_come_before_the_default() -> None:
    limits = msgspec.structs.replace(
        LIMITS,
        symbols={"BTC/USDT": SymbolLimits(max_child_quantity=D(1))},
        venue_rates={"KRAKEN": Rate(per_s=1, burst=1)},
        client_notionals={"small": D(100)},
    )
    bench = Bench(limits)
    bench.passes(quantity=D(1))
    bench.refuses("size", quantity=D(1) + STEP)
    bench.refuses("rate")
    bench.passes(quantity=D(2), symbol="BTC/USDC", venue="BINANCE")
    bench.refuses("client_notional", Stage.TRADE, client_id="small", quantity=D(1) + STEP)


def test_a_decision_takes_microseconds() -> None:
    bench = Bench(msgspec.structs.replace(LIMITS, child_rate=FREE, max_position={"BTC": WIDE}, max_open_notional=WIDE))
    intents = [
        Intent(
            stage=Stage.CHILD,
            intent_id=f"s{i}",
            symbol="BTC/USDT",
            side="buy",
            quantity=D("0.5"),
            price=D("100.12"),
            now_ns=NOW + i,
            venue="KRAKEN",
        )
        for i in range(600)
    ]
    times = []
    for intent in intents:
        begun = time.perf_counter_ns()
        bench.gate.decide(intent)
        times.append(time.perf_counter_ns() - begun)
    assert bench.gate.approved == len(intents)
    assert sorted(times)[len(times) // 4] < 100_000  # promised: 20 µs; the margin is for a busy machine


def test_the_page_of_controls_is_the_codes() -> None:
    """After a change of the checks: `python -m risk.matrix > docs/controls.md`."""
    assert (Path(__file__).resolve().parents[2] / "docs" / "controls.md").read_text() == page()
