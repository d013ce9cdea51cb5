"""Health: venue books, liquidity providers, latency, archive, risk decisions."""

from __future__ import annotations

from typing import Any

import msgspec

from desk.client import DeskState
from tui.style import BAD, FAINT, GOOD, MUTED, TEXT, WARN, of_state, of_venue
from tui.text import NONE, fit, nanos, places, span
from tui.widgets.live_table import Cell, Column, LiveTable


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A book of a venue or a ladder of an LP."""

    source: str
    instrument: str
    kind: str  # "book" | "lp" | "account"
    status: str
    age_ms: int
    bid: str | None = None
    ask: str | None = None
    counts: tuple[str, str] = ("", "")  # of an LP or account, where a book has its prices
    work: str = ""
    reason: str = ""


class Venues(LiveTable[Health]):
    """One line a book or LP ladder."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[Health]("source", 8, lambda row, _: (row.source, of_venue(row.source)), keep=9),
            Column[Health]("pair", 9, lambda row, _: row.instrument, keep=8),
            Column[Health]("status", 8, _status, keep=9),
            Column[Health]("age", 5, _age, "right", keep=7),
            Column[Health]("bid", 10, lambda row, _: _price(row, 0), "right", keep=5),
            Column[Health]("ask", 10, lambda row, _: _price(row, 1), "right", keep=5),
            Column[Health]("", 0, lambda row, _: (row.reason or row.work, WARN if row.reason else MUTED), keep=4),
        ]
        super().__init__(columns, empty="no venue", **kwargs)
        self.border_title = "Venues and LPs"

    def show(self, state: DeskState) -> None:
        """Take books and LPs of `state`."""
        rows = [
            Health(
                source=book.venue,
                instrument=book.instrument,
                kind="book",
                status=book.status,
                age_ms=_rounded(book.age_ms),
                bid=book.bid,
                ask=book.ask,
                work=f"{book.resyncs} resyncs" if book.resyncs else "",
                reason=book.reason if book.status != "live" else "",
            )
            for book in state.books
        ]
        rows += [
            Health(
                source=lp.lp,
                instrument=lp.instrument,
                kind="lp",
                status=lp.status,
                age_ms=_rounded(lp.age_ms),
                counts=(f"{lp.rungs} rungs", f"{lp.fills} fills"),
                work=f"{lp.quotes} quotes taken · {lp.fills} filled · {lp.rejects} rejected",
            )
            for lp in state.lps
        ]
        rows += [
            Health(
                source=account.venue,
                instrument="account",
                kind="account",
                status="live" if account.connected else "down",
                age_ms=-1,
                counts=(f"{account.live_orders} orders", f"by {account.orders_by}"),
                work=f"dead-man switch {account.switch}"
                + (f" · {account.limit}: {account.used:g} of {account.capacity:g}" if account.limit else ""),
                reason=account.refusing or ("" if account.connected else account.reason),
            )
            for account in state.accounts
        ]
        self.update(((row.kind, row.source, row.instrument), row) for row in rows)
        live = sum(row.status == "live" for row in rows)
        self.border_subtitle = f"{live} of {len(rows)} live"


class Fact(msgspec.Struct, frozen=True):
    """A named value with its remark."""

    name: str
    value: str
    note: str = ""
    style: str = TEXT


class Facts(LiveTable[Fact]):
    """A small two-column list; `of` makes the facts of a state."""

    def __init__(self, title: str, **kwargs: Any) -> None:
        columns = [
            Column[Fact]("", 16, lambda row, _: (row.name, MUTED), keep=8),
            Column[Fact]("", 10, lambda row, _: (row.value, row.style), "right", keep=9),
            Column[Fact]("", 0, lambda row, _: (row.note, MUTED), keep=3),
        ]
        super().__init__(columns, header=False, **kwargs)
        self.border_title = title

    def show(self, facts: list[Fact]) -> None:
        """Show these."""
        self.update((fact.name, fact) for fact in facts)


def latency_facts(state: DeskState) -> list[Fact]:
    """p50 and p99 of each measured latency."""
    return [
        Fact(name.replace("_", " "), nanos(item.p50), f"p99 {nanos(item.p99)} · {item.n:,}×")
        for name, item in sorted(state.latency_ns.items())
    ] or [Fact("latency", NONE)]


def archive_facts(state: DeskState) -> list[Fact]:
    """Rows offered and stored, and what was lost."""
    archive = state.archive
    offered, stored = sum(archive.tapped.values()), sum(archive.rows.values())
    lost = archive.dropped
    return [
        Fact("status", archive.status, "", GOOD if archive.status in ("ok", "live", "running") else WARN),
        Fact("rows offered", f"{offered:,}"),
        Fact("rows stored", f"{stored:,}", f"{archive.spool_segments} segments wait"),
        Fact("rows dropped", f"{lost:,}", "", BAD if lost else MUTED),
    ]


def risk_facts(state: DeskState) -> list[Fact]:
    """Decisions of the gate, the ledger's balance, faults."""
    refused = sum(state.risk.refused.values())
    crooked = {ccy: amount for ccy, amount in state.ledger.imbalance.items() if amount.strip("-0.") != ""}
    facts = [
        Fact("approved", f"{state.risk.approved:,}"),
        Fact("refused", f"{refused:,}", "", WARN if refused else MUTED),
    ]
    facts += [
        Fact(f"  {check}", f"{count:,}")
        for check, count in sorted(state.risk.refused.items(), key=lambda item: (-item[1], item[0]))
    ]
    worst = ", ".join(f"{ccy} {amount}" for ccy, amount in crooked.items())
    facts.append(Fact("ledger imbalance", worst or "0", "", BAD if crooked else GOOD))
    facts.append(Fact("trades", f"{state.trades:,}"))
    facts.append(Fact("faults", f"{state.faults:,}", "", BAD if state.faults else GOOD))
    return facts


def _rounded(age_ms: int) -> int:
    """Ages below a second all read the same, so a healthy row does not repaint at every update."""
    return age_ms if age_ms < 0 else age_ms // 1000 * 1000 if age_ms >= 1000 else 0


def _status(row: Health, _: int) -> Cell:
    sign = "●" if row.status == "live" else "○" if row.status == "empty" else "▲"
    return (f"{sign} {row.status}", of_state(row.status))


def _age(row: Health, _: int) -> Cell:
    if row.age_ms < 0:
        return (NONE, FAINT)
    return ("<1s", MUTED) if row.age_ms < 1000 else (span(row.age_ms / 1000), WARN if row.age_ms >= 3000 else TEXT)


def _price(row: Health, at: int) -> Cell:
    text = (row.bid, row.ask)[at]
    if row.kind != "book":
        return (row.counts[at], MUTED)
    return (NONE, FAINT) if text is None else (fit(text, max(2, places(text)), 10), TEXT)
