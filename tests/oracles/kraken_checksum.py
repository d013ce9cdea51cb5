"""Kraken's book checksum, written from its documentation and from the text of a frame alone.

"For each of the top 10 asks, low to high, then the top 10 bids, high to low: remove the decimal point from price and
quantity as they stand in the message, remove leading zeros, append; CRC32 of the whole string."
"""

from __future__ import annotations

import re
import zlib

_LEVEL = re.compile(r'\{"price":([0-9.]+),"qty":([0-9.]+)\}')


class TextBook:
    """A subscriber's book kept as the texts that came over the wire."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}

    def apply(self, frame: str) -> int:
        """Take in a raw `book` frame; answers the checksum it claims."""
        if '"type":"snapshot"' in frame:
            self.bids.clear()
            self.asks.clear()
        for side, best_first in ((self.bids, True), (self.asks, False)):
            name = '"bids":[' if side is self.bids else '"asks":['
            body = frame.split(name, 1)[1].split("]", 1)[0]
            for price, quantity in _LEVEL.findall(body):
                if float(quantity) == 0:
                    side.pop(price, None)
                else:
                    side[price] = quantity
            kept = sorted(side, key=float, reverse=best_first)[: self.depth]
            for price in set(side) - set(kept):
                del side[price]
        return int(re.search(r'"checksum":(\d+)', frame)[1])

    def checksum(self) -> int:
        """The checksum of what the subscriber has."""
        text = ""
        for side, best_first in ((self.asks, False), (self.bids, True)):
            for price in sorted(side, key=float, reverse=best_first)[:10]:
                text += price.replace(".", "").lstrip("0") + side[price].replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())
