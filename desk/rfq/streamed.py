"""Streamed quotes (channel `rfs`) after they are gone: they live in memory only, and a late accept still wants to know why it fails.

Bounded: the oldest fates are forgotten first, and what is forgotten is answered like a quote that never was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from desk.errors import ApiFault, Rejected
from desk.rfq.booking import expired
from desk.rfq.records import QuoteRecord

MAX_REMEMBERED = 100_000  # several minutes of a busy desk's ladders


class _Fate(NamedTuple):
    client_id: str
    valid_until_ns: int
    withdrawn: bool


class StreamedFates:
    """What became of streamed quotes nobody took."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._fates: OrderedDict[str, _Fate] = OrderedDict()

    def remember(self, quotes: Iterable[QuoteRecord], *, withdrawn: bool = False) -> None:
        """These can no longer be traded: they ran out, or were withdrawn."""
        for quote in quotes:
            if quote.streamed:
                self._fates[quote.quote_id] = _Fate(quote.client_id, quote.valid_until_ns, withdrawn)
        while len(self._fates) > self._most:
            self._fates.popitem(last=False)

    def why(self, quote_id: str, client_id: str, now_ns: int) -> ApiFault | None:
        """Why the client cannot trade on it; None when it is not one of its gone quotes."""
        fate = self._fates.get(quote_id)
        if fate is None or fate.client_id != client_id:
            return None
        if fate.withdrawn:
            return Rejected("quote_withdrawn", "the quote was withdrawn", details={"quote_id": quote_id})
        return expired(fate.valid_until_ns, now_ns)
