"""The loopback Binance USD-M over raw sockets: its words are the recorded ones, its numbers add up, its refusals are the venue's codes."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import time
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import pytest

from sim.servers.funding import INTEREST
from sim.servers.venues import Venues, start_venues
from tests.conformance.venue_probe import eventually, running
from tests.recorded_data import DATA

NAME, SYMBOL = "BINANCEUSDM", "BTC/USDT:USDT"
FUTURES = DATA / "venues" / "binance" / "futures"
AT_MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5"}


async def ask(
    venues: Venues,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    *,
    signed: bool = True,
    secret: str = "",
    **params,
) -> tuple[int, Any]:
    """(HTTP status, body) of a request; `signed` False: by the API key alone."""
    key, query = venues.credentials[NAME], urlencode(params)
    if signed:
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
        query += f"&signature={hmac.new((secret or key.secret).encode(), query.encode(), hashlib.sha256).hexdigest()}"
    url = f"{venues.urls[NAME].rest}/fapi/{path}?{query}"
    async with session.request(method, url, headers={"X-MBX-APIKEY": key.key}) as answer:
        return answer.status, orjson.loads(await answer.read())


class Listener:
    """A socket's frames, by event."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: dict[str, list[dict]] = {}

    async def __aenter__(self) -> Listener:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await self.socket.close()

    async def _read(self) -> None:
        async for raw in self.socket:
            frame = json.loads(raw.data)
            if isinstance(frame, list):
                frame = {"e": f"{frame[0]['e']}@arr", "rows": frame}
            self.seen.setdefault(frame.get("e", "answer"), []).append(frame)

    async def has(self, event: str, count: int = 1) -> list[dict]:
        await eventually(lambda: len(self.seen.get(event, ())) >= count)
        return self.seen[event]


async def market(venues: Venues, session: aiohttp.ClientSession, *streams: str, category: str = "public") -> Listener:
    socket = await session.ws_connect(f"{venues.urls[NAME].ws}/{category}/ws/0")
    await socket.send_json({"method": "SUBSCRIBE", "params": list(streams), "id": 1})
    return Listener(socket)


async def user(venues: Venues, session: aiohttp.ClientSession) -> Listener:
    _, body = await ask(venues, session, "POST", "v1/listenKey", signed=False)
    return Listener(await session.ws_connect(f"{venues.urls[NAME].ws}/private/ws?listenKey={body['listenKey']}"))


def in_loop(body) -> None:
    async def main() -> None:
        async with running(NAME, symbols=("BTC/USDT", "ETH/USDT")) as (venues, session):
            await body(venues, session)

    asyncio.run(main())


def words(kind: str, name: str) -> Any:
    """A recorded example."""
    path = FUTURES / kind / f"{name}.json"
    if not path.exists():
        pytest.skip("the recorded frames are not here")
    return json.loads(path.read_text())


def test_the_words_of_market_streams_are_the_recorded_ones() -> None:
    async def body(venues: Venues, session: aiohttp.ClientSession) -> None:
        public = await market(venues, session, "btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade")
        streams = ("btcusdt@markPrice@1s", "btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@ticker")
        other = await market(venues, session, *streams, category="market")
        newer = {"st", "ps"}  # fields that are in examples of one kind and not of another
        async with public, other:
            for listener, event, name in (
                (public, "depthUpdate", "depth_update_stream"),
                (public, "bookTicker", "book_ticker_stream"),
                (public, "trade", "trade_stream"),
                (other, "markPriceUpdate", "mark_price_stream"),
                (other, "aggTrade", "agg_trade_stream"),
                (other, "kline", "kline_stream_open"),
            ):
                frame, example = (await listener.has(event))[0], words("market_data_json", name)
                assert set(frame) >= set(example) - newer, event
                for key in set(example) - newer:
                    assert type(frame[key]) is type(example[key]), (event, key)
            assert set((await other.has("kline"))[0]["k"]) == set(words("market_data_json", "kline_stream_open")["k"])

    in_loop(body)


def test_depth_is_joined_by_pu_and_the_snapshot_by_its_last_id() -> None:
    async def body(venues: Venues, session: aiohttp.ClientSession) -> None:
        async with await market(venues, session, "btcusdt@depth") as listener:
            await listener.has("depthUpdate", 3)
            _, snapshot = await ask(venues, session, "GET", "v1/depth", signed=False, symbol="BTCUSDT", limit=1000)
            frames = await listener.has("depthUpdate", 12)
            for before, after in pairwise(frames):
                assert after["pu"] == before["u"] < after["U"] <= after["u"]
            ends = {frame["u"] for frame in frames}
            assert snapshot["lastUpdateId"] in ends
            assert len(snapshot["bids"]) > 50
            status, refused = await ask(venues, session, "GET", "v1/depth", signed=False, symbol="BTCUSDT", limit=7)
            assert (status, refused["code"]) == (400, -4021)

    in_loop(body)


def test_the_words_of_the_user_stream_are_the_recorded_ones_and_the_numbers_add_up() -> None:
    async def body(venues: Venues, session: aiohttp.ClientSession) -> None:
        async with await user(venues, session) as listener:
            _, answer = await ask(venues, session, "POST", "v1/order", **AT_MARKET, newClientOrderId="mine-1")
            assert set(answer) >= set(words("http_json", "order_response"))
            await eventually(
                lambda: any(one["o"]["X"] == "FILLED" for one in listener.seen.get("ORDER_TRADE_UPDATE", ()))
            )
            rows = [one["o"] for one in listener.seen["ORDER_TRADE_UPDATE"]]
            assert set(rows[0]) >= set(words("user_data_json", "order_update_trade")["o"]) - {"AP", "cr"}
            assert [row["x"] for row in rows][:1] == ["NEW"]
            filled = sum((Decimal(row["l"]) for row in rows), Decimal(0))
            assert filled == Decimal(answer["executedQty"]) == Decimal("0.5")
            update = listener.seen["ACCOUNT_UPDATE"][-1]
            example = words("user_data_json", "account_update")["a"]
            assert set(update["a"]["B"][0]) == set(example["B"][0])
            assert set(update["a"]["P"][0]) >= set(example["P"][0])
            assert Decimal(update["a"]["P"][0]["pa"]) == filled
            _, (risk,) = await ask(venues, session, "GET", "v3/positionRisk")
            _, all_of_v2 = await ask(venues, session, "GET", "v2/positionRisk")
            assert set(all_of_v2[0]) == set(words("http_json", "position_risk")[0])
            assert len(all_of_v2) == 2
            assert Decimal(risk["notional"]) == Decimal("0.5") * Decimal(risk["markPrice"])
            _, account = await ask(venues, session, "GET", "v3/account")
            example = words("http_json", "account_info_v2")
            assert set(account["assets"][0]) >= set(example["assets"][0]) - {"marginAvailable"}
            (wallet,) = account["assets"]
            gained = Decimal(wallet["unrealizedProfit"])
            assert Decimal(wallet["marginBalance"]) == Decimal(wallet["walletBalance"]) + gained
            _, trades = await ask(venues, session, "GET", "v1/userTrades", symbol="BTCUSDT", orderId=answer["orderId"])
            fees = sum((Decimal(row["commission"]) for row in trades), Decimal(0))
            assert Decimal(wallet["walletBalance"]) == 25_000_000 - fees
            _, income = await ask(venues, session, "GET", "v1/income", incomeType="COMMISSION")
            assert sum((Decimal(row["income"]) for row in income), Decimal(0)) == -fees

    in_loop(body)


def test_refusals_have_the_venues_codes() -> None:
    async def body(venues: Venues, session: aiohttp.ClientSession) -> None:
        limit = AT_MARKET | {"type": "LIMIT", "timeInForce": "GTC", "price": "50000.0"}
        for terms, code in (
            (AT_MARKET | {"symbol": "DOGEUSDT"}, -1121),
            (AT_MARKET | {"side": "HOLD"}, -1117),
            (AT_MARKET | {"type": "STOP_MARKET"}, -1116),
            (AT_MARKET | {"quantity": ""}, -1102),
            (AT_MARKET | {"quantity": "0.0001"}, -1111),
            (AT_MARKET | {"quantity": "lots"}, -1100),
            (AT_MARKET | {"quantity": "0.001"}, -4164),
            (AT_MARKET | {"reduceOnly": "true"}, -2022),
            (AT_MARKET | {"positionSide": "LONG"}, -4061),
            (AT_MARKET | {"newClientOrderId": "autoclose-1"}, -4015),
            (limit | {"price": "50000.05"}, -4014),
            (limit | {"timeInForce": "DAY"}, -1115),
            (limit | {"timeInForce": "FOK"}, -5021),
            (limit | {"timeInForce": "GTX", "price": "70000"}, -5022),
            (limit | {"quantity": "1000"}, -2019),
            (limit | {"quantity": "3000"}, -2027),
        ):
            if code == -2019:
                venues.servers[NAME].core.balances["USDT"] = Decimal(1_000_000)
            status, answer = await ask(venues, session, "POST", "v1/order", **terms)
            assert (status, answer.get("code")) == (400, code), (terms, answer)
        for code, method, path, terms in (
            (-2013, "GET", "v1/order", {"symbol": "BTCUSDT", "orderId": 1}),
            (-2011, "DELETE", "v1/order", {"symbol": "BTCUSDT", "origClientOrderId": "never"}),
            (-4046, "POST", "v1/marginType", {"symbol": "BTCUSDT", "marginType": "CROSSED"}),
            (-4059, "POST", "v1/positionSide/dual", {"dualSidePosition": "false"}),
            (-4028, "POST", "v1/leverage", {"symbol": "BTCUSDT", "leverage": "much"}),
        ):
            _, answer = await ask(venues, session, method, path, **terms)
            assert answer["code"] == code, (path, answer)
        status, answer = await ask(venues, session, "GET", "v3/account", secret="another")
        assert (status, answer["code"]) == (400, -1022)
        assert not venues.servers[NAME].core.orders

    in_loop(body)


def test_listen_keys_belong_to_the_key_and_a_socket_without_one_is_closed() -> None:
    async def body(venues: Venues, session: aiohttp.ClientSession) -> None:
        status, answer = await ask(venues, session, "PUT", "v1/listenKey", signed=False)
        assert (status, answer["code"]) == (400, -1125)
        _, first = await ask(venues, session, "POST", "v1/listenKey", signed=False)
        _, again = await ask(venues, session, "POST", "v1/listenKey", signed=False)
        assert first == again
        socket = await session.ws_connect(f"{venues.urls[NAME].ws}/private/ws?listenKey=wrong")
        assert (await socket.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSE
        async with session.post(f"{venues.urls[NAME].rest}/fapi/v1/listenKey") as answer:
            assert (await answer.json())["code"] == -2014

    in_loop(body)


def test_funding_is_settled_listed_and_paid_and_liquidations_are_published() -> None:
    async def body(venues: Venues, session: aiohttp.ClientSession) -> None:
        server = venues.servers[NAME]
        async with (
            await user(venues, session) as listener,
            await market(venues, session, "!forceOrder@arr", "!markPrice@arr@1s", category="market") as closings,
        ):
            await ask(venues, session, "POST", "v1/order", **AT_MARKET)
            server.second()
            server.fundings[SYMBOL].next_ns = time.time_ns()
            server.second()
            paid = [one for one in await listener.has("ACCOUNT_UPDATE", 2) if one["a"]["m"] == "FUNDING_FEE"]
            assert paid[0]["a"]["P"] == []  # of a crossed position only the balance is told
            _, (row,) = await ask(venues, session, "GET", "v1/income", incomeType="FUNDING_FEE", startTime=0)
            assert Decimal(row["income"]) == Decimal(paid[0]["a"]["B"][0]["bc"]) == server.core.payments[0].amount
            _, (rate,) = await ask(venues, session, "GET", "v1/fundingRate", signed=False, symbol="BTCUSDT")
            assert Decimal(rate["fundingRate"]) == server.core.payments[0].rate
            _, index = await ask(venues, session, "GET", "v1/premiumIndex", signed=False, symbol="BTCUSDT")
            assert index["nextFundingTime"] % (8 * 3_600_000) == 0
            server.core.balances["USDT"] = Decimal(1_000)
            server.pinned[SYMBOL] = Decimal(server.core.holding(SYMBOL).entry - 1_740).quantize(Decimal("0.1"))
            server.second()
            assert [row["s"] for row in (await closings.has("markPriceUpdate@arr"))[0]["rows"]] == [
                "BTCUSDT",
                "ETHUSDT",
            ]
            (call,) = await listener.has("MARGIN_CALL")
            assert (call["p"][0]["s"], call["p"][0]["mt"]) == ("BTCUSDT", "CROSSED")
            server.pinned[SYMBOL] -= 250
            server.second()
            frame = (await closings.has("forceOrder"))[0]
            example = words("market_data_json", "liquidation_stream")
            assert set(frame["o"]) == set(example["o"])
            rows = [one["o"] for one in listener.seen["ORDER_TRADE_UPDATE"] if one["o"]["c"].startswith("autoclose-")]
            assert {row["x"] for row in rows} == {"NEW", "CALCULATED"}
            assert sum((Decimal(row["l"]) for row in rows), Decimal(0)) == Decimal(frame["o"]["z"]) == Decimal("0.5")
            _, forced = await ask(venues, session, "GET", "v1/forceOrders")
            assert [row["clientOrderId"] for row in forced] == [rows[0]["c"]]

    in_loop(body)


def test_positions_wallet_and_payments_survive_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(NAME, symbols=("BTC/USDT",), state=tmp_path) as (venues, session):
            await ask(venues, session, "POST", "v1/order", **AT_MARKET)
            core = venues.servers[NAME].core
            core.pay_funding({SYMBOL: (Decimal("0.0001"), Decimal(60_000))})
            _, before = await ask(venues, session, "GET", "v3/balance")
            held, wallet = core.holding(SYMBOL), core.balances["USDT"]
        async with running(NAME, symbols=("BTC/USDT",), state=tmp_path) as (venues, session):
            core = venues.servers[NAME].core
            assert (core.holding(SYMBOL), core.balances["USDT"]) == (held, wallet)
            _, after = await ask(venues, session, "GET", "v3/balance")
            assert after[0]["balance"] == before[0]["balance"]
            _, (row,) = await ask(venues, session, "GET", "v1/income", incomeType="FUNDING_FEE")
            assert Decimal(row["income"]) == Decimal(-3)

    asyncio.run(main())


def beginning(folder: Path, name: str, lines: int = 4_000) -> None:
    """The first lines of a recorded tape, in a folder of their own: the rest would only be scanned."""
    tape = DATA / "tapes" / f"{name}_btcusdt_20240808.gz"
    if not tape.exists():
        pytest.skip(f"no recorded data at {tape.parent}")
    with gzip.open(tape, "rb") as file:
        (folder / f"{name}.txt").write_bytes(b"".join(islice(file, lines)))


def test_the_recorded_usdm_tape_is_the_market_and_the_spot_tape_its_index(tmp_path: Path) -> None:
    beginning(tmp_path, "spot")
    beginning(tmp_path, "usdm")

    async def main() -> None:
        said: list[str] = []
        venues = await start_venues(tape=tmp_path, symbols=(SYMBOL,), venues=("BINANCE", NAME), seed=7, say=said.append)
        try:
            assert venues.listed == {"BINANCE": ("BTC/USDT",), NAME: (SYMBOL,)}
            assert f"{NAME} BTC/USDT: from usdm.txt" in said
            perpetual, spot = venues.servers[NAME].core, venues.servers["BINANCE"].core
            await eventually(lambda: perpetual.mid(SYMBOL) is not None and spot.mid("BTC/USDT") is not None)
            basis = perpetual.mid(SYMBOL) - spot.mid("BTC/USDT")
            assert -60 < basis < 0  # as recorded: the perpetual was about 23 below the spot market
            server = venues.servers[NAME]
            server.second()
            assert server.index_of(SYMBOL) == spot.mid("BTC/USDT")
            assert server.fundings[SYMBOL].rate == INTEREST  # so small a discount is within what the formula damps
        finally:
            await venues.stop()

    asyncio.run(main())


def test_ccxt_with_a_key_and_no_options_loads_the_markets():
    """It asks the spot side for coins and margin pairs first, and gives up where there is none."""
    import ccxt.pro

    from adapters.ccxt.symbols import rewrite_hosts

    async def main() -> None:
        venues = await start_venues(venues=(NAME,), symbols=("BTC/USDT",))
        urls, key = venues.urls[NAME], venues.credentials[NAME]
        exchange = ccxt.pro.binanceusdm({"apiKey": key.key, "secret": key.secret})
        exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], urls.rest, urls.ws)
        exchange.timeout_on_exit = 0
        try:
            assert list(await exchange.load_markets()) == [SYMBOL]
        finally:
            await exchange.close()
            await venues.stop()

    asyncio.run(main())
