"""What orders cost, and how venues, LPs and clients have done: scorecards, costs by instrument, markouts by client."""

from __future__ import annotations

from typing import Any

from desk.client import ClientMarkoutView, CostView, DeskState, ScoreView
from tui.style import BAD, FAINT, GOOD, MUTED, TEXT, of_venue
from tui.text import NONE, nanos, number
from tui.widgets.live_table import Cell, Column, LiveTable

MARKOUT_MS = 10_000  # the horizon shown: about how long a hedge takes


class Scores(LiveTable[ScoreView]):
    """One line a venue or LP, learnt from our own orders."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[ScoreView]("place", 9, lambda row, _: (row.name, of_venue(row.name)), keep=9),
            Column[ScoreView]("orders", 7, lambda row, _: f"{row.orders:,.0f}", "right", keep=8),
            Column[ScoreView]("filled", 6, lambda row, _: _share(row.fill_ratio), "right", keep=8),
            Column[ScoreView]("refused", 7, lambda row, _: _share(row.reject), "right", keep=7),
            Column[ScoreView]("fade β", 6, lambda row, _: _fade(row), "right", keep=6),
            Column[ScoreView]("slip bp", 8, lambda row, _: _cost(row.slippage_bps), "right", keep=6),
            Column[ScoreView]("10 s bp", 8, lambda row, _: _gain(row.markout_bps.get(MARKOUT_MS)), "right", keep=5),
            Column[ScoreView]("answer", 9, lambda row, _: nanos(row.latency_ns_p50 or 0), "right", keep=5),
            Column[ScoreView]("end p99", 9, lambda row, _: nanos(row.hold_ns_p99 or 0), "right", keep=3),
            Column[ScoreView]("quoted", 6, lambda row, _: _share(row.quoted), "right", keep=4),
            Column[ScoreView]("quote bp", 8, lambda row, _: _plain(row.quote_spread_bps), "right", keep=4),
            Column[ScoreView]("won", 5, lambda row, _: _share(row.win_share), "right", keep=4),
            Column[ScoreView]("", 0, lambda row, _: _last_look(row), keep=2),
        ]
        super().__init__(columns, empty="no order yet", **kwargs)
        self.border_title = "Scorecards"

    def show(self, state: DeskState) -> None:
        """Take the scorecards of `state`."""
        self.update((row.name, row) for row in state.scorecards)


class Costs(LiveTable[CostView]):
    """One line an instrument: implementation shortfall of the hedges since the start, by cause, in basis points."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[CostView]("pair", 9, lambda row, _: row.instrument, keep=9),
            Column[CostView]("orders", 7, lambda row, _: f"{row.orders:,}", "right", keep=8),
            Column[CostView]("cost bp", 8, lambda row, _: _cost(float(row.total_bps), bold=True), "right", keep=9),
            *(_part(name, keep) for name, keep in _PARTS),
            Column[CostView]("amount", 12, lambda row, _: number(row.amount, 2, sign=True), "right", keep=5),
            Column[CostView]("saved", 10, lambda row, _: (number(row.saved, 2), MUTED), "right", keep=1),
        ]
        super().__init__(columns, empty="no order yet", **kwargs)
        self.border_title = "What orders cost"
        self.border_subtitle = "bp of the value at arrival; + cost us"

    def show(self, state: DeskState) -> None:
        """Take the costs of `state`."""
        self.update((row.instrument, row) for row in state.costs)


class ClientMarkouts(LiveTable[ClientMarkoutView]):
    """One line a client and instrument: where the market went after its trades."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[ClientMarkoutView]("client", 14, lambda row, _: row.client_id, keep=9),
            Column[ClientMarkoutView]("pair", 9, lambda row, _: row.instrument, keep=9),
            Column[ClientMarkoutView]("trades", 7, lambda row, _: f"{row.n:,.0f}", "right", keep=7),
            Column[ClientMarkoutView]("after bp", 9, lambda row, _: _gain(row.mean_bps), "right", keep=8),
            Column[ClientMarkoutView]("shrunk", 8, lambda row, _: _gain(row.shrunk_bps), "right", keep=6),
        ]
        super().__init__(columns, empty="no trade yet", **kwargs)
        self.border_title = "Client markouts"
        self.border_subtitle = "+ in our favour"

    def show(self, state: DeskState) -> None:
        """Take the markouts of `state`."""
        self.update((f"{row.client_id} {row.instrument}", row) for row in state.client_markouts)


_PARTS = (("timing", 6), ("spread", 7), ("mark", 7), ("impact", 6), ("fade", 6), ("fees", 7), ("opportunity", 2))


def _part(name: str, keep: int) -> Column[CostView]:
    title = "missed" if name == "opportunity" else name
    return Column[CostView](title, 7, lambda row, _: _cost(float(row.parts_bps.get(name, "0"))), "right", keep=keep)


def _share(value: float | None) -> Cell:
    return (NONE, FAINT) if value is None else (f"{value:.0%}", TEXT)


def _plain(value: float | None) -> Cell:
    return (NONE, FAINT) if value is None else (f"{value:.2f}", TEXT)


def _cost(value: float, *, bold: bool = False) -> Cell:
    """A cost: below zero it is a gain."""
    shown = f"{value:+.2f}"
    if shown in ("+0.00", "-0.00"):
        return ("0.00", MUTED)
    return (shown, ("bold " if bold else "") + (GOOD if value < 0 else TEXT))


def _gain(value: float | None) -> Cell:
    """A markout: below zero the other side was right."""
    return (NONE, FAINT) if value is None else (f"{value:+.2f}", GOOD if value > 0 else BAD if value < 0 else MUTED)


def _fade(row: ScoreView) -> Cell:
    return (NONE, FAINT) if row.lp else (f"{row.fade:.2f}", TEXT)


def _last_look(row: ScoreView) -> Cell:
    if row.after_reject_bps is None:
        return ("", MUTED)
    return (f"{row.after_reject_bps:+.2f} bp our way 1 s after a refusal", MUTED)
