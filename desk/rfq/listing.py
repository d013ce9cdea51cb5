"""What clients may ask for, as `GET /v1/instruments` tells it."""

from __future__ import annotations

from desk.api.messages import Instrument
from desk.config.model import DeskConfig


def listed(config: DeskConfig) -> list[Instrument]:
    """Every configured instrument, with the venues and LPs it is hedged on."""
    return [
        Instrument(
            symbol=item.symbol,
            base=item.base,
            quote=item.quote,
            price_tick=f"{item.price_tick:f}",
            quantity_step=f"{item.quantity_step:f}",
            base_precision=item.base_precision,
            quote_precision=item.quote_precision,
            min_quantity=f"{item.min_quantity:f}",
            max_quantity=f"{item.max_quantity:f}",
            default_ttl_ms=config.pricing.ttl_ms,
            venues=[v.venue for v in config.venues if v.enabled and item.symbol in config.venue_symbols(v)],
            lps=[lp.lp for lp in config.lps if lp.enabled and item.symbol in config.lp_symbols(lp)],
        )
        for item in config.instruments
    ]
