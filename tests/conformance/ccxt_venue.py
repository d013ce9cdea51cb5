"""One loopback exchange with its links and a recorder, for the conformance cards of `adapters.ccxt`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import ccxt.pro  # noqa: F401  (loading it takes seconds: not inside a deadline)
import pytest

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import OrderRequest
from adapters.ccxt.events import (
    BookEvent,
    BookEventKind,
    FillEvent,
    FundingEvent,
    FundingPayment,
    LiquidationEvent,
    OrderEvent,
    PositionEvent,
    QuoteEvent,
    TradeEvent,
)
from adapters.ccxt.market.link import MarketLink
from sim.servers.venues import start_venues

SYMBOL = "BTC/USDT"


class Expected(NamedTuple):
    """Where the venues differ in what a card sees."""

    loss: str  # the word in the reason of a CLEAR after a lost update
    fee_currency: str  # of a buy
    symbol: str = SYMBOL
    repeats: bool = False  # a client order id that is open is answered with its order instead of refused


VENUES = {
    "BINANCE": Expected("sequence gap", "BTC"),
    "BINANCEUSDM": Expected("sequence gap", "USDT", "BTC/USDT:USDT"),
    "BYBIT": Expected("sequence gap", "BTC"),
    "COINBASE": Expected("sequence gap", "USDT", repeats=True),
    "KRAKEN": Expected("checksum", "USDT"),
    "KRAKENFUTURES": Expected("sequence gap", "USD", "BTC/USD:USD"),
    "OKX": Expected("sequence gap", "BTC"),
}
OVER_SOCKET = ("BINANCE", "BYBIT", "KRAKEN", "OKX")  # where orders can go over a WebSocket
# The cards run at each venue, always; other tests at the two that differ most, and at each with KERB_LONG_TESTS=1.
every_venue = pytest.mark.parametrize("name", VENUES if os.environ.get("KERB_LONG_TESTS") else ("BINANCE", "KRAKEN"))


class Recorder:
    """Both sinks: everything the links say, and the book rebuilt from what they say."""

    def __init__(self) -> None:
        self.books: list[BookEvent] = []
        self.levels: dict[tuple[int, int], int] = {}
        self.trades: list[TradeEvent] = []
        self.quotes: list[QuoteEvent] = []
        self.orders: list[OrderEvent] = []
        self.fills: list[FillEvent] = []
        self.balances: list[Any] = []
        self.fundings: list[FundingEvent] = []
        self.liquidations: list[LiquidationEvent] = []  # public ones, and ours with their order id
        self.positions: dict[str, PositionEvent] = {}
        self.agreed = False  # the venue's last answer is what our executions add up to
        self.payments: list[FundingPayment] = []
        self.external: list[OrderEvent] = []
        self.connections = 0
        self.crossed = 0

    def on_markets(self, markets: list[Any]) -> None: ...

    def on_book(self, event: BookEvent) -> None:
        self.books.append(event)
        if event.kind is not BookEventKind.UPDATE:
            self.levels.clear()
        for side, price, size in event.levels.tolist():
            if size:
                self.levels[side, price] = size
            else:
                self.levels.pop((side, price), None)
        bid, ask = self.best(1), self.best(-1)
        self.crossed += bid is not None and ask is not None and bid >= ask

    def best(self, side: int) -> int | None:
        prices = [price for own, price in self.levels if own == side]
        return (max(prices) if side == 1 else min(prices)) if prices else None

    def kinds(self) -> list[BookEventKind]:
        return [event.kind for event in self.books if event.kind is not BookEventKind.UPDATE]

    def on_trade(self, event: TradeEvent) -> None:
        self.trades.append(event)

    def on_quote(self, event: QuoteEvent) -> None:
        self.quotes.append(event)

    def on_order(self, event: OrderEvent) -> None:
        self.orders.append(event)

    def on_fill(self, event: FillEvent) -> None:
        self.fills.append(event)

    def on_balances(self, balances: list[Any]) -> None:
        self.balances = balances

    def on_external(self, orders: list[OrderEvent]) -> None:
        self.external = orders

    def on_funding(self, event: FundingEvent) -> None:
        self.fundings.append(event)

    def on_liquidation(self, event: LiquidationEvent) -> None:
        self.liquidations.append(event)

    def on_positions(self, positions: list[PositionEvent], agreed: bool) -> None:
        self.positions = {row.symbol: row for row in positions}
        self.agreed = agreed

    def on_funding_payment(self, payment: FundingPayment) -> None:
        self.payments.append(payment)

    def on_connected(self) -> None:
        self.connections += 1

    def filled(self, client_order_id: str) -> Decimal:
        mine = [fill for fill in self.fills if fill.client_order_id == client_order_id]
        assert len({fill.trade_id for fill in mine}) == len(mine)
        return sum((fill.quantity for fill in mine), Decimal(0))

    def ended(self, client_order_id: str) -> bool:
        return any(order.client_order_id == client_order_id and order.state.closed for order in self.orders)


class Venue:
    """A running loopback exchange, and how to disturb it."""

    def __init__(self, running: Any, config: ExchangeConfig) -> None:
        self.running = running
        self.config = config
        self.symbol = config.symbols[0]
        self.seen = Recorder()

    async def fault(self, kind: str, count: int = 1, scope: str = "", symbol: str = "") -> None:
        order = {"fault": kind, "count": count, "scope": scope, "symbol": symbol}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.config.rest_url}/_control", json=order) as answer,
        ):
            assert answer.status == 200, await answer.text()

    def limit(
        self, link: MarketLink, client_order_id: str, side: str, quantity: str, through: int, tif: str
    ) -> OrderRequest:
        """A limit order `through` whole quote units beyond the other side's best price (negative: away from it)."""
        market = link.markets[self.symbol]
        best = self.seen.best(-1 if side == "buy" else 1)
        assert best is not None
        price = Decimal(best).scaleb(-market.price_decimals) + (through if side == "buy" else -through)
        return OrderRequest(
            client_order_id=client_order_id,
            symbol=self.symbol,
            side=side,
            kind="limit",
            time_in_force=tif,
            quantity=quantity,
            price=str(price),
        )


async def eventually(true: Callable[[], Any], what: str, deadline_s: float = 10.0) -> None:
    """Wait until `true()`; fail with `what` and the last value otherwise."""
    until = time.monotonic() + deadline_s
    while not (value := true()):
        assert time.monotonic() < until, f"{what} did not happen within {deadline_s:g} s: {value!r}"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def venue(
    name: str, symbol: str = "", *, speed: float = 1.0, limits: bool = False, **settings: Any
) -> AsyncIterator[Venue]:
    """One exchange on a generated market. `speed` of the market; `limits`: it holds its client to its rate limits."""
    symbol = symbol or VENUES[name].symbol
    running = await start_venues(seed=7, venues=(name,), symbols=(symbol,), speed=speed, limits=limits)
    urls, key = running.urls[name], running.credentials[name]
    config = ExchangeConfig(
        venue=name,
        exchange=name.lower(),
        symbols=(symbol,),
        rest_url=urls.rest,
        ws_url=urls.ws,
        api_key=key.key,
        secret=key.secret,
        password=key.passphrase,
        **{"depth": 100, **settings},
    )
    try:
        yield Venue(running, config)
    finally:
        await running.stop()


@contextlib.asynccontextmanager
async def market_data(place: Venue) -> AsyncIterator[MarketLink]:
    """A started market link whose book is whole."""
    link = MarketLink(place.config, place.seen)
    link.start()
    try:
        try:
            await eventually(lambda: place.seen.levels, "a whole book")
        except AssertionError:
            print(link.health())
            raise
        yield link
    finally:
        await link.stop()


@contextlib.asynccontextmanager
async def account(place: Venue) -> AsyncIterator[AccountLink]:
    """A started account link whose private stream is up."""
    link = AccountLink(place.config, place.seen)
    link.start()
    try:
        await eventually(link.ready.is_set, "a connected account")
        yield link
    finally:
        await link.stop()
