"""A decision is a value: `Approved` or `Refused(check, value, limit)`. Bugs raise, refusals return.

`Approved` can be made only by `risk.gate`: it carries the intent it approves, and the router's submit takes nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable
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
    quote_id: str = ""  # TRADE: the quote whose reservation it takes over (default: `intent_id` is the quote's id)
    valid_until_ns: int = 0  # QUOTE: its exposure stays reserved until then (0: the limits' `quote_reserve_ms`)
    account: str = ""  # CHILD: whose order it is; "" the desk's inventory, the only one whose fills move its position
    reserve: bool = True  # QUOTE: False for streamed prices, replaced many times a second and checked again at TRADE


class NotMinted(RuntimeError):
    """Somebody other than the gate tried to make an `Approved`. A bug, never caught."""


class _Press:
    """Whether an `Approved` may come into being right now. One thread (the loop's), one holder (`risk.gate`)."""

    running: bool = False
    claimed: bool = False


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's leave to act on `intent`; `limits` names what it was held against (check -> limit)."""

    intent: Intent
    decision_id: str
    limits: dict[str, str]

    def __post_init__(self) -> None:
        if not _Press.running:
            raise NotMinted("only risk.gate makes an Approved")


def claim_press() -> Callable[[Intent, str, dict[str, str]], Approved]:
    """The one function that makes an `Approved`. The first caller (`risk.gate`, at import) gets it; a second one
    raises.
    """
    if _Press.claimed:
        raise NotMinted("the press is risk.gate's")
    _Press.claimed = True

    def mint(intent: Intent, decision_id: str, limits: dict[str, str]) -> Approved:
        _Press.running = True
        try:
            return Approved(intent=intent, decision_id=decision_id, limits=limits)
        finally:
            _Press.running = False

    return mint


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's no: which check, the value seen, the most (or least) it allows, and the sentence to show."""

    intent: Intent
    decision_id: str
    check: str
    value: str
    limit: str
    message: str


Decision = Approved | Refused
