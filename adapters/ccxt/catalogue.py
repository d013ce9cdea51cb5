"""Which exchanges there are: those with rules of ours, and the others of ccxt.pro 4.5.90, which are read as ccxt reads them.

Kept here as words, because loading ccxt takes seconds and a configuration is checked before that.
"""

from __future__ import annotations

EXCHANGES = ("binance", "binanceusdm", "bybit", "coinbase", "kraken", "krakenfutures", "okx")
MARGIN = frozenset(
    {"binanceusdm", "krakenfutures"}
)  # whose accounts hold positions in perpetuals, not the coins themselves

GENERIC = (
    "alpaca",
    "apex",
    "aster",
    "backpack",
    "bequant",
    "binancecoinm",
    "binanceus",
    "bingx",
    "bitfinex",
    "bitget",
    "bithumb",
    "bitopro",
    "bitrue",
    "bitstamp",
    "bittrade",
    "bitvavo",
    "blockchaincom",
    "blofin",
    "bullish",
    "bybiteu",
    "bybitid",
    "bydfi",
    "cex",
    "coinbaseexchange",
    "coinbaseinternational",
    "coincheck",
    "coinone",
    "cryptocom",
    "deepcoin",
    "deribit",
    "derive",
    "dydx",
    "extended",
    "gate",
    "gateeu",
    "gemini",
    "grvt",
    "hashkey",
    "hitbtc",
    "hollaex",
    "htx",
    "hyperliquid",
    "independentreserve",
    "kucoin",
    "kucoinfutures",
    "lbank",
    "lighter",
    "luno",
    "mexc",
    "modetrade",
    "mudrex",
    "myokx",
    "nado",
    "ndax",
    "okxus",
    "onetrading",
    "p2b",
    "pacifica",
    "paradex",
    "phemex",
    "poloniex",
    "polymarket",
    "toobit",
    "upbit",
    "weex",
    "whitebit",
    "woo",
    "woofipro",
    "xt",
)


def known(exchange: str) -> bool:
    """Whether an exchange of this ccxt id can be reached."""
    return exchange in EXCHANGES or exchange in GENERIC


def unknown(exchange: str) -> str:
    """Why an exchange cannot be reached, in words."""
    return (
        f"{exchange!r} is not supported; there are {', '.join(EXCHANGES)}, and for market data the others of ccxt.pro"
    )
