"""The data cards: what a market says, exactly and losslessly, or a CLEAR that says why not."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import numpy as np

from adapters.ccxt.events import BookEventKind, Stream, StreamStatus
from adapters.ccxt.link import MarketLink
from sim.events import ASK, BID, EventKind
from tests.conformance.cards import LEVELS, MID, NOT_APPLICABLE, SIZE, Stand, data
from tests.conformance.ccxt_venue import Recorder, eventually

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE


def _at_venue(s: Stand) -> dict[tuple[int, int], int]:
    shown = s.core.books[s.symbol].shown
    found = {(1, price): size for price, size in shown.bids.top(LEVELS)}
    return found | {(-1, price): size for price, size in shown.asks.top(LEVELS)}


async def _equal(s: Stand, seen: Recorder) -> None:
    await eventually(lambda: seen.levels == _at_venue(s), "the venue's own book")


async def _live(s: Stand, link: MarketLink) -> None:
    await eventually(lambda: link.status(s.symbol) is StreamStatus.LIVE, "a live book", 20.0)


def _level(s: Stand, side: int, away: int, size: str) -> np.ndarray:
    tick = 10**s.instrument.price_decimals
    price = (MID - 1 - away if side == BID else MID + 1 + away) * tick
    return np.array([[side, price, s._lots(Decimal(size))]], dtype=np.int64)


def _trade(s: Stand, side: int, size: str = "0.25") -> None:
    tick = 10**s.instrument.price_decimals
    price = (MID + 1 if side > 0 else MID - 1) * tick
    s.happens(EventKind.TRADE, price=price, size=s._lots(Decimal(size)), side=side, trade_id="1")


# ---- the market's rules ---------------------------------------------------------------------------------------------------------------


@data("markets")
async def tick_and_lot_are_exact(s: Stand, link: MarketLink, seen: Recorder):
    """Tick and lot of a market are exact."""
    market = link.markets[s.symbol]
    assert market.tick == Decimal(1).scaleb(-s.instrument.price_decimals)
    assert market.lot == Decimal(1).scaleb(-s.instrument.size_decimals)


@data("markets")
async def the_least_order_is_the_venues(s: Stand, link: MarketLink, seen: Recorder):
    """The least quantity of an order is the venue's."""
    least = link.markets[s.symbol].min_quantity
    assert least is None or least == s.instrument.min_quantity


@data("markets")
async def our_own_fee_is_known(s: Stand, link: MarketLink, seen: Recorder):
    """Our own taker fee is known, not only the list price."""
    known = await link._dialect.taker_fees(link._exchange, (s.symbol,))
    if s.name in ("KRAKEN", "KRAKENFUTURES"):
        assert (
            link.markets[s.symbol].taker_fee > 0
        )  # the loopback account is told no fee of its own (Kraken Futures' API tells none): the list price stays
        return NOT_APPLICABLE
    assert known[s.symbol] == s.instrument.taker_fee_bps / 10_000
    return None


# ---- books ----------------------------------------------------------------------------------------------------------------------------


@data("book")
async def the_book_is_the_venues_level_for_level(s: Stand, link: MarketLink, seen: Recorder):
    """The book is the venue's, level for level."""
    await _equal(s, seen)
    assert len(seen.levels) == 2 * LEVELS


@data("book")
async def a_changed_size_changes_that_level_alone(s: Stand, link: MarketLink, seen: Recorder):
    """A changed size changes that level alone."""
    await _equal(s, seen)
    before = dict(seen.levels)
    s.happens(EventKind.UPDATE, _level(s, BID, 3, "0.77"))
    await _equal(s, seen)
    changed = {key for key in before | seen.levels if before.get(key) != seen.levels.get(key)}
    assert changed == {(1, (MID - 4) * 10**s.instrument.price_decimals)}


@data("book")
async def a_level_that_is_gone_is_gone(s: Stand, link: MarketLink, seen: Recorder):
    """A level that is gone is gone, and one that is new is there."""
    s.happens(EventKind.UPDATE, _level(s, ASK, 0, "0"))
    await eventually(lambda: seen.best(-1) == (MID + 2) * 10**s.instrument.price_decimals, "the next best offer")
    s.happens(EventKind.UPDATE, _level(s, ASK, 0, "0.4"))
    await _equal(s, seen)


@data("book")
async def many_changes_leave_no_difference_and_never_a_crossed_book(s: Stand, link: MarketLink, seen: Recorder):
    """Two hundred changes leave no difference, and the book is never crossed."""
    rng = np.random.default_rng(7)
    for _ in range(200):
        side, away, lots = int(rng.choice((BID, ASK))), int(rng.integers(0, LEVELS)), int(rng.integers(0, 4))
        if away:  # the best levels stay: an empty side is another card
            s.happens(EventKind.UPDATE, _level(s, side, away, str(Decimal(lots) / 10)))
    await _equal(s, seen)
    assert seen.crossed == 0


@data("book")
async def sequences_of_updates_never_go_back(s: Stand, link: MarketLink, seen: Recorder):
    """Sequences of updates never go back."""
    start = len(seen.books)
    for away in range(1, 6):
        s.happens(EventKind.UPDATE, _level(s, BID, away, "0.31"))
    await eventually(lambda: len(seen.books) >= start + 5, "five updates")
    numbers = [event.sequence for event in seen.books[start:]]
    assert numbers == sorted(numbers)


@data("book")
async def what_we_take_is_gone_from_the_book(s: Stand, link: MarketLink, seen: Recorder):
    """What we take ourselves is gone from the book."""
    from sim.servers.matching import OrderRequest, Tif

    await _equal(s, seen)
    s.core.place(
        OrderRequest(symbol=s.symbol, side=1, quantity=SIZE / 2, price=s.ask, tif=Tif.IOC, client_id=s.name_of())
    )
    await _equal(s, seen)


@data("book")
async def a_lost_update_clears_the_book_at_once_with_the_reason(s: Stand, link: MarketLink, seen: Recorder):
    """A lost update clears the book at once, with the reason, and a whole one follows."""
    cleared = seen.kinds().count(CLEAR)
    await s.fault("drop_updates", symbol=s.symbol)
    s.happens(EventKind.UPDATE, _level(s, BID, 2, "0.9"))
    s.happens(EventKind.UPDATE, _level(s, BID, 1, "0.9"))
    await eventually(lambda: seen.kinds().count(CLEAR) > cleared, "a CLEAR")
    reason = next(event.reason for event in reversed(seen.books) if event.kind is CLEAR)
    assert s.expected.loss in reason
    await _live(s, link)
    await _equal(s, seen)


@data("book")
async def a_frame_cut_in_the_middle_leaves_no_wrong_book(s: Stand, link: MarketLink, seen: Recorder):
    """A frame cut in the middle leaves no wrong book."""
    bad = link.counters.frames_bad
    await s.fault("truncate_frame", scope="market")
    s.happens(EventKind.UPDATE, _level(s, ASK, 2, "0.9"))
    s.happens(EventKind.UPDATE, _level(s, ASK, 1, "0.8"))
    await eventually(lambda: link.counters.frames_bad > bad or link.counters.resyncs, "the loss")
    await _live(s, link)
    for _ in range(40):
        s.happens(EventKind.UPDATE, _level(s, ASK, 3, "0.7"))
        s.happens(EventKind.UPDATE, _level(s, ASK, 3, "0.6"))
        await asyncio.sleep(0.02)
        if seen.levels == _at_venue(s) and link.status(s.symbol) is StreamStatus.LIVE:
            break
    await _equal(s, seen)


@data("book")
async def noise_on_the_socket_is_survived(s: Stand, link: MarketLink, seen: Recorder):
    """Noise on the socket is survived."""
    await s.fault("garbage_frame", scope="market", count=2)
    for away in (1, 2, 3, 4):
        s.happens(EventKind.UPDATE, _level(s, BID, away, "0.66"))
        await asyncio.sleep(0.02)
    await _live(s, link)
    s.happens(EventKind.UPDATE, _level(s, BID, 5, "0.65"))
    await _live(s, link)
    await _equal(s, seen)


@data("book")
async def frames_told_twice_do_no_harm(s: Stand, link: MarketLink, seen: Recorder):
    """Frames told twice leave no wrong book."""
    await s.fault("duplicate_frames", scope="market", count=3)
    for away in (1, 2, 3, 4, 5):
        s.happens(EventKind.UPDATE, _level(s, ASK, away, "0.44"))
        await asyncio.sleep(0.02)
    await _live(s, link)
    await _equal(s, seen)


@data("book")
async def a_book_that_the_venue_lost_is_cleared_until_it_is_back(s: Stand, link: MarketLink, seen: Recorder):
    """A book that the venue lost itself is cleared, until it is back."""
    s.happens(EventKind.CLEAR, np.zeros((0, 3), dtype=np.int64), reason="a card")
    await eventually(lambda: link.status(s.symbol) is not StreamStatus.LIVE, "a CLEAR")
    assert not seen.levels
    s.happens(EventKind.SNAPSHOT)
    await _live(s, link)
    for n in range(100):  # a venue of diffs starts with its next one
        s.happens(EventKind.UPDATE, _level(s, BID, 6, f"0.{50 + n % 9}"))
        await asyncio.sleep(0.02)
        if seen.levels == _at_venue(s):
            break
    await _equal(s, seen)


@data("book")
async def a_look_at_the_whole_book_by_rest_finds_it_the_same(s: Stand, link: MarketLink, seen: Recorder):
    """A look at the whole book by REST finds it the same."""
    await _equal(s, seen)
    depth = await link._dialect.whole_book(link._exchange, s.symbol, 100)
    best = sorted(
        (Decimal(str(price)) for price, *_ in depth.bids),
        reverse=True,
    )[0]
    assert best == s.bid


@data("book")
async def the_whole_book_is_told_again_on_demand(s: Stand, link: MarketLink, seen: Recorder):
    """The whole book is told again on demand."""
    await _equal(s, seen)
    count, before = len(seen.books), dict(seen.levels)
    link.replay_book(s.symbol)
    assert [event.kind for event in seen.books[count:]] == [SNAPSHOT]
    assert seen.levels == before


# ---- trades ---------------------------------------------------------------------------------------------------------------------------


@data("trades")
async def a_trade_is_told_once_with_the_takers_side(s: Stand, link: MarketLink, seen: Recorder):
    """A trade is told once, exactly, with the taker's side."""
    start = len(seen.trades)
    for side in (1, -1):
        _trade(s, side)
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
        _trade(s, 1 if n % 2 else -1, f"0.{1 + n % 9}")
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
    _trade(s, 1)
    late = await s.watch()
    try:
        await asyncio.sleep(0.2)
        assert not late.seen.trades
    finally:
        await late.link.stop()


# ---- best prices ----------------------------------------------------------------------------------------------------------------------


@data("quotes")
async def best_prices_follow_the_book(s: Stand, link: MarketLink, seen: Recorder):
    """The venue's own best prices follow the book."""
    tick = 10**s.instrument.price_decimals
    if not any(stream is Stream.QUOTES for _, stream in link._states):
        return NOT_APPLICABLE
    s.happens(EventKind.UPDATE, _level(s, ASK, 0, "0"))
    await eventually(lambda: seen.quotes and seen.quotes[-1].ask == (MID + 2) * tick, "the next offer")
    s.happens(EventKind.UPDATE, _level(s, ASK, 0, "0.4"))
    await eventually(lambda: seen.quotes[-1].ask == (MID + 1) * tick, "the first one again")
    assert seen.quotes[-1].bid < seen.quotes[-1].ask
    assert seen.quotes[-1].ask_size == s._lots(Decimal("0.4"))
    return None


# ---- connections ----------------------------------------------------------------------------------------------------------------------


@data("connection")
async def a_gap_of_the_book_leaves_the_other_streams_alone(s: Stand, link: MarketLink, seen: Recorder):
    """A gap of the book leaves the other streams alone."""
    await _live(s, link)
    before = {key: row["resyncs"] for key, row in link.health()["streams"].items()}
    await s.fault("drop_updates", symbol=s.symbol)
    s.happens(EventKind.UPDATE, _level(s, BID, 2, "0.91"))
    s.happens(EventKind.UPDATE, _level(s, BID, 1, "0.92"))
    await eventually(lambda: link.health()["streams"][f"{s.symbol}.book"]["resyncs"] > before[f"{s.symbol}.book"], "it")
    await _live(s, link)
    after = {key: row["resyncs"] for key, row in link.health()["streams"].items()}
    if s.name != "COINBASE":  # whose numbers are the connection's: a gap is a gap of every stream
        assert {key: n for key, n in after.items() if not key.endswith(".book")} == {
            key: n for key, n in before.items() if not key.endswith(".book")
        }
    start = len(seen.trades)
    _trade(s, 1)
    await eventually(lambda: len(seen.trades) > start, "a trade")


@data("connection")
async def a_torn_connection_clears_the_book_at_once_and_comes_back(s: Stand, link: MarketLink, seen: Recorder):
    """A torn connection clears the book at once, and comes back by itself."""
    cleared = seen.kinds().count(CLEAR)
    await s.fault("disconnect")
    await eventually(lambda: seen.kinds().count(CLEAR) > cleared, "a CLEAR")
    assert not seen.levels or seen.kinds()[-1] is SNAPSHOT
    await _live(s, link)
    await _equal(s, seen)


@data("connection")
async def a_storm_of_disconnects_is_ridden_out(s: Stand, link: MarketLink, seen: Recorder):
    """A storm of disconnects is ridden out."""
    await s.fault("disconnect_storm", ms=600)
    await eventually(lambda: link.status(s.symbol) is not StreamStatus.LIVE, "the loss")
    await asyncio.sleep(0.7)
    await _live(s, link)
    await _equal(s, seen)


@data("connection")
async def a_venue_that_is_closed_for_maintenance_is_waited_for(s: Stand, link: MarketLink, seen: Recorder):
    """A venue that is closed for maintenance is waited for."""
    await s.fault("maintenance", ms=500)
    await eventually(lambda: link.status(s.symbol) is not StreamStatus.LIVE, "the loss")
    await asyncio.sleep(0.6)
    await _live(s, link)
    await _equal(s, seen)


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
                s.happens(EventKind.UPDATE, _level(s, BID, 7, "0.52"))
                s.happens(EventKind.UPDATE, _level(s, BID, 7, "0.53"))
                await asyncio.sleep(0.05)

        await asyncio.wait_for(alive(), 15.0)
    finally:
        await impatient.link.stop()
    await _live(s, link)


@data("connection")
async def a_venue_that_is_down_at_our_start_is_found_later(s: Stand, link: MarketLink, seen: Recorder):
    """A venue that is down at our start is found later."""
    await s.fault("http_503", count=2)
    late = await s.watch()
    try:
        await _live(s, late.link)
    finally:
        await late.link.stop()


# ---- what is told of it ---------------------------------------------------------------------------------------------------------------


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
            _trade(s, 1)
            await asyncio.sleep(0.02)

    try:
        await asyncio.wait_for(heard(), 10.0)
        start = len(one.seen.trades)
        for n in range(25):
            s.happens(EventKind.UPDATE, _level(s, BID, 1 + n % 9, f"0.{20 + n}"))
            _trade(s, 1)
        await eventually(lambda: len(one.seen.trades) >= start + 25, "the trades")
        assert one.link.counters.frames_bad == 0
        assert one.link.counters.handler_faults == 0
    finally:
        await one.link.stop()
