"""A loopback venue's dead-man switch, on the venue's own clock: it cancels every open order of the account, and is off afterwards.

`Countdown` runs out unless it is set again (Kraken, OKX, Binance's futures). `Disconnect` runs from the moment when the last private socket
that wanted it is gone (Bybit).
"""

from __future__ import annotations

from sim.servers.matching import EndedBy, MatchingCore

_SECOND_NS = 1_000_000_000


class Countdown:
    """Set it with `arm`; call `check` from time to time."""

    def __init__(self, core: MatchingCore, symbol: str | None = None) -> None:
        self.core = core
        self.symbol = symbol
        self.trigger_ns = 0  # 0: off

    def arm(self, seconds: float) -> int:
        """When it will run out; 0 seconds takes it off, and the answer is 0."""
        self.trigger_ns = self.core.clock_ns() + int(seconds * _SECOND_NS) if seconds else 0
        return self.trigger_ns

    def check(self) -> None:
        """Cancel everything once it has run out."""
        if 0 < self.trigger_ns <= self.core.clock_ns():
            self.trigger_ns = 0
            self.core.cancel_all(self.symbol, EndedBy.SWITCH)


class Disconnect:
    """`window_s` 0: not enabled. Watched sockets come and go by `joined`, `left` (of its own will) and `check`."""

    def __init__(self, core: MatchingCore) -> None:
        self.core = core
        self.window_s = 0
        self._alone_ns: int | None = (
            None  # since when nobody who wanted it is there; None: somebody is, or nobody ever was
        )
        self._wanted = False

    def joined(self) -> None:
        """A socket wants it."""
        self._wanted, self._alone_ns = True, None

    def left(self, others: int) -> None:
        """A socket does not want it any more; `others` still do."""
        if not others:
            self._wanted, self._alone_ns = False, None

    def check(self, watching: int) -> None:
        """`watching`: sockets that want it and are there. Cancel everything when none was for the whole window."""
        if watching or not self._wanted:
            self._alone_ns = None
            return
        now = self.core.clock_ns()
        self._alone_ns = self._alone_ns or now
        if self.window_s and now - self._alone_ns >= self.window_s * _SECOND_NS:
            self._wanted, self._alone_ns = False, None
            self.core.cancel_all(by=EndedBy.SWITCH)
