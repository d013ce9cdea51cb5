"""Simulated venues' instruments as the engine knows them."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity

from sim.instruments import VenueInstrument
from sim.lp_model import LpParams

BPS = Decimal("0.0001")


def engine_instrument(listing: VenueInstrument) -> CurrencyPair:
    """The engine's instrument of an exchange's listing."""
    quote = Currency.from_str(listing.quote)
    return _pair(
        listing.symbol,
        listing.venue,
        price_decimals=listing.price_decimals,
        size_decimals=listing.size_decimals,
        min_quantity=listing.min_quantity,
        min_notional=Money(listing.min_notional, quote),
        maker_fee=listing.maker_fee_bps * BPS,
        taker_fee=listing.taker_fee_bps * BPS,
    )


def lp_instrument(symbol: str, params: LpParams) -> CurrencyPair:
    """The engine's instrument of what an LP trades: all-in prices, so no fee."""
    return _pair(
        symbol,
        params.lp,
        price_decimals=_decimals(params.price_step),
        size_decimals=_decimals(params.quantity_step),
        min_quantity=params.quantity_step,
        min_notional=None,
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
    )


def _pair(
    symbol: str,
    venue: str,
    *,
    price_decimals: int,
    size_decimals: int,
    min_quantity: Decimal,
    min_notional: Money | None,
    maker_fee: Decimal,
    taker_fee: Decimal,
) -> CurrencyPair:
    base, _, quote = symbol.partition("/")
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(symbol), Venue(venue)),
        raw_symbol=Symbol(symbol),
        base_currency=Currency.from_str(base),
        quote_currency=Currency.from_str(quote),
        price_precision=price_decimals,
        size_precision=size_decimals,
        price_increment=Price(Decimal(1).scaleb(-price_decimals), price_decimals),
        size_increment=Quantity(Decimal(1).scaleb(-size_decimals), size_decimals),
        min_quantity=Quantity(min_quantity, size_decimals),
        min_notional=min_notional,
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        ts_event=0,
        ts_init=0,
    )


def _decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))
