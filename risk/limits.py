"""The numbers the gate holds intents against. Frozen: a change of limits is a new `RiskLimits`, never an edit in
place.

Decimals only; every number is finite and positive or the configuration is refused. Amounts in quote currency hold
for each quote currency by itself: USD, USDT and USDC are never added up.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from risk.exact import measurable


def _positive(name: str, value: Decimal | int) -> None:
    if not measurable(value) if isinstance(value, Decimal) else isinstance(value, bool):
        raise ValueError(f"{name}: not a number limits can be held against")
    if value <= 0:
        raise ValueError(f"{name}: must be greater than zero")


class SymbolLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one instrument (or of every instrument that has none of its own)."""

    max_quantity: Decimal = Decimal(50)  # base, a client's quote or trade
    max_notional: Decimal = Decimal(5_000_000)  # quote currency, a client's quote or trade
    max_child_quantity: Decimal = Decimal(25)  # base, one child order
    max_child_notional: Decimal = Decimal(2_500_000)  # quote currency, one child order
    quote_collar_bps: Decimal = Decimal(200)  # distance of a client price from fair
    child_collar_bps: Decimal = Decimal(100)  # how far beyond fair a child's limit price may reach
    max_book_age_ms: int = 5_000  # older books are no reference

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            _positive(name, getattr(self, name))


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token bucket: `per_s` a second on average, `burst` at once."""

    per_s: int  # a second, on average
    burst: int  # at once

    def __post_init__(self) -> None:
        _positive("per_s", self.per_s)
        _positive("burst", self.burst)

    @property
    def interval_ns(self) -> int:
        """Time for one token to come back, rounded up."""
        return -(-1_000_000_000 // self.per_s)


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All limits of the desk. `symbols` replaces `default` for an instrument, `venue_rates` the child rate of a venue
    or LP.
    """

    default: SymbolLimits = SymbolLimits()
    symbols: dict[str, SymbolLimits] = msgspec.field(default_factory=dict)
    child_rate: Rate = Rate(per_s=20, burst=40)  # child orders per venue
    venue_rates: dict[str, Rate] = msgspec.field(default_factory=dict)
    quote_rate: Rate = Rate(per_s=50, burst=200)  # quotes per client
    max_position: dict[str, Decimal] = (
        msgspec.field(  # hard band per base currency, pending included; none: nothing passes
            default_factory=lambda: {"BTC": Decimal(40), "ETH": Decimal(600)}
        )
    )
    max_open_notional: Decimal = Decimal(20_000_000)  # value of all open child orders
    max_quoted_notional: Decimal = Decimal(50_000_000)  # value of all firm quotes a client could still accept
    client_notional: Decimal = Decimal(50_000_000)  # net unsettled trades and open quotes of one client
    client_notionals: dict[str, Decimal] = msgspec.field(default_factory=dict)  # by client id, instead of the above
    max_loss: dict[str, Decimal] = msgspec.field(
        default_factory=dict
    )  # currency -> loss after which only reducing is allowed
    quote_reserve_ms: int = 10_000  # how long a quote without an end of its own stays reserved

    def __post_init__(self) -> None:
        for name in ("max_open_notional", "max_quoted_notional", "client_notional", "quote_reserve_ms"):
            _positive(name, getattr(self, name))
        for name in ("max_position", "client_notionals", "max_loss"):
            for key, value in getattr(self, name).items():
                _positive(f"{name}.{key}", value)

    def of(self, symbol: str) -> SymbolLimits:
        """The limits of an instrument."""
        return self.symbols.get(symbol, self.default)

    def rate_of(self, venue: str) -> Rate:
        """The child rate of a venue or LP."""
        return self.venue_rates.get(venue, self.child_rate)

    def of_client(self, client_id: str) -> Decimal:
        """The exposure a client may have."""
        return self.client_notionals.get(client_id, self.client_notional)
