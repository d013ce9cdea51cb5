"""Paper trading's parts: what a book gives and remembers, what an account can pay and proves, when a quote can be taken."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from adapters.falconx.link import HeldQuote, Verdict
from adapters.nautilus.book import BookKind
from adapters.nautilus.outcome import OrderState
from pricing.consolidated import BookStatus
from sim.paper import account as account_module
from sim.paper.account import PaperAccount, PaperFill, PaperOrder, fee_of
from sim.paper.book import PaperBook
from sim.paper.falconx import PaperFalconXLink
from sim.paper.outcomes import outcome_of

D = Decimal
NOW = 1_000_000_000


def book() -> PaperBook:
    """Asks 1 at 100.0, 2 at 101.0; bids 1 at 99.0."""
    made = PaperBook("BTC/USDT", "A", 1, 2, 5 * NOW)
    rows = [[1, 990, 100], [-1, 1000, 100], [-1, 1010, 200]]
    made.on_levels(np.array(rows, dtype=np.int64), BookKind.SNAPSHOT, "", NOW)
    return made


def given(made: PaperBook, side: str, quantity: str, limit: str | None) -> list[tuple[D, D]]:
    takes = made.look(side, D(quantity), D(limit) if limit else None)
    made.took(side, takes)
    return [(take.price, take.quantity) for take in takes]


def change(made: PaperBook, *rows: list[int]) -> None:
    made.on_levels(np.array(rows, dtype=np.int64), BookKind.UPDATE, "", NOW)


def test_a_level_that_was_taken_gives_no_more_until_it_changes() -> None:
    made = book()
    assert given(made, "buy", "1.5", "101") == [(D(100), D(1)), (D(101), D("0.5"))]
    assert given(made, "buy", "5", "101") == [(D(101), D("1.5"))]
    assert given(made, "buy", "5", "101") == []
    change(made, [-1, 1000, 30])
    assert given(made, "buy", "5", "101") == [(D(100), D("0.3"))]
    change(made, [-1, 1010, 0])
    change(made, [-1, 1010, 150])
    assert given(made, "buy", "5", "101") == [(D(101), D("1.5"))]


def test_looking_takes_nothing_and_the_limit_is_never_passed() -> None:
    made = book()
    for _ in range(2):
        assert [take.price for take in made.look("buy", D(9), D("100.9"))] == [D(100)]
    assert [take.quantity for take in made.look("sell", D(9), D(99))] == [D(1)]
    assert made.look("sell", D(9), D("99.1")) == []


def test_a_book_that_was_cleared_or_is_silent_is_not_live() -> None:
    made = book()
    assert made.status(NOW) is BookStatus.LIVE
    assert made.status(7 * NOW) is BookStatus.STALE
    made.clear("gap", NOW)
    assert made.status(NOW) is BookStatus.GAPPED


def order(name: str, side: str, price: str, quantity: str) -> PaperOrder:
    fee = fee_of(D(price), D(quantity), D(10))
    fill = PaperFill(trade_id=f"{name}-1", price=D(price), quantity=D(quantity), fee=fee, fee_currency="USDT")
    return PaperOrder(order_id=name, symbol="BTC/USDT", side=side, ts_ns=NOW, fills=(fill,))


def test_an_account_pays_price_and_fee_and_cannot_be_overdrawn(tmp_path: Path) -> None:
    account = PaperAccount(tmp_path / "a.jsonl", {"USDT": D("100.1"), "BTC": D(0)})
    bought = order("o-1", "buy", "100", "1")
    assert account.lacks(bought) == ""
    account.apply(bought)
    assert account.balances == {"USDT": D(0), "BTC": D(1)}
    assert "insufficient balance: needs 1.001" in account.lacks(order("o-2", "buy", "1", "1"))
    assert "BTC" in account.lacks(order("o-3", "sell", "100", "2"))
    assert PaperAccount(tmp_path / "lp.jsonl", {}, overdraft=True).lacks(bought) == ""


def test_orders_and_balances_survive_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    account = PaperAccount(path, {"USDT": D(1000)})
    for name in ("o-1", "o-2"):
        made = order(name, "buy", "100", "1")
        account.apply(made)
        account.record(made)
    balances = dict(account.balances)
    with path.open("ab") as file:
        file.write(b'{"k":"order","order":{"order_id":"o-3","sym')
    again = PaperAccount(path, {"USDT": D(5)})  # the opening of a new file does not count for an old one
    assert again.balances == balances
    found = outcome_of("A", "o-2", again.order("o-2"))
    assert found.state is OrderState.CLOSED
    assert [(fill.trade_id, fill.price, fill.fee) for fill in found.fills] == [("o-2-1", D(100), D("0.1"))]
    assert outcome_of("A", "o-3", again.order("o-3")).state is OrderState.NOT_FOUND


def test_an_accounts_file_is_written_anew_before_it_grows_without_bound(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(account_module, "KEPT_ORDERS", 5)
    path = tmp_path / "a.jsonl"
    account = PaperAccount(path, {"USDT": D(10_000)})
    for number in range(12):
        made = order(f"o-{number}", "buy", "100", "1")
        account.apply(made)
        account.record(made)
    balances = dict(account.balances)
    account.close()
    for _ in range(2):  # made anew, then read from that
        again = PaperAccount(path, {})
        assert again.balances == balances
        assert again.order("o-11") is not None
        assert again.order("o-6") is None
        again.close()
    assert len(path.read_bytes().splitlines()) == 6


def quote(fx_quote_id: str, valid_until_ns: int) -> HeldQuote:
    from adapters.falconx.codec import FxQuote

    made = FxQuote(
        fx_quote_id=fx_quote_id,
        symbol="BTC/USDT",
        quantity=D(2),
        quantity_token="BTC",
        side_requested="buy",
        buy_price=D("100.5"),
        sell_price=None,
        t_quote_ns=0,
        t_expiry_ns=valid_until_ns,
        is_filled=False,
    )
    return HeldQuote(made, valid_until_ns)


def test_a_quote_is_taken_once_while_it_is_firm_and_proven_after_a_restart(tmp_path: Path) -> None:
    real: Any = SimpleNamespace(
        config=None, closed=False, quotes={"q": quote("q", NOW), "late": quote("late", NOW - 1)}
    )

    async def play() -> None:
        account = PaperAccount(tmp_path / "lp.jsonl", {}, overdraft=True)
        link = PaperFalconXLink(real, account, 1, clock_ns=lambda: NOW)
        first, second = await asyncio.gather(link.execute("q", "buy"), link.prove("q", "buy"))
        assert first.verdict is Verdict.FILLED
        assert second.verdict in (Verdict.FILLED, Verdict.NOT_FOUND)
        assert (await link.execute("q", "buy")).verdict is Verdict.REFUSED
        assert (await link.execute("late", "buy")).reason == "the quote expired on the way"
        assert (await link.execute("q", "sell")).reason == "that was not quoted"
        assert (await link.prove("late", "buy")).verdict is Verdict.NOT_FOUND
        assert await link.balances() == {"BTC": D(2), "USDT": D("-201.0")}
        link.close_account()
        again = PaperFalconXLink(
            SimpleNamespace(config=None, closed=False, quotes={}),  # type: ignore[arg-type]
            PaperAccount(tmp_path / "lp.jsonl", {}, overdraft=True),
            1,
        )
        proof = await again.prove("q", "")
        assert proof.verdict is Verdict.FILLED
        assert proof.quote is not None
        assert proof.quote.price_executed == D("100.5")
        assert msgspec.structs.asdict(await again.query("q"))["is_filled"] is True

    asyncio.run(play())
