"""Nonces seen, per key, for as long as a request with them could still be inside the time window.

Memory is bounded: a key that fills its share inside one window is refused until the oldest of its nonces expire. Nothing is ever
forgotten early, since that would let a request be replayed; not by a restart either: each nonce is appended to a small file before its
request is let in. The file is not synced: what the process wrote outlives the process, and a machine that was down comes back later
than the window.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

PER_KEY = 20_000
REWRITE_BYTES = 4 * 1024 * 1024


class Nonces:
    """A nonce is remembered until the timestamp it came with leaves the window. `journal` None: in memory only."""

    def __init__(self, window_ms: int, per_key: int = PER_KEY, *, journal: Path | None = None, now_ms: int = 0) -> None:
        self._window_ms = window_ms
        self._per_key = per_key
        self._seen: dict[str, set[str]] = {}
        self._order: dict[str, deque[tuple[int, str]]] = {}
        self._journal = journal
        self._file = -1
        self._size = 0
        if journal is not None:
            self._read(journal, now_ms)
            self._rewrite(journal)

    def seen(self, key_id: str, nonce: str) -> bool:
        """Whether the key used this nonce inside the window."""
        return nonce in self._seen.get(key_id, ())

    def full(self, key_id: str, now_ms: int) -> bool:
        """Whether no further nonce of this key can be remembered now."""
        self._expire(key_id, now_ms)
        return len(self._seen.get(key_id, ())) >= self._per_key

    def add(self, key_id: str, nonce: str, now_ms: int) -> None:
        """Remember a nonce. Raises `OSError` when it cannot be written down: then the request must not be let in.

        Timestamps lie at most a window ahead of the clock, so two windows from now are enough for any.
        """
        until_ms = now_ms + 2 * self._window_ms
        if self._journal is not None:
            if self._size > REWRITE_BYTES:
                for known in list(self._order):
                    self._expire(known, now_ms)
                self._rewrite(self._journal)
            self._size += os.write(self._file, _line(until_ms, key_id, nonce))
        self._keep(until_ms, key_id, nonce)

    def close(self) -> None:
        """Let the file go."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _keep(self, until_ms: int, key_id: str, nonce: str) -> None:
        self._seen.setdefault(key_id, set()).add(nonce)
        self._order.setdefault(key_id, deque()).append((until_ms, nonce))

    def _expire(self, key_id: str, now_ms: int) -> None:
        order = self._order.get(key_id)
        seen = self._seen.get(key_id)
        while order and seen and order[0][0] < now_ms:
            seen.discard(order.popleft()[1])

    def _read(self, journal: Path, now_ms: int) -> None:
        try:
            lines = journal.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            until, _, rest = line.partition(" ")
            key_id, _, nonce = rest.partition(" ")
            if until.isdigit() and nonce and int(until) >= now_ms:
                self._keep(int(until), key_id, nonce)

    def _rewrite(self, journal: Path) -> None:
        draft = journal.with_suffix(".tmp")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        kept = [_line(until, key_id, nonce) for key_id, order in self._order.items() for until, nonce in order]
        self._size = os.write(file, b"".join(kept))
        draft.replace(journal)
        self.close()
        self._file = file


def _line(until_ms: int, key_id: str, nonce: str) -> bytes:
    return f"{until_ms} {key_id} {nonce}\n".encode("ascii", "replace")
