"""The consolidated ladder of one instrument: asks above, bids below, each price with its venue, size and depth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from desk.client import DeskState, LadderLevel, LadderView
from tui.style import ASK, BID, MUTED, TEXT, of_venue
from tui.text import bar, decimal, fit, number, places
from tui.widgets.live_table import Cell, Column, LiveTable

ZERO = Decimal(0)


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a level, or the spread between the best two."""

    side: str  # "ask" | "bid" | "spread"
    venue: str = ""
    price: str = ""
    all_in: str = ""
    quantity: str = ""
    depth: Decimal = ZERO  # cumulated from the best level on
    share: float = 0.0  # of the deepest depth shown
    notes: tuple[str, str, str] = ("", "", "")  # of the spread: its width, its width in bp, both with fees
    decimals: int = 2


class Ladder(LiveTable[Rung]):
    """`instrument`: which one is shown; `step` goes to the next. Levels stay in place: the spread is always in the middle."""

    def __init__(self, **kwargs: Any) -> None:
        columns = [
            Column[Rung]("venue", 8, _venue, keep=6),
            Column[Rung]("price", 11, _price, "right", keep=9),
            Column[Rung]("all-in", 11, _all_in, "right", keep=4),
            Column[Rung]("size", 9, _size, "right", keep=8),
            Column[Rung]("depth", 0, _depth, keep=5),
        ]
        super().__init__(columns, empty="no book is live", **kwargs)
        self.instrument = ""
        self._deepest = 5  # most levels a side ever had: fewer leave blanks, so the spread stays where it is
        self.border_title = "Ladder"

    def step(self, state: DeskState, by: int) -> None:
        """Show the next instrument."""
        names = [ladder.instrument for ladder in state.ladders]
        if names:
            at = names.index(self.instrument) if self.instrument in names else 0
            self.instrument = names[(at + by) % len(names)]
            self.show(state)

    def show(self, state: DeskState) -> None:
        """Take the ladder of `instrument` (or the first) from `state`."""
        views = {ladder.instrument: ladder for ladder in state.ladders}
        view = views.get(self.instrument) or next(iter(views.values()), None)
        if view is None:
            self.update(())
            return
        self._deepest = max(self._deepest, len(view.asks), len(view.bids))
        each_side = max(1, min(self._deepest, (self.size.height - 2) // 2))
        self.update((str(at), rung) for at, rung in enumerate(rungs(view, each_side)))
        fair = number(view.fair, _decimals(view))
        prices, size = _headline(view)
        self.border_title = f"{view.instrument}  fair {fair}{prices}"
        self.border_subtitle = f"{size}volatility {number(view.volatility_bps_per_sqrt_s, 2)} bp/√s"


def _headline(view: LadderView) -> tuple[str, str]:
    """What the desk would quote now for its middle size: the prices, and the size."""
    if not view.headline:
        return "", ""
    rung = view.headline[len(view.headline) // 2]
    base = view.instrument.partition("/")[0]
    return f" · ours {number(rung.bid, 2)} / {number(rung.ask, 2)}", f"ours for {rung.quantity} {base} · "


def rungs(view: LadderView, each_side: int) -> list[Rung]:
    """The lines of a ladder, worst ask first. A side with fewer levels is filled with empty lines, so nothing jumps."""
    asks, bids = view.asks[:each_side], view.bids[:each_side]
    deepest = max(_total(asks), _total(bids)) or Decimal(1)
    decimals = _decimals(view)

    def side(levels: list[LadderLevel], name: str) -> list[Rung]:
        lines, depth = [], ZERO
        for level in levels:
            depth += decimal(level.quantity) or ZERO
            lines.append(
                Rung(
                    side=name,
                    venue=level.venue,
                    price=level.price,
                    all_in=level.all_in,
                    quantity=level.quantity,
                    depth=depth,
                    share=float(depth / deepest),
                    decimals=decimals,
                )
            )
        return lines + [Rung(side=name)] * (each_side - len(lines))

    return [*reversed(side(asks, "ask")), Rung(side="spread", notes=_spread(view, decimals)), *side(bids, "bid")]


def _spread(view: LadderView, decimals: int) -> tuple[str, str, str]:
    if not view.asks or not view.bids:
        return ("", "", "one side is empty")
    ask, bid = decimal(view.asks[0].price), decimal(view.bids[0].price)
    paid, got = decimal(view.asks[0].all_in), decimal(view.bids[0].all_in)
    if ask is None or bid is None or paid is None or got is None or not bid:
        return ("", "", "")
    mid = (ask + bid) / 2
    bps = f"{(ask - bid) / mid * 10_000:.2f} bp"
    return (number(str(ask - bid), decimals), bps, f"{(paid - got) / mid * 10_000:.2f} bp net")


def _total(levels: list[LadderLevel]) -> Decimal:
    return sum((decimal(level.quantity) or ZERO for level in levels), ZERO)


def _decimals(view: LadderView) -> int:
    """Digits of the finest price shown, at least two: every price of the ladder is written with them."""
    return max([2, *(places(level.price) for level in view.asks[:20] + view.bids[:20])])


def _colour(rung: Rung) -> str:
    return ASK if rung.side == "ask" else BID


def _venue(rung: Rung, _: int) -> Cell:
    return ("spread", MUTED) if rung.side == "spread" else (rung.venue, of_venue(rung.venue))


def _price(rung: Rung, _: int) -> Cell:
    if rung.side == "spread":
        return (rung.notes[0], MUTED)
    return (fit(rung.price, rung.decimals, 11), _colour(rung)) if rung.price else ""


def _all_in(rung: Rung, _: int) -> Cell:
    if rung.side == "spread":
        return (rung.notes[1], MUTED)
    return (fit(rung.all_in, rung.decimals, 11), MUTED) if rung.all_in else ""


def _size(rung: Rung, _: int) -> Cell:
    return (fit(rung.quantity, 4, 9, align=True), TEXT) if rung.quantity else ""


def _depth(rung: Rung, width: int) -> Cell:
    if rung.side == "spread":
        return (rung.notes[2], MUTED)
    if not rung.depth:
        return ""
    room = max(1, width - 9)
    dim = "#1f6b4a" if rung.side == "bid" else "#7d3038"
    return [(bar(rung.share, room), dim), (f" {rung.depth:8,.2f}", MUTED)]
