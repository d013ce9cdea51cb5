"""The answer of the splitter: children, exact cost, and the bound that proves it."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class SplitChild(msgspec.Struct, frozen=True, kw_only=True):
    """One order: to a `venue` (marketable, never beyond `limit_price`) or to an `lp`'s quote (`limit_price` is the
    quote's)."""

    venue: str = ""
    lp: str = ""
    quote_id: str = ""
    limit_price: Decimal
    quantity: Decimal

    @property
    def target(self) -> str:
        """Venue or LP it goes to."""
        return self.venue or self.lp


class SplitResult(msgspec.Struct, frozen=True, kw_only=True):
    """A plan. `cost` of a buy is what is paid, of a sell the negative of what is received; `bound`: no plan of this
    size is cheaper; `reach`: the search ended before it was sure that no plan fills more than `filled`, but none fills more
    than this (None: it is sure)."""

    side: str
    filled: Decimal
    unfilled: Decimal
    cost: Decimal
    bound: Decimal
    gap_bps: Decimal
    optimal: bool
    children: list[SplitChild]
    nodes: int
    reach: Decimal | None = None
