"""All 25 watch channels at every exchange there is a loopback of, on one running desk with accounts at all of them.

Seven venues take a quarter of a minute to start: only with KERB_LONG_TESTS=1. The same of two venues is a check of `stream_checks`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest

from tests.e2e.outside_client import Outsider
from tests.e2e.paper_rig import environment, make_key
from tests.e2e.watched import WATCH_CHANNELS, symbols_in

pytestmark = pytest.mark.skipif(not os.environ.get("KERB_LONG_TESTS"), reason="seven venues: KERB_LONG_TESTS=1")

SPOT = "BTC/USDT"
PERPETUALS = {"BINANCEUSDM": "BTC/USDT:USDT", "KRAKENFUTURES": "BTC/USD:USD"}
VENUES = ("BINANCE", "BINANCEUSDM", "BYBIT", "COINBASE", "KRAKEN", "KRAKENFUTURES", "OKX")
OF_CONTRACTS = {name for name in WATCH_CHANNELS if "funding" in name or "liquidation" in name or "position" in name}
START_S = 120.0
BAND = '[risk]\nmax_position = { BTC = "100" }\n[hedging.bands.BTC]\nsoft = "0.2"\nhard = "100"\n'


def traded(venue: str) -> str:
    """What is watched there."""
    return PERPETUALS.get(venue, SPOT)


class Desk:
    """The venues and the desk. `at`: the venues' URLs and keys."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "sim.servers", "--seed", "7", "--symbols", SPOT, "--venues", ",".join(VENUES)]
        self.venues = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.venues.stdout is not None
        self.at: dict[str, Any] = json.loads(self.venues.stdout.readline())
        config, log = state.parent / "desk.toml", state.parent / "desk.log"
        config.write_text(self._config(state))
        secrets = {}
        for venue in VENUES:
            key = self.at["credentials"][venue]
            secrets |= {f"{venue}_API_KEY": key["key"], f"{venue}_API_SECRET": key["secret"]}
            secrets |= {f"{venue}_PASSPHRASE": key["passphrase"]} if key.get("passphrase") else {}
        with log.open("w") as out:
            self.desk = subprocess.Popen(
                [sys.executable, "-m", "desk.cli", "run", "--config", str(config), "--live"],
                stdout=out,
                stderr=out,
                env={**environment(), **secrets},
            )
        until = time.monotonic() + START_S
        while "desk up on " not in (said := log.read_text()):
            assert self.desk.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.1)
        self.url = said.split("desk up on ")[1].split()[0]
        self.operator = Outsider(self.url, *make_key(state, "boss", "operate,read,quote,trade"))

    def _config(self, state: Path) -> str:
        sections = [
            f'[[venues]]\nvenue = "{venue}"\nexchange = "{venue.lower()}"\ntaker_fee_bps = "5"\n'
            + f'symbols = ["{traded(venue)}"]\n'
            f'rest_url = "{self.at[venue]["rest"]}"\nws_url = "{self.at[venue]["ws"]}"\n'
            for venue in VENUES
        ]
        head = f'mode = "live"\nstate_dir = "{state}"\n[api]\nport = 0\n[[instruments]]\nsymbol = "{SPOT}"\n'
        contracts = "".join(f'[[contracts]]\nsymbol = "{symbol}"\n' for symbol in PERPETUALS.values())
        return f'{head}price_tick = "0.01"\nmax_quantity = "20"\n{BAND}{contracts}' + "".join(sections)

    def stop(self) -> None:
        """End both."""
        for process in (self.desk, self.venues):
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    state = tmp_path_factory.mktemp("served") / "state"
    state.mkdir()
    running = Desk(state)
    yield running
    running.stop()


async def ready(served: Desk) -> dict[str, dict[str, str]]:
    """The matrix, once every venue's books and accounts are there."""
    async with asyncio.timeout(START_S):
        while True:
            matrix = (await asyncio.to_thread(served.operator.get, "/v1/capabilities")).body["venues"]
            if set(matrix) == set(VENUES):
                return dict(matrix)
            await asyncio.sleep(0.2)


def test_every_channel_gives_data_or_a_typed_refusal_with_its_mode(served: Desk) -> None:
    async def go() -> None:
        matrix = await ready(served)
        assert {venue: len(modes) for venue, modes in matrix.items()} == dict.fromkeys(VENUES, 25)
        for venue in VENUES:
            symbol = traded(venue)
            async with served.operator.socket() as ws:
                for channel in WATCH_CHANNELS:
                    where = {"venue": venue, "symbol": symbol}
                    answer = await ws.ask("subscribe", channel=channel, params=where)
                    mode = matrix[venue][channel]
                    assert answer["mode"] == mode, (venue, channel, answer)
                    if mode == "unsupported":
                        assert (answer["ok"], answer["error"]["code"]) == (False, "unsupported")
                        continue
                    assert answer["ok"] is True
                    frames = await ws.at_least(answer["sub"], 1, within_s=30)
                    told = set().union(*(symbols_in(channel, frame["data"]) for frame in frames))
                    assert told <= {symbol}, (venue, channel, told)
                    other = SPOT if symbol in PERPETUALS.values() else PERPETUALS["BINANCEUSDM"]
                    wrong = await ws.ask("subscribe", channel=channel, params={"venue": venue, "symbol": other})
                    assert wrong["error"]["code"] == "unknown_instrument", (venue, channel, wrong)
            unsupported = {channel for channel, mode in matrix[venue].items() if mode == "unsupported"}
            assert unsupported == (set() if venue in PERPETUALS else OF_CONTRACTS)

    asyncio.run(go())


def test_what_the_desk_trades_is_told_in_ccxts_words(served: Desk) -> None:
    """A hedge over several venues: each order and execution with the venue's own ids, by every way the venues tell of them."""
    oracle = ccxt.Exchange()

    async def go() -> None:
        await ready(served)
        spot = [venue for venue in VENUES if venue not in PERPETUALS]
        async with served.operator.socket() as ws, asyncio.timeout(90):
            subs = {
                (venue, channel): await ws.subscribe(channel, venue=venue, symbol=SPOT)
                for venue in spot
                for channel in ("watch_orders", "watch_my_trades")
            }
            for side in ("buy", "sell", "buy", "sell"):  # each more than one or two venues show at their best
                quotes = (await asyncio.to_thread(served.operator.ask, side, "20")).body["quotes"]
                assert (await asyncio.to_thread(served.operator.accept, quotes[0]["quote_id"])).status == 200

            def told(venue: str, channel: str) -> list[dict[str, Any]]:
                return [row for frame in ws.frames[subs[venue, channel]] for row in frame["data"]]

            await ws.read(lambda: sum(bool(told(venue, "watch_my_trades")) for venue in spot) >= 3, 60)
            await asyncio.sleep(1)
            await ws.ask("ping")
        for venue in spot:
            orders = {row["id"]: row for row in told(venue, "watch_orders") if row["id"]}
            for trade in told(venue, "watch_my_trades"):
                assert set(trade) >= set(oracle.safe_trade({}))
                order = orders[trade["order"]]
                assert set(order) >= set(oracle.safe_order({}))
                assert (trade["clientOrderId"], trade["side"]) == (order["clientOrderId"], order["side"])
                assert (trade["symbol"], trade["info"]["venue"], trade["takerOrMaker"]) == (SPOT, venue, "taker")
                assert Decimal(trade["cost"]) == Decimal(trade["price"]) * Decimal(trade["amount"])

    asyncio.run(go())


def test_modes_differ_where_the_venues_do(served: Desk) -> None:
    matrix = asyncio.run(ready(served))
    tops = {venue: modes["watch_bids_asks"] for venue, modes in matrix.items()}
    assert {venue for venue, mode in tops.items() if mode == "derived"} == {"COINBASE", "KRAKENFUTURES"}
    balances = {venue: modes["watch_balance"] for venue, modes in matrix.items()}
    assert {venue for venue, mode in balances.items() if mode == "polled"} == {"COINBASE", "KRAKEN", *PERPETUALS}
    assert matrix["COINBASE"]["watch_my_trades"] == "polled"


def test_the_capabilities_tell_what_of_the_rate_limits_is_used(served: Desk) -> None:
    limits = served.operator.get("/v1/capabilities").body["rate_limits"]
    assert set(VENUES) - {"COINBASE"} <= set(limits)
    weight = limits["BINANCE"]["limits"]["weight 1m"]
    assert weight["capacity"] == 6_000
    assert 0 < weight["used"] < 6_000
    assert weight["used"] + weight["left"] == pytest.approx(6_000)
    assert all(one["refused"] == 0 for one in limits.values())


def test_many_subscribers_are_one_stream_at_the_venue(served: Desk) -> None:
    async def upstream() -> dict[str, tuple[int, int]]:
        found = {}
        async with aiohttp.ClientSession() as session:
            for venue in VENUES:
                async with session.get(f"{served.at[venue]['rest']}/_control") as answer:
                    told = await answer.json()
                    found[venue] = (told["peers"], told["subscriptions"])
        return found

    async def go() -> None:
        await ready(served)
        before = await upstream()
        assert all(peers >= 1 and subscriptions >= 3 for peers, subscriptions in before.values())
        sockets = 5
        async with asyncio.timeout(60):
            for _ in range(sockets):
                async with served.operator.socket() as ws:
                    for venue in VENUES:
                        where = {"venue": venue, "symbol": traded(venue)}
                        for channel in ("watch_order_book", "watch_trades", "watch_bids_asks", "watch_ticker"):
                            sub = await ws.subscribe(channel, **where)
                            await ws.at_least(sub, 1)
                    assert await upstream() == before
        assert await upstream() == before

    asyncio.run(go())
