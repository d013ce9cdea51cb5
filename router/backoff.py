"""Patience with venues and LPs that did not do what was planned: left out for a while, longer with each failure in a row."""

from __future__ import annotations


class Backoff:
    """Times in ns on the caller's clock. A success forgives everything."""

    def __init__(self, first_ns: int, most_ns: int) -> None:
        self._first_ns = first_ns
        self._most_ns = max(first_ns, most_ns)
        self._failures: dict[str, int] = {}
        self._until_ns: dict[str, int] = {}

    def failed(self, name: str, now_ns: int) -> None:
        """Leave `name` out, twice as long as the last time."""
        failures = self._failures.get(name, 0)
        self._failures[name] = min(failures + 1, 32)
        self._until_ns[name] = now_ns + min(self._first_ns << failures, self._most_ns)

    def disappointed(self, name: str, now_ns: int) -> None:
        """It filled less than its book showed: leave it out for the first step, so that the book can catch up."""
        self._until_ns[name] = max(self._until_ns.get(name, 0), now_ns + self._first_ns)

    def worked(self, name: str) -> None:
        """It did what was planned."""
        self._failures.pop(name, None)
        self._until_ns.pop(name, None)

    def out(self, now_ns: int) -> frozenset[str]:
        """Who is left out now."""
        return frozenset(name for name, until in self._until_ns.items() if until > now_ns)
