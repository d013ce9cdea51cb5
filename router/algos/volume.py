"""`Tape`: what others trade in an instrument, from the venues' public trades, our own executions left out.

A venue prints our executions among the others, before or after it reports them to us, and often under another id or several as one. So
they are matched by venue and price within `WINDOW_NS`: of each print as much is left out as we executed there. On a tape of the past,
which holds nothing of ours, a print at our price is now and then left out wrongly: then too little is counted, never too much.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from risk.exact import ZERO, add, times

WINDOW_NS = 2_000_000_000
_KEPT = 4_096  # prints and executions remembered; the oldest is forgotten: it is then counted as another's


class _Piece:
    __slots__ = ("key", "quantity", "ts_ns")

    def __init__(self, key: tuple[str, Decimal], quantity: Decimal, ts_ns: int) -> None:
        self.key = key
        self.quantity = quantity
        self.ts_ns = ts_ns


class Tape:
    """Running totals of one instrument since it was made: `volume` in base, `turnover` in quote currency."""

    def __init__(self) -> None:
        self.volume = ZERO
        self.turnover = ZERO
        self._prints: deque[_Piece] = deque(maxlen=_KEPT)  # counted, not matched with an execution of ours
        self._own: deque[_Piece] = deque(maxlen=_KEPT)  # executions that no print has been matched with yet

    def on_trade(self, venue: str, price: Decimal, quantity: Decimal, ts_ns: int) -> None:
        """A public trade."""
        key = (venue, price)
        others = add(quantity, -_match(self._own, key, quantity, ts_ns))
        if others > 0:
            self._count(price, others)
            self._prints.append(_Piece(key, others, ts_ns))

    def on_own(self, venue: str, price: Decimal, quantity: Decimal, ts_ns: int) -> None:
        """An execution of ours (LP trades are not printed and need not be told)."""
        key = (venue, price)
        printed = _match(self._prints, key, quantity, ts_ns)
        if printed > 0:
            self._count(price, -printed)
        if printed < quantity:
            self._own.append(_Piece(key, add(quantity, -printed), ts_ns))

    def _count(self, price: Decimal, quantity: Decimal) -> None:
        self.volume = add(self.volume, quantity)
        self.turnover = add(self.turnover, times(price, quantity))


def _match(pieces: deque[_Piece], key: tuple[str, Decimal], quantity: Decimal, ts_ns: int) -> Decimal:
    """How much of `quantity` the pieces of the same venue and price hold; taken from them."""
    while pieces and pieces[0].ts_ns < ts_ns - WINDOW_NS:
        pieces.popleft()
    found = ZERO
    for piece in pieces:
        if piece.key == key and piece.quantity > 0 and found < quantity:
            part = min(piece.quantity, add(quantity, -found))
            piece.quantity = add(piece.quantity, -part)
            found = add(found, part)
    return found
