"""Algos in a live node on paper venues: the event loop's own time, resting orders, commands; a kill leaves nothing unproven."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nautilus_trader.common.data_topics import TopicCache
from nautilus_trader.model.data import OrderBookDelta

from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from risk.gate import Gate
from risk.limits import RiskLimits
from risk.state import RiskState
from router.algos.spec import AlgoSpec, Iceberg, Pegged, Twap
from router.messages import CommandKind, CommandTaken, ParentCommand, ParentRequest
from router.orders import ChildState, ParentOrder, ParentState
from router.parameters import RouterParameters
from router.sor import SmartOrderRouter
from sim.paper.account import PaperAccount
from sim.paper.factories import PaperExchangeConfig, PaperExchangeFactory
from tests.conformance.router_rig import SYMBOL, BookReferences, D, Driver, MemoryJournal, _instrument

VENUE = "KRAKEN"
BOOK = ([("59999.00", "5")], [("60000.00", "0.4"), ("60001.00", "5")])


async def eventually(condition: Callable[[], bool], within_s: float = 8.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "condition did not come true in time"
        await asyncio.sleep(0.005)


class Paper:
    """A node with one paper venue, the router, and a book that is moved by hand."""

    def __init__(self, folder: Path, epoch: str = "pp0", journal: MemoryJournal | None = None) -> None:
        terms = VenueTerms(
            venue=VENUE,
            taker_fee_bps=D(4),
            tick=D("0.01"),
            lot=D("0.00001"),
            min_notional=D(5),
            price_decimals=2,
            size_decimals=5,
            max_age_ns=3_600 * 10**9,
        )
        self.book = ConsolidatedBook(SYMBOL, Scale(SYMBOL, 2, 5), [terms])
        self.journal = journal or MemoryJournal()
        self.driver = Driver()
        self.answers: list[Any] = []
        self.state = RiskState()
        self.router = SmartOrderRouter(
            RouterParameters(child_timeout_ms=1_500),
            books={SYMBOL: self.book},
            gate=Gate(RiskLimits(), self.state, BookReferences(self.book), "p"),
            journal=self.journal,
            lps=[],
            epoch=epoch,
            own_shown=False,
        )
        self.file = folder / "kraken.jsonl"
        config = PaperExchangeConfig(
            venue=VENUE,
            symbols=(SYMBOL,),
            taker_fee_bps=D(4),
            maker_fee_bps=D(1),
            max_age_ms=3_600_000,
            latency_ms=3,
            balances={"BTC": D(1), "USDT": D(100_000)},
            path=str(self.file),
        )
        self.node = EmbeddedNode(
            NodeConfig(log_level="OFF", exec_clients={f"PAPER-{VENUE}": config}),
            actors=[self.driver],
            strategies=[self.router],
            exec_factories={"PAPER": PaperExchangeFactory},
        )
        self.instrument = _instrument(VENUE)
        self.node.cache.add_instrument(self.instrument)

    async def start(self) -> None:
        await self.node.start(deadline_s=3.0)
        self.show(*BOOK)

    def show(self, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
        now = time.time_ns()
        rows = [(1, *row) for row in bids] + [(-1, *row) for row in asks]
        levels = np.array([(s, int(D(p) * 100), int(D(q) * 10**5)) for s, p, q in rows], dtype=np.int64)
        self.book.apply(VENUE, levels.copy(), True, now)
        clear = OrderBookDelta.clear(self.instrument.id, 0, now, now)
        message = BookDeltas(self.instrument.id, [clear], levels, BookKind.SNAPSHOT)
        self.node.msgbus.publish(TopicCache().get_deltas_topic(self.instrument.id), message)

    def ask(self, quantity: str, algo: AlgoSpec, *, limit: str | None = None, for_s: float = 6.0) -> None:
        request = ParentRequest(
            parent_id="p-1",
            symbol=SYMBOL,
            side="buy",
            quantity=D(quantity),
            limit_price=None if limit is None else D(limit),
            deadline_ns=time.time_ns() + int(for_s * 1e9),
            reason="test",
            algo=algo,
        )
        self.driver.bus.send(topics.ROUTER_PARENT, request)

    def command(self, kind: CommandKind) -> None:
        self.driver.bus.send(
            topics.ROUTER_COMMAND, ParentCommand(parent_id="p-1", kind=kind, reply=self.answers.append)
        )

    @property
    def parent(self) -> ParentOrder:
        return self.journal.parents["p-1"]

    def states(self) -> list[ChildState]:
        return [child.state for child in self.journal.children.values()]

    async def stop(self) -> None:
        assert self.driver.faults == [] and self.router.fault_count() == 0
        await self.node.stop()


def test_a_schedule_works_in_the_loops_own_time(tmp_path: Path) -> None:
    async def scene() -> None:
        paper = Paper(tmp_path)
        await paper.start()
        paper.ask("0.3", Twap(interval_ms=100), for_s=2.0)
        await eventually(lambda: paper.parent.state is ParentState.DONE)
        assert paper.parent.filled == D("0.3")
        assert len(paper.journal.children) >= 10
        assert paper.state.position("BTC") == D("0.3")
        await paper.stop()

    asyncio.run(scene())


def test_an_iceberg_on_paper_fills_as_the_book_reaches_it(tmp_path: Path) -> None:
    async def scene() -> None:
        paper = Paper(tmp_path)
        await paper.start()
        algo = Iceberg(display=D("0.5"), size_jitter=0.0, min_delay_ms=10, max_delay_ms=20)
        paper.ask("1", algo, limit="59999.50")
        await eventually(lambda: paper.states() == [ChildState.ACKED])
        account = paper.node.cache.account_for_venue(paper.instrument.id.venue)
        quote, least = paper.instrument.quote_currency, D("0.5") * D("59999.50")
        # the engine counts the order alone, the venue the fee as well: whoever spoke last
        await eventually(lambda: account.balance_locked(quote).as_decimal() in (least, least * D("1.0004")))
        paper.show([("59990.00", "5")], [("59999.00", "0.2"), ("60001.00", "5")])
        await eventually(lambda: paper.states() == [ChildState.PARTIAL])
        assert paper.parent.filled == D("0.2")
        paper.show(*BOOK)
        paper.show([("59990.00", "5")], [("59999.00", "9")])
        await eventually(lambda: paper.parent.state is ParentState.DONE)
        assert {fill.price for fill in paper.driver.fills} <= {D("59999.50"), D("59999.00")}
        rates = {fill.fee / (fill.price * fill.quantity): fill.price for fill in paper.driver.fills}
        assert rates[D("0.0001")] == D("59999.50")  # what rested paid the maker's fee
        assert set(rates) <= {D("0.0001"), D("0.0004")}
        assert paper.parent.filled == D(1)
        await paper.stop()

    asyncio.run(scene())


def test_a_peg_is_moved_paused_and_cancelled_on_paper(tmp_path: Path) -> None:
    async def scene() -> None:
        paper = Paper(tmp_path)
        await paper.start()
        paper.ask("0.5", Pegged(min_interval_ms=0), for_s=20)
        await eventually(lambda: paper.states() == [ChildState.ACKED])
        paper.show([("60004.00", "3")], [("60006.00", "5")])
        await eventually(lambda: paper.states() == [ChildState.CANCELLED, ChildState.ACKED])
        assert list(paper.journal.children.values())[-1].limit_price == D("60004.00")
        paper.command(CommandKind.PAUSE)
        await eventually(lambda: paper.states() == [ChildState.CANCELLED] * 2)
        assert paper.answers == [CommandTaken("p-1")]
        paper.command(CommandKind.RESUME)
        await eventually(lambda: paper.states()[-1] is ChildState.ACKED)
        paper.command(CommandKind.CANCEL)
        await eventually(lambda: paper.parent.state is ParentState.DONE)
        assert paper.state.reservations == {}
        await paper.stop()

    asyncio.run(scene())


def test_before_a_stop_nothing_is_left_resting(tmp_path: Path) -> None:
    async def scene() -> None:
        paper = Paper(tmp_path)
        await paper.start()
        paper.ask("0.5", Pegged(), for_s=20)
        await eventually(lambda: paper.states() == [ChildState.ACKED])
        paper.router.stand_down()
        await eventually(lambda: paper.states() == [ChildState.CANCELLED])
        assert paper.parent.state is ParentState.WORKING
        await paper.stop()

    asyncio.run(scene())


def test_a_resting_order_of_a_killed_desk_is_proven_with_its_fills(tmp_path: Path) -> None:
    """Killed: nobody cancels. The account remembers what had filled, and that nothing rests any more."""

    async def first() -> str:
        paper = Paper(tmp_path)
        await paper.start()
        paper.ask("0.5", Iceberg(display=D("0.5"), size_jitter=0.0), limit="59999.50", for_s=20)
        await eventually(lambda: paper.states() == [ChildState.ACKED])
        paper.show([("59990.00", "5")], [("59999.00", "0.2"), ("60001.00", "5")])
        await eventually(lambda: paper.states() == [ChildState.PARTIAL])
        (killed / "kraken.jsonl").write_bytes(paper.file.read_bytes())  # as the disk is at this moment
        await paper.stop()
        return next(iter(paper.journal.children))

    async def second(order_id: str) -> None:
        paper = Paper(killed, epoch="pp1")
        await paper.start()
        outcomes: list[OrderOutcome] = []
        query = ResolveOrder(client_order_id=order_id, symbol=SYMBOL, reply=outcomes.append)
        paper.driver.bus.send(topics.resolve(VENUE), query)
        await eventually(lambda: bool(outcomes))
        assert outcomes[0].state is OrderState.CLOSED
        assert [fill.quantity for fill in outcomes[0].fills] == [D("0.2")]
        await paper.stop()
        account = PaperAccount(killed / "kraken.jsonl", {})
        assert account.balances["BTC"] == D("1.2")
        known = account.order(order_id)
        assert known is not None and not known.resting and known.filled == D("0.2")
        account.close()

    killed = tmp_path / "killed"
    killed.mkdir()
    asyncio.run(second(asyncio.run(first())))


def test_no_more_rests_than_the_account_can_pay(tmp_path: Path) -> None:
    async def scene() -> None:
        paper = Paper(tmp_path)
        await paper.start()
        paper.ask("1.7", Iceberg(display=D("1.7"), size_jitter=0.0), limit="59999.00", for_s=2.0)
        await eventually(lambda: paper.states() == [ChildState.ACKED])
        (child,) = paper.journal.children.values()
        assert D(99_900) < child.quantity * child.limit_price * D("1.0004") <= D(100_000)
        await eventually(lambda: paper.parent.state is ParentState.DONE)
        await paper.stop()

    asyncio.run(scene())


@pytest.mark.parametrize("quantity", [Decimal("0.1"), Decimal("0.4")])
def test_a_post_only_order_that_would_take_is_rejected(tmp_path: Path, quantity: Decimal) -> None:
    async def scene() -> None:
        paper = Paper(tmp_path)
        await paper.start()
        algo = Iceberg(display=quantity, size_jitter=0.0, post_only=True)
        paper.ask(str(quantity), algo, limit="60000.00", for_s=1.0)
        await eventually(lambda: ChildState.REJECTED in paper.states())
        assert "post-only" in next(iter(paper.journal.children.values())).reason
        assert paper.driver.fills == []
        await paper.stop()

    asyncio.run(scene())
