"""Candles of one venue's instrument, made from its public trades: minutes are kept, longer ones are added up from them.

A candle is ccxt's row: [opening time in ms, open, high, low, close, volume in base], numbers as text. Minutes without a trade have none. A
candle whose beginning was not heard is told while it lasts and never afterwards: what came before is not known.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from desk.api.convert import text

if TYPE_CHECKING:
    from nautilus_trader.model.data import TradeTick

MINUTE_NS = 60_000_000_000
KEPT = 1_500  # minutes: a day and an hour, the longest timeframe and its neighbour
TIMEFRAMES = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "1d": 1_440}  # minutes

Timeframe = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "1d"]
Row = tuple[int, str, str, str, str, str]


class _Minute:
    """One minute: opening time in ns, prices, volume."""

    __slots__ = ("close", "high", "low", "open", "start_ns", "volume")

    def __init__(self, start_ns: int, price: Decimal) -> None:
        self.start_ns = start_ns
        self.open = self.high = self.low = self.close = price
        self.volume = Decimal(0)


class Candles:
    """Heard trades in minutes, oldest first."""

    def __init__(self) -> None:
        self._minutes: deque[_Minute] = deque()
        self._known_ns = 0  # nothing is known of the time before

    def hear(self, tick: TradeTick) -> None:
        """One public trade. A late one, of an earlier minute, counts there, but opens and closes nothing."""
        price, start_ns = tick.price.as_decimal(), tick.ts_event - tick.ts_event % MINUTE_NS
        minutes = self._minutes
        if not minutes:
            self._known_ns = start_ns + MINUTE_NS
        if not minutes or start_ns > minutes[-1].start_ns:
            minutes.append(_Minute(start_ns, price))
            if len(minutes) > KEPT:
                self._known_ns = minutes.popleft().start_ns + MINUTE_NS
        minute = next((one for one in reversed(minutes) if one.start_ns <= start_ns), None)
        if minute is None or minute.start_ns != start_ns:
            return
        minute.high, minute.low = max(minute.high, price), min(minute.low, price)
        if minute is minutes[-1]:
            minute.close = price
        minute.volume += tick.size.as_decimal()

    def rows(self, timeframe: str, limit: int) -> list[Row]:
        """The newest `limit` candles of a timeframe of `TIMEFRAMES`, oldest first."""
        span_ns = TIMEFRAMES[timeframe] * MINUTE_NS
        rows: list[Row] = []
        for start_ns, minutes in groupby(reversed(self._minutes), lambda one: one.start_ns - one.start_ns % span_ns):
            if len(rows) == limit or (rows and start_ns < self._known_ns):
                break
            rows.append(_row(start_ns, list(minutes)))
        return rows[::-1]


def _row(start_ns: int, newest_first: list[_Minute]) -> Row:
    return (
        start_ns // 1_000_000,
        text(newest_first[-1].open),
        text(max(minute.high for minute in newest_first)),
        text(min(minute.low for minute in newest_first)),
        text(newest_first[0].close),
        text(sum((minute.volume for minute in newest_first), Decimal(0))),
    )
