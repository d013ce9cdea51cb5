"""The dialogs: the kill switch, and the list of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from desk.client import ApiFault
from tui.style import ACCENT, MUTED, TEXT

ANSWER_WITHIN_S = 5.0
WORDS = {
    "HALT": ("KILL SWITCH", "Stops quoting and stops sending orders, now. Cancels and reconciliation go on."),
    "RESUME": ("RESUME TRADING", "The desk quotes and hedges again, from the books as they are now."),
}


class KillSwitch(ModalScreen[bool]):
    """Dismissed with True when the desk has confirmed. Only the exact word, typed and entered, does anything."""

    CSS = """
    KillSwitch { align: center middle; background: #0b0e13 60%; }
    KillSwitch > Vertical { width: 72; height: auto; padding: 1 2; border: heavy #ff5d5d; background: $surface; }
    KillSwitch.-resume > Vertical { border: heavy #3fcf8e; }
    KillSwitch Static { width: 100%; }
    KillSwitch #title { text-style: bold; color: #ff5d5d; }
    KillSwitch.-resume #title { color: #3fcf8e; }
    KillSwitch #what { color: $foreground; margin: 1 0; }
    KillSwitch #answer { color: #ff5d5d; min-height: 1; margin-top: 1; }
    KillSwitch Input { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave it", id="kill.leave")]

    def __init__(self, word: Literal["HALT", "RESUME"], act: Callable[[str], Awaitable[None]]) -> None:
        """`act(reason)` asks the desk, and raises `ApiFault` when it refuses or cannot be reached."""
        super().__init__(classes="-resume" if word == "RESUME" else "")
        self.word = word
        self._act = act
        self._busy = False

    def compose(self) -> ComposeResult:
        title, what = WORDS[self.word]
        with Vertical():
            yield Static(title, id="title")
            yield Static(what, id="what")
            yield Static(f"[{MUTED}]Type[/] [b]{self.word}[/] [{MUTED}]and press Enter. Escape leaves it as it is.[/]")
            yield Input(placeholder=self.word, id="word", max_length=16)
            yield Static("", id="answer")

    def on_mount(self) -> None:
        """Ready to type."""
        self.query_one("#word", Input).focus()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Act on the exact word, once."""
        if self._busy:
            return
        if event.value != self.word:
            self._say(f"“{event.value}” is not {self.word}: nothing was done")
            return
        self._busy = True
        self._say("asking the desk …")
        self.run_worker(self._ask(), exclusive=True)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._act("operator at the blotter")
        except ApiFault as fault:
            known = "nothing was done" if fault.outcome_known else "OUTCOME UNKNOWN: look at the state, then try again"
            self._say(f"{self.word} NOT CONFIRMED · {fault.code}: {fault.message} · {known}")
        except (OSError, TimeoutError) as fault:
            reason = str(fault) or f"no answer within {ANSWER_WITHIN_S:.0f} s"
            self._say(f"{self.word} NOT CONFIRMED · {reason} · OUTCOME UNKNOWN: look at the state, then try again")
        else:
            self.dismiss(True)
        finally:
            self._busy = False

    def _say(self, text: str) -> None:
        self.query_one("#answer", Static).update(text)

    def action_leave(self) -> None:
        """Close without doing anything."""
        self.dismiss(False)


class Keys(ModalScreen[None]):
    """What every key does, from the bindings themselves."""

    CSS = """
    Keys { align: center middle; background: #0b0e13 60%; }
    Keys > VerticalScroll { width: 64; height: auto; max-height: 90%; padding: 1 2; border: round $primary; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "leave", "close", id="keys.close")]

    def __init__(self, keys: list[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 3))
        table.add_column(style=f"bold {ACCENT}", justify="right", no_wrap=True)
        table.add_column(style=TEXT)
        for key, what in self._keys:
            table.add_row(key, what)
        with VerticalScroll():
            yield Static(table)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss()
