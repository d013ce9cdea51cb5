"""The exchanges whose accounts are spoken to: those whose orders can be proven."""

from __future__ import annotations

from adapters.ccxt.binance import BinanceAccountDialect
from adapters.ccxt.binanceusdm import BinanceUsdmAccountDialect
from adapters.ccxt.bybit import BybitAccountDialect
from adapters.ccxt.coinbase_account import CoinbaseAccountDialect
from adapters.ccxt.dialect import AccountDialect
from adapters.ccxt.kraken import KrakenAccountDialect
from adapters.ccxt.krakenfutures_account import KrakenFuturesAccountDialect
from adapters.ccxt.okx import OkxAccountDialect

DIALECTS: dict[str, type[AccountDialect]] = {
    "binance": BinanceAccountDialect,
    "binanceusdm": BinanceUsdmAccountDialect,
    "bybit": BybitAccountDialect,
    "coinbase": CoinbaseAccountDialect,
    "kraken": KrakenAccountDialect,
    "krakenfutures": KrakenFuturesAccountDialect,
    "okx": OkxAccountDialect,
}
