"""What a replay did, in order, as one hash: every RFQ, quote, trade, parent, child, fill and refusal at each transition, what
orders cost and trades came to, then the balances.

The record is canonical: JSON with sorted keys, decimals and times as they are, no uuids, no wall clock, nothing from hashing order. Two
runs of one tape, configuration and seed have the same `state_hash`, in any process, on any machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.safe import Safe

RECORDED = (
    topics.RFQ,
    topics.QUOTE,
    topics.CLIENT_TRADE,
    topics.PARENT,
    topics.CHILD,
    topics.FILL,
    topics.COST,
    topics.MARKOUT,
    topics.ALERT,
)


class Recorder(Safe, Actor):
    """Hashes what passes on the desk's topics; with `path`, keeps it as JSON lines as well."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(ActorConfig(component_id="Recorder"))
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = path.open("wb") if path else None
        self._encoder = msgspec.json.Encoder(order="sorted")
        self.counts: Counter[str] = Counter()

    def on_start(self) -> None:
        """Listen to everything that is a fact."""
        self._bus = Bus(self)
        for topic in RECORDED:
            self._bus.subscribe(topic, self._listener(topic))

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def add(self, topic: str, message: Any) -> None:
        """Put one fact on the record."""
        line = self._encoder.encode([topic, message]) + b"\n"
        self._hash.update(line)
        self.counts[topic] += 1
        if self._file is not None:
            self._file.write(line)

    def finish(self, balances: Mapping[str, Mapping[str, Decimal]]) -> str:
        """Close the record with the ledger's balances (account → currency → amount) and return its `state_hash`."""
        self.add("ledger", {account: dict(amounts) for account, amounts in balances.items()})
        if self._file is not None:
            self._file.close()
            self._file = None
        return self._hash.hexdigest()

    def _listener(self, topic: str) -> Any:
        return lambda message: self.add(topic, message)
