"""How one exchange is reached. Secrets are given by whoever composes the desk; nothing here reads the environment."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

DEPTHS = (10, 25, 100, 500, 1000)
EXCHANGES = ("binance", "binanceusdm", "bybit", "coinbase", "kraken", "okx")
MARGIN = frozenset({"binanceusdm"})  # whose accounts hold positions in perpetuals, not the coins themselves


class ExchangeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One exchange account and the instruments we watch and trade on it.

    `rest_url`, `ws_url`: `None` is the venue itself; otherwise "http://host:port" and "ws://host:port", and every URL of the
    venue keeps its path but goes to that host. `taker_fee_bps`: overrides the account's own fee. `max_age_ms`: a book or quote
    stream silent for longer is stale. `order_timeout_ms`: how long a request may take before its outcome counts as unknown.
    `orders_by`: "ws" sends orders over the private WebSocket where the venue takes them, "rest" never. `dead_man_s`: the venue cancels
    every order of the account when it has heard no more of us for so long (within what it offers); 0 = never.
    """

    venue: str
    exchange: str
    symbols: tuple[str, ...]
    rest_url: str | None = None
    ws_url: str | None = None
    api_key: str = ""
    secret: str = ""
    password: str = ""
    taker_fee_bps: Decimal | None = None
    depth: int = 500
    keepalive_s: float = 5.0
    max_age_ms: int = 5_000
    order_timeout_ms: int = 4_000
    order_rate_per_s: float = 10.0
    orders_by: Literal["rest", "ws"] = "rest"
    dead_man_s: int = 60

    def __post_init__(self) -> None:
        if self.exchange not in EXCHANGES:
            raise ValueError(f"exchange {self.exchange!r} is not supported: one of {', '.join(EXCHANGES)}")
        if self.depth not in DEPTHS:
            raise ValueError(f"depth {self.depth} is not offered by the venues: one of {DEPTHS}")
        if not self.venue or self.venue != self.venue.upper():
            raise ValueError(f"venue {self.venue!r} must be upper case")
        if not self.symbols:
            raise ValueError(f"{self.venue}: at least one symbol is needed")
        for name in ("keepalive_s", "max_age_ms", "order_timeout_ms", "order_rate_per_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{self.venue}: {name} must be positive")
        if self.dead_man_s < 0:
            raise ValueError(f"{self.venue}: dead_man_s must not be negative")

    @property
    def margin(self) -> bool:
        """Whether the account holds margin and positions in perpetuals."""
        return self.exchange in MARGIN

    def __repr__(self) -> str:
        """Without the secrets, so that no log can hold them."""
        where = self.rest_url or "the venue's own hosts"
        return f"ExchangeConfig({self.venue}, {self.exchange}, {', '.join(self.symbols)}, {where})"
