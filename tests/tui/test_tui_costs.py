"""The costs view: what orders cost, and how venues, LPs and clients have done."""

from __future__ import annotations

from textual.pilot import Pilot

from desk.client import ClientMarkoutView, CostView, ScoreView
from tests.tui.fake_session import FakeDesk, FakeSession
from tests.tui.test_tui_app import play
from tui.app import BlotterApp
from tui.widgets.costs import ClientMarkouts, Costs, Scores

VENUE = ScoreView(
    name="BINANCE", lp=False, orders=41.6, fill_ratio=0.974, reject=0.018, fade=0.42, slippage_bps=0.314,
    latency_ns_p50=9_000_000, latency_ns_p99=30_000_000, hold_ns_p50=9_000_000, hold_ns_p99=31_500_000, quoted=None,
    quote_spread_bps=None, quote_ns_p50=None, win_share=None, markout_bps={1_000: 0.2, 10_000: -0.86}, after_reject_bps=None,
)  # fmt: skip
LP = ScoreView(
    name="FALCONX", lp=True, orders=7.0, fill_ratio=0.96, reject=0.05, fade=0.5, slippage_bps=0.0, latency_ns_p50=None,
    latency_ns_p99=None, hold_ns_p50=55_000_000, hold_ns_p99=80_000_000, quoted=0.9, quote_spread_bps=3.574,
    quote_ns_p50=64_900_000, win_share=0.5, markout_bps={}, after_reject_bps=0.68,
)  # fmt: skip
COST = CostView(
    instrument="BTC/USDT",
    orders=76,
    basis="4659306.77",
    amount="1595.38",
    saved="12.5",
    total_bps="3.424",
    parts_bps={"timing": "0.069", "spread": "-0.57", "mark": "0.992", "impact": "0.013", "fade": "0", "fees": "2.92"},
)
CLIENT = ClientMarkoutView(client_id="alpha", instrument="BTC/USDT", n=12.0, mean_bps=-4.2, shrunk_bps=-1.575)


def text(table: Scores | Costs | ClientMarkouts) -> list[str]:
    table.flush()
    return ["".join(piece.text for piece in table.render_line(y)) for y in range(table.size.height)]


def test_scorecards_costs_and_markouts_are_on_the_costs_view() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        app.action_view("costs-view")
        await pilot.pause()
        scores = text(app.view.query_one(Scores))
        venue, lp = (next(line for line in scores if name in line).split() for name in ("BINANCE", "FALCONX"))
        assert venue[1:8] == ["42", "97%", "2%", "0.42", "+0.31", "-0.86", "9,000"]
        assert "3.57" in lp
        assert "+0.68" in next(line for line in scores if "FALCONX" in line)
        cost = next(line for line in text(app.view.query_one(Costs)) if "BTC/USDT" in line)
        assert {"76", "+3.42", "+0.07", "-0.57", "+0.99", "+2.92"} <= set(cost.split())
        client = next(line for line in text(app.view.query_one(ClientMarkouts)) if "alpha" in line)
        assert client.split()[:2] == ["alpha", "BTC/USDT"]
        assert {"-4.20", "-1.58"} & set(client.split())

    state = FakeDesk().state(scorecards=[VENUE, LP], costs=[COST], client_markouts=[CLIENT])
    play(scene, session=FakeSession(state), size=(200, 45))


def test_nothing_known_is_said() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        app.action_view("costs-view")
        await pilot.pause()
        assert any("no order yet" in line for line in text(app.view.query_one(Scores)))
        assert any("no trade yet" in line for line in text(app.view.query_one(ClientMarkouts)))

    play(scene)
