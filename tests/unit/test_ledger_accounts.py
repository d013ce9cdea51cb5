"""Orders worked for a client or another book, and internal crosses: whose fills are whose, and what the desk earns."""

from __future__ import annotations

import random
import sqlite3
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from desk.ledger import Ledger
from desk.ledger.book import Posting, fill_postings, to_atto
from risk.decision import Intent, Stage
from risk.state import RiskState
from router.orders import INTERNAL, ChildState, ParentOrder
from sim.replay.ledger import MemoryLedger
from tests.oracles import ledger_records as make

D = Decimal
MARKS = {"BTC": D("60100")}


def of(account: str, n: int = 1, *, bps: str = "0") -> ParentOrder:
    return msgspec.structs.replace(make.parent(n), account=account, commission_bps=D(bps))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", inline=True)


def test_a_clients_fill_passes_the_desk_by_and_pays_commission(ledger: Ledger) -> None:
    ledger.parent(of("client:acme", bps="2"))
    assert ledger.fill(make.fill(1), "p1")  # buys 0.125 at 60001.25, fee 1.5 USDT
    assert ledger.position("BTC") == 0
    assert ledger.position("USDT") == D("7500.15625") * 2 / 10_000
    assert ledger.balances()["client:acme"] == {
        "BTC": D("0.125"),
        "USDT": D("-7500.15625") - D("1.5") - D("1.50003125"),
    }
    split = ledger.pnl(MARKS)
    assert (split.hedge, split.inventory) == (0, 0)
    assert split.total == split.fees == D("1.50003125")
    assert set(ledger.imbalance().values()) == {D(0)}


def test_a_cross_moves_the_desks_inventory_at_mid() -> None:
    fill = msgspec.structs.replace(make.fill(1), venue=INTERNAL, fee=D(0))
    assert fill_postings(fill, "book:prop") == [
        Posting("book:prop", "BTC", to_atto(D("0.125"))),
        Posting("desk:inventory", "BTC", to_atto(D("-0.125"))),
        Posting("book:prop", "USDT", to_atto(D("-7500.15625"))),
        Posting("desk:inventory", "USDT", to_atto(D("7500.15625"))),
    ]


def test_a_cross_its_child_and_its_parent_are_written_together_and_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    ledger.parent(of("book:prop"))
    fill = msgspec.structs.replace(make.fill(1), venue=INTERNAL, client_order_id="k1", fee=D(0))
    child = msgspec.structs.replace(make.child(1, 1, ChildState.FILLED), venue=INTERNAL)
    parent = msgspec.structs.replace(of("book:prop"), filled=fill.quantity)
    assert ledger.cross(fill, parent, child)
    assert not ledger.cross(fill, parent, child)
    assert ledger.position("BTC") == D("-0.125")
    before = (ledger.positions(), ledger.balances(), ledger.pnl(MARKS))
    assert before[2].hedge == 0
    assert ledger.flush()
    ledger.close()
    again = Ledger(url)
    assert (again.positions(), again.balances(), again.pnl(MARKS)) == before
    [(found, children)] = again.open_parents()
    assert (found.filled, [kid.state for kid in children]) == (fill.quantity, [ChildState.FILLED])
    again.close()


def test_the_split_adds_up_to_the_position_whoever_traded(ledger: Ledger) -> None:
    memory = MemoryLedger()
    rng = random.Random(7)
    for n in range(1, 61):
        account = rng.choice(["", "client:acme", "book:prop"])
        fill = make.fill(n)
        if account and rng.random() < 0.5:
            fill = msgspec.structs.replace(fill, venue=INTERNAL, fee=D(0))
        if rng.random() < 0.4:
            fill = msgspec.structs.replace(fill, side="sell", price=fill.price - rng.randrange(40))
        for books in (ledger, memory):
            books.parent(of(account, n, bps="1.7" if account else "0"))
            books.fill(fill, f"p{n}")
            if n % 3 == 0:
                books.save_trade(make.trade(n), None)
    split = ledger.pnl(MARKS)
    assert split.total == sum(amount * MARKS.get(currency, D(1)) for currency, amount in ledger.positions().items())
    assert memory.positions() == ledger.positions()
    assert memory.balances() == ledger.balances()
    assert memory.pnl(MARKS) == split
    assert set(ledger.imbalance().values()) == {D(0)}
    assert not any(ledger.verify().values())


def test_a_ledger_of_the_first_version_opens(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.parent(make.parent(1))
    ledger.fill(make.fill(1), "p1")
    ledger.flush()
    before = ledger.positions()
    ledger.close()
    with sqlite3.connect(path) as conn:
        conn.execute("ALTER TABLE fills DROP COLUMN account")
        conn.execute("ALTER TABLE fills DROP COLUMN commission")
        conn.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
    again = Ledger(f"sqlite:///{path}")
    assert again.positions() == before
    assert again.fill(make.fill(2), "p1")
    again.close()
    with sqlite3.connect(path) as conn:
        assert conn.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == ("2",)


def test_an_order_for_somebody_else_leaves_the_desks_position_alone() -> None:
    state = RiskState()
    intent = Intent(
        stage=Stage.CHILD,
        intent_id="k1",
        symbol="BTC/USDT",
        side="buy",
        quantity=D(2),
        price=D(60000),
        now_ns=1,
        venue="BINANCE",
        account="client:acme",
    )
    state.set_position("BTC", D(-5))
    state.reserve(intent)
    assert state.firm.gross("BTC") == 0
    assert state.open_notional.gross("USDT") == 120_000
    assert not state.reduces(intent)
    held = state.shrink(Stage.CHILD, "k1", D("0.5"))
    assert held is not None
    state.book(intent, D("0.5"))
    assert state.position("BTC") == -5
    state.drop(Stage.CHILD, "k1")
    assert state.open_notional.gross("USDT") == 0
    assert not state.reservations
