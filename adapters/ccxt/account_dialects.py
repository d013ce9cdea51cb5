"""The exchanges whose accounts are spoken to: those whose orders can be proven."""

from __future__ import annotations

from adapters.ccxt.dialect import AccountDialect
from adapters.ccxt.venues.binance.dialect import BinanceAccountDialect
from adapters.ccxt.venues.binanceusdm.dialect import BinanceUsdmAccountDialect
from adapters.ccxt.venues.bybit.dialect import BybitAccountDialect
from adapters.ccxt.venues.coinbase.account import CoinbaseAccountDialect
from adapters.ccxt.venues.kraken.dialect import KrakenAccountDialect
from adapters.ccxt.venues.krakenfutures.account import KrakenFuturesAccountDialect
from adapters.ccxt.venues.okx.dialect import OkxAccountDialect

DIALECTS: dict[str, type[AccountDialect]] = {
    "binance": BinanceAccountDialect,
    "binanceusdm": BinanceUsdmAccountDialect,
    "bybit": BybitAccountDialect,
    "coinbase": CoinbaseAccountDialect,
    "kraken": KrakenAccountDialect,
    "krakenfutures": KrakenFuturesAccountDialect,
    "okx": OkxAccountDialect,
}
