"""How our account at a venue stands: told by its execution client once a second, for operators."""

from __future__ import annotations

import msgspec


class AccountStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One account, now. `switch`: "set", or why the venue's dead-man switch is not. `limit`: the rate limit of which the largest part is
    used ("" when none is counted), with what is used of its `capacity`; `refused`: requests that the venue refused for too many;
    `refusing`: why no order of ours can go there, "" while one can; `external_fills`: executions on it of orders that are not ours, so far.
    """

    venue: str
    connected: bool
    reason: str
    live_orders: int
    orders_by: str  # "rest" | "ws"
    switch: str
    limit: str = ""
    used: float = 0.0
    capacity: float = 0.0
    refused: int = 0
    refusing: str = ""
    external_fills: int = 0
