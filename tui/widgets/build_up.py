"""Why this price: the steps from fair value to each price of the selected request, as the desk stored them with the quote."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from desk.client import ApiFault, QuoteBuild, RfqBuild
from tui.style import ACCENT, ASK, BID, MUTED, TEXT

ANSWER_WITHIN_S = 5.0


class BuildUp(ModalScreen[None]):
    """`ask(rfq_id)` answers with the build-up, or raises `ApiFault`."""

    CSS = """
    BuildUp { align: center middle; background: #0b0e13 60%; }
    BuildUp > VerticalScroll { width: 90%; max-width: 130; height: auto; max-height: 90%; padding: 1 2;
                               border: round $primary; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,w,q", "leave", "close", id="build.close")]

    def __init__(self, rfq_id: str, ask: Callable[[str], Awaitable[RfqBuild]]) -> None:
        super().__init__()
        self.rfq_id = rfq_id
        self._ask = ask

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Text("asking the desk …", MUTED), id="build")

    def on_mount(self) -> None:
        """Ask."""
        self.run_worker(self._fill(), exclusive=True)

    async def _fill(self) -> None:
        shown = self.query_one("#build", Static)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                shown.update(drawn(await self._ask(self.rfq_id)))
        except ApiFault as fault:
            shown.update(Text(f"{self.rfq_id} · {fault.code}: {fault.message}", ASK))
        except (OSError, TimeoutError) as fault:
            shown.update(Text(f"{self.rfq_id} · {str(fault) or 'no answer'}", ASK))

    def action_leave(self) -> None:
        """Close."""
        self.dismiss()


def drawn(build: RfqBuild) -> Group:
    """The build-up of every price of a request."""
    head = Text(f"{build.instrument} for {build.client_id}", f"bold {TEXT}").append(f"   {build.rfq_id}", MUTED)
    if not build.quotes:
        return Group(head, Text("no price was made", MUTED))
    return Group(head, *(part for quote in build.quotes for part in (Text(""), _table(quote))))


def _table(quote: QuoteBuild) -> Table:
    name, colour = ("our ask", ASK) if quote.side == "buy" else ("our bid", BID)
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify, table.title_style = f"{name} for {quote.quantity}", "left", colour
    table.add_column(style=ACCENT, no_wrap=True)
    for style in (TEXT, MUTED):
        table.add_column(style=style, justify="right", no_wrap=True)
    table.add_column(style=MUTED)
    table.add_row("fair", quote.fair, "bps", "")
    for step in quote.steps:
        table.add_row(step.step.replace("_", " "), step.amount, step.bps, step.inputs)
    seen = ", ".join(f"{source.name} {source.status} {source.age_ms} ms" for source in quote.sources)
    table.add_row(Text("price", f"bold {colour}"), Text(quote.price, f"bold {colour}"), "", seen)
    return table
