"""From a split to orders: lots, ticks, limits and quotes; order ids; patience; the LP panel."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq, LpRung
from router.accounting import Work
from router.backoff import Backoff
from router.exact.split import SplitChild
from router.ids import OrderIds, base36
from router.orders import ChildOrder, ParentOrder
from router.panel import LpPanel, LpRound
from router.parameters import RouterParameters
from router.plan import Terms, floor_to, limit_of, plan_children, too_small, usable
from router.run import Run, Runs

D = Decimal
TERMS = Terms(tick=D("0.1"), lot=D("0.001"), min_quantity=D("0.01"), min_notional=D(10))


def quote_of(quote_id: str = "q", *, ask: str | None = "100.05", quantity: str = "2", until: int = 1_000) -> LpQuote:
    return LpQuote(
        lp="LPX",
        rfq_id="r",
        quote_id=quote_id,
        symbol="BTC/USDT",
        bid=None,
        ask=None if ask is None else D(ask),
        quantity=D(quantity),
        valid_until_ns=until,
        ts_ns=0,
    )


@pytest.mark.parametrize(
    ("worst", "side", "guard", "bound", "limit"),
    [
        ("100.0", "buy", "0", None, "100.0"),
        ("100.0", "buy", "15", None, "100.1"),  # 100.15 inward to the tick
        ("100.0", "sell", "15", None, "99.9"),  # 99.85 inward to the tick
        ("100.0", "buy", "1", None, "100.0"),  # the guard is less than a tick
        ("100.03", "buy", "1", None, "100.1"),  # the level itself must fit
        ("100.07", "sell", "1", None, "100.0"),
        ("100.0", "buy", "100", "100.25", "100.2"),  # never beyond the parent's limit
        ("100.0", "sell", "100", "99.75", "99.8"),
    ],
)
def test_a_limit_has_room_and_is_on_a_tick(worst: str, side: str, guard: str, bound: str | None, limit: str) -> None:
    got = limit_of(D(worst), side, D("0.1"), D(guard), None if bound is None else D(bound))
    assert got == D(limit)


@given(
    st.decimals("1", "100000", places=2),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(["0.01", "0.05", "0.5", "1"]),
    st.decimals("0", "50", places=1),
)
def test_a_limit_never_leaves_a_planned_level_out(worst: Decimal, side: str, tick: str, guard: Decimal) -> None:
    limit = limit_of(worst, side, D(tick), guard, None)
    room = max(worst * guard / 10_000, D(tick))
    assert limit % D(tick) == 0
    assert 0 <= (limit - worst if side == "buy" else worst - limit) <= room


def test_quantities_are_floored_to_the_lot_and_small_ones_dropped() -> None:
    plan = plan_children(
        [
            SplitChild(venue="A", limit_price=D(100), quantity=D("1.0009")),
            SplitChild(venue="B", limit_price=D(100), quantity=D("0.0099")),
            SplitChild(venue="A", limit_price=D(100), quantity=D("0.0999")),
            SplitChild(venue="GONE", limit_price=D(100), quantity=D(1)),
        ],
        side="buy",
        terms={"A": TERMS, "B": TERMS},
        quotes={},
        limit_price=None,
        guard_bps=D(0),
    )
    assert [(child.venue, child.quantity, child.limit_price) for child in plan.children] == [("A", D("1.000"), D(100))]
    assert [(piece.venue, piece.reason) for piece in plan.dropped] == [
        ("B", "below the least quantity 0.01"),
        ("A", "below the least value 10"),
        ("GONE", "no such instrument"),
    ]


def test_a_quote_is_taken_as_it_is_or_not_at_all() -> None:
    def planned(quantity: str, quotes: dict[str, LpQuote], limit: Decimal | None = None) -> tuple[list[str], list[str]]:
        plan = plan_children(
            [SplitChild(lp="LPX", quote_id="q", limit_price=D("100.05"), quantity=D(quantity))],
            side="buy",
            terms={"LPX": TERMS},
            quotes=quotes,
            limit_price=limit,
            guard_bps=D(50),
        )
        return [f"{c.venue} {c.quantity} {c.limit_price} {c.quote_id}" for c in plan.children], [
            d.venue for d in plan.dropped
        ]

    assert planned("2", {"q": quote_of()}) == (["LPX 2 100.1 q"], [])
    assert planned("2.0001", {"q": quote_of()}) == ([], ["LPX"])
    assert planned("2", {}) == ([], ["LPX"])
    assert planned("2", {"q": quote_of()}, D("100.1")) == (["LPX 2 100.1 q"], [])
    assert planned("2", {"q": quote_of()}, D("100.07")) == ([], ["LPX"])  # 100.05 is within, 100.1 is not


def test_only_quotes_of_our_side_that_outlive_the_margin_are_used() -> None:
    good = quote_of("good", until=1_061)
    quotes = [good, quote_of("short", until=1_060), quote_of("other", ask=None), quote_of("zero", ask="0")]
    assert usable(quotes, "buy", 1_000, 60) == [good]
    assert usable([good], "sell", 1_000, 60) == []


def test_too_small_at_and_below_the_minimum() -> None:
    assert too_small(D("0.1"), D(100), TERMS) is None
    assert too_small(D("0.0999"), D(100), TERMS) == "below the least value 10"
    assert too_small(D("0.01"), D(1000), TERMS) is None
    assert too_small(D("0.009"), D(100_000), TERMS) == "below the least quantity 0.01"
    assert too_small(D(0), D(100), Terms(tick=D(1), lot=D(1))) == "below the least quantity 1"


def test_floor_is_exact_for_long_numbers() -> None:
    assert floor_to(D("123456789012345678.123456789012345678"), D("0.00000001")) == D("123456789012345678.12345678")


def test_order_ids_are_short_unique_and_tell_epoch_from_counter() -> None:
    ids = OrderIds("m3x7k2ab")
    made = [ids.order() for _ in range(2_000)] + [ids.rfq() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert all(len(text) <= 18 and text.isalnum() for text in made)
    assert OrderIds("1").order() + "0" != OrderIds("10").order()
    assert len({OrderIds("a").order(), OrderIds("b").order(), OrderIds("a long epoch").order()}) == 3
    assert len(OrderIds("replay/tape seed=7").order()) <= 18
    assert OrderIds("x" * 40).order() == OrderIds("x" * 40).order()
    assert [base36(n) for n in (0, 35, 36)] == ["0", "z", "10"]


def test_patience_doubles_up_to_a_limit_and_success_forgives() -> None:
    patience = Backoff(100, 350)
    patience.failed("V", 0)
    assert patience.out(99) == {"V"} and patience.out(100) == set()
    patience.failed("V", 100)
    assert patience.out(299) == {"V"} and patience.out(300) == set()
    patience.failed("V", 300)
    assert patience.out(649) == {"V"} and patience.out(650) == set()
    patience.worked("V")
    assert patience.out(301) == set()
    patience.failed("V", 1_000)
    assert patience.out(1_099) == {"V"} and patience.out(1_100) == set()
    patience = Backoff(100, 350)
    patience.disappointed("W", 0)
    patience.disappointed("W", 50)
    assert patience.out(149) == {"W"} and patience.out(150) == set()


class Wire:
    """Collects requests to LPs; `there` says which endpoints exist."""

    def __init__(self, there: set[str]) -> None:
        self.there, self.sent, self.done = there, [], []
        self.rounds: list[LpRound] = []
        ids = OrderIds("e")
        self.panel = LpPanel(
            ["A", "B"],
            send=self.send,
            new_id=ids.rfq,
            seed=1,
            now_ns=lambda: 7,
            fair=lambda _: D(100),
            told=self.rounds.append,
        )

    def send(self, lp: str, rfq: LpRfq) -> bool:
        if lp in self.there:
            self.sent.append((lp, rfq))
        return lp in self.there

    def ladder(self, lp: str, *sizes: str, ts_ns: int = 0) -> None:
        rungs = tuple(LpRung(D(size), D(99), D(101)) for size in sizes)
        self.panel.on_ladder(LpLadder(lp=lp, symbol="BTC/USDT", rungs=rungs, ts_ns=ts_ns))


def test_lps_without_a_fresh_ladder_or_left_out_are_not_asked() -> None:
    wire = Wire({"A", "B"})
    assert wire.panel.up("BTC/USDT", 0, 100, set()) == []
    wire.ladder("A", "1", "5")
    wire.ladder("B", "2")
    assert wire.panel.up("BTC/USDT", 100, 100, set()) == [("A", D(5)), ("B", D(2))]
    assert wire.panel.up("BTC/USDT", 101, 100, set()) == []
    assert wire.panel.up("BTC/USDT", 100, 100, {"A"}) == [("B", D(2))]
    assert wire.panel.up("ETH/USDT", 0, 100, set()) == []
    wire.ladder("A")
    assert wire.panel.up("BTC/USDT", 0, 100, set()) == [("B", D(2))]


def test_the_panel_is_done_once_with_all_answers_or_at_the_end_of_the_wait() -> None:
    wire = Wire({"A", "B"})
    lps = [("A", D(5)), ("B", D(2))]
    assert wire.panel.ask("p", "BTC/USDT", "buy", [D(3), D("1.5")], lps, wire.done.append)
    assert sorted((lp, rfq.quantity) for lp, rfq in wire.sent) == [
        ("A", D("1.5")),
        ("A", D(3)),
        ("B", D("1.5")),
        ("B", D(2)),
    ]
    for lp, rfq in wire.sent[:-1]:
        answer = LpNoQuote(lp=lp, rfq_id=rfq.rfq_id, reason="no") if lp == "A" else quote_of(rfq.rfq_id)
        rfq.reply(answer)
        rfq.reply(answer)  # said twice, counted once
    assert wire.done == []
    wire.panel.expire("p")
    wire.panel.expire("p")
    wire.sent[-1][1].reply(quote_of("late"))
    assert len(wire.done) == 1
    assert all(quote.quote_id != "late" for quote in wire.done[0])
    (told,) = wire.rounds
    assert (told.parent_id, told.side, told.mid, len(told.answers)) == ("p", "buy", D(100), 4)
    by_rfq = {answer.rfq_id: answer for answer in told.answers}
    last = wire.sent[-1][1]
    assert (by_rfq[last.rfq_id].reason, by_rfq[last.rfq_id].answered_ns) == ("no answer in time", 0)
    assert all(by_rfq[rfq.rfq_id].answered_ns == 7 for _, rfq in wire.sent[:-1])
    assert all((by_rfq[rfq.rfq_id].price is None) == (lp == "A") for lp, rfq in wire.sent[:-1])


def test_nobody_to_ask_and_nobody_at_the_endpoint() -> None:
    wire = Wire(set())
    assert wire.panel.ask("p", "BTC/USDT", "buy", [D(1)], [], wire.done.append) is False
    assert wire.panel.ask("p", "BTC/USDT", "buy", [D(1)], [("A", D(5))], wire.done.append) is True
    assert wire.done == [[]]


def test_senseless_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="max_children"):
        RouterParameters(max_children=0)
    with pytest.raises(ValueError, match="replan_ms"):
        RouterParameters(replan_ms=-1)
    with pytest.raises(ValueError, match="guard_bps"):
        RouterParameters(guard_bps=D("NaN"))


def test_finished_parents_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.run.KEPT", 2)
    runs = Runs()
    made = []
    for n in range(4):
        parent = ParentOrder(
            parent_id=f"p{n}",
            symbol="BTC/USDT",
            side="buy",
            quantity=D(1),
            limit_price=None,
            deadline_ns=0,
            reason="hedge",
        )
        run = Run(work=Work(parent=parent))
        runs.add(run)
        runs.add_child(run, f"c{n}")
        made.append(run)
    assert runs.working() == made
    for n, run in enumerate(made[:3]):
        child = ChildOrder(
            child_id=f"c{n}",
            parent_id=f"p{n}",
            venue="V",
            symbol="BTC/USDT",
            side="buy",
            quantity=D(1),
            limit_price=D(1),
        )
        run.work.children[child.child_id] = child
        runs.finished(run)
    assert runs.working() == made[3:]
    assert [runs.get(f"p{n}") is not None for n in range(4)] == [False, True, True, True]
    assert [runs.of_child(f"c{n}") is not None for n in range(4)] == [False, True, True, True]
