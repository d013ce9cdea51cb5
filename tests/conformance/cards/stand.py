"""Cards: what an exchange adapter must do, each by a name, run over every exchange against its loopback server.

A card is an async function of a `Stand`. It ends, and the exchange does it; or it answers `REFUSED` after it has seen that what is not
offered is refused before it is sent, or `NOT_APPLICABLE`. Execution cards run over each way that orders leave by. The stand's market stands
still: a card finds twenty levels of half a coin on either side of 60,000, and changes them itself.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy as np

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import AmendRequest, OrderRequest
from adapters.ccxt.events import OrderEvent
from adapters.ccxt.market.link import MarketLink
from sim.events import ASK, BID, EventKind, VenueEvent
from sim.servers.venues import start_venues
from tests.conformance.ccxt_venue import VENUES, Recorder, eventually

REFUSED = "refused"
NOT_APPLICABLE = "none"
LEVELS = 20
MID = 60_000
SIZE = Decimal("0.5")


class Card(NamedTuple):
    """One card. `subject`: what its facts of the venue are about; `ways`: it runs over each way that orders leave by."""

    name: str
    kind: str  # "execution" | "data"
    subject: str
    says: str
    run: Callable[..., Awaitable[str | None]]
    ways: bool


EXECUTION: dict[str, Card] = {}
DATA: dict[str, Card] = {}


def execution(subject: str, *, ways: bool = True) -> Callable[[Any], Any]:
    """Register an execution card: `(stand, link, seen)`."""
    return lambda run: _register(EXECUTION, "execution", subject, run, ways)


def data(subject: str) -> Callable[[Any], Any]:
    """Register a data card: `(stand, link, seen)`."""
    return lambda run: _register(DATA, "data", subject, run, False)


def _register(cards: dict[str, Card], kind: str, subject: str, run: Any, ways: bool) -> Any:
    name = run.__name__
    assert name not in cards
    cards[name] = Card(name, kind, subject, run.__doc__.strip().rstrip("."), run, ways)
    return run


class Account(NamedTuple):
    """One link to the account, and what it says."""

    link: AccountLink
    seen: Recorder


class Market(NamedTuple):
    """One link to the market, and what it says."""

    link: MarketLink
    seen: Recorder


class Stand:
    """One exchange whose market stands still, and our links to the account there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.symbol = VENUES[name].symbol
        self.expected = VENUES[name]
        self.accounts: dict[str, Account] = {}
        self.market: Market | None = None
        self._numbers = itertools.count(1)
        self._sizes = itertools.cycle((0, 1))

    async def start(self, **settings: Any) -> None:
        """Serve the exchange, and connect by every way it offers."""
        self.running = await start_venues(seed=7, venues=(self.name,), symbols=(self.symbol,))
        self.server = self.running.servers[self.name]
        self.core = self.server.core
        await eventually(lambda: self.core.books[self.symbol].live, "a live book")
        for feed in self.running._tasks:
            feed.cancel()
        self.instrument = self.core.instruments[self.symbol]
        urls, key = self.running.urls[self.name], self.running.credentials[self.name]
        self.config = ExchangeConfig(
            venue=self.name,
            exchange=self.name.lower(),
            symbols=(self.symbol,),
            rest_url=urls.rest,
            ws_url=urls.ws,
            api_key=key.key,
            secret=key.secret,
            password=key.passphrase,
            depth=100,
            order_rate_per_s=1_000,
            **settings,
        )
        self.happens(EventKind.SNAPSHOT)

    async def connect(self) -> None:
        """Links by REST and, where it is offered, by socket."""
        self.accounts["rest"] = await self.joined("rest")
        if self.accounts["rest"].link.offers.socket:
            self.accounts["ws"] = await self.joined("ws")

    async def joined(self, way: str = "rest", **settings: Any) -> Account:
        """One more link to the account, connected."""
        seen = Recorder()
        link = AccountLink(msgspec.structs.replace(self.config, orders_by=way, **settings), seen)
        link.start()
        await eventually(link.ready.is_set, f"a connected account by {way}")
        return Account(link, seen)

    async def watch(self, **settings: Any) -> Market:
        """A market link whose book is whole."""
        seen = Recorder()
        link = MarketLink(msgspec.structs.replace(self.config, **settings), seen)
        link.start()
        await eventually(lambda: seen.levels, "a whole book")
        return Market(link, seen)

    async def stop(self) -> None:
        """Leave the exchange, then end it."""
        if self.market is not None:
            await self.market.link.stop()
        for account in self.accounts.values():
            await account.link.stop()
        await self.running.stop()

    # -- the market -----------------------------------------------------------------------------------------------------

    @property
    def ask(self) -> Decimal:
        """The best offer of the still market."""
        return Decimal(MID + 1)

    @property
    def bid(self) -> Decimal:
        """The best bid of the still market."""
        return Decimal(MID - 1)

    def rows(self, size: Decimal = SIZE) -> np.ndarray:
        """The whole book, best first."""
        tick, lots = 10**self.instrument.price_decimals, self._lots(size) + next(self._sizes)
        bids = [(BID, (MID - 1 - n) * tick, lots) for n in range(LEVELS)]
        return np.array(bids + [(ASK, (MID + 1 + n) * tick, lots) for n in range(LEVELS)], dtype=np.int64)

    def _lots(self, size: Decimal) -> int:
        return int(size.scaleb(self.instrument.size_decimals))

    def happens(self, kind: EventKind, levels: np.ndarray | None = None, **fields: Any) -> None:
        """The market does something, now."""
        now = time.time_ns()
        rows = self.rows() if levels is None and kind in (EventKind.SNAPSHOT, EventKind.UPDATE) else levels
        event = VenueEvent(kind=kind, symbol=self.symbol, ts_event_ns=now, ts_init_ns=now, levels=rows, **fields)
        self.server.on_market(event)
        if kind is EventKind.UPDATE and self.symbol in getattr(self.server, "_quoted", ()):
            self._quote(now)

    def _quote(self, now: int) -> None:
        """The tape's own ticker, where the server follows it."""
        shown = self.core.books[self.symbol].shown
        (bid, bid_size), (ask, ask_size) = shown.bids.top(1)[0], shown.asks.top(1)[0]
        prices = {"bid": bid, "bid_size": bid_size, "ask": ask, "ask_size": ask_size}
        quote = VenueEvent(kind=EventKind.QUOTE, symbol=self.symbol, ts_event_ns=now, ts_init_ns=now, **prices)
        self.server.on_market(quote)

    def refill(self) -> None:
        """Give back what was taken."""
        self.happens(EventKind.UPDATE)

    # -- orders ---------------------------------------------------------------------------------------------------------

    def name_of(self, what: str = "o") -> str:
        """A client order id that was never used, as short as the strictest venue wants it."""
        return f"c{next(self._numbers)}-{what}"[:18]

    def order(self, side: str, quantity: str, price: Decimal | None, tif: str = "GTC", **terms: Any) -> OrderRequest:
        """An order; without a price a market order."""
        fields = {
            "client_order_id": self.name_of(),
            "symbol": self.symbol,
            "side": side,
            "kind": "market" if price is None else "limit",
            "time_in_force": "IOC" if price is None else tif,
            "quantity": quantity,
            "price": None if price is None else str(price),
        }
        return OrderRequest(**(fields | terms))

    def amended(self, order: OrderEvent, quantity: str, price: Decimal) -> AmendRequest:
        """New terms of an order."""
        return AmendRequest(
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            symbol=self.symbol,
            side=order.side,
            quantity=quantity,
            price=str(price),
        )

    async def resting(
        self, account: Account, quantity: str = "0.2", away: int = 5_000, side: str = "buy"
    ) -> OrderEvent:
        """An order that rests, as the venue tells it."""
        price = self.bid - away if side == "buy" else self.ask + away
        request = self.order(side, quantity, price)
        answer = await account.link.place(request)
        assert isinstance(answer, OrderEvent), answer
        proof = await account.link.refresh(request.client_order_id, self.symbol)
        assert proof is not None
        assert proof.order is not None
        return proof.order

    async def fault(self, kind: str, **fields: Any) -> None:
        """Order a fault."""
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.config.rest_url}/_control", json={"fault": kind, **fields}) as answer,
        ):
            assert answer.status == 200, await answer.text()

    def at_venue(self, client_order_id: str) -> Any:
        """The order as the matching core has it; None when it never came."""
        link = self.accounts["rest"].link
        return self.core.by_client.get(link._dialect.encode_id(client_order_id))


async def ended(seen: Recorder, client_order_id: str) -> OrderEvent:
    """The event that ended an order."""
    await eventually(lambda: seen.ended(client_order_id), f"the end of {client_order_id}")
    return next(event for event in seen.orders if event.client_order_id == client_order_id and event.state.closed)


def failed(answer: Any) -> Failure:
    """A failure, or the card fails."""
    assert isinstance(answer, Failure), answer
    return answer
