"""Nonces seen, per key, for as long as a request with them could still be inside the time window.

Memory is bounded: a key that fills its share inside one window is refused until the oldest of its nonces expire.
Nothing is ever forgotten early, since that would let a request be replayed.
"""

from __future__ import annotations

from collections import deque

PER_KEY = 20_000


class Nonces:
    """A nonce is remembered until the timestamp it came with leaves the window."""

    def __init__(self, window_ms: int, per_key: int = PER_KEY) -> None:
        self._window_ms = window_ms
        self._per_key = per_key
        self._seen: dict[str, set[str]] = {}
        self._order: dict[str, deque[tuple[int, str]]] = {}

    def seen(self, key_id: str, nonce: str) -> bool:
        """Whether the key used this nonce inside the window."""
        return nonce in self._seen.get(key_id, ())

    def full(self, key_id: str, now_ms: int) -> bool:
        """Whether no further nonce of this key can be remembered now."""
        self._expire(key_id, now_ms)
        return len(self._seen.get(key_id, ())) >= self._per_key

    def add(self, key_id: str, nonce: str, now_ms: int) -> None:
        """Remember a nonce.

        Timestamps lie at most a window ahead of the clock, so two windows from now are enough for any.
        """
        self._seen.setdefault(key_id, set()).add(nonce)
        self._order.setdefault(key_id, deque()).append((now_ms + 2 * self._window_ms, nonce))

    def _expire(self, key_id: str, now_ms: int) -> None:
        order = self._order.get(key_id)
        seen = self._seen.get(key_id)
        while order and seen and order[0][0] < now_ms:
            seen.discard(order.popleft()[1])
