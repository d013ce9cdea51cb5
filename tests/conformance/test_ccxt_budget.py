"""A burst at exchanges that hold us to their limits: never one request too many, and cancels go through while data wait."""

import asyncio
import time
from decimal import Decimal

import pytest

from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import OrderEvent, StreamStatus, VenueOrderState
from adapters.ccxt.market.link import MarketLink
from sim.servers.faults import Fault, FaultOrder
from sim.servers.venues import start_venues
from tests.conformance.ccxt_venue import OVER_SOCKET, VENUES, Recorder, account, eventually, market_data, venue
from tests.faults.day.life import Heard
from tests.faults.soak import fast

LIMITED = [(name, "rest") for name in VENUES] + [(name, "ws") for name in OVER_SOCKET]
ORDERS = {"KRAKEN": 15}  # a cancel of a young order costs eight points of 180 there
SNAPSHOTS = {"BYBIT": 450}  # fifty a second, and ten orders
BASES = ["BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "DOT", "LINK", "AVAX"]
BASES += ["BCH", "UNI", "ATOM", "ETC", "XLM", "FIL", "TRX", "NEAR", "APT", "ARB"]
DEPTH = {"BINANCE": "GET /api/v3/depth", "BINANCEUSDM": "GET /fapi/v1/depth"}


@pytest.mark.parametrize(("name", "way"), LIMITED)
def test_a_burst_is_never_one_too_many_and_cancels_pass_the_data(name, way):
    async def main() -> None:
        async with venue(name, order_rate_per_s=10_000, orders_by=way) as place:
            server = place.running.servers[name]
            server.enforce()
            async with market_data(place) as data, account(place) as link:
                book = data._dialect.whole_book
                data._exchange.enableRateLimit = False  # ccxt's own pace of data: ours alone is to suffice
                waiting = [
                    asyncio.create_task(book(data._exchange, place.symbol, 1000))
                    for _ in range(SNAPSHOTS.get(name, 150))
                ]
                orders = [
                    place.limit(data, f"c-burst-{n}", "buy", "0.01", -500 - n, "GTC")
                    for n in range(ORDERS.get(name, 60))
                ]
                answers = await asyncio.gather(*(link.place(order) for order in orders))
                refused = [a for a in answers if isinstance(a, Failure) and a.verdict is not Verdict.NOT_SENT]
                assert not refused
                placed = [answer.client_order_id for answer in answers if isinstance(answer, OrderEvent)]
                assert len(placed) >= 10
                began = time.monotonic()
                took = [await link.cancel(placed[n], place.symbol) for n in range(5)]
                assert time.monotonic() - began < 5.0
                assert any(not task.done() for task in waiting)  # the data that the cancels went past
                assert link.health()["budget"]["waited"]["cancel"] == 0
                assert not any(isinstance(failure, Failure) for failure in took), took
                left = await link.cancel_all()
                assert [order for order in left if order.client_order_id.startswith("c-burst")] == []
                await eventually(lambda: link.health()["live_orders"] == 0, "every order's end")
                budget = link.health()["budget"]
                assert budget["refused"] == 0
                assert all(row["used"] <= row["capacity"] for row in budget["limits"].values()), budget
                assert sum(budget["waited"].values()) > 0  # or the burst was none
                assert server.limits.refused == 0
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(main())


def test_a_dozen_unknown_orders_at_kraken_are_proven_together():
    """It grants twenty private requests, then one a second. Asked for one by one, the orders kept each other, and the login of the private
    stream, waiting for minutes."""

    async def main() -> None:
        async with venue("KRAKEN", order_rate_per_s=10_000, order_timeout_ms=500) as place:
            server = place.running.servers["KRAKEN"]
            server.enforce()
            heard = Heard(server).requests
            async with market_data(place) as data, account(place) as link:
                before = sum(heard.values())
                taken, lost = [f"c-taken-{n}" for n in range(6)], [f"c-lost-{n}" for n in range(6)]
                server.disturb(FaultOrder(fault=Fault.SILENCE, ms=1000))  # no execution comes by stream
                for cids, fault in ((taken, Fault.HANG_AFTER_ACCEPT), (lost, Fault.HTTP_503)):
                    server.disturb(FaultOrder(fault=fault, count=6, scope="order"))
                    orders = [place.limit(data, cid, "buy", "0.01", 50, "IOC") for cid in cids]
                    answers = await asyncio.gather(*map(link.place, orders))
                    assert [answer.verdict for answer in answers] == [Verdict.UNKNOWN] * 6
                server.disturb(FaultOrder(fault=Fault.DISCONNECT))
                link._exchange.timeout = 10_000
                proofs = await asyncio.gather(*(link.prove(cid, place.symbol) for cid in taken + lost))
                for proof in proofs[:6]:
                    assert proof.order.state is VenueOrderState.FILLED
                    assert sum(fill.quantity for fill in proof.fills) == Decimal("0.01")
                assert [proof.order for proof in proofs[6:]] == [None] * 6
                await eventually(lambda: link.connected, "the private stream")
                assert server.limits.refused == 0
                asked = sum(heard.values()) - before
                assert asked <= 12 + 40, heard  # the orders; a look for each alone would be over a hundred

    asyncio.run(main())


@pytest.mark.parametrize("name", ["BINANCE", "BINANCEUSDM"])
def test_sockets_lost_again_and_again_while_the_budget_is_spent_leave_one_snapshot_waiting(name):
    async def main() -> None:
        async with venue(name, audit_s=0) as place, market_data(place) as link:
            server, seen = place.running.servers[name], set()
            heard = Heard(server).requests
            link._purse.budget.close(2.0)

            def waiting() -> set[asyncio.Task]:
                return {task for task in tasks_of("fetch_order_book_snapshot") if not task.done()}

            for _ in range(5):
                server.disturb(FaultOrder(fault=Fault.DISCONNECT))
                await eventually(lambda seen=seen: waiting() - seen, "a snapshot that is asked for anew")
                seen = seen | waiting()
            # the request, and ccxt's within it; one that was cancelled needs a turn or two of the loop to end
            await eventually(lambda: len(waiting()) <= 2, "one request for a snapshot", 0.5)
            assert len(seen) >= 5
            await eventually(lambda: link.status(place.symbol) is StreamStatus.LIVE, "a live book")
            assert heard[DEPTH[name]] <= 2

    with fast():
        asyncio.run(main())


def tasks_of(name: str) -> list[asyncio.Task]:
    """Tasks of this loop whose coroutine has that name."""
    return [task for task in asyncio.all_tasks() if task.get_coro().__name__ == name]


def test_the_books_of_twenty_perpetuals_are_restored_after_a_disconnect_and_none_is_asked_for_twice():
    """Each snapshot costs twenty of 2,400 a minute. Spaced evenly they take longer than a book's patience, and whoever asks again waits
    behind those that nobody waits for any more: the books never came back."""
    symbols = tuple(f"{base}/USDT:USDT" for base in BASES)

    async def main() -> None:
        running = await start_venues(
            seed=7,
            venues=("BINANCEUSDM",),
            symbols=tuple(pair.partition(":")[0] for pair in symbols),
            speed=0.1,
            limits=True,
        )
        urls, server = running.urls["BINANCEUSDM"], running.servers["BINANCEUSDM"]
        config = ExchangeConfig(
            venue="BINANCEUSDM", exchange="binanceusdm", symbols=symbols, rest_url=urls.rest, ws_url=urls.ws, audit_s=0,
            max_age_ms=60_000,
        )  # fmt: skip
        link = MarketLink(config, Recorder())

        def live() -> bool:
            return {link.status(symbol) for symbol in symbols} == {StreamStatus.LIVE}

        link.start()
        try:
            await eventually(live, "every book", 40)
            heard = Heard(server).requests
            server.disturb(FaultOrder(fault=Fault.DISCONNECT))
            await eventually(lambda: not live(), "the loss")
            await eventually(live, "every book again", 40)
            assert heard[DEPTH["BINANCEUSDM"]] <= 1.5 * len(symbols)
            assert server.limits.refused == 0
        finally:
            await link.stop()
            await running.stop()

    asyncio.run(main())
