"""Markouts on the engine's clock: taken when they are due, from what is fair then, with one timer between them."""

from __future__ import annotations

from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType
from nautilus_trader.model.identifiers import TradeId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.outcome import VenueFill
from adapters.nautilus.safe import LoopSafe, Safe
from desk.tca.actor import GAP_NS, TcaActor
from desk.tca.memory import TcaMemory
from desk.tca.tape import TradedVolume
from router.costs.markouts import HORIZONS_MS, MS, Markout
from router.costs.scorecards import TcaParameters
from router.costs.shortfall import CostLine
from router.orders import INTERNAL, ChildOrder, ChildState, ParentOrder
from router.panel import LpAnswer, LpRound
from tests.oracles import ledger_records as make

INSTRUMENT = TestInstrumentProvider.btcusdt_binance()
SYMBOL = "BTC/USDT"
START = 1_700_000_000_000_000_000
Step = tuple[int, str, Any]  # when (ms after the start), topic, message


def fair_at(ns: int) -> D:
    """A fair value that is different at every millisecond."""
    return D(60_000) + D((ns - START) // MS).scaleb(-2)


class Market:
    """As much of `desk.market.Market` as transaction cost analysis reads."""

    def __init__(self, dark_from_ms: int) -> None:
        self.books: dict[str, Any] = {}
        self.traded = TradedVolume()
        self._dark_ns = START + dark_from_ms * MS

    def fair(self, symbol: str, now_ns: int) -> D | None:
        return fair_at(now_ns) if symbol == SYMBOL and now_ns < self._dark_ns else None


class Nothing:
    """A ledger with nothing open."""

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        return []

    def fills_of(self, parent_id: str) -> list[VenueFill]:
        raise AssertionError("nothing is open")


class Script(Safe, LoopSafe, Actor):
    """Says things at their times and hears what comes back."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self._steps = steps
        self.markouts: list[Markout] = []
        self.lines: list[CostLine] = []

    def on_start(self) -> None:
        self.bind_loop()
        bus = Bus(self)
        bus.subscribe(topics.MARKOUT, self.markouts.append)
        bus.subscribe(topics.COST, self.lines.append)
        for n, (at_ms, topic, message) in enumerate(self._steps):
            self.at_ns(f"say:{n}", START + at_ms * MS, lambda _, t=topic, m=message: bus.publish(t, m))


def run(
    steps: list[Step], *, seconds: int = 400, dark_from_ms: int = 10**9, **parameters: Any
) -> tuple[Script, TcaActor, TcaMemory]:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(log_level="OFF", bypass_logging=True)))
    money = [Money(1, INSTRUMENT.quote_currency)]
    engine.add_venue(Venue("BINANCE"), OmsType.NETTING, AccountType.CASH, money)
    engine.add_instrument(INSTRUMENT)
    price, size = Price.from_str("60000.00"), Quantity.from_str("1.000000")
    engine.add_data(
        [
            TradeTick(INSTRUMENT.id, price, size, AggressorSide.BUYER, TradeId(str(n)), at, at)
            for n in range(0, seconds + 1, 100)
            for at in (START + n * 1_000 * MS,)
        ]
    )
    memory = TcaMemory(TcaParameters(**parameters))
    script, actor = Script(steps), TcaActor(memory, Market(dark_from_ms), Nothing())  # type: ignore[arg-type]
    engine.add_actor(actor)
    engine.add_actor(script)
    engine.run()
    assert actor.fault_count() == script.fault_count() == 0
    engine.dispose()
    return script, actor, memory


def fill(n: int, side: str = "buy", venue: str = "KRAKEN") -> VenueFill:
    return VenueFill(
        venue=venue, symbol=SYMBOL, client_order_id=f"c{n}", trade_id=f"t{n}", side=side, price=D(60_000), quantity=D(1),
        fee=D(0), fee_currency="USDT", ts_ns=0,
    )  # fmt: skip


def test_every_trade_and_fill_is_looked_at_when_it_is_due() -> None:
    steps: list[Step] = [(1_000 + 37 * n, topics.FILL, fill(n)) for n in range(20)]
    steps.append((1_500, topics.CLIENT_TRADE, make.trade(1, client="acme")))
    script, actor, memory = run(steps)
    assert len(script.markouts) == 21 * len(HORIZONS_MS)
    assert len({(seen.ref, seen.horizon_ms) for seen in script.markouts}) == len(script.markouts)
    for seen in script.markouts:
        due = seen.ts_ns + seen.horizon_ms * MS
        assert due <= seen.taken_ns <= due + GAP_NS
        assert (seen.fair, seen.fair_then) == (fair_at(seen.ts_ns), fair_at(seen.taken_ns))
    assert [seen.taken_ns for seen in script.markouts] == sorted(seen.taken_ns for seen in script.markouts)
    # A hundredth a millisecond: the desk bought in the fills, and sold to the client who bought.
    bought = [seen for seen in script.markouts if seen.source == "fill"]
    assert all(seen.side == "buy" and (seen.move_bps or 0) > 0 for seen in bought)
    (sold,) = {seen.side for seen in script.markouts if seen.source == "client"}
    assert sold == "sell"
    mean, n = memory.clients.estimate("acme", SYMBOL)
    assert n == 1
    assert mean == pytest.approx(-(100.0 / 60_000.0) * 1e4, rel=0.01)  # 10 s at 0.01 a millisecond
    (score,) = memory.scorecards.scores(0)
    assert (score.name, sorted(score.markout_bps)) == ("KRAKEN", list(HORIZONS_MS))
    assert actor.clock.timer_names == []


def test_a_burst_shares_one_timer_and_no_more_are_followed_than_fit() -> None:
    steps: list[Step] = [(1_000, topics.FILL, fill(n)) for n in range(60)]
    looks: list[int] = []
    script, _, memory = run(steps, markouts_open=50)
    for seen in script.markouts:
        if not looks or looks[-1] != seen.taken_ns:
            looks.append(seen.taken_ns)
    assert len(script.markouts) == 50 * len(HORIZONS_MS)
    assert len(looks) == len(HORIZONS_MS)
    assert memory.skipped == 10


def test_no_fair_value_is_on_record_as_none() -> None:
    script, _, memory = run([(1_000, topics.FILL, fill(1))], dark_from_ms=5_000)
    assert [(seen.horizon_ms, seen.fair_then is None) for seen in script.markouts] == [
        (100, False), (1_000, False), (10_000, True), (60_000, True), (300_000, True),
    ]  # fmt: skip
    (score,) = memory.scorecards.scores(0)
    assert sorted(score.markout_bps) == [100, 1_000]


def test_of_a_cross_the_desk_is_the_other_side() -> None:
    script, _, _ = run([(1_000, topics.FILL, fill(1, side="sell", venue=INTERNAL))])
    assert {seen.side for seen in script.markouts} == {"buy"}


def test_an_order_at_an_lp_from_its_quote_to_its_refusal() -> None:
    parent = ParentOrder(
        parent_id="p", symbol=SYMBOL, side="buy", quantity=D(1), limit_price=None, deadline_ns=START * 2, reason="hedge",
        arrival_mid=D(60_000), created_ns=START + 1_000 * MS,
    )  # fmt: skip
    told = LpRound(
        parent_id="p", symbol=SYMBOL, side="buy", mid=D(60_010),
        answers=(LpAnswer(lp="LP", rfq_id="r", quantity=D(1), quote_id="q", price=D(60_016), asked_ns=START, answered_ns=START + 7),),
    )  # fmt: skip

    def child(state: ChildState, **more: Any) -> ChildOrder:
        return ChildOrder(
            child_id="c", parent_id="p", venue="LP", symbol=SYMBOL, side="buy", quantity=D(1), limit_price=D(60_017),
            quote_id="q", state=state, created_ns=START + 1_050 * MS, **more,
        )  # fmt: skip

    script, _, memory = run(
        [
            (1_000, topics.PARENT, parent),
            (1_040, topics.LP_ROUND, told),
            (1_050, topics.CHILD, child(ChildState.NEW)),
            (1_060, topics.CHILD, child(ChildState.SENT)),
            (1_200, topics.CHILD, child(ChildState.REJECTED, reason="last look")),
        ]
    )
    (line,) = script.lines
    assert (line.lp, line.quote_id, line.hold_ns, line.latency_ns) == (True, "q", 140 * MS, 140 * MS)
    assert {(seen.source, seen.party, seen.price) for seen in script.markouts} == {("reject", "LP", D(60_017))}
    (score,) = memory.scorecards.scores(0)
    assert (score.quoted, score.quote_ns_p50) == (1.0, 7)
    assert score.quote_spread_bps == pytest.approx(6 / 60_010 * 1e4)
    assert score.after_reject_bps is not None and score.after_reject_bps > 0
    assert memory.scorecards.reject_probability("LP") == pytest.approx((1 + 20 * 0.02) / 21)


def test_a_symbol_that_is_not_watched_has_no_fair_value() -> None:
    strange = SimpleNamespace(
        **{name: getattr(fill(1), name) for name in fill(1).__struct_fields__} | {"symbol": "XYZ/USDT"}
    )
    script, _, _ = run([(1_000, topics.FILL, strange)])
    assert [seen.fair for seen in script.markouts] == [None] * 5
