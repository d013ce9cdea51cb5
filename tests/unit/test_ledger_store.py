"""The ledger's promises to the desk: exactly once, durable before told, groups, refusals, restarts, pages."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from desk.errors import ConfigFault, Failed, Invalid
from desk.ledger import GLOBAL, DuplicateTrade, Ledger, LedgerBroken, store
from desk.rfq.records import RfqState, TradeRecord
from router.orders import ChildState, ParentState
from tests.oracles import ledger_records as make


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A live ledger: writer thread, callbacks on that thread."""
    opened = Ledger(url)
    yield opened
    assert opened.close()


def rows_on_disk(url: str, table: str) -> int:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as conn:
        return conn.execute(f"select count(*) from {table}").fetchone()[0]


def test_a_trade_is_on_disk_before_it_is_told(ledger: Ledger, url: str) -> None:
    seen: list[tuple[Exception | None, int, int]] = []
    taken = make.quote(1)
    ledger.save_quotes(make.rfq(1, quotes=(taken,)), [taken])
    ledger.save_trade(
        make.trade(1),
        make.rfq(1, RfqState.FILLED, (taken,), trade_id="t1"),
        then=lambda error: seen.append((error, rows_on_disk(url, "trades"), rows_on_disk(url, "postings"))),
    )
    assert ledger.flush()
    assert seen == [(None, 1, 4)]
    assert ledger.rfq("r1").state is RfqState.FILLED
    assert ledger.quote("q1") == taken
    assert ledger.trade("t1") == make.trade(1)
    assert ledger.trade_by_order("acme", "o1") == make.trade(1)


@pytest.mark.parametrize(
    "again",
    [make.trade(2, order="o1"), make.trade(2, of=make.quote(1)), make.trade(2, order="o1", of=make.quote(1))],
    ids=["same order id", "same quote", "both"],
)
def test_a_second_trade_on_an_order_or_a_quote_is_the_first(ledger: Ledger, again: TradeRecord) -> None:
    answers: list[Exception | None] = []
    ledger.save_trade(make.trade(1), make.rfq(1, RfqState.FILLED), then=answers.append)
    ledger.save_trade(again, make.rfq(2, RfqState.FILLED), then=answers.append)
    assert ledger.flush()
    assert answers[0] is None
    assert isinstance(answers[1], DuplicateTrade)
    assert answers[1].trade == make.trade(1)
    assert ledger.rfq("r2") is None  # nothing of the second was written
    assert ledger.verify() == {"BTC": 0, "USDT": 0}
    assert ledger.counts().trades == 1


def test_the_same_trade_again_is_no_error_and_books_nothing(ledger: Ledger) -> None:
    answers: list[Exception | None] = []
    for _ in range(3):
        ledger.save_trade(make.trade(1), make.rfq(1, RfqState.FILLED), then=answers.append)
    assert ledger.flush()
    assert answers == [None, None, None]
    assert ledger.positions()["BTC"] == Decimal("-0.25")


def test_concurrent_accepts_of_one_quote_make_one_trade(ledger: Ledger) -> None:
    answers: list[Exception | None] = []
    start = threading.Barrier(8)

    def accept(n: int) -> None:
        start.wait()
        ledger.save_trade(make.trade(n, of=make.quote(0)), None, then=answers.append)

    threads = [threading.Thread(target=accept, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.flush()
    assert answers.count(None) == 1
    winners = {answer.trade.trade_id for answer in answers if isinstance(answer, DuplicateTrade)}
    assert len(winners) == 1
    assert ledger.trade_by_quote("q0").trade_id in winners
    assert ledger.counts().trades == 1


def test_busy_moments_share_commits(ledger: Ledger) -> None:
    held, release = threading.Event(), threading.Event()

    def hold(_error: Exception | None) -> None:
        held.set()
        release.wait(5)

    ledger.save_rfq(make.rfq(0), hold)  # the writer waits in this callback while a queue builds up
    assert held.wait(5)
    before = ledger.commits
    for n in range(1, 201):
        ledger.save_rfq(make.rfq(n))
    release.set()
    assert ledger.flush()
    assert ledger.commits - before <= 2
    assert ledger.counts().rfqs["received"] == 201


def test_callbacks_come_through_on_done_in_order(url: str) -> None:
    delivered: list[Callable[[], None]] = []
    ledger = Ledger(url, on_done=delivered.append)
    order: list[int] = []
    for n in range(5):
        ledger.save_rfq(make.rfq(n), lambda _error, n=n: order.append(n))
    ledger.child(make.child(1, 1), lambda: order.append(99))
    assert ledger.flush()
    assert order == []  # durable, but nothing runs before the loop does
    for deliver in delivered:
        deliver()
    assert order == [0, 1, 2, 3, 4, 99]
    ledger.close()


def test_a_full_queue_refuses_orders_but_never_an_execution(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    held, release = threading.Event(), threading.Event()
    answers: list[Exception | None] = []
    faults: list[str] = []
    sent: list[str] = []
    ledger.on_fault(lambda sentence, _error: faults.append(sentence))
    ledger.save_rfq(make.rfq(0), lambda _error: (held.set(), release.wait(5)))
    assert held.wait(5)
    monkeypatch.setattr(store, "QUEUE", 0)
    ledger.save_rfq(make.rfq(1), answers.append)
    ledger.child(make.child(1, 1), lambda: sent.append("k1"))
    ledger.fill(make.fill(1), "p1")
    release.set()
    assert ledger.flush()
    assert [type(answer) for answer in answers] == [Failed]
    assert sent == []
    assert faults == ["child order k1 was not written and is not sent"]
    assert ledger.counts().fills == 1
    assert ledger.verify() == {"BTC": 0, "USDT": 0}


def test_one_bad_write_fails_alone(ledger: Ledger) -> None:
    held, release = threading.Event(), threading.Event()
    answers: dict[str, Exception | None] = {}
    ledger.save_rfq(make.rfq(0), lambda _error: (held.set(), release.wait(5)))
    assert held.wait(5)
    bad = make.rfq(2)
    bad.created_ns = 2**70  # no database column holds it
    ledger.save_rfq(make.rfq(1), lambda error: answers.update(first=error))
    ledger.save_rfq(bad, lambda error: answers.update(bad=error))
    ledger.save_rfq(make.rfq(3), lambda error: answers.update(last=error))
    release.set()
    assert ledger.flush()
    assert answers["first"] is None
    assert isinstance(answers["bad"], Exception)
    assert answers["last"] is None
    assert (ledger.rfq("r1") is None, ledger.rfq("r2") is None, ledger.rfq("r3") is None) == (False, True, False)


def test_a_locked_disk_fails_a_trade_and_delays_an_execution(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RETRY_S", 0.02)
    monkeypatch.setattr(store, "LOCK_S", 0.05)
    ledger = Ledger(url)
    refused, faulted = threading.Event(), threading.Event()
    answers: list[Exception | None] = []
    ledger.on_fault(lambda _sentence, _error: faulted.set())
    other = sqlite3.connect(url.removeprefix("sqlite:///"))
    other.isolation_level = None
    other.execute("begin immediate")
    ledger.save_trade(make.trade(1), None, then=lambda error: (answers.append(error), refused.set()))
    assert refused.wait(10)
    ledger.fill(make.fill(1), "p1")
    assert faulted.wait(10)
    assert ledger.position("BTC") == Decimal("0.125")  # an execution counts at once
    other.execute("rollback")
    assert ledger.flush()
    assert isinstance(answers[0], Failed)
    assert answers[0].retryable
    assert rows_on_disk(url, "fills") == 1
    assert rows_on_disk(url, "trades") == 0
    assert ledger.verify() == {"BTC": 0, "USDT": 0}
    assert ledger.close()
    other.close()


def test_a_fill_told_twice_books_once(ledger: Ledger) -> None:
    ledger.fill(make.fill(1), "p1")
    ledger.fill(make.fill(1), "p1")  # not durable yet
    assert ledger.flush()
    ledger.fill(make.fill(1), "p1")  # durable
    ledger.fill(make.fill(1, venue="KRAKEN"), "p1")  # another venue may use the same number
    assert ledger.flush()
    assert ledger.counts().fills == 2
    assert ledger.position("BTC") == Decimal("0.25")
    assert ledger.verify() == {"BTC": 0, "USDT": 0}


def test_a_restart_goes_on_where_the_last_run_stopped(url: str) -> None:
    first = Ledger(url)
    live, streamed = make.quote(1), make.quote(50, ttl_ns=10**6)
    first.save_rfq(make.rfq(1, RfqState.RECEIVED))
    first.save_quotes(make.rfq(1, quotes=(live,)), [live])
    other = (make.quote(2), make.quote(3, side="sell"))
    first.save_quotes(make.rfq(2, quotes=other), other)
    first.save_trade(make.trade(2), make.rfq(2, RfqState.FILLED, other, trade_id="t2"), ["q3"])
    first.save_rfq(make.rfq(4, RfqState.REJECTED))
    first.save_quotes(None, [streamed])
    first.parent(make.parent(1))
    first.parent(make.parent(2, ParentState.DONE))
    first.child(make.child(1, 1, ChildState.UNKNOWN))
    first.child(make.child(2, 1, ChildState.SENT))
    first.child(make.child(2, 1, ChildState.REJECTED))
    first.fill(make.fill(1), "p1")
    first.set_halt("fat finger", 7)
    first.set_halt("gapped", 8, scope="venue:KRAKEN")
    first.set_halt("", 9, scope="venue:KRAKEN")
    assert first.flush()
    marks = {"BTC": Decimal("60100")}
    before = (first.positions(), first.balances(), first.pnl(marks), first.counts())
    assert first.close()

    second = Ledger(url)
    snapshot = second.load(now_ns=60)
    assert (second.positions(), second.balances(), second.pnl(marks), second.counts()) == before
    assert [record.rfq_id for record in snapshot.open_rfqs] == ["r1"]
    assert [record.quote_id for record in snapshot.live_quotes] == ["q1", "q50"]
    assert snapshot.trades_by_order == {("acme", "o2"): make.trade(2)}
    assert set(snapshot.rfqs_by_token) == {("acme", "c1"), ("acme", "c2"), ("acme", "c4")}
    assert [(one.parent_id, [kid.child_id for kid in kids]) for one, kids in snapshot.open_parents] == [
        ("p1", ["k1", "k2"])
    ]
    assert {scope: halt.reason for scope, halt in snapshot.halts.items()} == {GLOBAL: "fat finger"}
    counts = snapshot.counts
    assert {state: n for state, n in counts.rfqs.items() if n} == {
        "received": 3,
        "quoted": 2,
        "accepted": 1,
        "filled": 1,
        "rejected": 1,
    }
    assert (counts.parents, counts.children, counts.fills, counts.open, counts.unknown) == (2, 2, 1, 1, 1)
    assert (counts.by_venue["BINANCE"].children, counts.by_venue["BINANCE"].rejects) == (2, 1)
    assert counts.by_venue["BINANCE"].quantity == {"BTC": Decimal("0.125")}
    assert second.load(now_ns=10**15).live_quotes == []
    # the arrival price of a parent from before the restart still splits its late fill
    second.fill(make.fill(9), "p1")
    assert second.pnl(marks).hedge == 2 * before[2].hedge
    second.close()


def test_a_tampered_ledger_does_not_open(url: str) -> None:
    ledger = Ledger(url)
    ledger.save_trade(make.trade(1), None)
    ledger.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as conn:
        conn.execute("update postings set units = units + 1 where account = 'desk:inventory' and currency = 'USDT'")
    with pytest.raises(LedgerBroken):
        Ledger(url)


def test_pages_neither_repeat_nor_skip_while_rows_are_added(ledger: Ledger) -> None:
    for n in range(25):
        ledger.save_rfq(make.rfq(n // 2 * 2 if n % 2 else n, client="acme" if n % 5 else "zeta"))
    for n in range(100, 137):
        record = make.rfq(n, RfqState.EXPIRED if n % 3 else RfqState.QUOTED)
        record.created_ns = n // 4  # many at the same instant
        ledger.save_rfq(record)
    assert ledger.flush()
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = ledger.rfqs("acme", limit=7, cursor=cursor)
        assert len(page) <= 7
        seen += [record.rfq_id for record in page]
        ledger.save_rfq(make.rfq(10_000 + len(seen)))  # newer: not on any later page
        ledger.flush()
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    everything, _ = ledger.rfqs("acme", limit=500)
    assert seen == [record.rfq_id for record in everything if record.created_ns < 10_000]
    quoted, _ = ledger.rfqs("acme", state="expired", limit=500)
    assert {record.state for record in quoted} == {RfqState.EXPIRED}
    assert [record.rfq_id for record in ledger.rfqs("acme", client_rfq_id="c101")[0]] == ["r101"]


def test_trades_are_paged_by_client(ledger: Ledger) -> None:
    for n in range(9):
        ledger.save_trade(make.trade(n, client="acme" if n % 3 else "zeta"), None)
    assert ledger.flush()
    first, cursor = ledger.trades("acme", limit=4)
    rest, end = ledger.trades("acme", limit=4, cursor=cursor)
    assert [one.trade_id for one in first + rest] == ["t8", "t7", "t5", "t4", "t2", "t1"]
    assert end is None
    assert [one.trade_id for one in ledger.trades(None, client_order_id="o3")[0]] == ["t3"]


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "MTIz", "LTE6cjE", "é"])
def test_a_foreign_cursor_is_a_clear_refusal(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(Invalid):
        ledger.rfqs("acme", cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_lists_are_bounded(ledger: Ledger, limit: int) -> None:
    with pytest.raises(Invalid):
        ledger.trades("acme", limit=limit)


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x"])
def test_a_wrong_url_is_a_configuration_fault(url: str) -> None:
    with pytest.raises(ConfigFault):
        Ledger(url)


def test_inline_commits_in_the_caller() -> None:
    ledger = Ledger("sqlite://", inline=True)
    order: list[str] = []
    ledger.save_rfq(make.rfq(1), lambda error: order.append(f"rfq {error}"))
    ledger.child(make.child(1, 1), lambda: order.append("sent"))
    assert order == ["rfq None", "sent"]
    assert ledger.waiting == 0
    ledger.close()
