"""Every venue's pages over its loopback market: whatever span is asked for, each row of it once, and no part called whole that is not."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ccxt.hook import BadFrame
from adapters.ccxt.past.history import readable
from adapters.ccxt.past.told import TIMEFRAMES, Candle, HistoryRefused, Page, PastTrade, Span
from adapters.ccxt.venues.coinbase.past import CoinbasePages
from adapters.ccxt.venues.kraken.past import KrakenPages
from adapters.ccxt.venues.registry import VENUES as RULES
from sim.instruments import BINANCE, DERIVED, VenueInstrument, binance_instrument
from sim.servers import history
from sim.servers.past import BURST, BURST_AT, MINUTE_MS, Past, Prints

NOW_MS = 1_700_000_000_000 // 86_400_000 * 86_400_000 + 13 * 3_600_000 + 12_345
MARKETS = ("BINANCE", "KRAKEN", "KRAKENFUTURES", "OKX", "BYBIT", "COINBASE")
WITH_TRADES = ("BINANCE", "KRAKEN", "KRAKENFUTURES", "OKX", "COINBASE")
MARKET = {"id": "X", "spot": True, "linear": False}


def instrument(venue: str) -> VenueInstrument:
    binance = binance_instrument("BTC/USDT")
    return binance if venue == BINANCE else DERIVED[venue]("BTC/USDT", binance)


class Model:
    """A venue's answers without a wire; `most` cuts its pages shorter than it says. Of Binance's aggregates: `latest` answers the end of a
    window, `kept` is the number of the oldest that is told, `since` the first that there is.
    """

    def __init__(self, venue: str, *, most: int = 10**9, latest: bool = False, kept: int = 0, since: int = 0) -> None:
        self.one = instrument(venue)
        self.past = Past(self.one, NOW_MS)
        self.requests = 0
        self._most = most
        self._latest = latest
        self._kept = kept
        self._since = since

    async def __call__(self, method: str, query: dict[str, Any]) -> Any:
        self.requests += 1
        past, one, texts = self.past, self.one, {name: str(value) for name, value in query.items()}
        match method.rpartition("_get_")[2]:
            case "klines":
                return history.binance_klines(past, one, texts, NOW_MS)[: self._most]
            case "aggtrades":
                return self._aggregates(texts)
            case "ohlc":
                return {"result": history.kraken_candles(past, one, texts, NOW_MS)}
            case "trades":
                return {"result": history.kraken_trades(past, one, texts)}
            case "market_history_candles":
                return {"data": history.okx_candles(past, one, texts, NOW_MS)[: self._most]}
            case "market_history_trades":
                rows = history.okx_trades(past, one, texts, NOW_MS)[: self._most]
                return {"data": [row for row in rows if int(row["tradeId"]) >= self._kept]}
            case "v5_market_kline":
                return {"result": {"list": history.bybit_klines(past, one, texts, NOW_MS)[: self._most]}}
            case "price_type_symbol_interval":
                return self._charts(texts)
            case "market_symbol_executions":
                return self._executions(texts)
            case "brokerage_market_products_product_id_candles":
                return {"candles": history.coinbase_candles(past, one, texts, NOW_MS)[: self._most]}
            case "brokerage_market_products_product_id_ticker":
                rows = history.coinbase_trades(past, one, texts)[: self._most]
                return {"trades": [row for row in rows if int(row["trade_id"]) >= self._kept]}
        raise AssertionError(method)

    def _charts(self, query: dict[str, str]) -> dict[str, Any]:
        """Cut, whichever end of the range is left out."""
        told = history.krakenfutures_candles(self.past, self.one, query, NOW_MS)
        rows = told["candles"]
        kept = rows[-self._most :] if self._latest else rows[: self._most]
        return {"candles": kept, "more_candles": told["more_candles"] or len(kept) < len(rows)}

    def _executions(self, query: dict[str, str]) -> dict[str, Any]:
        """Neither edge of the range is told; pages may be cut. Of `kept` on."""
        oldest = self.past.prints(self._kept, self._kept + 1).ts_ns[0] // 1_000_000 if self._kept else 0
        edges = {"since": str(max(int(query["since"]) + 1, oldest)), "count": str(min(int(query["count"]), self._most))}
        if "before" in query:
            edges["before"] = str(int(query["before"]) - 1)
        return history.krakenfutures_executions(self.past, self.one, query | edges)

    def _aggregates(self, query: dict[str, str]) -> list[dict[str, Any]]:
        oldest = max(self._kept, self._since)
        if "fromId" in query:
            first = max(int(query["fromId"]) + self._since, oldest)
            rows = history.binance_aggregates(self.past, self.one, {"fromId": str(first), "limit": query["limit"]})
        else:
            first, end = self.past.first_at(int(query["startTime"])), self.past.first_at(int(query["endTime"]) + 1)
            first = max(first, end - 1_000) if self._latest else first
            rows = history.binance_aggregates(self.past, self.one, {"fromId": str(first), "limit": query["limit"]})
            rows = [row for row in rows[: end - first] if row["a"] >= oldest]
        return [row | {"a": row["a"] - self._since} for row in rows[: self._most]]

    def truth(self, span: Span) -> Prints:
        return self.past.prints(self.past.first_at(span.start_ms), self.past.first_at(span.end_ms))


def pages_of(venue: str, kind: str, span: Span, model: Model, timeframe: str = "1m") -> tuple[list[Any], list[Page]]:
    """Every row within the span, and the pages. Each page's whole part joins the ones before."""

    async def read() -> list[Page]:
        pages = RULES[venue.lower()].past()
        found = pages.trades(model, MARKET, span) if kind == "trades" else pages.candles(model, MARKET, timeframe, span)
        return [page async for page in found]

    told = asyncio.run(read())
    done: Span | None = None
    for page in told:
        assert span.start_ms <= page.whole.start_ms <= page.whole.end_ms <= span.end_ms
        assert done is None or (page.whole.start_ms <= done.end_ms and page.whole.end_ms >= done.start_ms)
        done = page.whole if done is None else Span(min(done[0], page.whole[0]), max(done[1], page.whole[1]))
    return [row for page in told for row in page.rows], told


def number_of(trade_id: str) -> int:
    """A trade's number in the market's past: its id, or the end of one that is long."""
    return int(trade_id.rpartition("-")[2], 16) if "-" in trade_id else int(trade_id)


def within(rows: list[Any], span: Span) -> dict[str, PastTrade]:
    return {row.trade_id: row for row in rows if span.start_ms <= row.ts_ns // 1_000_000 < span.end_ms}


minutes = st.tuples(st.integers(1, 3_000), st.integers(1, 400))


@pytest.mark.parametrize("venue", WITH_TRADES)
@settings(max_examples=12, deadline=None)
@given(before=st.integers(0, 3 * 86_400_000), length=st.integers(1, 6 * 3_600_000), latest=st.booleans())
def test_trades_of_any_span_are_all_there_once(venue: str, before: int, length: int, latest: bool) -> None:
    model = Model(venue, latest=latest)
    span = Span(NOW_MS - MINUTE_MS - before - length, NOW_MS - MINUTE_MS - before)
    rows, told = pages_of(venue, "trades", span, model)
    truth, found = model.truth(span), within(rows, span)
    found = {number_of(trade_id): row for trade_id, row in found.items()}
    assert sorted(found) == truth.number.tolist()
    for number, price, size, side in zip(*(x.tolist() for x in (*truth[1:5],)), strict=True):
        row = found[number]
        exact = (Decimal(price).scaleb(-model.one.price_decimals), Decimal(size).scaleb(-model.one.size_decimals))
        assert (row.price, row.quantity, row.side) == (*exact, "buy" if side > 0 else "sell")
    assert told[-1].whole in (
        span,
        Span(span.start_ms, told[-1].whole.end_ms),
        Span(told[-1].whole.start_ms, span.end_ms),
    )
    assert min(page.whole.start_ms for page in told) == span.start_ms
    assert max(page.whole.end_ms for page in told) == span.end_ms


@pytest.mark.parametrize("venue", WITH_TRADES)
def test_what_is_called_whole_is_whole_at_every_page(venue: str) -> None:
    model = Model(venue)
    span = Span(NOW_MS - 30 * 3_600_000, NOW_MS - 3_600_000)
    _, told = pages_of(venue, "trades", span, model)
    assert len(told) > 3
    rows: list[PastTrade] = []
    done: Span | None = None
    for page in told:
        rows += page.rows
        done = page.whole if done is None else Span(min(done[0], page.whole[0]), max(done[1], page.whole[1]))
        assert sorted(map(number_of, within(rows, done))) == model.truth(done).number.tolist()


@pytest.mark.parametrize("venue", MARKETS)
@settings(max_examples=8, deadline=None)
@given(
    timeframe=st.sampled_from(["1m", "5m", "15m", "1h"]),
    before=st.integers(0, 300),
    count=st.integers(1, 700),
    most=st.sampled_from([10**9, 37]),
)
def test_candles_are_those_of_the_trades(venue: str, timeframe: str, before: int, count: int, most: int) -> None:
    step = TIMEFRAMES[timeframe]
    end = NOW_MS // step * step - (before % (700 - count) if count < 700 else 0) * step
    span = Span(end - count * step, end)
    model = Model(venue, most=most)
    rows, _ = pages_of(venue, "candles", span, model, timeframe)
    found = {row.start_ms: row for row in rows if span.start_ms <= row.start_ms < span.end_ms}
    expected = candles_of(model.truth(span), model.one, step)
    assert set(expected) <= set(found)
    if venue == "COINBASE":
        assert set(found) == set(expected)
    else:  # the others tell candles without a trade as well
        assert sorted(found) == list(range(span.start_ms, span.end_ms, step))
    for start_ms, candle in expected.items():
        assert found[start_ms] == candle
    assert all(found[at].volume == 0 for at in set(found) - set(expected))


def candles_of(trades: Prints, one: VenueInstrument, step: int) -> dict[int, Candle]:
    """Candles the plain way."""
    grouped: dict[int, list[tuple[int, int]]] = {}
    for price, size, ts_ns in zip(trades.price.tolist(), trades.size.tolist(), trades.ts_ns.tolist(), strict=True):
        grouped.setdefault(ts_ns // 1_000_000 // step * step, []).append((price, size))

    def money(units: int, decimals: int) -> Decimal:
        return Decimal(units).scaleb(-decimals)

    return {
        start: Candle(
            start_ms=start,
            open=money(rows[0][0], one.price_decimals),
            high=money(max(price for price, _ in rows), one.price_decimals),
            low=money(min(price for price, _ in rows), one.price_decimals),
            close=money(rows[-1][0], one.price_decimals),
            volume=money(sum(size for _, size in rows), one.size_decimals),
        )
        for start, rows in grouped.items()
    }


def test_binance_pages_that_are_shorter_than_asked_lose_nothing() -> None:
    model = Model("BINANCE", most=77)
    span = Span(NOW_MS - 8 * 3_600_000, NOW_MS - 3_600_000)
    rows, _ = pages_of("BINANCE", "trades", span, model)
    assert sorted(within(rows, span), key=int) == [str(number) for number in model.truth(span).number.tolist()]
    minute = Span(span.start_ms // MINUTE_MS * MINUTE_MS, span.end_ms // MINUTE_MS * MINUTE_MS)
    candles, _ = pages_of("BINANCE", "candles", minute, model)
    assert [row.start_ms for row in candles] == list(range(*minute, MINUTE_MS))


@pytest.mark.parametrize("venue", ["BINANCE", "COINBASE", "KRAKENFUTURES", "OKX"])
@pytest.mark.parametrize("forgotten", [0.0, 0.3, 0.9, 1.5])
def test_a_venue_is_not_called_whole_where_it_forgets(venue: str, forgotten: float) -> None:
    """The oldest trade that is told lies at that part of the span: what is before is refused, what is after is all there."""
    length = 5 * 3_600_000
    span = Span(NOW_MS - 10 * 3_600_000, NOW_MS - 10 * 3_600_000 + length)
    past = Model(venue).past
    model = Model(venue, kept=past.first_at(span.start_ms + int(forgotten * length)))
    oldest_ms = int(past.prints(model._kept, model._kept + 1).ts_ns[0]) // 1_000_000
    told: list[Page] = []

    async def read() -> Span | None:
        try:
            async for page in RULES[venue.lower()].past().trades(model, MARKET, span):
                told[:] = [*told, page]
        except HistoryRefused as refused:
            return refused.span
        return None

    lost = asyncio.run(read())
    assert lost is not None
    kept = Span(min(oldest_ms, span.end_ms), span.end_ms)
    assert lost.start_ms == span.start_ms
    assert 0 <= lost.end_ms - kept.start_ms <= 1  # paging backward leaves the oldest millisecond open
    whole = [page.whole for page in told] or [Span(lost.end_ms, span.end_ms)]
    assert (min(one.start_ms for one in whole), max(one.end_ms for one in whole)) == (lost.end_ms, span.end_ms)
    rows = [row for page in told for row in page.rows]
    assert sorted(map(number_of, within(rows, kept))) == model.truth(kept).number.tolist()


def test_a_market_of_binance_that_is_younger_than_the_span_is_whole() -> None:
    span = Span(NOW_MS - 400 * 3_600_000, NOW_MS - 10 * 3_600_000)
    model = Model("BINANCE")
    model._since = model.past.first_at(span.end_ms - 2 * 3_600_000)
    rows, told = pages_of("BINANCE", "trades", span, model)
    assert told[-1].whole == span
    assert len(within(rows, span)) == len(model.truth(Span(span.end_ms - 2 * 3_600_000, span.end_ms)).number)
    assert model.requests < 10
    before = Span(span.start_ms, span.start_ms + 3_600_000)
    assert pages_of("BINANCE", "trades", before, model)[1][-1].whole == before


# ---- what a venue cannot tell ------------------------------------------------------------------------------------------------------------


def test_kraken_says_what_is_older_than_720_candles_and_tells_the_rest() -> None:
    model = Model("KRAKEN")
    end = NOW_MS // MINUTE_MS * MINUTE_MS
    span = Span(end - 1_000 * MINUTE_MS, end)

    async def read() -> tuple[list[Page], HistoryRefused]:
        told: list[Page] = []
        with pytest.raises(HistoryRefused) as refused:
            async for page in KrakenPages().candles(model, MARKET, "1m", span):
                told += [page]
        return told, refused.value

    told, refused = asyncio.run(read())
    assert told[0].whole == Span(end - 720 * MINUTE_MS, end)
    assert refused.span == Span(span.start_ms, end - 720 * MINUTE_MS)
    assert "720 candles of 1m" in str(refused)


def test_bybit_has_no_way_to_trades_of_the_past() -> None:
    model = Model("BYBIT")
    with pytest.raises(HistoryRefused, match="latest trades"):
        pages_of("BYBIT", "trades", Span(0, 1), model)
    assert model.requests == 0


def burst_span() -> Span:
    at = NOW_MS // 3_600_000 * 3_600_000 - 3_600_000 + BURST_AT * MINUTE_MS
    return Span(at - 3_600_000, at + MINUTE_MS)


def test_coinbase_says_when_a_second_has_more_trades_than_a_page() -> None:
    """Its pages are cut to fewer than the burst of one millisecond: nothing from that second back can be had."""
    assert BURST > 110
    told: list[Page] = []

    async def read() -> HistoryRefused:
        nonlocal told
        with pytest.raises(HistoryRefused, match="than a page holds") as refused:
            async for page in CoinbasePages().trades(Model("COINBASE", most=110), MARKET, burst_span()):
                told += [page]
        return refused.value

    refused = asyncio.run(read())
    burst_ms = burst_span().end_ms - MINUTE_MS // 2
    assert refused.span == Span(burst_span().start_ms, burst_ms + 1)
    assert min(page.whole.start_ms for page in told) == burst_ms + 1


def test_okx_passes_a_burst_longer_than_its_page_by_id() -> None:
    assert BURST > 100
    model = Model("OKX")
    rows, _ = pages_of("OKX", "trades", burst_span(), model)
    assert len(within(rows, burst_span())) == len(model.truth(burst_span()).number)


def test_kraken_says_when_a_page_leads_back_to_itself() -> None:
    class Stuck(Model):
        async def __call__(self, method: str, query: dict[str, Any]) -> Any:
            answer = await super().__call__(method, query)
            return {"result": answer["result"] | {"last": query["since"]}}

    with pytest.raises(HistoryRefused, match="more than a page of trades"):
        pages_of("KRAKEN", "trades", Span(NOW_MS - 40 * 3_600_000, NOW_MS - 3_600_000), Stuck("KRAKEN"))


@pytest.mark.parametrize("latest", [False, True])
def test_candles_of_kraken_futures_that_a_page_leaves_out_are_asked_for_by_halves(latest: bool) -> None:
    """Whichever of them the page leaves out, and however often."""
    end = NOW_MS // MINUTE_MS * MINUTE_MS
    span, model = Span(end - 300 * MINUTE_MS, end), Model("KRAKENFUTURES", most=40, latest=latest)
    rows, told = pages_of("KRAKENFUTURES", "candles", span, model)
    assert sorted(row.start_ms for row in rows) == list(range(*span, MINUTE_MS))
    assert [page.whole for page in told] == [span]
    assert model.requests == 1 + 2 + 4 + 8  # 300 in one, 150, 75, and 37 or 38
    with pytest.raises(BadFrame, match="more than one candle"):
        pages_of("KRAKENFUTURES", "candles", Span(end - MINUTE_MS, end), Model("KRAKENFUTURES", most=0))


def test_executions_that_were_not_done_on_the_book_are_passed_over_and_tokens_go_on() -> None:
    class Elsewhere(Model):
        async def __call__(self, method: str, query: dict[str, Any]) -> Any:
            answer = await super().__call__(method, query)
            for row, kind in zip(answer["elements"][1:], ["Block", "Unwind", "Liquidation"], strict=False):
                row["event"]["Execution"]["execution"]["takerOrder"]["orderType"] = kind
            return answer

    span = Span(NOW_MS - 2 * 3_600_000, NOW_MS - 3_600_000)
    rows, _ = pages_of("KRAKENFUTURES", "trades", span, Elsewhere("KRAKENFUTURES"))
    truth = Model("KRAKENFUTURES").truth(span).number.tolist()
    assert [number_of(trade_id) for trade_id in within(rows, span)] == [truth[0], *truth[3:]]

    class Circular(Model):
        async def __call__(self, method: str, query: dict[str, Any]) -> Any:
            return await super().__call__(method, query) | {"continuationToken": "MC8w"}

    with pytest.raises(BadFrame, match="leads back to itself"):
        pages_of("KRAKENFUTURES", "trades", span, Circular("KRAKENFUTURES", most=20))


def test_aggregate_trades_with_a_hole_are_bad() -> None:
    class Holed(Model):
        async def __call__(self, method: str, query: dict[str, Any]) -> Any:
            rows = await super().__call__(method, query)
            return rows[:5] + rows[6:]

    with pytest.raises(BadFrame, match="holes"):
        pages_of("BINANCE", "trades", Span(NOW_MS - 3_600_000, NOW_MS - 600_000), Holed("BINANCE"))


@pytest.mark.parametrize("venue", WITH_TRADES)
@pytest.mark.parametrize("body", [{}, {"result": {}}, {"data": [{}]}, [["x"]], {"trades": [{"time": "never"}]}])
def test_an_answer_of_another_form_is_bad_not_a_crash(venue: str, body: Any) -> None:
    async def read() -> None:
        async def ask(_method: str, _query: dict[str, Any]) -> Any:
            return body

        async for _ in readable(venue, RULES[venue.lower()].past().trades(ask, MARKET, Span(0, 1))):
            pass

    with pytest.raises(BadFrame, match="cannot be read"):
        asyncio.run(read())


def test_the_seeded_past_is_the_same_in_whatever_pieces() -> None:
    past, again = Past(instrument("OKX"), NOW_MS), Past(instrument("OKX"), NOW_MS + 86_400_000)
    first = past.first_at(NOW_MS - 7_200_000)
    whole = past.prints(first, first + 300)
    for cut in (1, 130, 299):
        parts = zip(past.prints(first, first + cut), again.prints(first + cut, first + 300), strict=True)
        assert all(np.array_equal(np.concatenate(pair), column) for pair, column in zip(parts, whole, strict=True))
    assert np.all(np.diff(whole.ts_ns) > 0)
