"""How soon something is tried again: jittered and backed off, patient at first, and one pace for all streams of a socket.

Short outages are the common ones: for the first minute or so nothing waits longer than `PATIENT_S`, so that a venue that is back is used at
once. A venue that stays away is asked each ten seconds or so. Sockets are dialled at one pace a URL, however many streams wait for it:
venues ban addresses that knock too often. Where a venue says how often (`DIALS`), all URLs together keep to it. A Retry-After of the venue
is its word.
"""

from __future__ import annotations

import random
from collections import deque
from time import monotonic
from typing import Any

LEAST_S, PATIENT_S, MOST_S = 0.1, 1.0, 10.0
PATIENT_ATTEMPTS = 60
URLS_KEPT = 100
DIALS = {  # of an address: at most so many in so many seconds; a fifth of 300 is left for first dials and for others of the address
    "binance": (240, 300.0),
    "binanceusdm": (240, 300.0),
}
YOUNG_S = 10.0  # a connection that ends sooner was none: the next dial waits longer


def backoff_s(attempt: int, rng: random.Random) -> float:
    """Full jitter over a span that doubles from `LEAST_S` to `PATIENT_S`, to `MOST_S` after `PATIENT_ATTEMPTS`."""
    most = PATIENT_S if attempt < PATIENT_ATTEMPTS else MOST_S
    return rng.uniform(LEAST_S, max(2 * LEAST_S, min(most, LEAST_S * 2 ** min(attempt, 10))))


class DialPace:
    """When each URL of one ccxt instance may be dialled again; in place of ccxt's own, which waits up to half a minute.

    `most`: as in `DIALS`; None: not known, or nobody's rule.
    """

    def __init__(self, rng: random.Random, most: tuple[int, float] | None = None) -> None:
        self._rng = rng
        count, self._span_s = most or (0, 0.0)
        self._again: deque[float] = deque(maxlen=count)  # when the last so many dials were or are to be
        self._next: dict[str, tuple[int, float]] = {}  # by URL: connections in a row that were none, not before

    def down(self, client: Any) -> None:
        """A ccxt client's connection has failed or ended; told once each."""
        if getattr(client, "pace_told", False):
            return
        client.pace_told = True
        now = monotonic()
        lived_s = now - getattr(client, "pace_began_s", now)
        in_a_row = self._next.get(client.url, (0, 0.0))[0] if lived_s < YOUNG_S else 0
        wait_s = max(backoff_s(in_a_row, self._rng), getattr(client, "last_retry_after", None) or 0.0)
        at = now + wait_s
        if self._again and len(self._again) == self._again.maxlen:
            at = max(at, self._again[0] + self._span_s)
        self._again.append(at)
        self._next[client.url] = (in_a_row + 1, at)
        if len(self._next) > URLS_KEPT:  # some venues name a session in the URL
            self._next = {url: row for url, row in self._next.items() if row[1] > now - YOUNG_S}

    def delay_s(self, url: str) -> float:
        """Seconds until this URL may be dialled."""
        return max(0.0, self._next.get(url, (0, 0.0))[1] - monotonic())

    @staticmethod
    def connected(client: Any) -> None:
        """A ccxt client's connection is open."""
        client.pace_began_s = monotonic()
