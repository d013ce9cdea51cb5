"""From a venue's market to the engine's instrument, and from ints to its prices and quantities, exactly."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from nautilus_trader.core.nautilus_pyo3 import FIXED_PRECISION
from nautilus_trader.model.enums import CurrencyType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CryptoPerpetual, CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity

from adapters.ccxt.symbols import Market

QUANTITY_MAX = Decimal("1e13")  # the engine's own limit is a little above

# The engine knows fiat with two decimals, which would round a fee of 0.3458 USD to 0.35.
_FIAT = {"USD": (840, "US Dollar"), "EUR": (978, "Euro"), "GBP": (826, "British Pound")}


def currency(code: str) -> Currency:
    """The engine's currency with at least the decimals venues account in."""
    if code in _FIAT and (known := Currency.from_str(code)).precision < 8:
        number, name = _FIAT[code]
        Currency.register(Currency(code, 8, number, name, CurrencyType.FIAT), overwrite=True)
        assert Currency.from_str(code).precision > known.precision
    return Currency.from_str(code, strict=False)


def instrument_id(symbol: str, venue: str) -> InstrumentId:
    """`BTC/USDT.BINANCE`."""
    return InstrumentId(Symbol(symbol), Venue(venue))


def instrument_of(market: Market, venue: str, ts_ns: int) -> CurrencyPair | CryptoPerpetual:
    """The pair or perpetual with the venue's exact increments, limits and our fees; a perpetual's quantities are contracts."""
    quote = currency(market.quote)
    limits = {"min_quantity": market.min_quantity, "max_quantity": market.max_quantity}
    fields: dict[str, Any] = {
        "instrument_id": instrument_id(market.symbol, venue),
        "raw_symbol": Symbol(market.market_id),
        "base_currency": currency(market.base),
        "quote_currency": quote,
        "price_precision": market.price_decimals,
        "size_precision": market.size_decimals,
        "price_increment": Price.from_str(f"{market.tick:.{market.price_decimals}f}"),
        "size_increment": Quantity.from_str(f"{market.lot:.{market.size_decimals}f}"),
        "min_notional": None if market.min_notional is None else Money.from_str(f"{market.min_notional:f} {quote}"),
        "maker_fee": market.maker_fee,
        "taker_fee": market.taker_fee,
        "ts_event": ts_ns,
        "ts_init": ts_ns,
        **{
            name: Quantity.from_str(f"{value:.{market.size_decimals}f}")
            for name, value in limits.items()
            if value is not None and value < QUANTITY_MAX
        },
    }
    if market.contract is None:
        return CurrencyPair(**fields)
    return CryptoPerpetual(
        settlement_currency=currency(market.contract.settle),
        is_inverse=market.contract.inverse,
        multiplier=Quantity.from_str(f"{market.contract.size:f}"),
        **fields,
    )


class Scale:
    """Ints of a market as the engine's fixed-point numbers.

    `raw`: how its raw values are made: (what a tick is multiplied by, decimals of a price, and the same two for a lot).
    """

    def __init__(self, market: Market) -> None:
        self._price_decimals = market.price_decimals
        self._size_decimals = market.size_decimals
        self._price_raw = 10 ** (FIXED_PRECISION - market.price_decimals)
        self._size_raw = 10 ** (FIXED_PRECISION - market.size_decimals)
        self.raw = (self._price_raw, self._price_decimals, self._size_raw, self._size_decimals)

    def price(self, ticks: int) -> Price:
        """`ticks` × 10^-price_decimals."""
        return Price.from_raw(ticks * self._price_raw, self._price_decimals)

    def quantity(self, lots: int) -> Quantity:
        """`lots` × 10^-size_decimals."""
        return Quantity.from_raw(lots * self._size_raw, self._size_decimals)

    def exact_price(self, value: Decimal) -> Price:
        """A price of a report; raises when it has more decimals than the market."""
        return self.price(_whole(value, self._price_decimals))

    def exact_quantity(self, value: Decimal) -> Quantity:
        """A quantity of a report; raises when it has more decimals than the market."""
        return self.quantity(_whole(value, self._size_decimals))


def _whole(value: Decimal, decimals: int) -> int:
    scaled = value.scaleb(decimals)
    if scaled != (whole := int(scaled)):
        raise ValueError(f"{value} does not fit {decimals} decimals")
    return whole


def money(amount: Decimal, code: str) -> Money:
    """An amount in the engine's currency; rounded to its precision (an execution carries its exact fee in `info`)."""
    unit = currency(code)
    rounded = amount.quantize(Decimal(1).scaleb(-unit.precision), ROUND_HALF_EVEN)
    return Money.from_str(f"{rounded:f} {unit.code}")
