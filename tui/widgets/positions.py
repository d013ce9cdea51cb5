"""Positions against their bands, as gauges; and the split of profit and loss."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from desk.client import DeskState, InventoryView, PnlView
from tui.style import BAD, FAINT, GOOD, MUTED, TEXT, WARN, signed
from tui.text import NONE, aligned, decimal, line, number
from tui.widgets.live_table import Cell, Column, LiveTable

ZERO = Decimal(0)


class Position(msgspec.Struct, frozen=True):
    """One currency against its bands."""

    currency: str
    view: InventoryView

    @property
    def held(self) -> Decimal:
        """The position."""
        return decimal(self.view.position) or ZERO

    @property
    def hard(self) -> Decimal:
        """The hard band; zero: none."""
        return decimal(self.view.band) or ZERO

    @property
    def soft(self) -> Decimal:
        """The soft band."""
        return decimal(self.view.soft_band) or ZERO

    @property
    def colour(self) -> str:
        """Green inside the soft band, amber beyond it, red at and beyond the hard band."""
        size = abs(self.held)
        if not self.hard:
            return TEXT
        return BAD if size >= self.hard else WARN if size > self.soft else GOOD


class Positions(LiveTable[Position]):
    """One line a currency."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[Position]("ccy", 5, lambda row, _: row.currency, keep=9),
            Column[Position]("position", 13, _held, "right", keep=9),
            Column[Position](_scale, 0, gauge, keep=8, least=21),
            Column[Position]("used", 5, _used, "right", keep=6),
            Column[Position]("hard", 9, lambda row, _: (_band(row.view.band), MUTED), "right", keep=2),
            Column[Position]("skew bp", 7, _skew, "right", keep=4),
        ]
        super().__init__(columns, empty="flat", **kwargs)
        self.border_title = "Positions"

    def show(self, state: DeskState) -> None:
        """Take the inventory of `state`: banded currencies first."""
        rows = [Position(currency, view) for currency, view in state.inventory.items()]
        rows.sort(key=lambda row: (not row.hard, row.currency))
        self.update((row.currency, row) for row in rows)
        total = decimal(state.pnl.total) or ZERO
        self.border_subtitle = f"P&L {total:+,.2f} {state.pnl.currency}"


class PnlRow(msgspec.Struct, frozen=True):
    """One part of the profit."""

    name: str
    amount: Decimal
    share: float
    note: str


class Pnl(LiveTable[PnlRow]):
    """The parts of the profit and loss, and their sum."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[PnlRow]("", 10, lambda row, _: (row.name, "bold " + TEXT if row.name == "total" else TEXT), keep=9),
            Column[PnlRow]("amount", 14, _amount, "right", keep=9),
            Column[PnlRow]("", 0, lambda row, width: (line(row.share, width), signed(float(row.amount))), keep=3),
            Column[PnlRow]("", 34, lambda row, _: (row.note, MUTED), keep=2),
        ]
        super().__init__(columns, **kwargs)
        self.border_title = "Profit and loss"

    def show(self, state: DeskState) -> None:
        """Take the split of `state`."""
        self.border_subtitle = state.pnl.currency
        self.update((row.name, row) for row in pnl_rows(state.pnl))


def pnl_rows(pnl: PnlView) -> list[PnlRow]:
    """Spread, hedge, inventory and fees, then the total; skew is shown inside the spread."""
    skew = number(pnl.skew, 2, sign=True)
    parts = {
        "spread": (pnl.spread, f"edge against fair; {skew} of it skew"),
        "hedge": (pnl.hedge, "fills against fair at arrival"),
        "inventory": (pnl.inventory, "open position marked to market"),
        "fees": (pnl.fees, "paid to venues"),
        "total": (pnl.total, ""),
    }
    amounts = {name: decimal(text) or ZERO for name, (text, _) in parts.items()}
    largest = max((abs(amount) for amount in amounts.values()), default=ZERO) or Decimal(1)
    return [PnlRow(name, amounts[name], float(abs(amounts[name]) / largest), note) for name, (_, note) in parts.items()]


def gauge(row: Position, width: int) -> Cell:
    """The position on a scale from −hard to +hard: the soft band is dotted, the bar starts at zero."""
    if not row.hard or width < 9:
        return (NONE, FAINT)
    half = (width - 1) // 2
    cells = ["─"] * (half * 2 + 1)
    styles = [FAINT] * len(cells)
    soft = round(float(min(row.soft / row.hard, Decimal(1))) * half)
    for at in range(half - soft, half + soft + 1):
        cells[at], styles[at] = "┄", MUTED
    reach = min(half, round(float(abs(row.held) / row.hard) * half))
    if row.held and not reach:
        reach = 1
    direction = 1 if row.held > 0 else -1
    for step in range(1, reach + 1):
        cells[half + direction * step], styles[half + direction * step] = "━", row.colour
    if reach:
        cells[half + direction * reach] = "◆"
    cells[half], styles[half] = "┼", TEXT
    cells[0], cells[-1] = "├", "┤"
    if abs(row.held) >= row.hard:
        styles[0 if direction < 0 else -1] = BAD
        cells[0 if direction < 0 else -1] = "◀" if direction < 0 else "▶"
    return list(zip(cells, styles, strict=True))


def _scale(width: int) -> str:
    return f"−hard{'0'.center(width - 10)}hard+" if width >= 15 else "band"


def _held(row: Position, _: int) -> Cell:
    decimals = 4 if row.hard else 2
    shown = aligned(row.view.position, decimals)
    return ("+" + shown if row.held > 0 else shown, row.colour)


def _band(text: str) -> str:
    value = decimal(text)
    return NONE if not value else f"{value:,f}".rstrip("0").rstrip(".") if "." in text else f"{value:,f}"


def _used(row: Position, _: int) -> Cell:
    return (NONE, FAINT) if not row.hard else (f"{abs(row.held) / row.hard:.0%}", row.colour)


def _skew(row: Position, _: int) -> Cell:
    value = decimal(row.view.skew_bps)
    return (NONE, FAINT) if not row.hard or value is None else (f"{value:+.2f}", MUTED if not value else TEXT)


def _amount(row: PnlRow, _: int) -> Cell:
    return (f"{row.amount:+,.2f}", ("bold " if row.name == "total" else "") + signed(float(row.amount)))
