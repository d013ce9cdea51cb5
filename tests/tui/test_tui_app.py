"""The blotter under a pilot: what is painted when, the kill switch, a lost feed, the filter, the views."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from desk.client import Failed, Unknown
from tests.tui.fake_session import FakeDesk, FakeSession
from tui.app import FLUSH_HZ, BlotterApp
from tui.style import STALE
from tui.views.panels import VIEWS
from tui.widgets.build_up import BuildUp
from tui.widgets.dialogs import Keys, KillSwitch
from tui.widgets.hedges import Hedges, lines, slippage_bps
from tui.widgets.ladder import Ladder, rungs
from tui.widgets.live_table import LiveTable
from tui.widgets.positions import Position, Positions, gauge, pnl_rows
from tui.widgets.rfq_blotter import RfqBlotter
from tui.widgets.status_line import FeedBanner, StatusLine

Scene = Callable[[BlotterApp, FakeSession, Pilot[None]], Coroutine[Any, Any, None]]


def play(scene: Scene, session: FakeSession | None = None, size: tuple[int, int] = (160, 45)) -> None:
    async def run() -> None:
        held = session or FakeSession(FakeDesk().state())
        app = BlotterApp(held)
        async with app.run_test(size=size) as pilot:
            await eventually(pilot, lambda: app.flushes > 2)
            await scene(app, held, pilot)

    asyncio.run(run())


async def eventually(pilot: Pilot[None], condition: Callable[[], bool], turns: int = 200) -> None:
    for _ in range(turns):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError("did not come to be")


async def enter(app: BlotterApp, pilot: Pilot[None], word: str) -> None:
    app.action_kill()
    await pilot.pause()
    app.screen.query_one(Input).value = word
    await pilot.press("enter")


def shown(table: LiveTable[Any]) -> str:
    return "\n".join(table.render_line(y).text for y in range(table.size.height))


def test_a_thousand_states_a_second_are_painted_at_the_timers_rate() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        desk = FakeDesk()
        tables = app.view.tables()
        loop = asyncio.get_running_loop()
        flushes, formatted, started = app.flushes, sum(table.formatted for table in tables), loop.time()
        state = desk.state()
        for beat in range(1_000):
            for row in state.blotter:
                row.edge_bps = f"{beat}.5"
            session.push(state)
            if beat % 10 == 0:
                await asyncio.sleep(0.01)
        elapsed = loop.time() - started
        painted = app.flushes - flushes
        assert painted <= elapsed * FLUSH_HZ + 3
        rows = sum(table.formatted for table in tables) - formatted
        visible = sum(table.size.height for table in tables)
        assert rows <= (painted + 1) * visible
        assert rows < 1_000 * len(state.blotter) / 20

    play(scene)


def test_the_latest_state_is_on_the_screen_soon() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        desk = FakeDesk(seed=11)
        state = desk.state()
        state.blotter[-1].client_id = "newcomer"
        session.push(state)
        blotter = app.view.query_one(RfqBlotter)
        await eventually(pilot, lambda: "newcomer" in shown(blotter))
        assert shown(blotter).splitlines()[1].split()[1] == "newcomer"  # newest on top

    play(scene)


def test_the_kill_switch_does_nothing_without_the_exact_word() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+k")
        await pilot.pause()
        for typed in ("halt", "HALT ", "HAL", "", "YES", "RESUME"):
            assert isinstance(app.screen, KillSwitch)
            app.screen.query_one(Input).value = typed
            await pilot.press("enter")
            assert "nothing was done" in str(app.screen.query_one("#answer", Static).render())
            assert session.asked == []
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, KillSwitch)
        assert session.asked == []

    play(scene)


def test_the_kill_switch_halts_on_the_word_and_closes_when_the_desk_agrees() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+k", "H", "A", "L", "T", "enter")
        await eventually(pilot, lambda: not isinstance(app.screen, KillSwitch))
        assert [what for what, _ in session.asked] == ["halt"]

    play(scene)


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Failed("down", "no ledger"), "nothing was done"), (Unknown("no_answer", "lost"), "OUTCOME UNKNOWN")],
    ids=["failed", "unknown"],
)
def test_a_halt_that_was_not_confirmed_says_so_and_can_be_tried_again(fault: Failed | Unknown, words: str) -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        session.fault = fault
        await enter(app, pilot, "HALT")
        answer = app.screen.query_one("#answer", Static)
        await eventually(pilot, lambda: words in str(answer.render()))
        assert "HALT NOT CONFIRMED" in str(answer.render())
        session.fault = None
        await pilot.press("enter")
        await eventually(pilot, lambda: not isinstance(app.screen, KillSwitch))
        assert len(session.asked) == 2

    play(scene)


def test_a_halted_desk_is_seen_and_resumed_with_its_own_word() -> None:
    desk = FakeDesk()
    session = FakeSession(desk.state(trading="halted", halt_reason="operator at the blotter"))

    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        assert "HALTED" in app.query_one(StatusLine).render().plain
        await enter(app, pilot, "HALT")
        assert session.asked == []
        app.screen.query_one(Input).value = "RESUME"
        await pilot.press("enter")
        await eventually(pilot, lambda: not isinstance(app.screen, KillSwitch))
        assert [what for what, _ in session.asked] == ["resume"]

    play(scene, session)


def test_a_lost_feed_is_red_at_once_and_no_number_looks_live() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        banner = app.query_one(FeedBanner)
        assert not banner.display
        flushes = app.flushes
        session.lose("closed with 1006", 12.3)
        await eventually(pilot, lambda: banner.text != "")
        assert app.flushes - flushes <= 3
        assert banner.display
        assert "FEED LOST · NOT LIVE: numbers are 12 s old" in banner.text
        assert "closed with 1006" in banner.text
        assert "FEED LOST" in app.query_one(StatusLine).render().plain
        for table in app.view.tables():
            for y in range(1, table.size.height):
                for segment in table.render_line(y):
                    if segment.text.strip() and table.order and segment.text.strip() not in ("│", "▌"):
                        assert segment.style.color.name == STALE, (table, segment)
        await pilot.press("5")  # another view is not live either
        await pilot.pause(0.2)
        assert all(table.stale for table in app.view.tables())
        session.connected, session.age_s, session.state_age_s = True, 0.1, 0.1
        await eventually(pilot, lambda: not banner.display)
        assert not any(table.stale for table in app.view.tables())

    play(scene)


@pytest.mark.parametrize(
    ("age_s", "state_age_s", "words"), [(3.0, 3.0, "nothing heard"), (0.3, 8.0, "the desk sends no state")]
)
def test_a_silent_feed_is_lost_even_while_the_socket_is_open(age_s: float, state_age_s: float, words: str) -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        session.age_s, session.state_age_s = age_s, state_age_s
        await eventually(pilot, lambda: words in app.query_one(FeedBanner).text)

    play(scene)


def test_without_a_desk_the_blotter_says_why_it_is_empty() -> None:
    session = FakeSession()
    session.reason = "invalid_key: unknown key"

    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        assert "NOT CONNECTED · invalid_key: unknown key" in app.query_one(FeedBanner).text
        session.push(FakeDesk().state())
        session.connected = True
        await eventually(pilot, lambda: "QUOTING" in app.query_one(StatusLine).render().plain)

    play(scene, session)


def test_the_filter_narrows_the_rows_while_typing_and_escape_brings_them_back() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        blotter = app.view.query_one(RfqBlotter)
        everything = len(blotter.order)
        await pilot.press("slash", *"COBALT")
        await eventually(pilot, lambda: 0 < len(blotter.order) < everything)
        assert {row.client_id for row in blotter.rows.values()} == {"cobalt"}
        await pilot.press("enter")
        assert blotter.has_focus
        assert len(blotter.order) < everything
        await pilot.press("slash", "escape")
        await eventually(pilot, lambda: len(blotter.order) == everything)

    play(scene)


def test_typing_a_number_into_the_filter_does_not_change_the_view() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        await pilot.press("slash", "4", "q")
        await pilot.pause()
        assert app.view.id == "desk"
        assert app.needle == "4q"

    play(scene)


@pytest.mark.parametrize("size", [(200, 60), (100, 30), (60, 20)], ids=str)
def test_every_view_is_drawn_at_every_size(size: tuple[int, int]) -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        for name, kind in VIEWS:
            app.action_view(name)
            await pilot.pause()
            assert app.view.id == name
            assert app.view.query(kind.focus_first).first().has_focus
            for table in app.view.tables():
                table.flush()
                assert {table.render_line(y).cell_length for y in range(table.size.height)} <= {table.size.width}
        assert "Kerb" in app.export_screenshot()

    play(scene, size=size)


def test_number_keys_choose_the_view() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        for key in ("4", "1"):
            await pilot.press(key)
            assert app.view.id == VIEWS[int(key) - 1][0]

    play(scene)


def test_a_hidden_view_is_not_updated_and_is_current_when_shown() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        hidden = app.query_one("#hedges", Hedges)
        session.push(FakeDesk(seed=3).state())
        await pilot.pause(0.2)
        assert not hidden.order
        await pilot.press("5")
        await eventually(pilot, lambda: bool(hidden.order))

    play(scene)


def test_a_click_selects_the_row_under_the_pointer_inside_the_border() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        blotter = app.view.query_one(RfqBlotter)
        await pilot.click(offset=(10, blotter.region.y + 4))  # border, titles, then rows 0, 1 and 2
        assert blotter.cursor_key == blotter.order[2]

    play(scene)


def test_the_brackets_go_through_the_instruments() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        ladder = app.view.query_one(Ladder)
        await eventually(pilot, lambda: "BTC/USDT" in str(ladder.border_title))
        await pilot.press("right_square_bracket")
        assert "ETH/USDT" in str(ladder.border_title)
        await pilot.press("left_square_bracket")
        assert "BTC/USDT" in str(ladder.border_title)

    play(scene)


def test_the_keys_are_listed_from_the_bindings() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, Keys)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, Keys)

    play(scene)


def test_every_binding_has_an_id_of_its_own_so_that_keys_can_be_remapped() -> None:
    ids = [
        binding.id for binding in (*BlotterApp.BINDINGS, *LiveTable.BINDINGS, *KillSwitch.BINDINGS, *BuildUp.BINDINGS)
    ]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_a_ladder_keeps_its_spread_in_the_middle() -> None:
    view = FakeDesk().ladder("BTC/USDT")
    del view.asks[3:]
    shown = rungs(view, 6)
    assert [rung.side for rung in shown] == ["ask"] * 6 + ["spread"] + ["bid"] * 6
    assert [bool(rung.price) for rung in shown[:6]] == [False, False, False, True, True, True]
    assert shown[5].price == view.asks[0].price
    assert shown[7].price == view.bids[0].price
    assert max(rung.share for rung in shown) == 1.0


def test_a_gauge_says_which_side_and_which_band() -> None:
    def drawn(position: str) -> tuple[str, str]:
        state = FakeDesk().state()
        view = state.inventory["BTC"]
        view.position = position
        row = Position("BTC", view)
        return "".join(text for text, _ in gauge(row, 21)), row.colour  # type: ignore[misc]

    assert drawn("0")[0] == "├───────┄┄┼┄┄───────┤"
    assert drawn("5")[0] == "├───────┄┄┼━━━━◆────┤"
    assert drawn("-10")[0] == "◀━━━━━━━━━┼┄┄───────┤"
    assert len({drawn(position)[1] for position in ("1", "5", "10")}) == 3
    assert drawn("-0.001")[0] != drawn("0")[0]


def test_slippage_is_a_cost_on_both_sides() -> None:
    parent = FakeDesk().parents[0]
    parent.arrival_price, parent.average_price = "100", "101"
    parent.side = "buy"
    assert slippage_bps(parent) == 100
    parent.side = "sell"
    assert slippage_bps(parent) == -100
    parent.average_price = None
    assert slippage_bps(parent) is None


def test_children_follow_their_parent() -> None:
    parents = FakeDesk().parents
    shown = lines(parents)
    assert len(shown) == len(parents) + sum(len(parent.children) for parent in parents)
    assert all(line.child is None or line.child.parent_id == line.parent.parent_id for line in shown)
    assert [line.parent.created_ns for line in shown] == sorted(
        (line.parent.created_ns for line in shown), reverse=True
    )
    assert lines(parents, "no such venue") == []


def test_the_parts_of_the_profit_add_up_to_the_total_shown() -> None:
    parts = {row.name: row.amount for row in pnl_rows(FakeDesk().state().pnl)}
    assert parts["spread"] + parts["hedge"] + parts["inventory"] + parts["fees"] == parts["total"]


def test_positions_are_shown_with_their_bands() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        text = shown(app.view.query_one(Positions))
        assert "BTC" in text
        assert "+1.2345" in text
        assert "┼" in text
        assert "P&L +412.87 USDT" in str(app.view.query_one(Positions).border_subtitle)

    play(scene)


def test_ctrl_c_leaves_at_once_from_any_dialog() -> None:
    async def run() -> None:
        app = BlotterApp(FakeSession(FakeDesk().state()))
        async with app.run_test(size=(160, 45)) as pilot:
            await eventually(pilot, lambda: app.flushes > 2)
            await pilot.press("ctrl+k")
            await pilot.press("ctrl+c")
            await eventually(pilot, lambda: app._exit)
        assert app.return_code == 0

    asyncio.run(run())


def test_w_tells_how_the_price_of_the_selected_request_was_made() -> None:
    async def scene(app: BlotterApp, session: FakeSession, pilot: Pilot[None]) -> None:
        blotter = app.view.query_one(RfqBlotter)
        await pilot.press("j", "j", "w")
        await eventually(pilot, lambda: isinstance(app.screen, BuildUp) and "60015.5" in built(app))
        assert session.asked == [("waterfall", blotter.order[1])]
        for told in ("our ask for 1", "sweep", "6.5", "1.083", "BINANCE 1 (fee 1 bps)", "markup", "gold 1.5 bps"):
            assert told in built(app)
        await pilot.press("escape")
        await eventually(pilot, lambda: not isinstance(app.screen, BuildUp))
        session.fault = Failed("unavailable", "the ledger is away")
        await pilot.press("w")
        await eventually(pilot, lambda: isinstance(app.screen, BuildUp) and "the ledger is away" in built(app))

    play(scene)


def built(app: BlotterApp) -> str:
    """What the dialog shows, as text."""
    shown = app.screen.query_one("#build", Static)
    return "\n".join(strip.text for strip in shown.render_lines(shown.region.reset_offset))
