"""How much later a stream's messages come than its quickest did: a queue on their way (ours, the venue's, the network's) makes a book that
goes on changing one of another time, which neither ids nor ages tell.

1. A message's delay is its arrival less the venue's time in it. Clocks differ, so only what is beyond the least delay of the stream counts.
2. A queue is worked off in order: a delay grows no faster than time goes by. What jumps ahead of that was a clock, and moves the least
   delay with it.

What was late from the first message on cannot be told from a clock; an audit can (`audit.py`).
"""

from __future__ import annotations

from math import inf

JUMP_S = 1.0  # more than time explains: a clock was set


class Lag:
    """Of one subscription. Times of arrival are monotonic seconds."""

    def __init__(self) -> None:
        self._least_s = inf
        self._event_ns, self._at_s = 0, 0.0
        self._looked: tuple[float, float] | None = None  # delay and time of arrival at the last look

    def heard(self, event_ns: int, at_s: float) -> None:
        """A message of the venue's time `event_ns` (0: it has none) came. Cheap: called for every one."""
        if event_ns:
            self._event_ns, self._at_s = event_ns, at_s

    def behind_s(self) -> float:
        """How late the last message was. To be called now and then."""
        if not self._event_ns:
            return 0.0
        delay_s = self._at_s - self._event_ns / 1e9
        if self._looked is not None:
            before_s, looked_s = self._looked
            if (jump_s := delay_s - before_s - (self._at_s - looked_s)) > JUMP_S:
                self._least_s += jump_s
        self._looked = (delay_s, self._at_s)
        self._least_s = min(self._least_s, delay_s)
        return delay_s - self._least_s
