"""What the FalconX adapter needs to know. Hosts are always given: nothing connects to a venue by default."""

from __future__ import annotations

from decimal import Decimal

import msgspec

DEFAULT_LEVELS: dict[str, tuple[Decimal, ...]] = {
    "BTC": (Decimal("0.1"), Decimal("0.5"), Decimal(1), Decimal(2), Decimal(5)),
    "ETH": (Decimal(1), Decimal(5), Decimal(15), Decimal(40), Decimal(100)),
}
STREAM_PATH = "/price.tickers"
FALLBACK_LEVELS = (Decimal(1), Decimal(10), Decimal(100))


class FalconXConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One FalconX account. `secret` is the base64 text that the venue hands out."""

    lp: str = "FALCONX"
    rest_url: str  # "https://host", no path
    ws_url: str  # "wss://host" or "wss://host/price.tickers"
    api_key: str
    secret: str
    passphrase: str
    symbols: tuple[str, ...]
    levels: dict[str, tuple[Decimal, ...]] = {}  # symbol -> sizes of the streamed ladder, base currency
    timeout_ms: int = 1_500  # of one REST call: RFQ, execute, query
    stale_ms: int = 2_000  # a ladder without news for longer is taken down
    prove_ms: int = 5_000  # least time over which "not executed" is asked before it counts as proven
    give_up_ms: int = 20_000  # after which a query for an outcome answers "still open", to be asked again
    reconnect_ms: int = 1_000  # least delay before the stream connects again; doubles up to 30 s
    price_precision: int = 8
    size_precision: int = 8

    def __post_init__(self) -> None:
        for symbol in self.symbols:
            if symbol.count("/") != 1 or ":" in symbol:
                raise ValueError(f"{symbol!r} is not a spot symbol such as BTC/USDT")
        if self.price_precision > 9 or self.size_precision > 9:
            raise ValueError("price_precision and size_precision: at most 9")

    def __repr__(self) -> str:
        return f"FalconXConfig(lp={self.lp!r}, rest_url={self.rest_url!r}, symbols={self.symbols!r})"

    @property
    def stream_url(self) -> str:
        """Where prices are streamed; its path is part of what is signed."""
        host = self.ws_url.rstrip("/")
        return host if host.count("/") > 2 else f"{host}{STREAM_PATH}"

    def levels_of(self, symbol: str) -> tuple[Decimal, ...]:
        """Sizes of the ladder to stream."""
        return self.levels.get(symbol) or DEFAULT_LEVELS.get(symbol.split("/")[0], FALLBACK_LEVELS)
