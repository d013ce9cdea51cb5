"""The blotter: one timer, one connection, seven views.

What it promises:

1. Messages never paint. The session keeps the latest state; one timer (12 Hz) shows it, and only on the visible view.
2. A lost feed is shown within one tick of being known: a red banner with the age, and every number grey.
3. Nothing irreversible without a typed word; the kill switch is two keys away from anywhere.
"""

from __future__ import annotations

import gc
import time
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher, Input, Static

from tui.session import Session
from tui.style import ACCENT, FAINT, KERB, MUTED, TEXT
from tui.views.panels import VIEWS, View
from tui.widgets.build_up import BuildUp
from tui.widgets.dialogs import Keys, KillSwitch
from tui.widgets.ladder import Ladder
from tui.widgets.rfq_blotter import RfqBlotter
from tui.widgets.status_line import FeedBanner, StatusLine

FLUSH_HZ = 12


def _summary(kind: type[View]) -> str:
    first = (kind.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return first[:1].lower() + first[1:]


class BlotterApp(App[None]):
    """`kerb tui`."""

    CSS_PATH = "app.tcss"
    TITLE = "Kerb"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(at),
                f"view('{name}')",
                f"{kind.title}: {_summary(kind)}",
                id=f"view.{name}",
            )
            for at, (name, kind) in enumerate(VIEWS, start=1)
        ),
        Binding("slash", "filter", "filter the rows of this view", key_display="/", id="filter.open"),
        Binding("escape", "clear_filter", "clear the filter", id="filter.clear"),
        Binding(
            "left_square_bracket",
            "instrument(-1)",
            "previous instrument in the ladder",
            key_display="[",
            id="ladder.previous",
        ),
        Binding(
            "right_square_bracket", "instrument(1)", "next instrument in the ladder", key_display="]", id="ladder.next"
        ),
        Binding("w", "build_up", "why this price: the selected request, step by step", id="build.open"),
        Binding("ctrl+k", "kill", "kill switch: halt, or resume (typed)", priority=True, id="kill.open"),
        Binding("question_mark", "keys", "these keys", key_display="?", id="keys.open"),
        Binding("q", "quit", "leave the blotter; the desk goes on", id="app.quit"),
        Binding("ctrl+c", "quit", "leave at once", show=False, priority=True, id="app.interrupt"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.flushes = 0
        self.needle = ""
        self._shown_version = -1
        self._live = False
        self._desk_ns = 0  # the desk's clock when `_at` was read
        self._at = 0.0

    def compose(self) -> ComposeResult:
        yield StatusLine(id="status")
        yield FeedBanner(id="banner")
        with ContentSwitcher(initial=VIEWS[0][0], id="views"):
            for name, kind in VIEWS:
                yield kind(id=name)
        yield Input(placeholder="filter: client, pair, state, venue …   Enter keeps it, Escape clears it", id="filter")
        yield Static(id="tabs")

    def on_mount(self) -> None:
        """Connect, and start the one timer."""
        self.register_theme(KERB)
        self.theme = KERB.name
        self.run_worker(self.session.run(), name="session", exit_on_error=True)
        self.set_interval(1 / FLUSH_HZ, self.flush, name="flush")
        self.action_view(VIEWS[0][0])
        self.call_after_refresh(gc.freeze)

    # ---- showing ----

    @property
    def view(self) -> View:
        """The view on screen."""
        main = self.screen_stack[0]
        return main.query_one(f"#{main.query_one('#views', ContentSwitcher).current}", View)

    def now_ns(self) -> int:
        """The desk's clock; it stands still while the feed is lost."""
        return self._desk_ns + (int((time.monotonic() - self._at) * 1e9) if self._live else 0)

    def flush(self) -> None:
        """Show what is new: called by the timer, and by nothing that receives messages."""
        if not self.screen_stack or not self.is_running:
            return
        self.flushes += 1
        feed, state = self.session.feed(), self.session.state
        main = self.screen_stack[0]
        main.query_one(StatusLine).show(state, feed)
        main.query_one(FeedBanner).show(state, feed)
        view = self.view
        fresh = self.session.version != self._shown_version
        if state is not None and fresh:
            self._shown_version = self.session.version
            self._desk_ns, self._at = state.ts_ns, time.monotonic()
        if feed.live != self._live:
            self._live = feed.live
            fresh = True
        if state is not None and fresh:
            view.show(state, self.now_ns())
        for table in view.tables():
            table.stale = not feed.live
            if hasattr(table, "now_ns"):
                table.now_ns = self.now_ns()
            table.flush()

    def _show_tabs(self, current: str) -> None:
        line = Text(no_wrap=True)
        for at, (name, kind) in enumerate(VIEWS, start=1):
            chosen = name == current
            line.append(f" {at} ", f"bold #0b0e13 on {ACCENT}" if chosen else f"{ACCENT}")
            line.append(f"{kind.title} ", f"bold {TEXT}" if chosen else MUTED)
        for key, what in (
            ("/", "filter"),
            ("[ ]", "instrument"),
            ("w", "why this price"),
            ("ctrl+k", "kill switch"),
            ("?", "keys"),
            ("q", "quit"),
        ):
            line.append("  │ " if key == "/" else "  ", FAINT)
            line.append(f"{key} ", ACCENT)
            line.append(what, MUTED)
        self.query_one("#tabs", Static).update(line)

    # ---- keys ----

    def action_view(self, name: str) -> None:
        """Show a view; it takes the latest state at once."""
        self.query_one("#views", ContentSwitcher).current = name
        self._show_tabs(name)
        self._shown_version = -1
        view = self.view
        view.narrow(self.needle)
        first = view.query(view.focus_first).first()
        first.focus()
        self.call_after_refresh(self.flush)

    def action_filter(self) -> None:
        """Open the filter line."""
        box = self.query_one("#filter", Input)
        box.add_class("-open")
        box.value = self.needle
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        if event.input.id == "filter":
            self._narrow(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, go back to the rows."""
        if event.input.id == "filter":
            self._close_filter()

    def action_clear_filter(self) -> None:
        """Show everything again."""
        self.query_one("#filter", Input).value = ""
        self._narrow("")
        self._close_filter()

    def _narrow(self, needle: str) -> None:
        self.needle = needle
        self.view.narrow(needle)
        self._shown_version = -1

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("-open")
        self.view.query(self.view.focus_first).first().focus()

    def action_instrument(self, by: int) -> None:
        """Another instrument in the ladder that has the focus, else in the first one of the view."""
        state = self.session.state
        ladders = list(self.view.query(Ladder))
        if state is None or not ladders:
            return
        chosen = next((ladder for ladder in ladders if ladder.has_focus), ladders[0])
        chosen.step(state, by)
        chosen.flush()

    def action_kill(self) -> None:
        """The kill switch; when the desk is halted, the way back."""
        if isinstance(self.screen, KillSwitch):
            return
        state = self.session.state
        halted = state is not None and state.trading == "halted"
        dialog = KillSwitch("RESUME", self.session.resume) if halted else KillSwitch("HALT", self.session.halt)

        def told(done: bool | None) -> None:
            if done:
                self.notify("the desk trades again" if halted else "the desk is halted", severity="warning")

        self.push_screen(dialog, told)

    def action_build_up(self) -> None:
        """How the prices of the selected request were made."""
        blotter = next(iter(self.view.query(RfqBlotter)), None)
        if blotter is None or isinstance(self.screen, BuildUp):
            return
        chosen = blotter.cursor_key if blotter.cursor_key in blotter.rows else next(iter(blotter.order), None)
        if chosen is not None:
            self.push_screen(BuildUp(str(chosen), self.session.waterfall))

    def action_keys(self) -> None:
        """The list of keys."""
        listed = [
            (binding.key_display or binding.key, binding.description)
            for binding in self.BINDINGS
            if isinstance(binding, Binding)
        ]
        self.push_screen(Keys([*listed, ("j k ↑ ↓", "move"), ("g G", "first, last"), ("tab", "next panel")]))
