"""The blotter's connection against a served API over a real socket, and its command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.api.house import House
from tests.tui.fake_session import FakeDesk
from tui.access import AccessFault, from_state
from tui.app import BlotterApp
from tui.cli import tui
from tui.session import DeskSession
from tui.widgets.status_line import FeedBanner, StatusLine


async def eventually(condition: Callable[[], bool], within_s: float = 6.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_session_follows_the_desk_halts_it_and_sees_it_go(tmp_path: Path) -> None:
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(House(tmp_path))
            made = house.keys.new("ops", ["operate", "read"])
            session = DeskSession(house.url, made.key.key_id, made.secret, hz=10)
            assert not session.feed().live
            running = asyncio.create_task(session.run())
            await eventually(lambda: session.version >= 3)
            assert session.feed().live
            assert session.state is not None
            assert session.state.trading == "active"
            await session.halt("test")
            await eventually(lambda: session.state is not None and session.state.trading == "halted")
            await session.resume("test")
            await eventually(lambda: session.state is not None and session.state.trading == "active")
            await stack.aclose()
            await eventually(lambda: not session.feed().live)
            assert session.feed().fault
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


def test_a_refused_key_is_said_and_not_hidden(tmp_path: Path) -> None:
    async def scene() -> None:
        async with House(tmp_path) as house:
            session = DeskSession(house.url, "nobody", "secret")
            running = asyncio.create_task(session.run())
            await eventually(lambda: session.feed().reason not in ("", "connecting", "not started"))
            assert not session.feed().live
            assert session.state is None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


def test_a_client_key_cannot_watch_the_desk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with House(tmp_path) as house:
            made = house.keys.new("alice", ["quote", "read"])
            session = DeskSession(house.url, made.key.key_id, made.secret)
            running = asyncio.create_task(session.run())
            await eventually(lambda: ":" in session.feed().fault)
            assert session.state is None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


def test_the_whole_blotter_on_a_served_desk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            house = await stack.enter_async_context(House(tmp_path))
            made = house.keys.new("ops", ["operate", "read"])
            house.desk.state = FakeDesk().state  # type: ignore[method-assign]
            app = BlotterApp(DeskSession(house.url, made.key.key_id, made.secret, hz=10))
            async with app.run_test(size=(160, 45)):
                await eventually(lambda: "QUOTING" in app.query_one(StatusLine).render().plain)
                await eventually(lambda: app.query_one(FeedBanner).text == "")
                assert "BTC/USDT" in app.export_screenshot()
                await stack.aclose()
                await eventually(lambda: "FEED LOST" in app.query_one(FeedBanner).text)

    asyncio.run(scene())


def test_access_is_read_from_the_state_folder_and_its_secret_is_not_printed(tmp_path: Path) -> None:
    with pytest.raises(AccessFault, match="--state folder"):
        from_state(tmp_path)
    body = {
        "url": "http://h:1",
        "ws_url": "ws://h:1/v1/ws",
        "clients": [],
        "operator": {"key": "k", "secret": "s3cr3t"},
    }
    (tmp_path / "access.json").write_text(json.dumps(body))
    access = from_state(tmp_path)
    assert (access.url, access.operator.key, access.operator.secret) == ("http://h:1", "k", "s3cr3t")
    assert "s3cr3t" not in repr(access)
    (tmp_path / "access.json").write_text("{")
    with pytest.raises(AccessFault):
        from_state(tmp_path)


def test_the_command_says_what_it_needs() -> None:
    runner = CliRunner(env={"KERB_KEY": "", "KERB_SECRET": ""})
    bare = runner.invoke(tui, [])
    assert bare.exit_code == 2
    assert "operator key" in bare.output
    piped = runner.invoke(tui, ["--key", "k", "--secret", "s"])
    assert piped.exit_code == 2
    assert "terminal" in piped.output
