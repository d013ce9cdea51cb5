"""The line that is always there: mode, trading state, profit, hedges, health, and how old the feed is.

Under it, only while the feed is down, the banner that says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.text import Text
from textual.widget import Widget

from desk.client import DeskState
from tui.session import FeedView
from tui.style import BAD, FAINT, GOOD, MUTED, TEXT, WARN, signed
from tui.text import NONE, clock, decimal, span

MODES = {"live": "bold #ffffff on #b3261e", "paper": "bold #0b0e13 on #5db0f0", "replay": "bold #0b0e13 on #a48cf2"}
TRADING = {
    "active": ("● QUOTING", f"bold {GOOD}"),
    "reducing": ("▲ REDUCING ONLY", f"bold {WARN}"),
    "halted": ("■ HALTED", "bold #ffffff on #b3261e"),
}


class StatusLine(Widget):
    """One line of text, repainted only when it reads differently."""

    DEFAULT_CSS = "StatusLine { height: 1; background: $panel; }"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._text = Text()

    def show(self, state: DeskState | None, feed: FeedView) -> None:
        """Say how things are."""
        text = status_text(state, feed)
        if text != self._text:
            self._text = text
            self.refresh()

    def render(self) -> Text:
        """The line."""
        return self._text


class FeedBanner(Widget):
    """Red, the whole width, while what is shown is not live."""

    DEFAULT_CSS = """
    FeedBanner { height: 1; background: #b3261e; color: #ffffff; text-style: bold; display: none; }
    FeedBanner.-lost { display: block; }
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = ""

    def show(self, state: DeskState | None, feed: FeedView) -> None:
        """Appear while the feed is not live."""
        text = "" if feed.live else banner_text(state, feed)
        if text != self.text:
            self.text = text
            self.set_class(bool(text), "-lost")
            self.refresh()

    def render(self) -> Text:
        """The banner."""
        return Text(self.text, no_wrap=True, overflow="ellipsis")


def banner_text(state: DeskState | None, feed: FeedView) -> str:
    """What the banner says."""
    if state is None:
        return f" NOT CONNECTED · {feed.fault}"
    age = f"{feed.state_age_s:.0f}"
    return f" FEED LOST · NOT LIVE: numbers are {age} s old, from {clock(state.ts_ns)} UTC · {feed.fault}"


def status_text(state: DeskState | None, feed: FeedView) -> Text:
    """The status line of a state."""
    line = Text(no_wrap=True, overflow="ellipsis")
    if state is None:
        line.append(" KERB ", "bold #0b0e13 on #77838f")
        line.append("  waiting for the desk", MUTED)
        return line
    dead = not feed.live
    mode = MODES.get(state.mode.partition(" ")[0].lower(), "bold #0b0e13 on #77838f")
    line.append(f" {state.mode.upper()} ", mode)
    word, style = TRADING[state.trading]
    line.append(" ")
    line.append(f" {word} ", MUTED if dead and state.trading == "active" else style)
    if state.halt_reason and state.trading != "active":
        line.append(f"{state.halt_reason} ", BAD)
    line.append(" │ ", FAINT)
    if feed.live:
        line.append("●", GOOD)
        line.append(f" feed {'live' if feed.age_s < 1.5 else span(feed.age_s)}", MUTED)
    else:
        line.append("■ FEED LOST", f"bold {BAD}")
    if feed.reconnects:
        line.append(f" {feed.reconnects}↻", WARN)
    total = decimal(state.pnl.total) or Decimal(0)
    _part(line, "P&L", f"{total:+,.2f} {state.pnl.currency}", signed(float(total)), dead)
    open_, unknown = state.hedges.open, state.hedges.unknown
    _part(line, "hedges", f"{open_} open", WARN if open_ else MUTED, dead)
    if unknown:
        line.append(f" {unknown} UNKNOWN", MUTED if dead else f"bold {WARN}")
    for name, items in (("books", state.books), ("LPs", state.lps)):
        live = sum(item.status == "live" for item in items)
        _part(line, name, f"{live}/{len(items)}", GOOD if live == len(items) else BAD, dead)
    lost = state.archive.dropped
    _part(line, "archive", f"{lost:,} DROPPED" if lost else state.archive.status or NONE, BAD if lost else MUTED, dead)
    _part(line, "faults", str(state.faults), BAD if state.faults else MUTED, dead)
    line.append("  │ ", FAINT)
    line.append(f"{clock(state.ts_ns)} UTC", MUTED if dead else TEXT)
    return line


def _part(line: Text, name: str, value: str, style: str, dead: bool) -> None:
    line.append("  │ ", FAINT)
    line.append(f"{name} ", MUTED)
    line.append(value, MUTED if dead else style)
