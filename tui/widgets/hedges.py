"""Hedges: parent orders, each followed by its children, with fill, average price and slippage against arrival."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from desk.client import ChildView, DeskState, ParentView
from tui.style import FAINT, GOOD, MUTED, TEXT, WARN, of_side, of_state, of_venue, signed
from tui.text import NONE, clock, decimal, fit, line
from tui.widgets.live_table import Cell, Column, LiveTable

ZERO = Decimal(0)


class Line(msgspec.Struct, frozen=True):
    """A parent (child None) or one of its children; `last`: the parent's last child."""

    parent: ParentView
    child: ChildView | None = None
    last: bool = False

    @property
    def order(self) -> ParentView | ChildView:
        """What the line is about."""
        return self.child or self.parent


class Hedges(LiveTable[Line]):
    """Newest parent on top, its children under it."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[Line](
                "time", 8, lambda row, _: (clock(row.order.created_ns), MUTED if row.child is None else FAINT), keep=5
            ),
            Column[Line]("order", 12, _name, keep=9),
            Column[Line]("side", 4, _side, keep=7),
            Column[Line](
                "quantity",
                11,
                lambda row, width: (fit(row.order.quantity, 4, width, align=True), TEXT),
                "right",
                keep=8,
            ),
            Column[Line]("filled", 12, _filled, keep=8),
            Column[Line]("average", 11, _average, "right", keep=6),
            Column[Line]("limit / arrival", 15, _reference, "right", keep=3),
            Column[Line]("slip bp", 7, _slippage, "right", keep=6),
            Column[Line]("state", 9, lambda row, _: (row.order.state, of_state(row.order.state)), keep=9),
            Column[Line]("reason", 0, lambda row, _: (_why(row), MUTED), keep=4),
        ]
        super().__init__(columns, cursor=True, empty="nothing hedged yet", **kwargs)
        self.border_title = "Hedges"
        self.needle = ""

    def show(self, state: DeskState) -> None:
        """Take the orders of `state`."""
        self.update((_key(line), line) for line in lines(state.parents, self.needle))
        counts = state.hedges
        by_venue = "  ".join(f"{venue} {done.fills}" for venue, done in sorted(counts.by_venue.items()))
        unknown = f" · {counts.unknown} UNKNOWN" if counts.unknown else ""
        self.border_subtitle = (
            f"{counts.parents:,} parents · {counts.fills:,} fills · {counts.open} open{unknown} · {by_venue}"
        )


def lines(parents: list[ParentView], needle: str = "") -> list[Line]:
    """Parents newest first, each followed by its children; with `needle` only parents that contain it or whose child does."""
    shown = []
    for parent in sorted(parents, key=lambda order: (-order.created_ns, order.parent_id)):
        if needle and not _matches(parent, needle.casefold()):
            continue
        shown.append(Line(parent))
        shown += [Line(parent, child, child is parent.children[-1]) for child in parent.children]
    return shown


def slippage_bps(parent: ParentView) -> Decimal | None:
    """Average against arrival, positive when it cost us; None before the first fill."""
    average, arrival = decimal(parent.average_price), decimal(parent.arrival_price)
    if average is None or not arrival:
        return None
    moved = (average - arrival) / arrival * 10_000
    return moved if parent.side == "buy" else -moved


def _matches(parent: ParentView, wanted: str) -> bool:
    fields = [parent.parent_id, parent.instrument, parent.side, parent.state, parent.reason]
    for child in parent.children:
        fields += [child.child_id, child.venue, child.state, child.reason, child.why]
    return any(wanted in field.casefold() for field in fields)


def _key(line: Line) -> str:
    return f"c{line.child.child_id}" if line.child else f"p{line.parent.parent_id}"


def _name(row: Line, _: int) -> Cell:
    if row.child is None:
        return row.parent.instrument
    return [("└ " if row.last else "├ ", FAINT), (row.child.venue, of_venue(row.child.venue))]


def _side(row: Line, _: int) -> Cell:
    return (row.order.side.upper(), of_side(row.order.side)) if row.child is None else ""


def _why(row: Line) -> str:
    """How it ended, when there is something to say; else what the plan said of a child."""
    return row.order.reason or (row.child.why if row.child is not None else "")


def _filled(row: Line, width: int) -> Cell:
    wanted, done = decimal(row.order.quantity) or ZERO, decimal(row.order.filled) or ZERO
    share = float(done / wanted) if wanted else 0.0
    colour = GOOD if share >= 1 else WARN if share > 0 else FAINT
    return [
        (line(share, width - 5), colour if row.child is None else "#2c7a58" if share else FAINT),
        (f" {share:4.0%}", MUTED),
    ]


def _average(row: Line, _: int) -> Cell:
    text = row.order.average_price
    return (NONE, FAINT) if text is None else (fit(text, 4, 11, align=True), TEXT)


def _reference(row: Line, _: int) -> Cell:
    text = row.parent.arrival_price if row.child is None else row.child.limit_price
    return (NONE, FAINT) if text is None else (fit(text, 4, 11, align=True), MUTED)


def _slippage(row: Line, _: int) -> Cell:
    cost = slippage_bps(row.parent) if row.child is None else None
    return "" if row.child is not None else (NONE, FAINT) if cost is None else (f"{cost:+.2f}", signed(-float(cost)))
