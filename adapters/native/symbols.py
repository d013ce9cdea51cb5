"""The adapter's instruments as our markets: `BTCUSDT.BINANCE`, `BTC-USDT.OKX`, `BTCUSDT-SPOT.BYBIT` are all `BTC/USDT` here.

What an instrument is, it says itself (its currencies), not its name; only Kraken's currencies have codes of their own, and its names are
ours. Decimals are those of tick and lot, whatever the venue prints.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import CurrencyPair, Instrument

from adapters.ccxt.symbols import Market, decimals_of


class Symbols:
    """Instruments of one venue in both tongues. Only those of `wanted` symbols are known."""

    def __init__(self, venue: str, wanted: tuple[str, ...]) -> None:
        self.venue = venue
        self._wanted = frozenset(wanted)
        self._ours: dict[InstrumentId, str] = {}
        self._theirs: dict[str, InstrumentId] = {}

    def learn(self, instrument: Instrument) -> Market | None:
        """Our market of the adapter's instrument; None for one that nobody asked for."""
        if not isinstance(instrument, CurrencyPair):
            return None
        named = instrument.id.symbol.value
        symbol = named if "/" in named else f"{instrument.base_currency.code}/{instrument.quote_currency.code}"
        if symbol not in self._wanted:
            return None
        self._ours[instrument.id], self._theirs[symbol] = symbol, instrument.id
        return _market(symbol, instrument)

    def ours(self, theirs: InstrumentId) -> str | None:
        """Our symbol of the adapter's instrument; None for one that nobody asked for."""
        return self._ours.get(theirs)

    def theirs(self, symbol: str) -> InstrumentId:
        """The adapter's id of our symbol. Raises KeyError while it is not known."""
        return self._theirs[symbol]


def _market(symbol: str, instrument: CurrencyPair) -> Market:
    def amount(value: Any) -> Decimal | None:
        return value.as_decimal() if value is not None and value.as_decimal() else None

    base, _, quote = symbol.partition("/")
    tick, lot = instrument.price_increment.as_decimal(), instrument.size_increment.as_decimal()
    return Market(
        symbol=symbol,
        market_id=instrument.raw_symbol.value,
        base=base,
        quote=quote,
        tick=tick.normalize(),
        lot=lot.normalize(),
        price_decimals=decimals_of(tick),
        size_decimals=decimals_of(lot),
        min_quantity=amount(instrument.min_quantity),
        max_quantity=amount(instrument.max_quantity),
        min_notional=amount(instrument.min_notional),
        taker_fee=instrument.taker_fee,
        maker_fee=instrument.maker_fee,
    )
