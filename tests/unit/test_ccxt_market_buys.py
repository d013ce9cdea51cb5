"""A market buy of a tenth of a coin, as each venue is asked for it: by quantity, in the words that make it so, or not at all.

Several venues take the number of a market buy for an amount of money unless they are told otherwise.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import ccxt.pro
import pytest

from adapters.ccxt.account.outcomes import NotSent
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import OrderRequest
from adapters.ccxt.venues.registry import VENUES as RULES
from sim.servers.coinbase.auth import p256_credentials
from tests.unit.recorded.telling import row

SPOT, USDM, FLEX = "BTC/USDT", "BTC/USDT:USDT", "BTC/USD:USD"
WORDS = {  # what must be asked for, and what must not be said
    "binance": (SPOT, {"type": "MARKET", "quantity": "0.1"}, "quoteOrderQty"),
    "binanceusdm": (USDM, {"type": "MARKET", "quantity": "0.1"}, "quoteOrderQty"),
    "bybit": (SPOT, {"orderType": "Market", "qty": "0.1", "marketUnit": "baseCoin"}, "orderAmt"),
    "kraken": (SPOT, {"ordertype": "market", "volume": "0.1"}, "viqc"),
    "krakenfutures": (FLEX, {"orderType": "mkt", "size": "0.1"}, "limitPrice"),
    "okx": (SPOT, {"ordType": "market", "sz": "0.1", "tgtCcy": "base_ccy"}, "quote_ccy"),
}


def market_buy(exchange: str, symbol: str) -> dict[str, Any]:
    """Every field of the request, by whatever way it goes; nothing is sent."""
    keys = p256_credentials(bytes(64)) if exchange == "coinbase" else None
    key, secret = (keys.key, keys.secret) if keys else ("k", "c2VjcmV0")
    config = ExchangeConfig(venue="V", exchange=exchange, symbols=(symbol,), api_key=key, secret=secret, password="p")
    dialect: Any = RULES[exchange].account()
    made = dialect.create(config)
    made.set_markets([row(symbol, "BTC-USDT", 2, 4, info={"orderTypes": ["MARKET"]})])
    made.options |= {"unifiedMarginStatus": 5, "enableUnifiedMargin": False, "enableUnifiedAccount": True}
    sent: dict[str, Any] = {}

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        sent.update(parse_qsl(urlsplit(url).query))
        try:
            fields = json.loads(body) if body else {}
        except json.JSONDecodeError:
            fields = dict(parse_qsl(body))
        sent.update(fields[0] if isinstance(fields, list) else fields)
        raise ccxt.pro.RequestTimeout("not sent")

    made.fetch = fetch
    order = OrderRequest(
        client_order_id="c1", symbol=symbol, side="buy", kind="market", time_in_force="IOC", quantity="0.1", price=None
    )
    try:
        asyncio.run(dialect.place(made, order))
    except ccxt.pro.RequestTimeout:
        return sent
    raise AssertionError("nothing was asked for")


@pytest.mark.parametrize("exchange", WORDS)
def test_a_market_buy_is_asked_for_by_quantity(exchange: str) -> None:
    symbol, words, never = WORDS[exchange]
    sent = market_buy(exchange, symbol)
    assert words.items() <= {name: str(value) for name, value in sent.items()}.items(), sent
    assert never not in sent
    assert never not in map(str, sent.values())


def test_where_a_market_buy_is_by_value_only_it_is_not_sent() -> None:
    with pytest.raises(NotSent, match="by value only"):
        market_buy("coinbase", SPOT)
