"""Every venue's book against the venue's own: a level that was told wrongly is found, and a right book never given up."""

import asyncio
import re
import time

import numpy as np

from adapters.ccxt.events import BookEventKind, Stream, StreamStatus
from sim.events import EventKind, VenueEvent
from tests.conformance.ccxt_venue import SYMBOL, VENUES, eventually, market_data, venue
from tests.conformance.together import together

CLEAR, SNAPSHOT = BookEventKind.CLEAR, BookEventKind.SNAPSHOT


@together(VENUES)
async def test_a_wrong_level_is_found_by_an_audit_and_the_book_restored(name):
    async with venue(name, audit_s=0) as place, market_data(place) as link:
        link._audit._settle_s = 0.15
        symbol = next(iter(link._books))
        book, seen = link._books[symbol], place.seen
        await eventually(lambda: len(seen.books) > 5, "some changes")
        for feed in place.running._tasks:  # when the generated market moves, hardly a level of it stands still
            feed.cancel()
        await eventually(lambda: same(place, name, book), "what is on its way")
        assert await link._audit.look(book) is True
        assert link._audit.tallies[symbol].compared > 100
        assert seen.kinds() == [SNAPSHOT]
        for price, size in book.levels.best(1, 50)[20:]:  # what wrongly told levels leave behind
            book.levels.set(1, price, 2 * size)
        assert await link._audit.look(book) is False
        assert seen.kinds()[:2] == [SNAPSHOT, CLEAR]
        reason = [event.reason for event in seen.books if event.kind is CLEAR][
            -1
        ]  # Kraken's checksum may have found one before
        assert re.match(
            r"audit: \d+ of \d+ levels are not the venue's: bid [\d.]+ is [\d.]+ there, [\d.]+ here", reason
        ), reason
        await eventually(lambda: link.status(symbol) is StreamStatus.LIVE, "a live book again")
        assert seen.kinds()[-1] is SNAPSHOT
        assert link.health()["audits"][symbol]["wrong"] == 1


def same(place, name, book) -> bool:
    """Whether the book is the venue's own."""
    shown = place.running.servers[name].core.books[place.symbol].shown
    return all(book.levels.best(side, 60) == shown.side(side).top(60) for side in (1, -1))


@together(VENUES)
async def test_an_audit_without_an_answer_or_over_a_lost_book_decides_nothing(name):
    async with venue(name, audit_s=0) as place, market_data(place) as link:
        link._audit._settle_s = 0.05
        symbol = next(iter(link._books))
        book = link._books[symbol]

        async def late(symbol, levels, ask=link._audit._ask):
            depth = await ask(symbol, levels)
            link._lose(link._states[symbol, Stream.BOOK], "a test")  # the book is lost while the answer is on its way
            return depth

        link._audit._ask, ask = late, link._audit._ask
        assert await link._audit.look(book) is None
        link._audit._ask = ask
        await eventually(lambda: link.status(symbol) is StreamStatus.LIVE, "a live book again")
        assert link._audit.tallies[symbol].undecided == 1
        assert link._audit.tallies[symbol].wrong == 0


def test_a_level_that_comes_where_the_book_no_longer_reaches_is_no_wrong_level():
    """A book that is cut to 25 levels is told nothing of the 26th, though it had reached that far when the audit began."""

    async def main() -> None:
        async with venue("KRAKEN", audit_s=0, depth=25) as place, market_data(place) as link:
            for feed in place.running._tasks:
                feed.cancel()
            link._audit._settle_s = 0.05
            book, server, ask = link._books[SYMBOL], place.running.servers["KRAKEN"], link._audit._ask
            await eventually(lambda: book.levels.best(-1, 25) == server.core.books[SYMBOL].shown.asks.top(25), "quiet")
            known = dict(book.levels.best(-1, 25))
            free = [price for price in range(min(known), max(known)) if price not in known]
            nearer, beyond = free[:3], free[-1]
            assert beyond > sorted(known)[21]

            def told(prices):
                at, levels = time.time_ns(), np.array([(-1, price, 777) for price in prices], dtype=np.int64)
                server.on_market(
                    VenueEvent(kind=EventKind.UPDATE, symbol=SYMBOL, levels=levels, ts_event_ns=at, ts_init_ns=at)
                )

            async def meanwhile(symbol, levels):
                told(nearer)
                await eventually(lambda: set(nearer) <= dict(book.levels.best(-1, 25)).keys(), "three that are nearer")
                told([beyond])  # not among the 25: nobody hears of it
                return await ask(symbol, levels)

            link._audit._ask = meanwhile
            finding, _ = await link._audit._compared(book)
            assert finding is not None
            assert finding.wrong == {}
            assert finding.compared > 20

    asyncio.run(main())


def test_audits_go_on_by_themselves_one_symbol_after_the_other():
    async def main() -> None:
        async with venue("KRAKEN", audit_s=3, max_age_ms=60_000) as place, market_data(place) as link:
            for feed in place.running._tasks:
                feed.cancel()
            link._audit._settle_s = link._audit._least_gap_s = link._audit._every_s = 0.1
            await eventually(
                lambda: link._audit.tallies.get(SYMBOL) and link._audit.tallies[SYMBOL].done >= 3, "audits"
            )
            await place.fault("http_503", count=2)  # an audit that fails is tried again
            done = link._audit.tallies[SYMBOL].done
            await eventually(lambda: link._audit.tallies[SYMBOL].done >= done + 2, "audits again")
            assert link._audit.tallies[SYMBOL].wrong == 0

    asyncio.run(main())
