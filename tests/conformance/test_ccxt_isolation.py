"""A book in trouble: the others of its venue are left alone, and it is out of pricing before anybody can price from it again."""

import asyncio
from decimal import Decimal
from time import time_ns

import msgspec

from adapters.ccxt.events import BookEvent, BookEventKind, Stream
from adapters.ccxt.factories import CcxtDataClientConfig, CcxtDataClientFactory
from adapters.ccxt.market.link import MarketLink
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from desk.market import Market, MarketActor
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from sim.servers.faults import Fault, FaultOrder
from sim.servers.venues import start_venues
from tests.conformance.ccxt_venue import SYMBOL, VENUES, Recorder, eventually, venue

SHARED = ("COINBASE",)  # one number counts all messages of a connection: what is lost may be of any book


class Several(Recorder):
    """Books by symbol."""

    def __init__(self) -> None:
        super().__init__()
        self.by_symbol: dict[str, list[BookEvent]] = {}

    def on_book(self, event: BookEvent) -> None:
        self.by_symbol.setdefault(event.symbol, []).append(event)

    def kinds_of(self, symbol: str) -> list[BookEventKind]:
        return [event.kind for event in self.by_symbol.get(symbol, []) if event.kind is not BookEventKind.UPDATE]


async def one_of_two(name: str) -> None:
    first = VENUES[name].symbol
    second = first.replace("BTC", "ETH")
    running = await start_venues(seed=7, venues=(name,), symbols=(first, second))
    sink = Several()
    try:
        async with venue(name) as template:  # for its configuration
            config = msgspec.structs.replace(
                template.config,
                symbols=(first, second),
                rest_url=running.urls[name].rest,
                ws_url=running.urls[name].ws,
                api_key="",
            )
        link = MarketLink(config, sink)
        link.start()
        try:
            await eventually(lambda: sink.kinds_of(first) and sink.kinds_of(second), f"{name}: two whole books", 20.0)
            running.servers[name].disturb(FaultOrder(fault=Fault.DROP_UPDATES, symbol=first))
            again = lambda symbol: sink.kinds_of(symbol) == ["snapshot", "clear", "snapshot"]  # noqa: E731
            await eventually(lambda: again(first), f"{name}: the loss and a whole book again", 20.0)
            if name in SHARED:
                await eventually(lambda: again(second), f"{name}: the same of the other book")
                return
            assert sink.kinds_of(second) == ["snapshot"], name
            count = len(sink.by_symbol[second])
            await eventually(lambda: len(sink.by_symbol[second]) > count + 3, f"{name}: the other book going on")
        finally:
            await link.stop()
    finally:
        await running.stop()


def test_one_symbols_loss_is_restored_and_the_other_symbol_never_stops():
    async def main() -> None:
        await asyncio.gather(*map(one_of_two, VENUES))

    asyncio.run(main())


def test_a_wrong_book_is_out_of_pricing_before_the_next_frame_is_priced():
    async def main() -> None:
        async with venue("KRAKEN") as kraken, venue("OKX") as okx:
            symbol = kraken.symbol
            places = {"KRAKEN": kraken, "OKX": okx}
            scale = Scale(symbol, 2, 8)
            terms = [
                VenueTerms(
                    venue=name, taker_fee_bps=Decimal(5), tick=Decimal("0.1"), lot=Decimal("0.00000001"),
                    min_quantity=Decimal(0), min_notional=Decimal(0), price_decimals=2, size_decimals=8,
                    max_age_ns=5_000_000_000, maker_fee_bps=None,
                )
                for name in places
            ]  # fmt: skip
            market = Market([ConsolidatedBook(symbol, scale, terms)])
            book = market.books[symbol]
            priced: list[tuple[str, ...]] = []  # who was live at each pricing
            broken: list[int] = []  # how many pricings there were when the link gave the book up
            actor = MarketActor(
                market,
                [(symbol, name) for name in places],
                reprice=lambda _, ts_ns: priced.append(
                    tuple(name for name in places if book.status(name, ts_ns).value == "live")
                ),
            )
            node = EmbeddedNode(
                NodeConfig(
                    data_clients={
                        f"CCXT-{name}": CcxtDataClientConfig(exchange=place.config) for name, place in places.items()
                    }
                ),
                actors=[actor],
                data_factories={"CCXT": CcxtDataClientFactory},
                exec_factories={},
            )
            try:
                await node.start(15.0)
                both = lambda: priced and priced[-1] == ("KRAKEN", "OKX")  # noqa: E731
                await eventually(both, "prices from both venues", 20.0)
                watch(node, "OKX", lambda: broken.append(len(priced)))
                await okx.fault("drop_updates", symbol=symbol)
                await eventually(lambda: broken, "the book's own word that something is missing")
                await eventually(lambda: len(priced) > broken[0], "the next pricing")
                assert "OKX" not in priced[broken[0]]  # the very next one
                await eventually(both, "prices from both venues again", 20.0)
                for name in places:  # nothing of what waits in the engine's queue is waited for
                    link = next(one.link for one in node._clients() if one.id.value == name)
                    assert book.status(name, time_ns()) is BookStatus.LIVE
                    link._lose(link._states[symbol, Stream.BOOK], "given up between two turns of the loop")
                    assert book.status(name, time_ns()) is not BookStatus.LIVE, name
                await eventually(both, "prices from both venues once more", 20.0)
            finally:
                await node.stop()

    asyncio.run(main())


def watch(node: EmbeddedNode, name: str, lost) -> None:
    """Hear of the moment when a link gives a book up."""
    client = next(one for one in node._clients() if one.id.value == name)
    give_up = client.link._break

    def break_(*args) -> None:
        lost()
        give_up(*args)

    client.link._break = break_
    client.link._books[SYMBOL]._broken = heard(client.link._books[SYMBOL]._broken, lost)


def heard(broken, lost):
    """The book's own word that it cannot go on, heard."""

    def told(reason: str):
        lost()
        return broken(reason)

    return told
