"""Any other exchange of ccxt.pro by configuration alone: seven of them in their own wire formats, read by unmodified ccxt."""

import asyncio
import contextlib
import random
from decimal import Decimal

import pytest
from nautilus_trader.model.identifiers import InstrumentId

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEventKind, StreamStatus
from adapters.ccxt.factories import CcxtDataClientConfig, CcxtDataClientFactory
from adapters.ccxt.market.link import MarketLink
from adapters.nautilus.book import BookKind
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from desk.config.load import load
from desk.doctor.finding import Grade
from desk.doctor.reach import outside
from tests.conformance.ccxt_venue import Recorder, eventually
from tests.conformance.generic_venues import SCRIPTS, HyperliquidPerpetual, Place, Script, scripted
from tests.conformance.test_ccxt_node import Trader, levels_of_engine, levels_of_messages

CLEAR, SNAPSHOT = BookEventKind.CLEAR, BookEventKind.SNAPSHOT
every_script = pytest.mark.parametrize("name", SCRIPTS)


def config(place: Place, **settings: object) -> ExchangeConfig:
    script = place.script
    return ExchangeConfig(
        venue=script.exchange.upper(),
        exchange=script.exchange,
        rest_url=f"http://{script.host}",
        ws_url=f"ws://{script.host}",
        **{"symbols": (script.symbol,), "depth": 10, **settings},  # type: ignore[arg-type]
    )


@contextlib.asynccontextmanager
async def linked(place: Place, **settings: object):
    """A started link whose book is whole and whose trades are subscribed."""
    seen = Recorder()
    link = MarketLink(config(place, **settings), seen)
    link.start()
    try:
        try:
            await eventually(lambda: seen.levels, "a whole book")
        except AssertionError:
            print(link.health(), place.asked)
            raise
        yield link, seen
    finally:
        await link.stop()


def expected(script: Script, link: MarketLink) -> dict[tuple[int, int], int]:
    """The script's book in the market's units."""
    market = link.markets[script.symbol]
    return {
        (side, int(Decimal(price).scaleb(market.price_decimals))): int(Decimal(size).scaleb(market.size_decimals))
        for side, rows in ((1, script.bids), (-1, script.asks))
        for price, size in rows.items()
    }


@pytest.mark.parametrize(("name", "make"), [*SCRIPTS.items(), ("hyperliquid", HyperliquidPerpetual)])
def test_instruments_load_and_book_and_trades_stream_exactly(name, make):
    async def main() -> None:
        async with scripted(name, make) as place, linked(place) as (link, seen):
            script, symbol = place.script, place.script.symbol
            market = link.markets[symbol]
            assert (market.tick, market.lot) == (Decimal(script.tick), Decimal(script.lot))
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book")
            await place.tell(script.update([("6000.1", "0"), ("6000.2", "4.25")], [("6001", "0"), ("6003", "0.5")]))
            await eventually(lambda: seen.levels == expected(script, link), "the changed book")
            assert seen.kinds() == [SNAPSHOT]
            assert [(quote.bid, quote.ask) for quote in seen.quotes[-1:]] == [(seen.best(1), seen.best(-1))]
            units = Decimal(1).scaleb(market.price_decimals), Decimal(1).scaleb(market.size_decimals)
            await eventually(
                lambda: link._states[symbol, "trades"].began_s and asked_for_trades(place), "trades asked for"
            )
            await asyncio.sleep(0.05)  # the subscription's own history
            for number, (side, price, size) in enumerate((("buy", "6000.4", "0.25"), ("sell", "6000.2", "1.5")), 7):
                await place.tell(script.trade(number, side, price, size))
                await place.tell(script.trade(number, side, price, size))  # told twice, as after a reconnect
            await eventually(lambda: len(seen.trades) >= 2, "two trades")
            told = [(t.trade_id, t.side, t.price / units[0], t.size / units[1]) for t in seen.trades]
            assert [(i, s, Decimal(p).quantize(Decimal("0.1")), Decimal(q)) for i, s, p, q in told] == [
                ("7", "buy", Decimal("6000.4"), Decimal("0.25")),
                ("8", "sell", Decimal("6000.2"), Decimal("1.5")),
            ]
            health = link.health()
            assert health["integrity"] == "the library's"
            assert health["counters"]["handler_faults"] == health["counters"]["frames_bad"] == 0
            assert set(health["streams"]) == {f"{symbol}.book", f"{symbol}.trades"}
        assert seen.kinds()[-1] is CLEAR

    asyncio.run(main())


def asked_for_trades(place: Place) -> bool:
    return any("trade" in str(message) or "match" in str(message) for message in place.asked)


@every_script
def test_a_book_that_contradicts_its_market_is_cleared_and_read_anew(name):
    async def main() -> None:
        async with scripted(name) as place, linked(place) as (link, seen):
            script = place.script
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book")
            good = dict(script.bids), dict(script.asks)
            await place.tell(script.update([("6000.30001", "1")], []))  # no multiple of the tick
            await eventually(lambda: CLEAR in seen.kinds(), "a CLEAR")
            assert "does not fit" in next(event.reason for event in seen.books if event.kind is CLEAR)
            script.bids, script.asks = good
            await eventually(lambda: seen.kinds()[-1] is SNAPSHOT, "a whole book again", 15.0)
            await eventually(
                lambda: seen.levels == expected(script, link),
                "the venue's book, and nothing that was left of the old one",
            )
            await eventually(lambda: link.status(script.symbol) is StreamStatus.LIVE, "a live book")

    asyncio.run(main())


@every_script
def test_a_disconnect_clears_at_once_and_is_made_good(name):
    async def main() -> None:
        async with scripted(name) as place, linked(place) as (link, seen):
            script = place.script
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book")
            script.bids.pop("5999.5")  # while nobody listens
            for socket in list(place.sockets):
                socket._req.transport.abort()
            await eventually(lambda: CLEAR in seen.kinds(), "a CLEAR")
            assert "disconnected" in next(event.reason for event in seen.books if event.kind is CLEAR)
            await eventually(lambda: seen.kinds()[-1] is SNAPSHOT, "a whole book again", 15.0)
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book")

    asyncio.run(main())


def test_a_generic_venue_in_a_live_node():
    async def main() -> None:
        async with scripted("gate") as place:
            script, iid = place.script, InstrumentId.from_str("BTC/USDT.GATE")
            trader = Trader([iid])
            node = EmbeddedNode(
                NodeConfig(data_clients={"CCXT-GATE": CcxtDataClientConfig(exchange=config(place))}, exec_clients={}),
                strategies=[trader],
                data_factories={"CCXT": CcxtDataClientFactory},
                exec_factories={},
            )
            try:
                await node.start(15.0)
                books = trader.books[iid]
                await eventually(lambda: books and books[0].kind is BookKind.SNAPSHOT, "a snapshot")
                for told, size in enumerate(
                    ("4.25", "4.5", "4.75"), 2
                ):  # the first may come before best prices are asked for
                    await place.tell(script.update([("6000.2", size)], []))
                    await eventually(lambda told=told: len(books) >= told, "a change of the book")
                await eventually(lambda: trader.ticks["quotes", iid] >= 2, "best prices")
                await eventually(lambda: asked_for_trades(place), "trades asked for")
                await place.tell(script.trade(7, "buy", "6000.4", "0.25"))
                await eventually(lambda: trader.ticks["trades", iid] == 1, "a trade")
                instrument = node.cache.instrument(iid)
                decimals = (instrument.price_precision, instrument.size_precision)
                assert decimals == (1, 6)
                assert levels_of_engine(node, iid) == levels_of_messages(books, *decimals)
            finally:
                await node.stop()

    asyncio.run(main())


def test_a_checksum_that_ccxt_finds_wrong_gives_the_book_up():
    async def main() -> None:
        async with scripted("bitget") as place, linked(place) as (link, seen):
            script = place.script
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book")
            (frame,) = script.update([("6000.2", "4.25")], [])
            frame["data"][0]["checksum"] += 1
            await place.tell([frame])
            await eventually(lambda: CLEAR in seen.kinds(), "a CLEAR")
            assert "ChecksumError" in next(event.reason for event in seen.books if event.kind is CLEAR)
            await eventually(lambda: seen.kinds()[-1] is SNAPSHOT, "a whole book again", 15.0)
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book")

    asyncio.run(main())


def test_a_change_that_ccxt_misses_is_found_by_looking_at_the_whole_book(monkeypatch):
    """ccxt does not look at the ids of Gate's changes: one that is lost leaves a level that nobody has any more."""
    monkeypatch.setattr("adapters.ccxt.market.audit.LEAST_GAP_S", 0.05)

    async def main() -> None:
        async with scripted("gate") as place, linked(place, audit_s=0.2) as (link, seen):
            link._audit._settle_s = 0.05
            script = place.script
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book")
            script.update([("6000.1", "0")], [])  # never sent
            await place.tell(script.update([], [("6002.5", "9")]))  # two ids on, and ccxt goes on
            await eventually(lambda: CLEAR in seen.kinds(), "a CLEAR", 8.0)
            assert "audit: 1 of" in next(event.reason for event in seen.books if event.kind is CLEAR)
            await eventually(lambda: seen.levels == expected(script, link), "the venue's book", 8.0)

    asyncio.run(main())


def test_a_symbol_that_is_not_listed_is_told_and_not_asked_for_at_the_pace_of_an_outage():
    async def main() -> None:
        async with scripted("gate") as place:
            link = MarketLink(config(place, symbols=("NO/SUCH",)), Recorder(), random.Random(1))
            link.start()
            try:
                await eventually(lambda: "does not list NO/SUCH" in link.reason, "the reason")
                asked = len(place.asked)
                await asyncio.sleep(0.5)
                assert len(place.asked) == asked
            finally:
                await link.stop()

    asyncio.run(main())


@pytest.mark.parametrize(("name", "told"), [("gate", ["GATE reach", "GATE clock"]), ("bitfinex", ["BITFINEX reach"])])
def test_the_doctor_reaches_it_and_looks_at_its_clock_where_it_has_one(name, told, tmp_path):
    async def main() -> None:
        async with scripted(name) as place:
            path = tmp_path / "desk.toml"
            path.write_text(
                f'[[instruments]]\nsymbol="{place.script.symbol}"\n[[venues]]\nvenue="{name.upper()}"\nexchange="{name}"\n'
                f'rest_url="http://{place.script.host}"\nws_url="ws://{place.script.host}"\n'
            )
            found = await outside(load(path, {}).config, {})
            assert [item.check for item in found] == told
            assert {item.grade for item in found} <= {Grade.OK, Grade.WARN}

    asyncio.run(main())
