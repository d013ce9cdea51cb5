"""Colours and their meaning, in one place. A colour never carries a fact alone: a word or a sign says it as well."""

from __future__ import annotations

from functools import lru_cache

from rich.style import Style
from textual.theme import Theme

TEXT = "#d5dce4"
MUTED = "#77838f"
FAINT = "#3c4651"
BID = "#3fcf8e"
ASK = "#ff6b6b"
GOOD = "#3fcf8e"
WARN = "#f5b94c"
BAD = "#ff5d5d"
INFO = "#5db0f0"
ACCENT = "#8ab4f8"
VIOLET = "#a48cf2"
STALE = "#59636e"  # every number of a feed that is down

KERB = Theme(
    name="kerb",
    primary=ACCENT,
    secondary=VIOLET,
    accent=ACCENT,
    foreground=TEXT,
    background="#0b0e13",
    surface="#0f141a",
    panel="#161d26",
    success=GOOD,
    warning=WARN,
    error=BAD,
    dark=True,
    variables={
        "border": "#27313c",
        "footer-key-foreground": ACCENT,
        "footer-background": "#0f141a",
        "input-selection-background": "#2b4a6f",
    },
)

STATE = {
    "received": INFO,
    "quoted": ACCENT,
    "accepted": WARN,
    "filled": GOOD,
    "done": GOOD,
    "rejected": BAD,
    "failed": BAD,
    "unknown": "bold #0b0e13 on #f5b94c",
    "expired": MUTED,
    "cancelled": MUTED,
    "withdrawn": MUTED,
    "new": INFO,
    "sent": INFO,
    "acked": ACCENT,
    "partial": WARN,
    "working": WARN,
    "paused": MUTED,
    "cancelling": WARN,
    "live": GOOD,
    "empty": MUTED,
    "stale": WARN,
    "gapped": BAD,
    "crossed": BAD,
    "disconnected": BAD,
    "down": BAD,
    "info": INFO,
    "warning": WARN,
    "critical": "bold #ffffff on #b3261e",
}

_VENUES = {
    "BINANCE": "#e6b93c",
    "KRAKEN": "#a48cf2",
    "FALCONX": "#4cc9d8",
    "OKX": "#c3ccd6",
    "BYBIT": "#f2a65a",
    "COINBASE": "#6c9cff",
    "KRAKENFUTURES": "#8f7fd6",
}
_MORE = ("#e69a5c", "#7ccf7c", "#d987c4", "#8fb8c9", "#c9b37f")


@lru_cache(maxsize=512)
def parsed(style: str) -> Style:
    """A rich style of its text."""
    return Style.parse(style)


def of_state(state: str) -> str:
    """The style of a state's word."""
    return STATE.get(state, TEXT)


def of_venue(venue: str) -> str:
    """The colour of a venue or LP; the same name always has the same colour."""
    return _VENUES.get(venue) or _MORE[sum(venue.encode()) % len(_MORE)]


def of_side(side: str) -> str:
    """The colour of a side."""
    return {"buy": BID, "bid": BID, "sell": ASK, "ask": ASK}.get(side, INFO)


def signed(value: float) -> str:
    """Green above zero, red below."""
    return GOOD if value > 0 else BAD if value < 0 else MUTED
