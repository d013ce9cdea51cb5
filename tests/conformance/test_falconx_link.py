"""The FalconX link and stream against the loopback server, over real sockets."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.falconx.codec import StreamRung
from adapters.falconx.link import Execution, FalconXLink, NoQuote, Verdict
from adapters.falconx.stream import FalconXStream
from tests.conformance.falconx_venue import Venue, eventually, venue

BTC = Decimal("0.5")


async def quoted(link: FalconXLink, side: str = "two_way", quantity: Decimal = BTC) -> str:
    return (await link.request_quote("r-1", "BTC/USDT", side, quantity)).quote.fx_quote_id


def executes(live: Venue) -> int:
    return live.server.calls["POST /v1/quotes/execute"]


def test_a_quote_is_executed_once_at_its_price() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config())
            before_ns = time.time_ns()
            held = await link.request_quote("r-1", "BTC/USDT", "two_way", BTC)
            assert held.quote.sell_price < live.mids["BTC/USDT"] < held.quote.buy_price
            assert before_ns < held.valid_until_ns <= held.quote.t_expiry_ns
            assert held.quote.client_order_id == "r-1"
            first = await link.execute(held.quote.fx_quote_id, "buy")
            again = await link.execute(held.quote.fx_quote_id, "buy")
            assert first.verdict is again.verdict is Verdict.FILLED
            assert first.quote == again.quote
            assert first.quote.price_executed == held.quote.buy_price
            assert await link.balances() == {"BTC": BTC, "USDT": -BTC * held.quote.buy_price}
            assert await link.pairs() == {"BTC/USDT", "ETH/USDT"}
            assert link.counters["fills"] == 1
            await link.close()

    asyncio.run(scene())


def test_usd_is_not_dealt_as_usdt() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config())
            with pytest.raises(NoQuote, match="not traded"):
                await link.request_quote("r", "BTC/USD", "buy", BTC)
            await link.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("quantity", "reason"), [("0.0001", "notional"), ("1000", "notional")], ids=["too small", "too large"]
)
def test_sizes_beyond_the_limits_are_not_quoted(quantity: str, reason: str) -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config())
            with pytest.raises(NoQuote, match=reason):
                await link.request_quote("r", "BTC/USDT", "buy", Decimal(quantity))
            await link.close()

    asyncio.run(scene())


def test_a_quote_request_ends_within_its_timeout() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config(timeout_ms=100))
            await live.fault("slow", ms=2_000, path="/v1/quotes")
            started = time.monotonic()
            with pytest.raises(NoQuote, match="no answer within 100 ms"):
                await link.request_quote("r", "BTC/USDT", "buy", BTC)
            assert time.monotonic() - started < 1.0
            await link.close()

    asyncio.run(scene())


def test_prices_as_text_are_the_same_prices() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config())
            await live.fault("prices_as_text", count=2)
            held = await link.request_quote("r", "BTC/USDT", "buy", BTC)
            filled = await link.execute(held.quote.fx_quote_id, "buy")
            assert filled.quote.price_executed == held.quote.buy_price
            await link.close()

    asyncio.run(scene())


def test_a_wrong_secret_touches_nothing() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config(secret="d3Jvbmc="))
            with pytest.raises(NoQuote, match="401 UNAUTHORIZED"):
                await link.request_quote("r", "BTC/USDT", "buy", BTC)
            assert live.server.account.quotes == {}
            await link.close()

    asyncio.run(scene())


def test_a_tampered_body_is_refused() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config())
            headers = link._signer.headers("POST", "/v1/quotes/execute", b"{}", time.time_ns())
            async with aiohttp.ClientSession() as http:
                url = f"{live.rest}/v1/quotes/execute"
                answer = await http.post(url, data=b'{"fx_quote_id":"x","side":"buy"}', headers=headers)
                assert answer.status == 401
                stale = link._signer.headers("GET", "/v1/pairs", b"", time.time_ns() - 120_000_000_000)
                assert (await http.get(f"{live.rest}/v1/pairs", headers=stale)).status == 401

    asyncio.run(scene())


def test_last_look_is_a_refusal_and_is_final() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config())
            await live.fault("reject")
            quote_id = await quoted(link)
            assert (await link.execute(quote_id, "sell")).verdict is Verdict.REFUSED
            assert (await link.prove(quote_id, "sell")).verdict is Verdict.REFUSED
            assert live.server.account.balances == {}
            await link.close()

    asyncio.run(scene())


def test_an_adverse_move_is_refused_by_last_look() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config())
            quote_id = await quoted(link)
            live.mids["BTC/USDT"] = Decimal(60_100)
            refused = await link.execute(quote_id, "buy")
            assert refused.verdict is Verdict.REFUSED
            assert "moved" in refused.reason
            await link.close()

    asyncio.run(scene())


def test_an_expired_quote_does_not_fill() -> None:
    async def scene() -> None:
        async with venue(ttl_ns=1_000_000) as live:
            link = FalconXLink(live.config())
            held = await link.request_quote("r", "BTC/USDT", "buy", BTC)
            await eventually(lambda: time.time_ns() > held.quote.t_expiry_ns, "expiry")
            expired = await link.execute(held.quote.fx_quote_id, "buy")
            assert expired.verdict is Verdict.REFUSED
            assert live.server.account.filled == []
            await link.close()

    asyncio.run(scene())


@pytest.mark.parametrize("fault", ["hang_after_execute", "http_503_after_execute"])
def test_an_execute_whose_answer_is_lost_is_unknown_then_proven_filled_and_never_sent_again(fault: str) -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config(timeout_ms=100))
            quote_id = await quoted(link)
            await live.fault(fault)
            lost = await link.execute(quote_id, "buy")
            assert lost.verdict is Verdict.UNKNOWN
            await live.fault("http_503", count=2)  # the first questions fail as well
            proven = await link.prove(quote_id, "buy")
            assert proven.verdict is Verdict.FILLED
            assert proven.quote.side_executed == "buy"
            assert len(live.server.account.filled) == 1
            assert executes(live) == 1
            await link.close()

    asyncio.run(scene())


def test_an_execute_that_never_arrived_is_proven_unfilled_only_after_the_quote_expired_and_time_has_passed() -> None:
    async def scene() -> None:
        async with venue(ttl_ns=200_000_000) as live:
            link = FalconXLink(live.config(timeout_ms=100, prove_ms=300))
            quote_id = await quoted(link)
            await live.fault("hang_before_execute")
            assert (await link.execute(quote_id, "buy")).verdict is Verdict.UNKNOWN
            expiry_ns = link.quotes[quote_id].quote.t_expiry_ns
            proven = await link.prove(quote_id, "buy")
            assert proven.verdict is Verdict.NOT_FILLED
            assert time.time_ns() >= expiry_ns + 300_000_000
            assert executes(live) == 1
            await link.close()

    asyncio.run(scene())


def test_an_http_503_before_execution_is_unknown_not_refused() -> None:
    async def scene() -> Execution:
        async with venue() as live:
            link = FalconXLink(live.config())
            quote_id = await quoted(link)
            await live.fault("http_503", path="/v1/quotes/execute")
            result = await link.execute(quote_id, "buy")
            await link.close()
            return result

    assert asyncio.run(scene()).verdict is Verdict.UNKNOWN


def test_a_quote_the_venue_never_had_is_not_found_only_after_repeated_questions() -> None:
    async def scene() -> None:
        async with venue() as live:
            link = FalconXLink(live.config(prove_ms=250))
            started = time.monotonic()
            assert (await link.prove("f" * 32, "buy")).verdict is Verdict.NOT_FOUND
            assert time.monotonic() - started >= 0.25
            assert live.server.calls["GET /v1/quotes/{id}"] >= 3
            await link.close()

    asyncio.run(scene())


def test_a_venue_that_is_away_is_not_sent_and_an_outcome_stays_unknown() -> None:
    async def scene() -> None:
        async with venue() as live:
            config = live.config(give_up_ms=200)
        link = FalconXLink(config)
        with pytest.raises(NoQuote, match="cannot connect"):
            await link.request_quote("r", "BTC/USDT", "buy", BTC)
        assert (await link.execute("f" * 32, "buy")).verdict is Verdict.NOT_SENT
        assert (await link.prove("f" * 32, "buy")).verdict is Verdict.UNKNOWN
        await link.close()

    asyncio.run(scene())


def test_fills_and_balances_survive_a_restart_of_the_venue(tmp_path: Path) -> None:
    async def scene() -> None:
        async with venue(tmp_path) as live:
            link = FalconXLink(live.config())
            quote_id = await quoted(link)
            filled = await link.execute(quote_id, "sell")
            held = await link.balances()
            await link.close()
        with (tmp_path / "falconx.jsonl").open("ab") as journal:
            journal.write(b'{"kind":"fill","quote":{"fx_quo')  # killed in the middle of a line
        async with venue(tmp_path) as live:
            link = FalconXLink(live.config())
            assert (await link.prove(quote_id, "sell")).quote == filled.quote
            assert (await link.execute(quote_id, "sell")).quote == filled.quote
            assert await link.balances() == held
            await link.close()

    asyncio.run(scene())


class Ladders:
    """What the stream said last, per symbol, and every word of it."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[StreamRung, ...]] = {}
        self.reasons: list[str] = []

    def __call__(self, symbol: str, rungs: tuple[StreamRung, ...], reason: str) -> None:
        self.last[symbol] = rungs
        if reason:
            self.reasons.append(reason)

    def up(self, *symbols: str) -> bool:
        return all(self.last.get(symbol) for symbol in symbols)


def test_the_stream_brings_ladders_sorted_by_size() -> None:
    async def scene() -> None:
        async with venue() as live:
            ladders = Ladders()
            stream = FalconXStream(live.config(levels={"BTC/USDT": (Decimal(2), Decimal("0.1"))}), ladders)
            stream.start()
            await eventually(lambda: ladders.up("BTC/USDT", "ETH/USDT"), "two ladders")
            rungs = ladders.last["BTC/USDT"]
            assert [rung.quantity for rung in rungs] == [Decimal("0.1"), Decimal(2)]
            assert all(rung.bid < rung.ask for rung in rungs)
            assert rungs[1].ask > rungs[0].ask
            await stream.stop()
            assert not ladders.up("BTC/USDT")
            assert not ladders.up("ETH/USDT")

    asyncio.run(scene())


def test_a_silent_market_is_taken_down_in_time_and_comes_back() -> None:
    async def scene() -> None:
        async with venue() as live:
            ladders = Ladders()
            stream = FalconXStream(live.config(stale_ms=150), ladders)
            stream.start()
            await eventually(lambda: ladders.up("BTC/USDT", "ETH/USDT"), "two ladders")
            live.mids["BTC/USDT"] = None
            await eventually(lambda: not ladders.up("BTC/USDT"), "BTC down", within_s=1.0)
            assert ladders.up("ETH/USDT")
            live.mids["BTC/USDT"] = Decimal(61_000)
            await eventually(lambda: ladders.up("BTC/USDT"), "BTC up again")
            await stream.stop()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("fault", "knobs"),
    [("disconnect", {"count": 2}), ("silence", {"ms": 1_500}), ("garbage_frame", {"count": 1})],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_broken_stream_takes_the_ladders_down_at_once_and_recovers(fault: str, knobs: dict[str, Any]) -> None:
    async def scene() -> None:
        async with venue() as live:
            ladders = Ladders()
            stream = FalconXStream(live.config(), ladders)
            stream.start()
            await eventually(lambda: ladders.up("BTC/USDT", "ETH/USDT"), "two ladders")
            ladders.reasons.clear()
            await live.fault(fault, **knobs)
            await eventually(lambda: len(ladders.reasons) >= 1, "a ladder down", within_s=1.0)
            await eventually(lambda: ladders.up("BTC/USDT", "ETH/USDT"), "both up again")
            await stream.stop()

    asyncio.run(scene())


def test_a_refused_login_keeps_the_ladders_down_and_says_why() -> None:
    async def scene() -> None:
        async with venue() as live:
            ladders = Ladders()
            stream = FalconXStream(live.config(passphrase="wrong"), ladders)
            stream.start()
            await eventually(lambda: stream.counters["losses"] >= 2, "two refused logins")
            assert "UNAUTHORIZED" in stream.reason
            assert not ladders.last
            await stream.stop()

    asyncio.run(scene())
