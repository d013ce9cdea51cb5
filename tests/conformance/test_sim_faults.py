"""Each fault knob of each loopback exchange, as a raw client sees it: what comes, what does not, and in whose words."""

import asyncio
import contextlib
import time
from datetime import datetime

import aiohttp
import orjson
import pytest

from sim.servers.faults import Fault
from tests.conformance.together import together
from tests.conformance.venue_probe import control, eventually, running

BOOKS = {  # where the public socket is, and what subscribes the book of BTC/USDT there
    "BINANCE": ("/stream/ws", {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1}),
    "BINANCEUSDM": ("/public/ws", {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1}),
    "BYBIT": ("/v5/public/spot", {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}),
    "COINBASE": ("/", {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USDT"]}),
    "KRAKEN": ("/v2", {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USDT"], "depth": 100}}),
    "KRAKENFUTURES": ("/ws/v1", {"event": "subscribe", "feed": "book", "product_ids": ["PF_XBTUSD"]}),
    "OKX": ("/ws/v5/public", {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]}),
}
TIME = {
    "BINANCE": ("/api/v3/time", lambda body: body["serverTime"]),
    "BINANCEUSDM": ("/fapi/v1/time", lambda body: body["serverTime"]),
    "BYBIT": ("/v5/market/time", lambda body: int(body["result"]["timeNano"]) // 1_000_000),
    "COINBASE": ("/api/v3/brokerage/time", lambda body: int(body["epochMillis"])),
    "KRAKEN": ("/0/public/Time", lambda body: 1000 * body["result"]["unixtime"]),
    "KRAKENFUTURES": (
        "/derivatives/api/v3/instruments/status",
        lambda body: datetime.fromisoformat(body["serverTime"]).timestamp() * 1000,
    ),
    "OKX": ("/api/v5/public/time", lambda body: int(body["data"][0]["ts"])),
}
ORDERS = {
    "BINANCE": "/api/v3/order",
    "BINANCEUSDM": "/fapi/v1/order",
    "BYBIT": "/v5/order/create",
    "COINBASE": "/api/v3/brokerage/orders",
    "KRAKEN": "/0/private/AddOrder",
    "KRAKENFUTURES": "/derivatives/api/v3/sendorder",
    "OKX": "/api/v5/trade/order",
}
MARKS = {
    "BINANCE": "depthUpdate",
    "BINANCEUSDM": "depthUpdate",
    "BYBIT": '"delta"',
    "COINBASE": '"l2_data"',
    "KRAKEN": '"update"',
    "KRAKENFUTURES": '"feed":"book",',
    "OKX": '"update"',
}
SYMBOLS = {"BINANCEUSDM": "BTC/USDT:USDT", "KRAKENFUTURES": "BTC/USD:USD"}


class Listener:
    """A socket that is subscribed to a book; `updates`: its changes as they came, `noise`: what is no JSON."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, mark: str) -> None:
        self.socket = socket
        self.frames: list[str] = []
        self.noise: list[str] = []
        self.ended = 0.0
        self._mark = mark
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for raw in self.socket:
            try:
                orjson.loads(raw.data)
                self.frames.append(raw.data)
            except orjson.JSONDecodeError:
                self.noise.append(raw.data)
        self.ended = time.monotonic()

    @property
    def updates(self) -> list[str]:
        return [frame for frame in self.frames if self._mark in frame and "book" + "Ticker" not in frame]

    async def close(self) -> None:
        await self.socket.close()
        await self._task


@contextlib.asynccontextmanager
async def listening(name: str):
    """One exchange whose book flows to a raw socket: (server, REST base, session, listener, disturb)."""
    async with running(name, symbols=(SYMBOLS.get(name, "BTC/USDT"),)) as (venues, session):
        listener = await joined(venues, session, name)
        await eventually(lambda: len(listener.updates) > 2)

        async def disturb(fault: Fault, **more: object) -> None:
            await control(venues, session, name, fault=str(fault), **more)

        yield venues, session, listener, disturb
        await listener.close()


async def joined(venues, session, name) -> Listener:
    path, message = BOOKS[name]
    socket = await session.ws_connect(venues.urls[name].ws + path)
    await socket.send_json(message)
    return Listener(socket, MARKS[name])


async def asked(venues, session, name) -> tuple[int, dict, str]:
    """The venue's time, as any public request is answered: (HTTP status, headers, text)."""
    async with session.get(venues.urls[name].rest + TIME[name][0]) as answer:
        return answer.status, dict(answer.headers), await answer.text()


@together(BOOKS)
async def test_frames_are_dropped_doubled_reordered_cut_and_turned_to_noise(name):
    async with listening(name) as (venues, _, listener, disturb):
        await disturb(Fault.TRUNCATE_FRAME, scope="market")
        await disturb(Fault.GARBAGE_FRAME, scope="market")
        await eventually(lambda: listener.noise)  # the same frame: cut and turned round
        await disturb(Fault.TRUNCATE_FRAME, scope="market")
        await eventually(lambda: len(listener.noise) == 2)

        await disturb(Fault.DUPLICATE_FRAMES, count=2)
        twice = lambda: [a for a, b in zip(listener.frames, listener.frames[1:], strict=False) if a == b]  # noqa: E731
        await eventually(lambda: len(twice()) == 2)

        before = len(listener.updates)
        await disturb(Fault.REORDER_FRAMES)
        await eventually(lambda: len(listener.updates) >= before + 4)
        assert ordinals(name, listener.updates[before:]) != sorted(ordinals(name, listener.updates[before:]))

        await disturb(Fault.DROP_FRAMES, count=3)
        await eventually(lambda: not venues.servers[name].faults.pending())
        held = len(listener.updates)
        await eventually(lambda: len(listener.updates) > held + 1)
        assert len(twice()) == 2


def ordinals(name: str, frames: list[str]) -> list[int | str]:
    """Where each frame stands in its stream, by the venue's own numbers (Kraken has times only)."""
    read = {
        "BINANCE": lambda body: body["u"],
        "BINANCEUSDM": lambda body: body["u"],
        "BYBIT": lambda body: body["data"]["u"],
        "COINBASE": lambda body: body["sequence_num"],
        "KRAKEN": lambda body: body["data"][0]["timestamp"],
        "KRAKENFUTURES": lambda body: body["seq"],
        "OKX": lambda body: body["data"][0]["seqId"],
    }[name]
    return [read(orjson.loads(frame)) for frame in frames]


@together(BOOKS)
async def test_a_half_open_socket_hears_and_says_nothing_while_a_new_one_works(name):
    async with listening(name) as (venues, session, listener, disturb):
        await disturb(Fault.HALF_OPEN)
        heard = len(listener.frames)
        fresh = await joined(venues, session, name)
        await eventually(lambda: len(fresh.updates) > 3)
        assert len(listener.frames) <= heard + 1  # what was on its way
        assert not listener.socket.closed
        await fresh.close()


@together(BOOKS)
async def test_in_a_storm_every_socket_ends_and_after_it_one_lives(name):
    async with listening(name) as (venues, session, listener, disturb):
        await disturb(Fault.DISCONNECT_STORM, ms=400)
        until = time.monotonic() + 0.4
        await eventually(lambda: listener.ended)
        attempts = 0
        while time.monotonic() < until - 0.1:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                victim = await joined(venues, session, name)
                await eventually(lambda: victim.ended)  # noqa: B023
                assert not victim.updates
            attempts += 1
        assert attempts > 1
        await asyncio.sleep(max(0.0, until - time.monotonic()) + 0.05)
        fresh = await joined(venues, session, name)
        await eventually(lambda: fresh.updates)
        await fresh.close()


@together(BOOKS)
async def test_maintenance_ends_sockets_with_a_notice_and_refuses_in_the_venues_words(name):
    notices = {"KRAKEN": '"system":"maintenance"', "OKX": "64008"}
    words = {
        "BINANCE": "System is under maintenance.",
        "BINANCEUSDM": "System is under maintenance.",
        "BYBIT": "503",
        "COINBASE": "upstream connect error",
        "KRAKEN": "EService:Unavailable",
        "KRAKENFUTURES": "503 Service Temporarily Unavailable",
        "OKX": "50001",
    }

    async with listening(name) as (venues, session, listener, disturb):
        await disturb(Fault.MAINTENANCE, ms=1_000)
        await eventually(lambda: listener.ended)
        assert notices.get(name, "") in "".join(listener.frames)
        status, _, text = await asked(venues, session, name)
        assert (status, words[name] in text) == (503, True)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await joined(venues, session, name)
        await eventually(lambda: not venues.servers[name].faults.pending())
        assert (await asked(venues, session, name))[0] == 200
        fresh = await joined(venues, session, name)
        await eventually(lambda: fresh.updates)
        await fresh.close()


@together(BOOKS)
async def test_requests_are_too_many_broken_slow_or_answered_by_a_gateway(name):
    limits = {
        "BINANCE": (429, '"code": -1003', {"Retry-After": "1"}),
        "BINANCEUSDM": (429, '"code": -1003', {"Retry-After": "1"}),
        "BYBIT": (200, '"retCode":10006', {"X-Bapi-Limit-Status": "0"}),
        "COINBASE": (429, "rate_limit_exceeded", {}),
        "KRAKEN": (200, "EAPI:Rate limit exceeded", {}),
        "KRAKENFUTURES": (429, "apiLimitExceeded", {}),
        "OKX": (429, '"code":"50011"', {}),
    }

    async with listening(name) as (venues, session, _, disturb):
        for fault in (Fault.HTTP_429, Fault.HTTP_503, Fault.HTTP_502, Fault.HTTP_502_AFTER):
            await disturb(fault)
        said = [await asked(venues, session, name) for _ in range(5)]
        status, word, headers = limits[name]
        (limited,) = [row for row in said if word in row[2]]
        assert limited[0] == status
        assert headers.items() <= limited[1].items()
        gateway = [row for row in said if "502 Bad Gateway" in row[2]]
        assert [row[0] for row in gateway] == [502, 502]
        assert [row[0] for row in said].count(503) == 1
        assert said[-1][0] == 200
        await disturb(Fault.SLOW_REST, ms=300)
        began = time.monotonic()
        assert (await asked(venues, session, name))[0] == 200
        assert time.monotonic() - began >= 0.3
        await disturb(Fault.RESET_AFTER)
        with pytest.raises(aiohttp.ClientError):
            await session.post(venues.urls[name].rest + ORDERS[name])  # a GET would be asked again by the client itself


@together(BOOKS)
async def test_the_venues_clock_goes_wrong_and_right_again(name):
    async with listening(name) as (venues, session, _, disturb):
        read = TIME[name][1]
        for skew_ms in (-5000, 90_000, 0):
            await disturb(Fault.CLOCK_SKEW, ms=skew_ms)
            told = read(orjson.loads((await asked(venues, session, name))[2]))
            assert abs(told - time.time() * 1000 - skew_ms) < 1_500  # Kraken tells whole seconds


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ({"fault": "nonsense"}, "nonsense"),
        ({"fault": "maintenance"}, "how long"),
        ({"fault": "silence", "ms": -1}, "no time"),
        ({"fault": "reject", "count": 0}, "less than once"),
        ({"fault": "http_429", "scope": "moon"}, "moon"),
        ({"fault": "reject", "venue": "OKX"}, "this is KRAKEN"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_its_reason(order, word):
    async def main() -> None:
        async with (
            running("KRAKEN", symbols=("BTC/USDT",)) as (venues, session),
            session.post(venues.urls["KRAKEN"].rest + "/_control", json=order) as answer,
        ):
            assert answer.status == 400
            assert word in (await answer.json())["error"]

    asyncio.run(main())
