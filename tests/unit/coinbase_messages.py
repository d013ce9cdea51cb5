"""What the tests of Coinbase share: its messages as its documentation has them, and ccxt's own Coinbase without a network."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt.pro

from adapters.ccxt.symbols import Market


def market(price_decimals: int = 2, size_decimals: int = 8, symbol: str = "BTC/USD") -> Market:
    base, _, quote = symbol.partition("/")
    return Market(
        symbol=symbol,
        market_id=f"{base}-{quote}",
        base=base,
        quote=quote,
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


def updates(bids: Any = (), asks: Any = ()) -> list[dict]:
    at = "2026-04-07T14:30:00.123456Z"
    rows = [("bid", *row) for row in bids] + [("offer", *row) for row in asks]
    return [{"side": s, "event_time": at, "price_level": p, "new_quantity": q} for s, p, q in rows]


def book_event(kind: str, bids: Any = (), asks: Any = (), product: str = "BTC-USD") -> dict:
    return {"type": kind, "product_id": product, "updates": updates(bids, asks)}


def message(channel: str, number: int, *events: dict) -> dict:
    return {
        "channel": channel,
        "client_id": "",
        "timestamp": "2026-04-07T14:30:01.456789Z",
        "sequence_num": number,
        "events": list(events),
    }


def trade(number: int, side: str = "BUY", product: str = "BTC-USD", time: str = "2026-04-07T14:30:02.789012Z") -> dict:
    return {
        "trade_id": str(number),
        "product_id": product,
        "price": "68900.50",
        "size": "0.00150000",
        "side": side,
        "time": time,
    }


def product(base: str, quote: str, alias: str = "") -> dict:
    return {
        "product_id": f"{base}-{quote}", "base_currency_id": base, "quote_currency_id": quote, "product_type": "SPOT",
        "base_increment": "0.00000001", "quote_increment": "0.01", "price_increment": "0.01", "base_min_size": "0.00000001",
        "base_max_size": "3400", "quote_min_size": "1", "quote_max_size": "150000000", "trading_disabled": False, "alias": alias,
        "alias_to": [],
    }  # fmt: skip


def coinbase(**settings: Any) -> Any:
    """ccxt's own Coinbase with a few products, and no way out."""

    async def made():
        made = ccxt.pro.coinbase({"has": {"fetchCurrencies": False}, **settings})

        async def products(params):
            if params.get("product_type") == "FUTURE":
                return {"products": []}
            rows = [
                product("BTC", "USD"),
                product("BTC", "USDC", "BTC-USD"),
                product("ETH", "USD"),
                product("BTC", "USDT"),
            ]
            return {"products": rows}

        made.v3PublicGetBrokerageMarketProducts = products
        await made.load_markets()
        await made.close()
        return made

    exchange = asyncio.run(made())
    assert {"BTC/USD", "BTC/USDC"} <= set(exchange.markets)
    return exchange


ORDER = {
    "order_id": "v-1", "product_id": "BTC-USD", "client_order_id": "c-1", "side": "BUY", "status": "OPEN",
    "order_configuration": {"limit_limit_gtc": {"base_size": "1.5", "limit_price": "99.90", "post_only": False}},
    "time_in_force": "GOOD_UNTIL_CANCELLED", "created_time": "2024-01-15T10:00:00Z", "filled_size": "0", "order_type": "LIMIT",
    "reject_reason": "REJECT_REASON_UNSPECIFIED", "reject_message": "", "cancel_message": "", "last_fill_time": None,
    "product_type": "SPOT",
}  # fmt: skip

FILL = {
    "trade_id": "t-1", "order_id": "v-1", "trade_time": "2024-01-15T10:30:00Z", "trade_type": "FILL", "price": "99.90", "size": "0.5",
    "commission": "0.05", "product_id": "BTC-USD", "liquidity_indicator": "TAKER", "size_in_quote": False, "side": "BUY",
}  # fmt: skip

USER = {
    "order_id": "v-1", "client_order_id": "c-1", "cumulative_quantity": "0", "leaves_quantity": "1.5", "status": "OPEN",
    "product_id": "BTC-USD", "order_side": "BUY", "order_type": "Limit", "limit_price": "99.90", "cancel_reason": "",
    "reject_reason": "", "product_type": "SPOT", "time_in_force": "GOOD_UNTIL_CANCELLED",
}  # fmt: skip


def answering(exchange: Any, name: str, *pages: Any) -> list[dict]:
    """Make a private request answer with these pages, the last one again and again; what it is asked is kept."""
    asked: list[dict] = []

    async def answer(query: dict) -> dict:
        asked.append(query)
        page = pages[min(len(asked), len(pages)) - 1]
        if isinstance(page, Exception):
            raise page
        return page

    setattr(exchange, f"v3_private_{name}", answer)
    return asked
