"""Every exchange with rules of ours, a line each. What each class promises: `dialect`, `limits.tariff`, `past.pages`."""

from __future__ import annotations

from typing import NamedTuple

from adapters.ccxt.dialect import AccountDialect, MarketDialect
from adapters.ccxt.limits.tariff import Tariff
from adapters.ccxt.past.pages import Pages
from adapters.ccxt.venues.binance.dialect import BinanceAccountDialect, BinanceMarketDialect
from adapters.ccxt.venues.binance.past import BinancePages
from adapters.ccxt.venues.binance.tariff import BinanceTariff
from adapters.ccxt.venues.binanceusdm.dialect import BinanceUsdmAccountDialect, BinanceUsdmMarketDialect
from adapters.ccxt.venues.binanceusdm.past import UsdmPages
from adapters.ccxt.venues.binanceusdm.tariff import BinanceUsdmTariff
from adapters.ccxt.venues.bybit.dialect import BybitAccountDialect, BybitMarketDialect
from adapters.ccxt.venues.bybit.past import BybitPages
from adapters.ccxt.venues.bybit.tariff import BybitTariff
from adapters.ccxt.venues.coinbase.account import CoinbaseAccountDialect
from adapters.ccxt.venues.coinbase.dialect import CoinbaseMarketDialect
from adapters.ccxt.venues.coinbase.past import CoinbasePages
from adapters.ccxt.venues.coinbase.tariff import CoinbaseTariff
from adapters.ccxt.venues.generic.dialect import GenericMarketDialect
from adapters.ccxt.venues.kraken.account import KrakenAccountDialect
from adapters.ccxt.venues.kraken.dialect import KrakenMarketDialect
from adapters.ccxt.venues.kraken.past import KrakenPages
from adapters.ccxt.venues.kraken.tariff import KrakenTariff
from adapters.ccxt.venues.krakenfutures.account import KrakenFuturesAccountDialect
from adapters.ccxt.venues.krakenfutures.dialect import KrakenFuturesMarketDialect
from adapters.ccxt.venues.krakenfutures.past import KrakenFuturesPages
from adapters.ccxt.venues.krakenfutures.tariff import KrakenFuturesTariff
from adapters.ccxt.venues.okx.dialect import OkxAccountDialect, OkxMarketDialect
from adapters.ccxt.venues.okx.past import OkxPages
from adapters.ccxt.venues.okx.tariff import OkxTariff


class Venue(NamedTuple):
    """The rules of one exchange."""

    market: type[MarketDialect]
    account: type[AccountDialect]
    tariff: type[Tariff]
    past: type[Pages]


VENUES: dict[str, Venue] = {  # by ccxt id
    "binance": Venue(BinanceMarketDialect, BinanceAccountDialect, BinanceTariff, BinancePages),
    "binanceusdm": Venue(BinanceUsdmMarketDialect, BinanceUsdmAccountDialect, BinanceUsdmTariff, UsdmPages),
    "bybit": Venue(BybitMarketDialect, BybitAccountDialect, BybitTariff, BybitPages),
    "coinbase": Venue(CoinbaseMarketDialect, CoinbaseAccountDialect, CoinbaseTariff, CoinbasePages),
    "kraken": Venue(KrakenMarketDialect, KrakenAccountDialect, KrakenTariff, KrakenPages),
    "krakenfutures": Venue(
        KrakenFuturesMarketDialect, KrakenFuturesAccountDialect, KrakenFuturesTariff, KrakenFuturesPages
    ),
    "okx": Venue(OkxMarketDialect, OkxAccountDialect, OkxTariff, OkxPages),
}


def market_dialect(exchange: str) -> MarketDialect:
    """That of an exchange (its ccxt id); the generic one of an exchange without rules of ours."""
    return VENUES[exchange].market() if exchange in VENUES else GenericMarketDialect()
