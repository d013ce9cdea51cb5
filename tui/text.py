"""Numbers and times as an operator reads them: grouped, aligned on the point, never with an exponent or a float's tail."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

NONE = "–"
EIGHTHS = " ▏▎▍▌▋▊▉█"
_ROUNDING = Context(prec=60, rounding=ROUND_HALF_EVEN)  # own: libraries change the thread's default context


def number(text: str | None, decimals: int, *, sign: bool = False) -> str:
    """`text` with `decimals` places and grouped thousands; "–" for none."""
    value = decimal(text)
    if value is None:
        return NONE
    value = _ROUNDING.quantize(value, Decimal(1).scaleb(-decimals))
    return f"{value:+,f}" if sign else f"{value:,f}"


def aligned(text: str | None, decimals: int) -> str:
    """As `number`, but zeros at the end are blanks: points stand under each other and short sizes stay short."""
    shown = number(text, decimals)
    if "." not in shown:
        return shown + " " * (decimals + 1 if shown == NONE and decimals else 0)
    short = shown.rstrip("0").removesuffix(".")
    return short.ljust(len(shown))


def fit(text: str | None, decimals: int, width: int, *, align: bool = False) -> str:
    """As `number` (or `aligned`) with as many of `decimals` places as fit into `width`; millions when none do."""
    for kept in range(decimals, -1, -1):
        shown = aligned(text, kept) if align else number(text, kept)
        if len(shown.rstrip()) <= width:
            return shown[:width]  # blanks go first
    value = decimal(text)
    return NONE if value is None else f"{value / 1_000_000:,.1f}M"


def decimal(text: str | None) -> Decimal | None:
    """The number in `text`, None when there is none."""
    if text is None or text == "":
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def places(text: str | None) -> int:
    """Digits after the point as written."""
    return len(text.partition(".")[2]) if text else 0


def clock(ts_ns: int) -> str:
    """Time of day, UTC."""
    return NONE if ts_ns <= 0 else datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%H:%M:%S")


def span(seconds: float) -> str:
    """A duration in at most five characters."""
    if seconds < 0:
        return NONE
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 100:
        return f"{seconds:.0f}s"
    minutes = seconds / 60
    return f"{minutes:.0f}m" if minutes < 100 else f"{minutes / 60:.0f}h"


def nanos(value: int) -> str:
    """A latency."""
    if value <= 0:
        return NONE
    if value < 10_000_000:
        return f"{value / 1_000:,.0f} µs"
    return f"{value / 1_000_000:,.1f} ms"


def bar(fraction: float, width: int) -> str:
    """A horizontal bar of `width` cells in eighths."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)[:width]


def line(fraction: float, width: int) -> str:
    """A thin horizontal bar of `width` cells in halves: for bars in consecutive rows, where blocks would merge."""
    halves = round(max(0.0, min(1.0, fraction)) * width * 2)
    full, half = divmod(halves, 2)
    return ("━" * full + "╸" * half).ljust(width)[:width]
