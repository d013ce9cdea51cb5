"""What the tests of Bybit share: its messages as its documentation has them, and ccxt's own Bybit without a network."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt.pro

from adapters.ccxt.symbols import Market


def market(price_decimals: int = 2, size_decimals: int = 3) -> Market:
    return Market(
        symbol="BTC/USDT",
        market_id="BTCUSDT",
        base="BTC",
        quote="USDT",
        tick=Decimal(1).scaleb(-price_decimals),
        lot=Decimal(1).scaleb(-size_decimals),
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        min_quantity=None,
        max_quantity=None,
        min_notional=None,
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )


BIDS, ASKS = [["99.90", "1.5"], ["99.80", "2"]], [["100.10", "1"], ["100.20", "3"]]


def frame(kind: str, update: int, bids=(), asks=(), depth: int = 200) -> dict:
    data = {"s": "BTCUSDT", "b": list(bids), "a": list(asks), "u": update, "seq": 7_000 + update}
    return {
        "topic": f"orderbook.{depth}.BTCUSDT",
        "type": kind,
        "ts": 1_700_000_000_010,
        "data": data,
        "cts": 1_700_000_000_005,
    }


def listed(category: str) -> dict:
    """Instruments of a category, in the venue's shape."""
    lots = {
        "basePrecision": "0.0001",
        "quotePrecision": "0.01",
        "minOrderQty": "0.001",
        "maxOrderQty": "100",
        "minOrderAmt": "10",
        "qtyStep": "0.001",
    }
    rows = [
        {"symbol": f"{base}USDT", "baseCoin": base, "quoteCoin": "USDT", "settleCoin": "USDT", "status": "Trading",
         "contractType": "LinearPerpetual", "lotSizeFilter": lots, "priceFilter": {"tickSize": "0.01"}, "leverageFilter": {},
         "deliveryTime": "0"}
        for base in ("BTC", "ETH", "ICP", "APEX")
    ]  # fmt: skip
    return {"retCode": 0, "result": {"category": category, "list": rows, "nextPageCursor": ""}}


def bybit() -> Any:
    """ccxt's own Bybit with spot and linear markets, and no way out."""

    async def made():
        made = ccxt.pro.bybit(
            {"options": {"fetchMarkets": {"types": ["spot", "linear"]}}, "has": {"fetchCurrencies": False}}
        )

        async def instruments(params):
            return listed(params["category"])

        made.publicGetV5MarketInstrumentsInfo = instruments
        await made.load_markets()
        await made.close()
        return made

    exchange = asyncio.run(made())
    assert {"BTC/USDT", "BTC/USDT:USDT"} <= set(exchange.markets)
    return exchange


ORDER = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "2300182438032602112", "orderLinkId": "c-1", "side": "Buy", "orderType": "Limit",
    "price": "99.90", "qty": "1.5", "cumExecQty": "0", "orderStatus": "New", "timeInForce": "GTC", "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoError", "marketUnit": "", "createdTime": "1700000000000", "updatedTime": "1700000000500",
}  # fmt: skip

EXECUTION = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "23", "orderLinkId": "c-1", "side": "Buy", "execType": "Trade",
    "execId": "2100000000007764263",
    "execPrice": "99.90", "execQty": "0.5", "execFee": "0.0005", "feeCurrency": "", "isMaker": False, "execTime": "1700000000123",
}  # fmt: skip


def answering(exchange, name: str, *pages: dict) -> list[dict]:
    """Make a private request answer with these pages; what it is asked is kept."""
    asked: list[dict] = []

    async def answer(query):
        asked.append(query)
        return pages[len(asked) - 1]

    setattr(exchange, f"private_get_v5_{name}", answer)
    return asked


def page(*rows: dict, cursor: str = "") -> dict:
    return {"retCode": 0, "result": {"list": list(rows), "nextPageCursor": cursor}}
