"""Cards of the market's rules and of its books, level for level, or a CLEAR that says why not."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import numpy as np

from adapters.ccxt.events import BookEventKind, StreamStatus
from adapters.ccxt.market.link import MarketLink
from sim.events import ASK, BID, EventKind
from tests.conformance.cards.stand import LEVELS, MID, NOT_APPLICABLE, SIZE, Stand, data
from tests.conformance.cards.still import at_venue, equal, level, live
from tests.conformance.ccxt_venue import Recorder, eventually

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE


# ---- the market's rules ----------------------------------------------------------------------------------------------------------------


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
    if s.name == "KRAKENFUTURES":  # whose API tells none: the list price stays
        assert link.markets[s.symbol].taker_fee > 0
        return NOT_APPLICABLE
    assert known[s.symbol] == s.instrument.taker_fee_bps / 10_000
    return None


# ---- books -----------------------------------------------------------------------------------------------------------------------------


@data("book")
async def the_book_is_the_venues_level_for_level(s: Stand, link: MarketLink, seen: Recorder):
    """The book is the venue's, level for level."""
    await equal(s, seen)
    assert len(seen.levels) == 2 * LEVELS


@data("book")
async def a_changed_size_changes_that_level_alone(s: Stand, link: MarketLink, seen: Recorder):
    """A changed size changes that level alone."""
    await equal(s, seen)
    before = dict(seen.levels)
    s.happens(EventKind.UPDATE, level(s, BID, 3, "0.77"))
    await equal(s, seen)
    changed = {key for key in before | seen.levels if before.get(key) != seen.levels.get(key)}
    assert changed == {(1, (MID - 4) * 10**s.instrument.price_decimals)}


@data("book")
async def a_level_that_is_gone_is_gone(s: Stand, link: MarketLink, seen: Recorder):
    """A level that is gone is gone, and one that is new is there."""
    s.happens(EventKind.UPDATE, level(s, ASK, 0, "0"))
    await eventually(lambda: seen.best(-1) == (MID + 2) * 10**s.instrument.price_decimals, "the next best offer")
    s.happens(EventKind.UPDATE, level(s, ASK, 0, "0.4"))
    await equal(s, seen)


@data("book")
async def many_changes_leave_no_difference_and_never_a_crossed_book(s: Stand, link: MarketLink, seen: Recorder):
    """Two hundred changes leave no difference, and the book is never crossed."""
    rng = np.random.default_rng(7)
    for _ in range(200):
        side, away, lots = int(rng.choice((BID, ASK))), int(rng.integers(0, LEVELS)), int(rng.integers(0, 4))
        if away:  # the best levels stay: an empty side is another card
            s.happens(EventKind.UPDATE, level(s, side, away, str(Decimal(lots) / 10)))
    await equal(s, seen)
    assert seen.crossed == 0


@data("book")
async def sequences_of_updates_never_go_back(s: Stand, link: MarketLink, seen: Recorder):
    """Sequences of updates never go back."""
    start = len(seen.books)
    for away in range(1, 6):
        s.happens(EventKind.UPDATE, level(s, BID, away, "0.31"))
    await eventually(lambda: len(seen.books) >= start + 5, "five updates")
    numbers = [event.sequence for event in seen.books[start:]]
    assert numbers == sorted(numbers)


@data("book")
async def what_we_take_is_gone_from_the_book(s: Stand, link: MarketLink, seen: Recorder):
    """What we take ourselves is gone from the book."""
    from sim.servers.matching import OrderRequest, Tif

    await equal(s, seen)
    s.core.place(
        OrderRequest(symbol=s.symbol, side=1, quantity=SIZE / 2, price=s.ask, tif=Tif.IOC, client_id=s.name_of())
    )
    await equal(s, seen)


@data("book")
async def a_lost_update_clears_the_book_at_once_with_the_reason(s: Stand, link: MarketLink, seen: Recorder):
    """A lost update clears the book at once, with the reason, and a whole one follows."""
    cleared = seen.kinds().count(CLEAR)
    await s.fault("drop_updates", symbol=s.symbol)
    s.happens(EventKind.UPDATE, level(s, BID, 2, "0.9"))
    s.happens(EventKind.UPDATE, level(s, BID, 1, "0.9"))
    await eventually(lambda: seen.kinds().count(CLEAR) > cleared, "a CLEAR")
    reason = next(event.reason for event in reversed(seen.books) if event.kind is CLEAR)
    assert s.expected.loss in reason
    await live(s, link)
    await equal(s, seen)


@data("book")
async def a_frame_cut_in_the_middle_leaves_no_wrong_book(s: Stand, link: MarketLink, seen: Recorder):
    """A frame cut in the middle leaves no wrong book."""
    bad = link.counters.frames_bad
    await s.fault("truncate_frame", scope="market")
    s.happens(EventKind.UPDATE, level(s, ASK, 2, "0.9"))
    s.happens(EventKind.UPDATE, level(s, ASK, 1, "0.8"))
    await eventually(lambda: link.counters.frames_bad > bad or link.counters.resyncs, "the loss")
    await live(s, link)
    for _ in range(40):
        s.happens(EventKind.UPDATE, level(s, ASK, 3, "0.7"))
        s.happens(EventKind.UPDATE, level(s, ASK, 3, "0.6"))
        await asyncio.sleep(0.02)
        if seen.levels == at_venue(s) and link.status(s.symbol) is StreamStatus.LIVE:
            break
    await equal(s, seen)


@data("book")
async def noise_on_the_socket_is_survived(s: Stand, link: MarketLink, seen: Recorder):
    """Noise on the socket is survived."""
    await s.fault("garbage_frame", scope="market", count=2)
    for away in (1, 2, 3, 4):
        s.happens(EventKind.UPDATE, level(s, BID, away, "0.66"))
        await asyncio.sleep(0.02)
    await live(s, link)
    s.happens(EventKind.UPDATE, level(s, BID, 5, "0.65"))
    await live(s, link)
    await equal(s, seen)


@data("book")
async def frames_told_twice_do_no_harm(s: Stand, link: MarketLink, seen: Recorder):
    """Frames told twice leave no wrong book."""
    await s.fault("duplicate_frames", scope="market", count=3)
    for away in (1, 2, 3, 4, 5):
        s.happens(EventKind.UPDATE, level(s, ASK, away, "0.44"))
        await asyncio.sleep(0.02)
    await live(s, link)
    await equal(s, seen)


@data("book")
async def a_book_that_the_venue_lost_is_cleared_until_it_is_back(s: Stand, link: MarketLink, seen: Recorder):
    """A book that the venue lost itself is cleared, until it is back."""
    s.happens(EventKind.CLEAR, np.zeros((0, 3), dtype=np.int64), reason="a card")
    await eventually(lambda: link.status(s.symbol) is not StreamStatus.LIVE, "a CLEAR")
    assert not seen.levels
    s.happens(EventKind.SNAPSHOT)
    await live(s, link)
    for n in range(100):  # a venue of diffs starts with its next one
        s.happens(EventKind.UPDATE, level(s, BID, 6, f"0.{50 + n % 9}"))
        await asyncio.sleep(0.02)
        if seen.levels == at_venue(s):
            break
    await equal(s, seen)


@data("book")
async def a_look_at_the_whole_book_by_rest_finds_it_the_same(s: Stand, link: MarketLink, seen: Recorder):
    """A look at the whole book by REST finds it the same."""
    await equal(s, seen)
    depth = await link._dialect.whole_book(link._exchange, s.symbol, 100)
    best = sorted(
        (Decimal(str(price)) for price, *_ in depth.bids),
        reverse=True,
    )[0]
    assert best == s.bid


@data("book")
async def the_whole_book_is_told_again_on_demand(s: Stand, link: MarketLink, seen: Recorder):
    """The whole book is told again on demand."""
    await equal(s, seen)
    count, before = len(seen.books), dict(seen.levels)
    link.replay_book(s.symbol)
    assert [event.kind for event in seen.books[count:]] == [SNAPSHOT]
    assert seen.levels == before
