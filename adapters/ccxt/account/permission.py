"""Whether a venue takes orders of ours at all: keys that it refuses, and markets that the key or the account may not trade.

Both need a person. Until then orders are refused here, in words: they would be refused there. A new login lifts everything; without one an
order is tried again after `AGAIN_S`.
"""

from __future__ import annotations

from time import monotonic

from adapters.ccxt.account.outcomes import Failure

AGAIN_S = 300.0


class Permission:
    """Of one account."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self._symbols = symbols
        self._refused = (0.0, "")  # of the keys: until when, and in the venue's words
        self._forbidden: dict[str, tuple[float, str]] = {}  # the same by symbol

    @property
    def refused(self) -> str:
        """Why the keys are refused, "" while they are not."""
        until_s, reason = self._refused
        return f"credentials refused: {reason}" if monotonic() < until_s else ""

    def heard(self, failure: Failure, symbol: str = "") -> None:
        """A request (about an order on a market) has failed."""
        heard = (monotonic() + AGAIN_S, failure.reason)
        if failure.disables_venue:
            self._refused = heard
        elif failure.forbids and symbol:
            self._forbidden[symbol] = heard

    def admitted(self) -> None:
        """The venue has let us in (again)."""
        self._refused = (0.0, "")
        self._forbidden.clear()

    def refusal(self, symbol: str) -> str:
        """Why no order can go to a market now, "" when one can."""
        until_s, reason = self._forbidden.get(symbol, (0.0, ""))
        return self.refused or (f"not permitted: {reason}" if monotonic() < until_s else "")

    def refusal_everywhere(self) -> str:
        """Why no order can go to any market, "" while one can."""
        refusals = [self.refusal(symbol) for symbol in self._symbols]
        return refusals[0] if all(refusals) else ""
