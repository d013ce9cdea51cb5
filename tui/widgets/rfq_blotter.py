"""The RFQ blotter: one line a request, newest on top, with the desk's side of the price and how long it is still firm."""

from __future__ import annotations

from typing import Any

from desk.client import BlotterRow, DeskState
from tui.style import ASK, BID, FAINT, GOOD, INFO, MUTED, TEXT, WARN, of_side, of_state, signed
from tui.text import NONE, clock, decimal, fit, line, number, places
from tui.widgets.live_table import Cell, Column, LiveTable

OPEN = frozenset({"received", "quoted", "accepted"})


class RfqBlotter(LiveTable[BlotterRow]):
    """`needle`: only rows that contain this text, in any column, are shown."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[BlotterRow]("time", 8, lambda row, _: (clock(row.created_ns), MUTED), keep=7),
            Column[BlotterRow]("client", 8, lambda row, _: row.client_id, keep=7),
            Column[BlotterRow]("tier", 8, lambda row, _: (row.tier, MUTED), keep=1),
            Column[BlotterRow]("pair", 8, lambda row, _: row.instrument, keep=9),
            Column[BlotterRow]("side", 5, _side, keep=9),
            Column[BlotterRow]("quantity", 11, _quantity, "right", keep=9),
            Column[BlotterRow]("", 4, lambda row, _: (row.currency, MUTED), keep=9),
            Column[BlotterRow]("our bid", 10, lambda row, width: _price(row, row.bid, BID, width), "right", keep=8),
            Column[BlotterRow]("our ask", 10, lambda row, width: _price(row, row.ask, ASK, width), "right", keep=8),
            Column[BlotterRow]("fair", 10, lambda row, width: _price(row, row.fair, MUTED, width), "right", keep=2),
            Column[BlotterRow]("edge", 6, lambda row, _: _bps(row.edge_bps), "right", keep=5),
            Column[BlotterRow]("skew", 5, lambda row, _: _bps(row.skew_bps), "right", keep=3),
            Column[BlotterRow]("firm for", 8, self._firm_for, keep=6),
            Column[BlotterRow]("state", 0, _state, keep=9, least=10),
        ]
        super().__init__(columns, cursor=True, volatile=self._counting, empty="no requests yet", **kwargs)
        self.needle = ""
        self.now_ns = 0
        self.border_title = "RFQs"

    def show(self, state: DeskState, now_ns: int) -> None:
        """Take the requests of `state`; `now_ns` is the desk's clock."""
        self.now_ns = now_ns
        rows = sorted(state.blotter, key=lambda row: (-row.created_ns, row.rfq_id))
        if self.needle:
            rows = [row for row in rows if matches(row, self.needle)]
        self.update((row.rfq_id, row) for row in rows)
        counts = state.rfqs
        share = f"{counts.quoted / counts.received:.0%} quoted" if counts.received else "none yet"
        self.border_subtitle = (
            f"{counts.received:,} received · {share} · {counts.filled:,} filled · {counts.rejected:,} rejected"
            + (f" · {counts.unknown} UNKNOWN" if counts.unknown else "")
        )
        self.border_title = f"RFQs  /{self.needle}/" if self.needle else "RFQs"

    def _counting(self, row: BlotterRow) -> bool:
        """Whether the countdown runs (or ran out since the row was drawn last)."""
        return row.state == "quoted" and row.valid_until_ns > self.now_ns - 1_000_000_000

    def _firm_for(self, row: BlotterRow, width: int) -> Cell:
        if row.state != "quoted" or row.valid_until_ns <= 0:
            return ""
        left = row.valid_until_ns - self.now_ns
        if left <= 0:
            return (" out", MUTED)
        share = left / max(1, row.valid_until_ns - row.created_ns)
        colour = GOOD if share > 0.5 else WARN if share > 0.2 else ASK
        return [(f"{left / 1e9:3.0f}s ", MUTED), (line(share, width - 5), colour)]


def matches(row: BlotterRow, needle: str) -> bool:
    """Whether a row contains `needle`, upper or lower case."""
    wanted = needle.casefold()
    fields = (row.client_id, row.tier, row.instrument, row.side, row.currency, row.state, row.reason, row.rfq_id)
    return any(wanted in field.casefold() for field in fields)


def _side(row: BlotterRow, _: int) -> Cell:
    return {"buy": ("BUY", of_side("buy")), "sell": ("SELL", of_side("sell"))}.get(row.side, ("2-WAY", INFO))


def _state(row: BlotterRow, width: int) -> Cell:
    """The state and, where there is room to read it, why."""
    word = (row.state, of_state(row.state))
    room = width - len(row.state) - 2
    return [word, (f"  {row.reason}", MUTED)] if row.reason and room >= 8 else word


def _quantity(row: BlotterRow, width: int) -> Cell:
    return (fit(row.quantity, 4, width, align=True), TEXT)


def _price(row: BlotterRow, text: str | None, colour: str, width: int) -> Cell:
    if text is None:
        return (NONE, FAINT)
    live = row.state in OPEN or row.state == "filled"
    return (fit(text, max(2, places(text)), width), colour if live else MUTED)


def _bps(text: str | None) -> Cell:
    value = decimal(text)
    return (NONE, FAINT) if value is None else (number(text, 2, sign=True), signed(float(value)))
