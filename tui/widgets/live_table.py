"""`LiveTable`: a table for data that changes many times a second, on Textual's Line API.

What it promises:

1. Work follows what is seen: a row is formatted when it is drawn, and drawn when it changed and is visible.
2. `update` takes any number of rows at any rate and paints nothing; `flush`, called by the application's one timer,
   refreshes the lines that changed, or the whole widget when the order, the width or the selection did.
3. Stale data does not look alive: while `stale` every cell has the one grey of a lost feed.

A row is any value with `==`; the columns say how it looks. Cells are (text, style) pairs; a cell may be several of them.
Text that does not fit ends in "…"; a right-aligned cell that does not fit is "###", as half a number is another number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.style import FAINT, MUTED, STALE, TEXT, parsed

Cell = str | tuple[str, str] | list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Column[Row]:
    """One column. `width` 0: takes what is left, but at least `least`. The higher `keep`, the longer it stays when the
    table is narrow. A `title` may depend on the width.
    """

    title: str | Callable[[int], str]
    width: int
    cell: Callable[[Row, int], Cell]  # (row, width in cells) → what is shown
    align: Literal["left", "right"] = "left"
    keep: int = 5
    least: int = 6


class LiveTable[Row](ScrollView, can_focus=True):
    """Rows by key in the order given. `cursor`: whether a row can be selected (then `Selected` is posted)."""

    DEFAULT_CSS = """
    LiveTable { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False, id="table.down"),
        Binding("k,up", "move(-1)", "up", show=False, id="table.up"),
        Binding("pagedown", "move(20)", "page down", show=False, id="table.page_down"),
        Binding("pageup", "move(-20)", "page up", show=False, id="table.page_up"),
        Binding("g,home", "move(-1000000)", "top", show=False, id="table.top"),
        Binding("G,end", "move(1000000)", "bottom", show=False, id="table.bottom"),
    ]

    class Selected(Message):
        """The cursor moved to another row."""

        def __init__(self, table: LiveTable[Any], key: Hashable) -> None:
            super().__init__()
            self.table, self.key = table, key

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        *,
        header: bool = True,
        cursor: bool = False,
        volatile: Callable[[Row], bool] | None = None,
        empty: str = "",
        **kwargs: Any,
    ) -> None:
        """`volatile(row)`: the row looks different as time passes, without an update. `empty`: shown without rows."""
        super().__init__(**kwargs)
        self.columns = tuple(columns)
        self.rows: dict[Hashable, Row] = {}
        self.order: list[Hashable] = []
        self.cursor_key: Hashable | None = None
        self.formatted = 0  # rows formatted since the start: what a test of promise 1 counts
        self._header = header
        self._cursor = cursor
        self._volatile = volatile
        self._empty = empty
        self._strips: dict[Hashable, Strip] = {}
        self._dirty: set[Hashable] = set()
        self._all_dirty = True
        self._fed = False
        self._stale = False
        self._layout: list[tuple[Column[Row], int]] = []
        self._layout_width = -1
        self._base = Style()

    # ---- data ----

    def update(self, rows: Iterable[tuple[Hashable, Row]]) -> None:  # type: ignore[override]
        """Show exactly these rows, in this order. Paints nothing before `flush`."""
        fresh = dict(rows)
        order = list(fresh)
        if order != self.order or not self._fed:
            self._fed = True
            self.order = order
            self._all_dirty = True
            for gone in self._strips.keys() - fresh.keys():
                del self._strips[gone]
        known = self.rows
        for key, row in fresh.items():
            if key not in known or known[key] != row:
                self._strips.pop(key, None)
                self._dirty.add(key)
        self.rows = fresh

    @property
    def stale(self) -> bool:
        """Whether the rows are from a feed that is down."""
        return self._stale

    @stale.setter
    def stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self.restyle()

    def restyle(self) -> None:
        """Forget how every row looks."""
        self._strips.clear()
        self._all_dirty = True

    def flush(self) -> int:
        """Repaint what changed and is visible; returns how many lines were asked to be repainted."""
        if not self.is_attached or not self.size.width:
            return 0
        if self._volatile is not None and not self._stale:
            top = self.scroll_offset.y
            for key in self.order[top : top + self._body_height]:
                if self._volatile(self.rows[key]):
                    self._strips.pop(key, None)
                    self._dirty.add(key)
        if self._all_dirty:
            self._all_dirty = False
            self._dirty.clear()
            self._resize_virtual()
            self.refresh()
            return self.size.height
        if not self._dirty:
            return 0
        top, head, width = self.scroll_offset.y, int(self._header), self.size.width
        regions = [
            Region(0, index + head, width, 1)
            for index, key in enumerate(self.order[top : top + self._body_height])
            if key in self._dirty
        ]
        self._dirty.clear()
        if regions:
            self.refresh(*regions)
        return len(regions)

    # ---- drawing ----

    @property
    def _body_height(self) -> int:
        return max(0, self.size.height - int(self._header))

    def _resize_virtual(self) -> None:
        size = Size(self.size.width, len(self.order) + int(self._header))
        if size != self.virtual_size:
            self.virtual_size = size

    def on_resize(self, event: events.Resize) -> None:
        """Columns are laid out anew."""
        self._strips.clear()
        self._layout_width = -1
        self._all_dirty = True

    def notify_style_update(self) -> None:
        """Theme or focus colours changed."""
        super().notify_style_update()
        self._strips.clear()
        self._all_dirty = True

    def watch_scroll_y(self, old: float, new: float) -> None:
        """Scrolling repaints."""
        super().watch_scroll_y(old, new)
        if round(old) != round(new):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        width = self.size.width
        base = self.rich_style
        if width != self._layout_width or base != self._base:
            self._lay_out(width)
            self._strips.clear()
            self._base = base
        if self._header:
            if y == 0:
                return self._title_line(width)
            y -= 1
        index = y + self.scroll_offset.y
        if index >= len(self.order):
            note = "" if self.order or y else self._empty if self._fed and not self._stale else "no data"
            return Strip([Segment(set_cell_size(f" {note}", width), base + parsed(MUTED))], width)
        key = self.order[index]
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._row_line(key, self.rows[key], width)
        return strip

    def _lay_out(self, width: int) -> None:
        """Which columns fit, and how wide each is."""
        shown = list(self.columns)
        while len(shown) > 1 and sum((column.width or column.least) + 1 for column in shown) > width:
            shown.remove(min(reversed(shown), key=lambda column: column.keep))
        fixed = sum(column.width + 1 for column in shown)
        flexible = [column for column in shown if not column.width]
        left = max(0, width - fixed - 1)
        self._layout = []
        for column in shown:
            share = column.width
            if not share:
                share = left // len(flexible)
                if column is flexible[-1]:
                    share = left - share * (len(flexible) - 1)
            self._layout.append((column, share))
        self._layout_width = width

    def _title_line(self, width: int) -> Strip:
        style = self._base + parsed(MUTED if not self._stale else STALE)
        parts = [Segment(" ", style)]
        for column, size in self._layout:
            title = column.title if isinstance(column.title, str) else column.title(size)
            title = title.rjust(size) if column.align == "right" else title
            parts.append(Segment(set_cell_size(title, size) + " ", style))
        return Strip(parts).adjust_cell_length(width, style)

    def _row_line(self, key: Hashable, row: Row, width: int) -> Strip:
        self.formatted += 1
        selected = self._cursor and key == self.cursor_key
        base = self._base + parsed("on #1d2a3a") if selected else self._base
        edge = parsed("#8ab4f8") if selected and self.has_focus else parsed(FAINT)
        parts = [Segment("▌" if selected else " ", base + edge)]
        gap = Segment(" ", base)
        grey = parsed(STALE)
        for column, size in self._layout:
            cell = column.cell(row, size)
            pieces = [(cell, TEXT)] if isinstance(cell, str) else [cell] if isinstance(cell, tuple) else cell
            used = 0
            segments = []
            for text, style in pieces:
                room = size - used
                if room <= 0:
                    break
                length = cell_len(text)
                if length > room and column.align == "right":  # half a number is another number
                    text, length = "#" * room, room
                elif length > room:
                    text = set_cell_size(text, room - 1) + "…" if room > 1 else set_cell_size(text, room)
                    length = room
                used += length
                segments.append(Segment(text, base + (grey if self._stale else parsed(style))))
            padding = [Segment(" " * (size - used), base)] if used < size else []
            parts += [*padding, *segments] if column.align == "right" else [*segments, *padding]
            parts.append(gap)
        return Strip(parts).adjust_cell_length(width, base)

    # ---- the cursor ----

    def action_move(self, rows: int) -> None:
        """Move the cursor (or, without one, scroll) by `rows`."""
        if not self._cursor or not self.order:
            self.scroll_relative(y=rows, animate=False)
            return
        at = self.order.index(self.cursor_key) if self.cursor_key in self.rows else (-1 if rows > 0 else 0)
        self._select(max(0, min(len(self.order) - 1, at + rows)))

    def on_click(self, event: events.Click) -> None:
        """Select the row under the pointer."""
        inside = event.get_content_offset(self)
        if inside is None or not self._cursor or inside.y < int(self._header):
            return
        index = inside.y - int(self._header) + self.scroll_offset.y
        if index < len(self.order):
            self._select(index)

    def _select(self, index: int) -> None:
        key = self.order[index]
        for changed in (self.cursor_key, key):
            if changed is not None:
                self._strips.pop(changed, None)
                self._dirty.add(changed)
        self.cursor_key = key
        top = self.scroll_offset.y
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + self._body_height:
            self.scroll_to(y=index - self._body_height + 1, animate=False)
        self.flush()
        self.post_message(self.Selected(self, key))

    def on_focus(self) -> None:
        """The edge of the selected row shows the focus."""
        self._repaint_cursor()

    def on_blur(self) -> None:
        """The edge of the selected row shows the focus."""
        self._repaint_cursor()

    def _repaint_cursor(self) -> None:
        if self.cursor_key is not None:
            self._strips.pop(self.cursor_key, None)
            self._dirty.add(self.cursor_key)
            self.flush()
