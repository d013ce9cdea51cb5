"""The live table paints what changed and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from textual.app import App, ComposeResult

from tui.style import STALE
from tui.text import aligned, bar, fit, line, nanos, number, span
from tui.widgets.live_table import Column, LiveTable


@dataclass(frozen=True)
class Row:
    name: str
    value: int


class Host(App[None]):
    def __init__(self, table: LiveTable[Row]) -> None:
        super().__init__()
        self.table = table

    def compose(self) -> ComposeResult:
        yield self.table


def table(**options: object) -> LiveTable[Row]:
    return LiveTable(
        [
            Column("name", 8, lambda row, _: row.name, keep=9),
            Column("value", 10, lambda row, _: (f"{row.value:,}", "#3fcf8e"), "right", keep=8),
            Column("note", 0, lambda row, width: "x" * (width + 5), keep=1),
        ],
        **options,  # type: ignore[arg-type]
    )


def rows(count: int, **changed: int) -> list[tuple[str, Row]]:
    return [(f"r{at}", Row(f"r{at}", changed.get(f"r{at}", at))) for at in range(count)]


def text(live: LiveTable[Row], y: int) -> str:
    return live.render_line(y).text


def test_only_changed_visible_rows_are_formatted_and_repainted() -> None:
    async def scene() -> None:
        live = table()
        async with Host(live).run_test(size=(60, 21)) as pilot:
            live.update(rows(500))
            assert live.flush() == 21
            await pilot.pause()
            assert live.formatted == 20  # of 500: those on screen
            assert live.flush() == 0
            live.update(rows(500, r3=1_000_000))
            assert live.flush() == 1
            await pilot.pause()
            assert live.formatted == 21
            assert text(live, 4).split()[:2] == ["r3", "1,000,000"]
            live.update(rows(500, r3=1_000_000, r400=7))  # below the screen
            assert live.flush() == 0
            await pilot.pause()
            assert live.formatted == 21

    asyncio.run(scene())


def test_many_updates_between_two_flushes_cost_one_repaint() -> None:
    async def scene() -> None:
        live = table()
        async with Host(live).run_test(size=(60, 21)) as pilot:
            live.update(rows(20))
            live.flush()
            await pilot.pause()
            before = live.formatted
            for beat in range(1_000):
                live.update(rows(20, r5=beat))
            assert live.formatted == before
            assert live.flush() == 1
            await pilot.pause()
            assert live.formatted == before + 1
            assert "999" in text(live, 6)

    asyncio.run(scene())


def test_removed_and_reordered_rows_are_gone_and_moved() -> None:
    async def scene() -> None:
        live = table(empty="nothing here")
        async with Host(live).run_test(size=(60, 10)) as pilot:
            assert "no data" in text(live, 1)
            live.update(rows(3))
            live.flush()
            live.update(reversed(rows(3)[:2]))
            assert live.flush() == 10
            await pilot.pause()
            assert [text(live, y).split()[0] for y in (1, 2)] == ["r1", "r0"]
            assert text(live, 3).strip() == ""
            live.update([])
            live.flush()
            assert "nothing here" in text(live, 1)
            live.stale = True
            live.flush()
            assert "no data" in text(live, 1)  # an empty table of a lost feed says nothing about the desk

    asyncio.run(scene())


def test_every_line_is_exactly_as_wide_as_the_table_and_long_cells_end_in_an_ellipsis() -> None:
    async def scene() -> None:
        live = table()
        async with Host(live).run_test(size=(60, 10)) as pilot:
            live.update([("a", Row("a-long-name-of-a-row", 5)), ("b", Row("日本語の名前です", 6))])
            live.flush()
            await pilot.pause()
            assert {live.render_line(y).cell_length for y in range(10)} == {live.size.width}
            assert text(live, 1).startswith(" a-long-…")
            live.update([("a", Row("big", 10**12))])
            live.flush()
            assert text(live, 1).split()[1] == "##########"  # never half a number

    asyncio.run(scene())


def test_a_narrow_table_drops_the_least_important_columns_first() -> None:
    async def scene() -> None:
        live = table()
        async with Host(live).run_test(size=(24, 10)) as pilot:
            live.update(rows(2))
            live.flush()
            await pilot.pause()
            assert text(live, 0).split() == ["name", "value"]

    asyncio.run(scene())


def test_stale_rows_are_all_grey() -> None:
    async def scene() -> None:
        live = table()
        async with Host(live).run_test(size=(60, 10)) as pilot:
            live.update(rows(3))
            live.stale = True
            live.flush()
            await pilot.pause()
            colours = {
                segment.style.color.name
                for segment in live.render_line(1)
                if segment.text.strip() and segment.style and segment.style.color
            }
            assert colours == {STALE}
            live.stale = False
            live.flush()
            assert any(s.style.color.name == "#3fcf8e" for s in live.render_line(1) if s.text.strip())

    asyncio.run(scene())


def test_volatile_rows_are_repainted_without_an_update_and_not_while_stale() -> None:
    async def scene() -> None:
        live = table(volatile=lambda row: row.value == 1)
        async with Host(live).run_test(size=(60, 10)) as pilot:
            live.update(rows(3))
            live.flush()
            await pilot.pause()
            assert live.flush() == 1
            live.stale = True
            live.flush()
            assert live.flush() == 0

    asyncio.run(scene())


def test_the_cursor_moves_and_scrolls_with_the_keys() -> None:
    async def scene() -> None:
        live = table(cursor=True)
        async with Host(live).run_test(size=(60, 10)) as pilot:
            live.focus()
            live.update(rows(50))
            live.flush()
            await pilot.press("j", "j")
            assert live.cursor_key == "r1"
            await pilot.press("G")
            await pilot.pause()
            assert live.cursor_key == "r49"
            assert live.scroll_offset.y == 50 - 9
            assert text(live, 9).startswith("▌r49")
            await pilot.press("g")
            await pilot.pause()
            assert (live.cursor_key, live.scroll_offset.y) == ("r0", 0)

    asyncio.run(scene())


def test_numbers_are_exact_grouped_and_aligned_on_the_point() -> None:
    assert number("60012.345", 2) == "60,012.34"
    assert number("1E+3", 2) == "1,000.00"
    assert number(None, 2) == number("NaN", 2) == "–"
    assert number("0.5", 2, sign=True) == "+0.50"
    assert [aligned(text, 4) for text in ("1.5", "0.0123", "12")] == ["1.5   ", "0.0123", "12     "]
    assert len({len(aligned(text, 4)) for text in ("1.5", "0.0123", "3")}) == 1
    assert aligned("100", 0) == "100"


def test_a_number_that_does_not_fit_loses_places_never_digits() -> None:
    assert fit("60012.345678", 6, 11) == "60,012.3457"
    assert fit("180051.18", 4, 11, align=True) == "180,051.18 "
    assert fit("1234567.89", 4, 11, align=True) == "1,234,567.9"
    assert fit("0.0123", 4, 11, align=True) == "0.0123"
    assert fit("123456789012", 2, 11) == "123,456.8M"
    assert fit(None, 2, 5) == "–"


def test_bars_fill_their_width_and_never_more() -> None:
    assert (bar(0, 4), bar(1, 4), bar(7, 4), bar(0.5, 4)) == ("    ", "████", "████", "██  ")
    assert (line(0, 4), line(1, 4), line(0.125, 4)) == ("    ", "━━━━", "╸   ")
    assert all(len(bar(at / 37, 7)) == len(line(at / 37, 7)) == 7 for at in range(38))


def test_durations_and_latencies_fit_their_columns() -> None:
    assert [span(value) for value in (0.2, 9.9, 42, 600, 90_000)] == ["0.2s", "9.9s", "42s", "10m", "25h"]
    assert [nanos(value) for value in (0, 41_000, 12_400_000)] == ["–", "41 µs", "12.4 ms"]
