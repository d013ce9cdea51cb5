"""The engine's instruments of an LP: one spot pair a symbol, `BTC/USDT.FALCONX`."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.model.enums import CurrencyType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Price, Quantity

from adapters.falconx.config import FalconXConfig


def instrument_id(symbol: str, lp: str) -> InstrumentId:
    """The engine's id of `symbol` at `lp`."""
    return InstrumentId(Symbol(symbol), Venue(lp))


def currency_pair(config: FalconXConfig, symbol: str, ts_ns: int) -> CurrencyPair:
    """The pair as the LP deals it: any price and size its precision can say; fees are inside the price."""
    base, quote = symbol.split("/")
    return CurrencyPair(
        instrument_id=instrument_id(symbol, config.lp),
        raw_symbol=Symbol(symbol),
        base_currency=_currency(base),
        quote_currency=_currency(quote),
        price_precision=config.price_precision,
        size_precision=config.size_precision,
        price_increment=Price(10**-config.price_precision, config.price_precision),
        size_increment=Quantity(10**-config.size_precision, config.size_precision),
        lot_size=None,
        max_quantity=None,
        min_quantity=None,
        max_notional=None,
        min_notional=None,
        max_price=None,
        min_price=None,
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
        ts_event=ts_ns,
        ts_init=ts_ns,
    )


def _currency(code: str) -> Currency:
    known = Currency.from_internal_map(code)
    if known is not None:
        return known
    return Currency(code, precision=8, iso4217=0, name=code, currency_type=CurrencyType.CRYPTO)
