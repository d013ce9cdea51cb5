"""Frames of the busy streams from their text: exact structs by msgspec, levels left as text for the kernel of `digits`.

A venue's reader (`binance_frames`, `bybit_frames`, …) knows the frames of its books, trades and best prices and says None of
everything else, also of a frame of theirs that is not quite as it should be: those go through ccxt's JSON and the dialect's `split`, which
alone decides what is bad. What a reader gives reads like the decoded dict (`row["U"]`), so the venue's rules are written once, for both.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One piece of a frame. Fields that a venue may leave out are None then."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """As `dict.get`."""
        value = getattr(self, name, None)
        return default if value is None else value
