"""Client order ids: at most 18 letters and digits (the shortest any venue takes), unique for ever, the same in every replay."""

from __future__ import annotations

import re
from hashlib import blake2b

MAX_LENGTH = 18
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_EPOCH_LENGTH = 9  # milliseconds since 1970 have 8 digits in base 36 until the year 2059


def base36(number: int) -> str:
    """A non-negative integer in lower-case base 36."""
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if not number:
            return text


class OrderIds:
    """`K<epoch>N<n>`: the epoch of this start of the desk and a counter, both base 36; the capital N keeps them apart.

    An epoch that is no short base-36 word is hashed into one. `rfq()` counts on its own (`L…`).
    """

    def __init__(self, epoch: str) -> None:
        if re.fullmatch(r"[0-9a-z]{1,9}", epoch):
            self._epoch = epoch
        else:
            digest = int.from_bytes(blake2b(epoch.encode(), digest_size=8).digest(), "big")
            self._epoch = base36(digest % 36**_EPOCH_LENGTH)
        self._orders = 0
        self._rfqs = 0

    def order(self) -> str:
        """The next client order id."""
        self._orders += 1
        return self._made("K", self._orders)

    def rfq(self) -> str:
        """The next id of a request to an LP."""
        self._rfqs += 1
        return self._made("L", self._rfqs)

    def _made(self, kind: str, number: int) -> str:
        text = f"{kind}{self._epoch}N{base36(number)}"
        if len(text) > MAX_LENGTH:
            raise OverflowError("more ids than one start of the desk can make")
        return text
