"""What a paper venue is told: plain values only, so that the engine's importable configuration can carry them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from nautilus_trader.live.config import LiveExecClientConfig

from adapters.falconx.config import FalconXConfig


class PaperExchangeConfig(LiveExecClientConfig, frozen=True, kw_only=True):
    """An exchange on paper. `path`: the file of its account; `balances`: what a new account holds.

    `latency_ms`: from our decision to the venue's match. A book silent for `max_age_ms` fills nothing. `maker_fee_bps`: of what
    rests; None: what the venue lists, never above the taker's.
    """

    venue: str
    symbols: tuple[str, ...]
    taker_fee_bps: Decimal
    maker_fee_bps: Decimal | None = None
    max_age_ms: int
    latency_ms: int
    balances: dict[str, Decimal]
    path: str

    @property
    def file(self) -> Path:
        """Where the account is kept."""
        return Path(self.path)


class PaperFalconXConfig(LiveExecClientConfig, frozen=True, kw_only=True):
    """FalconX on paper: its real account for quotes, which are then not executed. Never printed: it holds the secret."""

    falconx: FalconXConfig
    latency_ms: int
    path: str

    @property
    def file(self) -> Path:
        """Where the account is kept."""
        return Path(self.path)
