"""The blotter's line of an account at a venue: connection, orders, dead-man switch, rate limits."""

from __future__ import annotations

from desk.api.desk_messages import AccountView
from tests.tui.fake_session import FakeDesk, FakeSession
from tests.tui.test_tui_app import eventually, play, shown
from tui.widgets.venues import Venues

UP = AccountView(
    venue="KRAKEN",
    connected=True,
    reason="",
    live_orders=3,
    orders_by="rest",
    switch="set",
    limit="requests",
    used=4.0,
    capacity=20.0,
    refused=0,
)
DOWN = AccountView(
    venue="OKX",
    connected=False,
    reason="credentials refused",
    live_orders=0,
    orders_by="rest",
    switch="not set",
    limit="",
    used=0.0,
    capacity=0.0,
    refused=0,
)
SHUT = AccountView(
    venue="BYBIT",
    connected=True,
    reason="",
    live_orders=0,
    orders_by="rest",
    switch="set",
    limit="",
    used=0.0,
    capacity=0.0,
    refused=0,
    refusing="no trade permission",
)


def test_an_account_says_how_it_stands_in_the_table_of_venues() -> None:
    async def scene(app, session, pilot) -> None:
        await pilot.press("6")

        def text() -> str:
            return "\n".join(shown(table) for table in app.query(Venues) if table.region.width)

        await eventually(pilot, lambda: "account" in text())
        lines = text().splitlines()
        kraken = next(line for line in lines if "KRAKEN" in line and "account" in line)
        assert "live" in kraken
        assert "3 orders" in kraken and "by rest" in kraken
        assert "dead-man switch set" in kraken
        okx = next(line for line in lines if "OKX" in line and "account" in line)
        assert "down" in okx and "credentials refused" in okx
        bybit = next(line for line in lines if "BYBIT" in line and "account" in line)
        assert "live" in bybit and "no trade permission" in bybit

    play(scene, FakeSession(FakeDesk().state(accounts=[UP, DOWN, SHUT])), size=(180, 60))
