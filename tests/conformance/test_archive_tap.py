"""The tap inside the engine: every tick and every message on the fixed topics becomes a row, cheaply."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, BookAction, BookType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from adapters.clickhouse.buffers import Buffers
from adapters.clickhouse.config import ArchiveConfig
from adapters.clickhouse.spool import pending
from adapters.clickhouse.tap import ArchiveTap
from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpRung
from adapters.nautilus.safe import Safe
from risk.decision import Intent, Refused, Stage
from tests.oracles import ledger_records as make

INSTRUMENT = TestInstrumentProvider.btcusdt_binance()
IID: InstrumentId = INSTRUMENT.id
TICKS = 50


class Desk(Safe, Actor):
    """Publishes one of everything at its start."""

    def on_start(self) -> None:
        bus = Bus(self)
        record = make.rfq(1)
        bus.publish(topics.RFQ, record)
        record.reason = "changed after it was published"
        bus.publish(topics.QUOTE, make.quote(1))
        bus.publish(topics.CLIENT_TRADE, make.trade(1))
        bus.publish(topics.PARENT, make.parent(1))
        bus.publish(topics.CHILD, make.child(1, 1))
        bus.publish(topics.FILL, make.fill(1))
        intent = Intent(
            stage=Stage.CHILD,
            intent_id="i",
            symbol="BTC/USDT",
            side="buy",
            quantity=Decimal(1),
            price=Decimal(2),
            now_ns=3,
        )
        bus.publish(
            topics.RISK,
            Refused(intent=intent, decision_id="d", check="collar", value="9", limit="5", message="too far"),
        )
        for rungs in ((LpRung(Decimal(1), Decimal(9), Decimal(11)),), (), ()):
            bus.publish(topics.LP_LADDER, LpLadder(lp="FALCONX", symbol="BTC/USDT", rungs=rungs, ts_ns=4))


def book(n: int, kind: BookKind) -> BookDeltas:
    order = BookOrder(OrderSide.BUY, Price.from_str("60000.01"), Quantity.from_str("1.500000"), 0)
    levels = np.array([[1, 6_000_001, 1_500_000]], dtype=np.int64)
    match kind:
        case BookKind.UPDATE:
            steps = [OrderBookDelta(IID, BookAction.UPDATE, order, 0, n, n, n)]
        case BookKind.SNAPSHOT:
            steps = [OrderBookDelta.clear(IID, n, n, n), OrderBookDelta(IID, BookAction.ADD, order, 0, n, n, n)]
        case BookKind.CLEAR:
            steps, levels = [OrderBookDelta.clear(IID, n, n, n)], levels[:0]
    return BookDeltas(IID, steps, levels, kind, "sequence gap" if kind is BookKind.CLEAR else "")


def engine_with(tap: ArchiveTap) -> BacktestEngine:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(log_level="OFF", bypass_logging=True)))
    engine.add_venue(
        Venue("BINANCE"),
        OmsType.NETTING,
        AccountType.CASH,
        [Money(1, INSTRUMENT.quote_currency)],
        book_type=BookType.L2_MBP,
    )
    engine.add_instrument(INSTRUMENT)
    engine.add_actor(tap)
    engine.add_actor(Desk())
    return engine


def rows_in(root: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for one in pending(root, table):
        with pa.ipc.open_file(str(one.path)) as reader:
            rows += reader.read_all().to_pylist()
    return rows


def test_everything_on_the_bus_is_tapped_once(tmp_path: Path) -> None:
    tap = ArchiveTap(ArchiveConfig(dsn="chdb:///nowhere", spool_dir=str(tmp_path)), [("BTCUSDT", "BINANCE")])
    engine = engine_with(tap)
    engine.add_data([OrderBookDeltas(IID, [OrderBookDelta.clear(IID, 0, 1, 1)])])  # of the engine's own kind
    kinds = [BookKind.SNAPSHOT, BookKind.UPDATE, BookKind.CLEAR, BookKind.SNAPSHOT] + [BookKind.UPDATE] * TICKS
    engine.add_data([book(n + 2, kind) for n, kind in enumerate(kinds)])
    price, size = Price.from_str("60000.01"), Quantity.from_str("0.500000")
    engine.add_data(
        [TradeTick(IID, price, size, AggressorSide.BUYER, TradeId(str(n)), n + 2, n + 2) for n in range(TICKS)]
    )
    engine.add_data([QuoteTick(IID, price, price, size, size, n + 2, n + 2) for n in range(TICKS)])
    engine.run()
    assert tap.fault_count() == 0
    engine.dispose()
    assert tap.close()

    tapped = {table: n for table, n in tap.view()["tapped"].items() if n}
    assert tapped == {
        "md_deltas": 1 + len(kinds),
        "md_trades": TICKS,
        "md_quotes": TICKS,
        "lp_ladders": 3,
        "rfqs": 1,
        "rfq_quotes": 1,
        "client_trades": 1,
        "risk_decisions": 1,
        "order_events": 2,
        "fills": 1,
        "feed_events": 5,
    }
    assert {table: len(rows_in(tmp_path, table)) for table in tapped} == tapped
    assert tap.view()["dropped"] == 0
    deltas = rows_in(tmp_path, "md_deltas")
    assert [row["kind"] for row in deltas[1:5]] == ["snapshot", "update", "clear", "snapshot"]
    assert (deltas[1]["price"], deltas[1]["size"]) == (Decimal("60000.01"), Decimal("1.5"))
    assert [row["seq"] for row in deltas] == sorted({row["seq"] for row in deltas})
    assert rows_in(tmp_path, "rfqs")[0]["reason"] == ""
    assert [(row["kind"], row["detail"]) for row in rows_in(tmp_path, "feed_events") if row["kind"] != "snapshot"] == [
        ("lp_down", ""),
        ("clear", ""),
        ("clear", "sequence gap"),
    ]
    refused = rows_in(tmp_path, "risk_decisions")[0]
    assert (refused["outcome"], refused["check"], refused["value"]) == ("refused", "collar", "9")


def test_a_tick_costs_the_loop_a_few_microseconds(tmp_path: Path) -> None:
    tap = ArchiveTap(ArchiveConfig(dsn="chdb:///nowhere", spool_dir=str(tmp_path), flush_ms=60_000))
    tap._names[IID] = (IID.value, 2, 6)
    tick = TradeTick(IID, Price.from_str("1.00"), Quantity.from_str("1"), AggressorSide.BUYER, TradeId("1"), 1, 1)
    message = book(1, BookKind.UPDATE)
    best = {"trade": 1e9, "book": 1e9}
    for _ in range(20):  # the best of many: the machine is shared
        started = time.perf_counter_ns()
        for _ in range(500):
            tap.on_trade_tick(tick)
        middle = time.perf_counter_ns()
        for _ in range(500):
            tap.on_order_book_deltas(message)
        best["trade"] = min(best["trade"], (middle - started) / 500)
        best["book"] = min(best["book"], (time.perf_counter_ns() - middle) / 500)
    tap.store.close()
    assert best["trade"] < 3_000, best
    assert best["book"] < 6_000, best


def test_rows_offered_before_a_start_survive_it(tmp_path: Path) -> None:
    config = ArchiveConfig(dsn="chdb:///nowhere", spool_dir=str(tmp_path))
    first = Buffers(config, live=False)
    first.buffers["fills"].offer(make.fill(1))
    first.close()
    second = Buffers(config, live=False)
    assert second.tapped()["fills"] == 1
    second.buffers["fills"].offer(make.fill(2))
    second.close()
    assert second.tapped()["fills"] == 2 == len(rows_in(tmp_path, "fills"))
