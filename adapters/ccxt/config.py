"""How one exchange is reached. Secrets are given by whoever composes the desk; nothing here reads the environment."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from adapters.ccxt.catalogue import EXCHANGES as EXCHANGES
from adapters.ccxt.catalogue import GENERIC, known, unknown
from adapters.ccxt.catalogue import MARGIN as MARGIN
from adapters.ccxt.events import QUIET_STREAMS, Stream
from adapters.ccxt.pace import DIALS

DEPTHS = (10, 25, 100, 500, 1000)


class ExchangeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One exchange account and the instruments we watch and trade on it.

    `rest_url`, `ws_url`: `None` is the venue itself; otherwise "http://host:port" and "ws://host:port", and every URL of the
    venue keeps its path but goes to that host. `taker_fee_bps`: overrides the account's own fee. `max_age_ms`: a book or quote
    stream silent for longer is stale; `max_quotes_age_ms` where quotes have an age of their own, `max_trades_age_ms` where trades have
    any (0 = none). `audit_s`: how often each book is compared with the venue's whole book by REST, `reconcile_s`: how often the account
    is (0 = never). `order_timeout_ms`: how long a request may take before its outcome counts as unknown.
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
    max_quotes_age_ms: int = 0
    max_trades_age_ms: int = 0
    audit_s: float = 60.0
    reconcile_s: float = 30.0
    order_timeout_ms: int = 4_000
    order_rate_per_s: float = 10.0
    orders_by: Literal["rest", "ws"] = "rest"
    dead_man_s: int = 60

    def __post_init__(self) -> None:
        if not known(self.exchange):
            raise ValueError(f"exchange {unknown(self.exchange)}")
        if self.depth not in DEPTHS:
            raise ValueError(f"depth {self.depth} is not offered by the venues: one of {DEPTHS}")
        if not self.venue or self.venue != self.venue.upper():
            raise ValueError(f"venue {self.venue!r} must be upper case")
        if not self.symbols:
            raise ValueError(f"{self.venue}: at least one symbol is needed")
        for name in ("max_quotes_age_ms", "max_trades_age_ms", "audit_s", "reconcile_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{self.venue}: {name} must not be negative")
        for name in ("keepalive_s", "max_age_ms", "order_timeout_ms", "order_rate_per_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{self.venue}: {name} must be positive")
        if self.dead_man_s < 0:
            raise ValueError(f"{self.venue}: dead_man_s must not be negative")

    @property
    def generic(self) -> bool:
        """Whether we have no rules of this venue: its market data are ccxt's, and it takes no orders of ours."""
        return self.exchange in GENERIC

    @property
    def margin(self) -> bool:
        """Whether the account holds margin and positions in perpetuals."""
        return self.exchange in MARGIN

    @property
    def dials(self) -> tuple[int, float] | None:
        """How often the venue lets an address dial (`pace.DIALS`); other hosts than its own have no such rule."""
        return DIALS.get(self.exchange) if self.ws_url is None else None

    def max_age_s(self, stream: Stream) -> float:
        """How long a stream may be silent before it is stale; 0: for ever."""
        match stream:
            case Stream.QUOTES if self.max_quotes_age_ms:
                return self.max_quotes_age_ms / 1000
            case Stream.TRADES:
                return self.max_trades_age_ms / 1000
            case _ if stream in QUIET_STREAMS:
                return 0.0
        return self.max_age_ms / 1000

    def __repr__(self) -> str:
        """Without the secrets, so that no log can hold them."""
        where = self.rest_url or "the venue's own hosts"
        return f"ExchangeConfig({self.venue}, {self.exchange}, {', '.join(self.symbols)}, {where})"
