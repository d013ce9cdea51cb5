"""Cards of trades, best prices, connections, and of what is told of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from adapters.ccxt.events import BookEventKind, Stream, StreamStatus
from adapters.ccxt.market.link import MarketLink
from sim.events import ASK, BID, EventKind
from tests.conformance.cards.stand import MID, NOT_APPLICABLE, SIZE, Stand, data
from tests.conformance.cards.still import equal, level, live, trade
from tests.conformance.ccxt_venue import Recorder, eventually

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE


# ---- trades ----------------------------------------------------------------------------------------------------------------------------


@data("trades")
async def a_trade_is_told_once_with_the_takers_side(s: Stand, link: MarketLink, seen: Recorder):
    """A trade is told once, exactly, with the taker's side."""
    start = len(seen.trades)
    for side in (1, -1):
        trade(s, side)
    await eventually(lambda: len(seen.trades) >= start + 2, "both trades")
    buy, sell = seen.trades[start : start + 2]
    assert (buy.side, sell.side) == ("buy", "sell")
    tick = 10**s.instrument.price_decimals
    assert (buy.price, buy.size) == ((MID + 1) * tick, s._lots(Decimal("0.25")))
    assert buy.trade_id != sell.trade_id
    assert len(seen.trades) == start + 2


@data("trades")
async def a_burst_of_trades_is_told_whole_and_in_order(s: Stand, link: MarketLink, seen: Recorder):
    """A burst of three hundred trades is told whole, in order, none twice."""
    start = len(seen.trades)
    for n in range(300):
        trade(s, 1 if n % 2 else -1, f"0.{1 + n % 9}")
    await eventually(lambda: len(seen.trades) >= start + 300, "every trade")
    mine = seen.trades[start:]
    assert len({trade.trade_id for trade in mine}) == 300
    assert [trade.size for trade in mine] == [s._lots(Decimal(f"0.{1 + n % 9}")) for n in range(300)]


@data("trades")
async def our_own_trades_are_public_too(s: Stand, link: MarketLink, seen: Recorder):
    """Our own trades are public too."""
    from sim.servers.matching import OrderRequest, Tif

    start = len(seen.trades)
    s.core.place(
        OrderRequest(symbol=s.symbol, side=-1, quantity=SIZE / 5, price=s.bid, tif=Tif.IOC, client_id=s.name_of())
    )
    await eventually(lambda: len(seen.trades) > start, "the print")
    assert seen.trades[start].side == "sell"


@data("trades")
async def trades_before_we_came_are_not_told(s: Stand, link: MarketLink, seen: Recorder):
    """Trades before we came are not told as news."""
    trade(s, 1)
    late = await s.watch()
    try:
        await asyncio.sleep(0.2)
        assert not late.seen.trades
    finally:
        await late.link.stop()


# ---- best prices -----------------------------------------------------------------------------------------------------------------------


@data("quotes")
async def best_prices_follow_the_book(s: Stand, link: MarketLink, seen: Recorder):
    """The venue's own best prices follow the book."""
    tick = 10**s.instrument.price_decimals
    if not any(stream is Stream.QUOTES for _, stream in link._states):
        return NOT_APPLICABLE
    s.happens(EventKind.UPDATE, level(s, ASK, 0, "0"))
    await eventually(lambda: seen.quotes and seen.quotes[-1].ask == (MID + 2) * tick, "the next offer")
    s.happens(EventKind.UPDATE, level(s, ASK, 0, "0.4"))
    await eventually(lambda: seen.quotes[-1].ask == (MID + 1) * tick, "the first one again")
    assert seen.quotes[-1].bid < seen.quotes[-1].ask
    assert seen.quotes[-1].ask_size == s._lots(Decimal("0.4"))
    return None


# ---- connections -----------------------------------------------------------------------------------------------------------------------


@data("connection")
async def a_gap_of_the_book_leaves_the_other_streams_alone(s: Stand, link: MarketLink, seen: Recorder):
    """A gap of the book leaves the other streams alone."""
    await live(s, link)
    before = {key: row["resyncs"] for key, row in link.health()["streams"].items()}
    await s.fault("drop_updates", symbol=s.symbol)
    s.happens(EventKind.UPDATE, level(s, BID, 2, "0.91"))
    s.happens(EventKind.UPDATE, level(s, BID, 1, "0.92"))
    await eventually(lambda: link.health()["streams"][f"{s.symbol}.book"]["resyncs"] > before[f"{s.symbol}.book"], "it")
    await live(s, link)
    after = {key: row["resyncs"] for key, row in link.health()["streams"].items()}
    if s.name != "COINBASE":  # whose numbers are the connection's: a gap is a gap of every stream
        assert {key: n for key, n in after.items() if not key.endswith(".book")} == {
            key: n for key, n in before.items() if not key.endswith(".book")
        }
    start = len(seen.trades)
    trade(s, 1)
    await eventually(lambda: len(seen.trades) > start, "a trade")


@data("connection")
async def a_torn_connection_clears_the_book_at_once_and_comes_back(s: Stand, link: MarketLink, seen: Recorder):
    """A torn connection clears the book at once, and comes back by itself."""
    cleared = seen.kinds().count(CLEAR)
    await s.fault("disconnect")
    await eventually(lambda: seen.kinds().count(CLEAR) > cleared, "a CLEAR")
    assert not seen.levels or seen.kinds()[-1] is SNAPSHOT
    await live(s, link)
    await equal(s, seen)


@data("connection")
async def a_storm_of_disconnects_is_ridden_out(s: Stand, link: MarketLink, seen: Recorder):
    """A storm of disconnects is ridden out."""
    await s.fault("disconnect_storm", ms=600)
    await eventually(lambda: link.status(s.symbol) is not StreamStatus.LIVE, "the loss")
    await asyncio.sleep(0.7)
    await live(s, link)
    await equal(s, seen)


@data("connection")
async def a_venue_that_is_closed_for_maintenance_is_waited_for(s: Stand, link: MarketLink, seen: Recorder):
    """A venue that is closed for maintenance is waited for."""
    await s.fault("maintenance", ms=500)
    await eventually(lambda: link.status(s.symbol) is not StreamStatus.LIVE, "the loss")
    await asyncio.sleep(0.6)
    await live(s, link)
    await equal(s, seen)


@data("connection")
async def silence_makes_a_book_stale_and_it_is_subscribed_again(s: Stand, link: MarketLink, seen: Recorder):
    """Silence makes a book stale, and it is subscribed again."""
    impatient = await s.watch(max_age_ms=400, keepalive_s=0.3)
    try:
        await s.fault("silence", ms=900)
        stale = impatient.link
        await eventually(lambda: stale.status(s.symbol) is not StreamStatus.LIVE, "a stale book")
        assert not impatient.seen.levels

        async def alive() -> None:
            while stale.status(s.symbol) is not StreamStatus.LIVE:
                s.happens(EventKind.UPDATE, level(s, BID, 7, "0.52"))
                s.happens(EventKind.UPDATE, level(s, BID, 7, "0.53"))
                await asyncio.sleep(0.05)

        await asyncio.wait_for(alive(), 15.0)
    finally:
        await impatient.link.stop()
    await live(s, link)


@data("connection")
async def a_venue_that_is_down_at_our_start_is_found_later(s: Stand, link: MarketLink, seen: Recorder):
    """A venue that is down at our start is found later."""
    await s.fault("http_503", count=2)
    late = await s.watch()
    try:
        await live(s, late.link)
    finally:
        await late.link.stop()


# ---- what is told of it ----------------------------------------------------------------------------------------------------------------


@data("health")
async def health_tells_each_stream_its_age_and_its_reasons(s: Stand, link: MarketLink, seen: Recorder):
    """The health tells each stream, its age and its reasons."""
    health = link.health()
    assert health["connected"]
    assert health["streams"][f"{s.symbol}.book"]["status"] == "live"
    assert {name for name in health["streams"] if name.startswith(s.symbol)} >= {
        f"{s.symbol}.book",
        f"{s.symbol}.trades",
    }
    assert all(row["age_ms"] >= 0 and row["resyncs"] >= 0 for row in health["streams"].values())
    assert health["counters"]["messages"] > 0


@data("health")
async def a_stop_clears_every_book(s: Stand, link: MarketLink, seen: Recorder):
    """A stop clears every book."""
    one = await s.watch()
    await one.link.stop()
    assert one.seen.kinds()[-1] is CLEAR
    assert not one.seen.levels


@data("health")
async def nothing_of_the_venues_broke_our_reading(s: Stand, link: MarketLink, seen: Recorder):
    """Fifty updates and trades later not one frame was bad, and ccxt's own handlers did not fail."""
    one = await s.watch()

    async def heard() -> None:
        while not one.seen.trades:
            trade(s, 1)
            await asyncio.sleep(0.02)

    try:
        await asyncio.wait_for(heard(), 10.0)
        start = len(one.seen.trades)
        for n in range(25):
            s.happens(EventKind.UPDATE, level(s, BID, 1 + n % 9, f"0.{20 + n}"))
            trade(s, 1)
        await eventually(lambda: len(one.seen.trades) >= start + 25, "the trades")
        assert one.link.counters.frames_bad == 0
        assert one.link.counters.handler_faults == 0
    finally:
        await one.link.stop()
