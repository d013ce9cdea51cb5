"""What the venue's own best prices say of one book. Each is a suspicion that a moment's difference between two streams must not raise:

1. A best price that is through the venue's best price of the other side, for `STUCK_S`: one side is stuck, or both are.
2. A best price that is not the venue's best price of the same side at any moment of `APART_S`, while the venue tells its best prices again
   and again: that side is stuck where it does not cross.
3. A book whose best prices are the venue's own is not stale, however quiet: venues repeat best prices, but no depth that has not changed.
"""

from __future__ import annotations

from adapters.ccxt.events import QuoteEvent

STUCK_S = 2.0
APART_S = 5.0
APART_QUOTES = 5  # best prices that were told while a side was apart: silence of theirs is no evidence


class Witness:
    """One book's; `quote`: the best prices told last, None before any."""

    def __init__(self) -> None:
        self.quote: QuoteEvent | None = None
        self._through_s: float | None = None
        self._apart: dict[int, tuple[float, int]] = {}  # by side: since when, and best prices told since

    def forget(self) -> None:
        """The book begins anew: what was said of the old one is not about it."""
        self._through_s = None
        self._apart.clear()

    @property
    def doubts(self) -> bool:
        """Whether there is a difference that the next change of the book may explain."""
        return self._through_s is not None or bool(self._apart)

    def quoted(self, quote: QuoteEvent, bid: int | None, ask: int | None, now: float) -> bool:
        """The venue told its best prices while the book's were `bid` and `ask`; whether they are the same."""
        self.quote = quote
        return self._compare(quote, bid, ask, now, told=1)

    def changed(self, bid: int | None, ask: int | None, now: float) -> bool:
        """The book changed, to these best prices; whether they are the venue's own."""
        return self.quote is not None and self._compare(self.quote, bid, ask, now, told=0)

    def verdict(self, now: float) -> str:
        """Why the book must be given up; "" when it need not."""
        if self._through_s is not None and now - self._through_s > STUCK_S:
            return f"stuck: contradicts the venue's best prices for {STUCK_S:g} s"
        for side, (since, told) in self._apart.items():
            if now - since > APART_S and told >= APART_QUOTES:
                return f"stuck: its best {'bid' if side == 1 else 'ask'} has not been the venue's for {APART_S:g} s"
        return ""

    def _compare(self, quote: QuoteEvent, bid: int | None, ask: int | None, now: float, told: int) -> bool:
        if bid is None or ask is None or (bid < quote.ask and ask > quote.bid):
            self._through_s = None
        elif self._through_s is None:
            self._through_s = now
        for side, ours, theirs in ((1, bid, quote.bid), (-1, ask, quote.ask)):
            if ours is None or ours == theirs:
                self._apart.pop(side, None)
            else:
                since, before = self._apart.get(side, (now, 0))
                self._apart[side] = (since, before + told)
        return (bid, ask) == (quote.bid, quote.ask)
