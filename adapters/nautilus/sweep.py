"""Cancelling every order at a venue at once: what a kill switch asks for after each order was cancelled by itself.

Every exchange's execution client registers endpoint `Exec.<VENUE>.sweep`. It cancels our own orders, also those of another session of ours;
orders that somebody else placed on the account only when told to.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `still_open`: client order ids (the venue's where there is none) of orders that the venue still has open."""

    venue: str
    still_open: tuple[str, ...] = ()
    fault: str = ""  # the venue could not be asked, in words


class SweepOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel all open orders, of one symbol or (None) of all; `reply` is called once, on the loop thread."""

    reply: Callable[[Swept], None]
    symbol: str | None = None
    others: bool = False
