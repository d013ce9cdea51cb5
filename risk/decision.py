"""A decision is a value: `Approved` or `Refused(check, value, limit)`. Bugs raise, refusals return.

`Approved` can be made only by `risk.gate`: it carries the intent it approves, and the router's submit takes nothing else.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class Stage(StrEnum):
    """Where in its life an intent is checked."""

    QUOTE = "quote"  # before a firm price is told to a client
    TRADE = "trade"  # when a client accepts
    CHILD = "child"  # before an order leaves for a venue or LP


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to do. `side` is what *we* would do at CHILD, what the *client* does at QUOTE and TRADE."""

    stage: Stage
    intent_id: str  # unique for ever: child order id, quote id
    symbol: str
    side: str  # "buy" | "sell"
    quantity: Decimal  # base
    price: Decimal  # quote currency per base
    now_ns: int
    venue: str = ""  # CHILD: where it goes
    client_id: str = ""  # QUOTE, TRADE


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's leave to act on `intent`; `limits` names what it was held against (check -> limit)."""

    intent: Intent
    decision_id: str
    limits: dict[str, str]


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's no: which check, the value seen, the most (or least) it allows, and the sentence to show."""

    intent: Intent
    decision_id: str
    check: str
    value: str
    limit: str
    message: str


Decision = Approved | Refused
