"""Identifiers that are unique for ever and, in a replay, the same every time: an epoch (one per start of the desk) and a counter."""

from __future__ import annotations

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """A non-negative integer in lower-case base 36."""
    if number == 0:
        return "0"
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


class IdSource:
    """Makes ids `<prefix>-<epoch>-<n>`; each prefix counts on its own.

    `epoch` must never repeat for one ledger: live it is the start time in milliseconds, in a replay it comes from the seed.
    """

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self._next: dict[str, int] = {}

    def new(self, prefix: str) -> str:
        """The next id of this prefix."""
        number = self._next.get(prefix, 0) + 1
        self._next[prefix] = number
        return f"{prefix}-{self.epoch}-{base36(number)}"
