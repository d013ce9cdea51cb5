"""An unmodified ccxt.pro against the loopback exchanges: everything a desk does with them, over real sockets."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import ccxt.pro
import pytest

from sim.servers.venues import Venues
from tests.conformance.venue_probe import eventually, make_tape, running

SYMBOL = "BTC/USDT"
SPOT = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}
PRIVATE = {"user", "executions", "order", "orders:ANY::"}  # the topics of own orders
OPTIONS = {"BINANCE": SPOT, "BYBIT": SPOT | {"fetchOrder": {"acknowledged": True}}, "KRAKEN": {}, "OKX": {}}


def client(venue: str, venues: Venues) -> ccxt.pro.Exchange:
    """A ccxt exchange whose hosts are the loopback server, and its own throttle is off."""
    key, urls = venues.credentials[venue], venues.urls[venue]
    exchange = getattr(ccxt.pro, venue.lower())(
        {
            "apiKey": key.key,
            "secret": key.secret,
            "password": key.passphrase,
            "options": OPTIONS[venue],
            "enableRateLimit": False,
        }
    )

    def moved(value: object) -> object:
        if isinstance(value, dict):
            return {name: moved(inner) for name, inner in value.items()}
        if not isinstance(value, str):
            return value
        parts = urlsplit(value)
        if parts.scheme.startswith("ws"):  # ccxt tells Binance's spot streams by "/stream" in the address
            return urls.ws + ("/stream" if "//stream.binance" in value else "") + parts.path
        return urls.rest + parts.path

    exchange.urls["api"] = moved(exchange.urls["api"])
    return exchange


@pytest.mark.parametrize("venue", OPTIONS)
def test_unmodified_ccxt_trades_on_the_loopback_venue(venue: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(venue, tape=make_tape(tmp_path)) as (venues, _):
            exchange, core = client(venue, venues), venues.servers[venue].core
            try:
                markets = await exchange.load_markets()
                assert list(markets) == [SYMBOL]
                instrument = core.instruments[SYMBOL]
                assert Decimal(str(markets[SYMBOL]["precision"]["price"])) == Decimal(1).scaleb(
                    -instrument.price_decimals
                )
                opening = (await exchange.fetch_balance())["total"]
                assert opening["BTC"] == 400

                for _ in range(5):
                    book = await exchange.watch_order_book(SYMBOL)
                    assert book["bids"][0][0] < book["asks"][0][0]
                shown = core.books[SYMBOL].shown
                assert abs(Decimal(str(book["bids"][0][0])) - instrument.price(shown.bids.best())) < 20
                assert (await exchange.fetch_order_book(SYMBOL, 5))["asks"][0][0] > book["bids"][0][0]
                assert (await exchange.watch_trades(SYMBOL))[-1]["price"] > 0
                assert (await exchange.watch_bids_asks([SYMBOL]))[SYMBOL]["bid"] > 0

                fills = asyncio.create_task(exchange.watch_my_trades())
                orders = asyncio.create_task(exchange.watch_orders())
                await eventually(lambda: any(PRIVATE & peer.topics for peer in venues.servers[venue].peers))
                params = {"timeInForce": "IOC", "clientOrderId": "Kone"}
                placed = await exchange.create_order(SYMBOL, "limit", "buy", "0.1", "70000", params)
                assert (await asyncio.wait_for(fills, 8))[-1]["order"] == placed["id"]
                assert (await asyncio.wait_for(orders, 8))[-1]["id"] == placed["id"]
                found = await exchange.fetch_order(placed["id"], SYMBOL)
                assert (found["status"], found["filled"]) == ("closed", 0.1)
                trades = await exchange.fetch_my_trades(SYMBOL)
                assert sum(Decimal(str(trade["amount"])) for trade in trades) == Decimal("0.1")

                resting = await exchange.create_order(
                    SYMBOL, "limit", "sell", "0.5", "90000", {"clientOrderId": "Ktwo"}
                )
                with pytest.raises(ccxt.ExchangeError):
                    await exchange.create_order(SYMBOL, "limit", "sell", "0.5", "90000", {"clientOrderId": "Ktwo"})
                assert [order["id"] for order in await exchange.fetch_open_orders(SYMBOL)] == [resting["id"]]
                await exchange.cancel_order(resting["id"], SYMBOL)
                assert await exchange.fetch_open_orders(SYMBOL) == []
                with pytest.raises(ccxt.InsufficientFunds):
                    await exchange.create_order(SYMBOL, "limit", "sell", "5000", "90000")
                total = (await exchange.fetch_balance())["total"]
                assert {code: Decimal(str(total[code])) for code in total} == {
                    code: amount.quantize(Decimal("1e-8")) for code, amount in core.balances.items()
                }
            finally:
                await exchange.close()

    asyncio.run(scenario())
