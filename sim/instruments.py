"""What the simulated venues list: decimals, minimums, fees and opening balances of each instrument.

Fees are those of an institutional volume tier, not list prices: Binance spot VIP 4-5 (taker about 4 bps), Kraken Pro above
500 M USD of 30-day volume (taker 5 bps), OKX spot of a middle VIP tier (taker 5 bps), Bybit spot Supreme VIP (taker about 4.5 bps),
Coinbase above 400 M USD (taker 5 bps, maker nothing).
Binance USD-M the same tier (taker 3.2 bps), Kraken Futures list prices (taker 5 bps).
Tick and lot are one unit of the decimals given here, but for the ticks of inverse contracts. `DERIVED` are made from
Binance's market (`sim/transform.py`), USD-M only where no USD-M tape is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from adapters.ccxt.contracts import Contract

BINANCE = "BINANCE"
KRAKEN = "KRAKEN"
OKX = "OKX"
BYBIT = "BYBIT"
COINBASE = "COINBASE"
BINANCEUSDM = "BINANCEUSDM"
KRAKENFUTURES = "KRAKENFUTURES"

TAKER_FEE_BPS = {
    BINANCE: Decimal("4"),
    KRAKEN: Decimal("5"),
    OKX: Decimal("5"),
    BYBIT: Decimal("4.5"),
    COINBASE: Decimal("5"),
    BINANCEUSDM: Decimal("3.2"),
    KRAKENFUTURES: Decimal("5"),
}
MAKER_FEE_BPS = {
    BINANCE: Decimal("2"),
    KRAKEN: Decimal("1"),
    OKX: Decimal("3"),
    BYBIT: Decimal("3"),
    COINBASE: Decimal("0"),
    BINANCEUSDM: Decimal("1.4"),
    KRAKENFUTURES: Decimal("2"),
}

# (price decimals, size decimals) as the venues listed them; unlisted symbols use what the tape shows.
_BINANCE_DECIMALS = {
    "BTC/USDT": (2, 5),
    "BTC/USDC": (2, 5),
    "BTC/FDUSD": (2, 5),
    "ETH/USDT": (2, 4),
    "ETH/USDC": (2, 4),
    "ETH/BTC": (5, 4),
    "SOL/USDT": (2, 3),
    "BNB/USDT": (2, 3),
    "XRP/USDT": (4, 0),
}
_UNLISTED_DECIMALS = (2, 4)  # of a symbol that only the generator knows
_KRAKEN_DECIMALS = {
    "BTC/USDT": (1, 8),
    "BTC/USDC": (1, 8),
    "ETH/USDT": (2, 8),
    "ETH/USDC": (2, 8),
    "ETH/BTC": (5, 8),
    "SOL/USDT": (2, 8),
    "XRP/USDT": (5, 8),
}
_KRAKEN_MIN_QUANTITY = {
    "BTC": Decimal("0.00005"),
    "ETH": Decimal("0.001"),
    "SOL": Decimal("0.02"),
    "XRP": Decimal("1.65"),
}
_OKX_DECIMALS = {
    "BTC/USDT": (1, 8),
    "BTC/USDC": (1, 8),
    "ETH/USDT": (2, 6),
    "ETH/USDC": (2, 6),
    "ETH/BTC": (5, 6),
    "SOL/USDT": (2, 6),
    "XRP/USDT": (4, 6),
}
_OKX_MIN_QUANTITY = {"BTC": Decimal("0.00001"), "ETH": Decimal("0.0001"), "SOL": Decimal("0.001"), "XRP": Decimal(1)}
_BYBIT_DECIMALS = {
    "BTC/USDT": (2, 6),
    "BTC/USDC": (2, 6),
    "ETH/USDT": (2, 5),
    "ETH/USDC": (2, 5),
    "ETH/BTC": (6, 4),
    "SOL/USDT": (2, 3),
    "XRP/USDT": (4, 2),
}
_BINANCEUSDM_DECIMALS = {
    "BTC/USDT": (1, 3),
    "BTC/USDC": (1, 3),
    "ETH/USDT": (2, 3),
    "ETH/USDC": (2, 3),
    "SOL/USDT": (2, 0),
    "XRP/USDT": (4, 1),
}
_COINBASE_DECIMALS = {
    "BTC/USDT": (2, 8),
    "BTC/USDC": (2, 8),
    "BTC/USD": (2, 8),
    "ETH/USDT": (2, 8),
    "ETH/USDC": (2, 8),
    "ETH/USD": (2, 8),
    "ETH/BTC": (5, 8),
    "SOL/USDT": (2, 8),
    "XRP/USDT": (4, 6),
}
_KRAKENFUTURES_DECIMALS = {
    "BTC": (0, 4),
    "ETH": (1, 3),
    "SOL": (2, 2),
    "XRP": (5, 0),
}
_INVERSE_TICKS = {"BTC": (1, 5), "ETH": (2, 5), "XRP": (4, 1)}  # decimals, and how many of their units: half a dollar
_OPENING = {
    "USDT": Decimal(25_000_000),
    "USDC": Decimal(25_000_000),
    "FDUSD": Decimal(25_000_000),
    "USD": Decimal(25_000_000),
    "EUR": Decimal(20_000_000),
    "BTC": Decimal(400),
    "ETH": Decimal(8_000),
    "BNB": Decimal(20_000),
    "SOL": Decimal(100_000),
    "XRP": Decimal(20_000_000),
}
_OPENING_OTHER = Decimal(10_000_000)


class VenueInstrument(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument of one simulated venue. Tick = `tick` × 10^-price_decimals, lot = 10^-size_decimals; fees in basis points.

    `contract`: of a perpetual, whose sizes are contracts; None of a spot pair.
    """

    venue: str
    symbol: str
    price_decimals: int
    size_decimals: int
    min_quantity: Decimal
    min_notional: Decimal
    taker_fee_bps: Decimal
    maker_fee_bps: Decimal
    contract: Contract | None = None
    tick: int = 1

    @property
    def base(self) -> str:
        """The base currency."""
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        """The quote currency."""
        return self.symbol.partition("/")[2].partition(":")[0]

    @property
    def settle(self) -> str:
        """The currency that is paid in: a contract's own, or the quote currency."""
        return self.quote if self.contract is None else self.contract.settle

    @property
    def currencies(self) -> tuple[str, ...]:
        """What an account holds to trade it."""
        return (self.base, self.quote) if self.contract is None else (self.contract.settle,)

    def price(self, units: int) -> Decimal:
        """A price in units of 10^-price_decimals as Decimal."""
        return Decimal(units).scaleb(-self.price_decimals)

    def size(self, units: int) -> Decimal:
        """A size in lots as Decimal."""
        return Decimal(units).scaleb(-self.size_decimals)


def binance_instrument(symbol: str, seen: tuple[int, int] = (0, 0)) -> VenueInstrument:
    """`symbol` on the simulated Binance; `seen` are the (price, size) decimals found on the tape, never truncated."""
    known = _BINANCE_DECIMALS.get(symbol, (0, 0) if any(seen) else _UNLISTED_DECIMALS)
    size_decimals = max(known[1], seen[1])
    return VenueInstrument(
        venue=BINANCE,
        symbol=symbol,
        price_decimals=max(known[0], seen[0]),
        size_decimals=size_decimals,
        min_quantity=Decimal(1).scaleb(-size_decimals),
        min_notional=Decimal("0.0001") if symbol.endswith("/BTC") else Decimal(5),
        taker_fee_bps=TAKER_FEE_BPS[BINANCE],
        maker_fee_bps=MAKER_FEE_BPS[BINANCE],
    )


def kraken_instrument(symbol: str, source: VenueInstrument | None = None) -> VenueInstrument:
    """`symbol` on the simulated Kraken; an unlisted symbol takes the price decimals of `source`."""
    price_decimals, size_decimals = _KRAKEN_DECIMALS.get(symbol, (source.price_decimals if source else 2, 8))
    base = symbol.partition("/")[0]
    return VenueInstrument(
        venue=KRAKEN,
        symbol=symbol,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        min_quantity=_KRAKEN_MIN_QUANTITY.get(base, Decimal("0.01")),
        min_notional=Decimal("0.00002") if symbol.endswith("/BTC") else Decimal("0.5"),
        taker_fee_bps=TAKER_FEE_BPS[KRAKEN],
        maker_fee_bps=MAKER_FEE_BPS[KRAKEN],
    )


def okx_instrument(symbol: str, source: VenueInstrument | None = None) -> VenueInstrument:
    """`symbol` on the simulated OKX, which has no least notional; an unlisted symbol takes the decimals of `source`."""
    unlisted = (source.price_decimals, source.size_decimals) if source else _UNLISTED_DECIMALS
    price_decimals, size_decimals = _OKX_DECIMALS.get(symbol, unlisted)
    return VenueInstrument(
        venue=OKX,
        symbol=symbol,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        min_quantity=_OKX_MIN_QUANTITY.get(symbol.partition("/")[0], Decimal(1).scaleb(-size_decimals)),
        min_notional=Decimal(0),
        taker_fee_bps=TAKER_FEE_BPS[OKX],
        maker_fee_bps=MAKER_FEE_BPS[OKX],
    )


def bybit_instrument(symbol: str, source: VenueInstrument | None = None) -> VenueInstrument:
    """`symbol` on the simulated Bybit; an unlisted symbol takes the decimals of `source`."""
    unlisted = (source.price_decimals, source.size_decimals) if source else _UNLISTED_DECIMALS
    price_decimals, size_decimals = _BYBIT_DECIMALS.get(symbol, unlisted)
    return VenueInstrument(
        venue=BYBIT,
        symbol=symbol,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        min_quantity=Decimal(1).scaleb(-size_decimals),
        min_notional=Decimal("0.0001") if symbol.endswith("/BTC") else Decimal(5),
        taker_fee_bps=TAKER_FEE_BPS[BYBIT],
        maker_fee_bps=MAKER_FEE_BPS[BYBIT],
    )


def binanceusdm_instrument(
    symbol: str, source: VenueInstrument | None = None, seen: tuple[int, int] = (0, 0)
) -> VenueInstrument:
    """The USD-M perpetual on a pair in USDT or USDC. `seen`: decimals found on a USD-M tape; an unlisted one takes those of `source`."""
    pair = symbol.partition(":")[0]
    settle = pair.partition("/")[2]
    if settle not in ("USDT", "USDC"):
        raise ValueError(f"{pair} has no USD-M perpetual: only pairs in USDT and USDC have")
    unlisted = (source.price_decimals, source.size_decimals) if source and not any(seen) else seen
    price_decimals, size_decimals = _BINANCEUSDM_DECIMALS.get(pair, unlisted)
    size_decimals = max(size_decimals, seen[1])
    return VenueInstrument(
        venue=BINANCEUSDM,
        symbol=f"{pair}:{settle}",
        price_decimals=max(price_decimals, seen[0]),
        size_decimals=size_decimals,
        min_quantity=Decimal(1).scaleb(-size_decimals),
        min_notional=Decimal(100) if pair.startswith("BTC/") else Decimal(20),
        taker_fee_bps=TAKER_FEE_BPS[BINANCEUSDM],
        maker_fee_bps=MAKER_FEE_BPS[BINANCEUSDM],
        contract=Contract(settle=settle),
    )


def krakenfutures_instrument(pair: str, source: VenueInstrument | None = None) -> VenueInstrument:
    """The linear perpetual (PF_) on the dollar price of a pair's base, whichever dollars the pair is in."""
    base = pair.partition("/")[0]
    unlisted = (source.price_decimals, source.size_decimals) if source else _UNLISTED_DECIMALS
    price_decimals, size_decimals = _KRAKENFUTURES_DECIMALS.get(base, unlisted)
    return VenueInstrument(
        venue=KRAKENFUTURES,
        symbol=f"{base}/USD:USD",
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        min_quantity=Decimal(1).scaleb(-size_decimals),
        min_notional=Decimal(0),
        taker_fee_bps=TAKER_FEE_BPS[KRAKENFUTURES],
        maker_fee_bps=MAKER_FEE_BPS[KRAKENFUTURES],
        contract=Contract(settle="USD"),
    )


def krakenfutures_inverse(pair: str) -> VenueInstrument | None:
    """The inverse perpetual (PI_) beside it, whose contracts are one dollar; None where there is none."""
    base = pair.partition("/")[0]
    if base not in _INVERSE_TICKS:
        return None
    price_decimals, tick = _INVERSE_TICKS[base]
    return VenueInstrument(
        venue=KRAKENFUTURES,
        symbol=f"{base}/USD:{base}",
        price_decimals=price_decimals,
        tick=tick,
        size_decimals=0,
        min_quantity=Decimal(1),
        min_notional=Decimal(0),
        taker_fee_bps=TAKER_FEE_BPS[KRAKENFUTURES],
        maker_fee_bps=MAKER_FEE_BPS[KRAKENFUTURES],
        contract=Contract(settle=base, inverse=True),
    )


def coinbase_instrument(symbol: str, source: VenueInstrument | None = None) -> VenueInstrument:
    """`symbol` on the simulated Coinbase; an unlisted symbol takes the price decimals of `source`."""
    price_decimals, size_decimals = _COINBASE_DECIMALS.get(symbol, (source.price_decimals if source else 2, 8))
    return VenueInstrument(
        venue=COINBASE,
        symbol=symbol,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        min_quantity=Decimal(1).scaleb(-size_decimals),
        min_notional=Decimal("0.000016") if symbol.endswith("/BTC") else Decimal(1),
        taker_fee_bps=TAKER_FEE_BPS[COINBASE],
        maker_fee_bps=MAKER_FEE_BPS[COINBASE],
    )


DERIVED: dict[str, Callable[[str, VenueInstrument | None], VenueInstrument]] = {
    KRAKEN: kraken_instrument,
    OKX: okx_instrument,
    BYBIT: bybit_instrument,
    COINBASE: coinbase_instrument,
    BINANCEUSDM: binanceusdm_instrument,
    KRAKENFUTURES: krakenfutures_instrument,
}


def lists(venue: str, pair: str) -> bool:
    """Whether a venue has the pair, or the perpetual on it."""
    quote = pair.partition("/")[2]
    match venue:
        case "BINANCEUSDM":
            return quote in ("USDT", "USDC")
        case "KRAKENFUTURES":
            return quote in ("USD", "USDT")
    return True


def opening_balances(symbols: list[str] | tuple[str, ...]) -> dict[str, Decimal]:
    """What a fresh account holds on each simulated venue, by currency."""
    currencies = sorted({currency for symbol in symbols for currency in symbol.partition(":")[0].split("/")})
    return {currency: _OPENING.get(currency, _OPENING_OTHER) for currency in currencies}
