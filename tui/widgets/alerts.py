"""Alerts: newest on top, the same one counted instead of repeated."""

from __future__ import annotations

from typing import Any

from desk.client import AlertView, DeskState
from tui.style import BAD, MUTED, TEXT, WARN, of_state
from tui.text import clock
from tui.widgets.live_table import Cell, Column, LiveTable

SIGN = {"info": "·", "warning": "▲", "critical": "■"}


class Alerts(LiveTable[AlertView]):
    """One line an alert."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[AlertView]("time", 8, lambda row, _: (clock(row.ts_ns), MUTED), keep=7),
            Column[AlertView]("", 1, lambda row, _: (SIGN.get(row.severity, "?"), of_state(row.severity)), keep=9),
            Column[AlertView]("from", 10, lambda row, _: (row.source, MUTED), keep=3),
            Column[AlertView]("", 4, lambda row, _: (f"×{row.count}" if row.count > 1 else "", WARN), "right", keep=4),
            Column[AlertView]("alert", 0, _message, keep=9, least=40),
        ]
        super().__init__(columns, header=False, cursor=True, empty="all quiet", **kwargs)
        self.border_title = "Alerts"
        self.needle = ""

    def show(self, state: DeskState) -> None:
        """Take the alerts of `state`."""
        wanted = self.needle.casefold()
        rows = sorted(state.alerts, key=lambda row: (-row.ts_ns, row.alert_id))
        if wanted:
            rows = [row for row in rows if wanted in f"{row.source} {row.severity} {row.message}".casefold()]
        self.update((row.alert_id, row) for row in rows)
        grave = sum(row.severity == "critical" for row in state.alerts)
        self.border_subtitle = f"{grave} critical" if grave else ""


def _message(row: AlertView, _: int) -> Cell:
    return (row.message, BAD if row.severity == "critical" else TEXT if row.severity == "warning" else MUTED)
