"""The views, by number key: which panels each shows and where. A view that is not on screen is not updated."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical

from desk.client import DeskState
from tui.widgets.alerts import Alerts
from tui.widgets.costs import ClientMarkouts, Costs, Scores
from tui.widgets.hedges import Hedges
from tui.widgets.ladder import Ladder
from tui.widgets.live_table import LiveTable
from tui.widgets.positions import Pnl, Positions
from tui.widgets.rfq_blotter import RfqBlotter
from tui.widgets.venues import Facts, Venues, archive_facts, latency_facts, risk_facts


class View(Container):
    """A screenful of panels. `title` is in the tab line; `focus_first` gets the focus when the view is shown."""

    title: ClassVar[str] = ""
    focus_first: ClassVar[type[LiveTable]] = LiveTable

    def tables(self) -> list[LiveTable]:
        """Every live table of the view."""
        return list(self.query(LiveTable))

    def show(self, state: DeskState, now_ns: int) -> None:
        """Give each panel its part of `state`."""
        for table in self.tables():
            match table:
                case RfqBlotter():
                    table.show(state, now_ns)
                case (
                    Ladder()
                    | Positions()
                    | Pnl()
                    | Hedges()
                    | Venues()
                    | Alerts()
                    | Scores()
                    | Costs()
                    | ClientMarkouts()
                ):
                    table.show(state)

    def narrow(self, needle: str) -> None:
        """Filter the panels that can be filtered."""
        for table in self.tables():
            if isinstance(table, RfqBlotter | Hedges | Alerts):
                table.needle = needle


class DeskView(View):
    """Everything at a glance."""

    title = "Desk"
    focus_first = RfqBlotter

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="left"):
                yield RfqBlotter(id="desk-rfqs")
                yield Hedges(id="desk-hedges")
            with Vertical(id="right"):
                yield Ladder(id="desk-ladder")
                yield Positions(id="desk-positions")
                yield Venues(id="desk-venues")
                yield Alerts(id="desk-alerts")


class RfqView(View):
    """The blotter alone."""

    title = "RFQs"
    focus_first = RfqBlotter

    def compose(self) -> ComposeResult:
        yield RfqBlotter(id="rfqs")


class LadderView(View):
    """Two ladders side by side."""

    title = "Ladders"
    focus_first = Ladder

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Ladder(id="ladder-0")
            yield Ladder(id="ladder-1")

    def show(self, state: DeskState, now_ns: int) -> None:
        """Different instruments on the two sides, as long as there are two."""
        names = [ladder.instrument for ladder in state.ladders]
        first, second = self.query_one("#ladder-0", Ladder), self.query_one("#ladder-1", Ladder)
        if first.instrument not in names and names:
            first.instrument = names[0]
        if names and (second.instrument not in names or second.instrument == first.instrument):
            second.instrument = names[(names.index(first.instrument) + 1) % len(names)]
        super().show(state, now_ns)


class PositionView(View):
    """Inventory against bands, and where the money comes from."""

    title = "Positions"
    focus_first = Positions

    def compose(self) -> ComposeResult:
        yield Positions(id="positions")
        yield Pnl(id="pnl")


class HedgeView(View):
    """Parents and children."""

    title = "Hedges"
    focus_first = Hedges

    def compose(self) -> ComposeResult:
        yield Hedges(id="hedges")


class CostsView(View):
    """What orders cost, and how far venues, LPs and clients can be trusted."""

    title = "Costs"
    focus_first = Scores

    def compose(self) -> ComposeResult:
        yield Scores(id="scores")
        with Horizontal():
            yield Costs(id="costs")
            yield ClientMarkouts(id="client-markouts")


class HealthView(View):
    """Venues, LPs, latency, archive, risk."""

    title = "Health"
    focus_first = Venues

    def compose(self) -> ComposeResult:
        yield Venues(id="venues")
        with Horizontal():
            yield Facts("Latency since start", id="latency")
            yield Facts("Archive", id="archive")
            yield Facts("Risk and ledger", id="risk")

    def show(self, state: DeskState, now_ns: int) -> None:
        """Facts beside the venues."""
        super().show(state, now_ns)
        self.query_one("#latency", Facts).show(latency_facts(state))
        self.query_one("#archive", Facts).show(archive_facts(state))
        self.query_one("#risk", Facts).show(risk_facts(state))


class AlertView(View):
    """Alerts alone."""

    title = "Alerts"
    focus_first = Alerts

    def compose(self) -> ComposeResult:
        yield Alerts(id="alerts")


VIEWS: tuple[tuple[str, type[View]], ...] = (
    ("desk", DeskView),
    ("rfqs-view", RfqView),
    ("ladders-view", LadderView),
    ("positions-view", PositionView),
    ("hedges-view", HedgeView),
    ("health-view", HealthView),
    ("alerts-view", AlertView),
    ("costs-view", CostsView),
)
