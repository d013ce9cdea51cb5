"""What the desk and the router say to a liquidity provider (LP), whatever its wire protocol.

An LP is an actor (endpoint `LP.<ID>.rfq`, stream on topic `lp.ladder`) plus an execution client with its own Venue: accepting a
quote is a FOK limit order at the quoted price on `<SYMBOL>.<ID>` with `params={"quote_id": …}`. Live and simulated LPs speak these types.
Sides are always the taker's (ours): `ask` is what we pay, `bid` what we receive, both all-in per unit of base.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec


class LpRfq(msgspec.Struct, frozen=True, kw_only=True):
    """Ask an LP for a firm quote. `reply` is called once, on the loop thread, with the answer."""

    rfq_id: str
    symbol: str  # "BTC/USDT"
    side: str  # "buy" | "sell" | "two_way": what we want to do
    quantity: Decimal  # base currency
    reply: Callable[[LpQuote | LpNoQuote], None]


class LpQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A firm all-or-none quote; good until `valid_until_ns` on our clock."""

    lp: str
    rfq_id: str
    quote_id: str
    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    quantity: Decimal
    valid_until_ns: int
    ts_ns: int


class LpNoQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The LP did not quote: refused, timed out, or is not connected."""

    lp: str
    rfq_id: str
    reason: str


class LpRung(msgspec.Struct, frozen=True):
    """One size of a streamed ladder: the price of the whole `quantity`."""

    quantity: Decimal
    bid: Decimal
    ask: Decimal


class LpLadder(msgspec.Struct, frozen=True, kw_only=True):
    """A streamed, indicative two-way ladder. Empty `rungs`: the stream is down, nothing can be priced from it."""

    lp: str
    symbol: str
    rungs: tuple[LpRung, ...]
    ts_ns: int
