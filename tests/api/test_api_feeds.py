"""What the channels carry: books, trades, tickers, streaming quotes, a client's own RFQs and trades, the operator's state and alerts."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import msgspec
import pytest
from nautilus_trader.model.data import QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity

from adapters.nautilus.outcome import VenueFill
from desk.accounts import VenueOrder
from desk.api.desk_messages import AlertView
from desk.errors import Failed
from router.orders import ChildOrder, ChildState
from tests.api.fake_desk import SYMBOL
from tests.api.house import BOOK, RFQ, House, fault_of, move_book, subscribe, within


def trade_tick(number: int, symbol: str = SYMBOL) -> TradeTick:
    now = time.time_ns()
    return TradeTick(
        InstrumentId.from_str(f"{symbol}.BINANCE"),
        Price.from_str("60000.10"),
        Quantity.from_str("0.00100"),
        AggressorSide.BUYER if number % 2 else AggressorSide.SELLER,
        TradeId(str(number)),
        now,
        now,
    )


def test_a_book_that_cannot_be_trusted_is_shown_empty_with_its_reason(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        async with house.wire().socket() as socket:
            await subscribe(socket, "watch_order_book", **{**BOOK, "venue": "KRAKEN"})
            data = (await socket.push())["data"]
            assert data["bids"] == data["asks"] == [] and data["info"]["status"] == "empty"
            move_book(house.market, venue="KRAKEN")
            assert (await socket.push())["data"]["info"]["status"] == "live"
            house.market.books[SYMBOL].clear("KRAKEN", "checksum failed", time.time_ns())
            for listener in house.market.on_book:
                listener(change("KRAKEN"))
            data = (await socket.push())["data"]
            assert data["bids"] == [] and data["info"] == {
                "venue": "KRAKEN",
                "status": "gapped",
                "reason": "checksum failed",
            }

    within(tmp_path, body)


def change(venue: str) -> Any:
    from desk.market import BookChanged

    return BookChanged(symbol=SYMBOL, venue=venue, reason="", ts_event_ns=1, ts_init_ns=1)


def test_trades_tickers_and_tops_are_ccxt_structures(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        move_book(house.market)
        house.market.on_trade[0](trade_tick(1))
        async with house.wire().socket() as socket:
            await subscribe(socket, "watch_trades", **BOOK)
            (trade,) = (await socket.push())["data"]
            assert (trade["id"], trade["side"], trade["price"], trade["amount"]) == ("1", "buy", "60000.1", "0.001")
            assert trade["cost"] == "60.0001" and isinstance(trade["timestamp"], int)
            house.market.on_trade[0](trade_tick(2))
            assert [(item["id"], item["side"]) for item in (await socket.push())["data"]] == [("2", "sell")]
            await subscribe(socket, "watch_ticker", **BOOK)
            ticker = (await socket.push())["data"]
            assert (ticker["last"], ticker["bid"], ticker["ask"]) == ("60000.1", "60000", "60001")
            assert ticker["high"] is None, "not told by the venue's streams, not invented"
            await subscribe(socket, "watch_bids_asks", **BOOK)
            assert (await socket.push())["data"]["bidVolume"] == "0.5"

    within(tmp_path, body)


def test_best_prices_told_before_the_book_was_lost_are_not_shown_as_if_they_held(tmp_path: Path) -> None:
    def quote(bid: str, ask: str) -> QuoteTick:
        now, size = time.time_ns(), Quantity.from_str("0.5")
        at = InstrumentId.from_str(f"{SYMBOL}.BINANCE")
        return QuoteTick(at, Price.from_str(bid), Price.from_str(ask), size, size, now, now)

    async def body(house: House) -> None:
        market, pair = house.market, (SYMBOL, "BINANCE")
        move_book(market)
        market.last_quote[pair] = quote("60000.00", "60001.00")
        async with house.wire().socket() as socket:
            await subscribe(socket, "watch_bids_asks", **BOOK)
            assert (await socket.push())["data"]["bid"] == "60000"
            market.books[SYMBOL].clear("BINANCE", "disconnected", time.time_ns())
            lost = msgspec.structs.replace(change("BINANCE"), reason="disconnected", ts_init_ns=time.time_ns())
            for listener in market.on_book:
                listener(lost)
            down = (await socket.push())["data"]
            assert (down["bid"], down["ask"], down["bidVolume"]) == (None, None, None)
            market.last_quote[pair] = quote("59990.00", "59991.00")
            for heard in market.on_quote:
                heard(market.last_quote[pair])
            assert (await socket.push())["data"]["bid"] == "59990"

    within(tmp_path, body)


def test_best_prices_are_told_when_they_change_not_with_every_deeper_level(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        market, now = house.market, time.time_ns()
        move_book(market)
        size = Quantity.from_str("0.5")
        at = InstrumentId.from_str(f"{SYMBOL}.BINANCE")
        market.last_quote[SYMBOL, "BINANCE"] = QuoteTick(
            at, Price.from_str("60000.00"), Price.from_str("60001.00"), size, size, now, now
        )
        async with house.wire().socket() as socket:
            await subscribe(socket, "watch_bids_asks", **BOOK, hz=50)
            await socket.push()
            book = await subscribe(socket, "watch_order_book", **BOOK, hz=50)
            for _ in range(3):  # a frame of the book has gone out: what woke with it before has had its turn as well
                assert (await socket.push())["sub"] == book
                for listener in market.on_book:
                    listener(change("BINANCE"))
            assert (await socket.push())["sub"] == book
            assert not socket.pushes

    within(tmp_path, body)


def test_several_symbols_are_one_subscription(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        move_book(house.market)
        async with house.wire().socket() as socket:
            answer = await socket.ask(
                {"op": "subscribe", "id": 1, "channel": "watch_trades_for_symbols", "params": {"venue": "BINANCE"}}
            )
            assert (answer["ok"], answer["mode"]) == (True, "native")
            assert (await socket.push())["data"] == []
            house.market.on_trade[0](trade_tick(1))
            house.market.on_trade[0](trade_tick(2, "DOGE/USDT"))  # not listed: nobody asked
            assert [item["id"] for item in (await socket.push())["data"]] == ["1"]
            await subscribe(socket, "watch_order_book_for_symbols", venue="BINANCE", symbols=[SYMBOL, SYMBOL], depth=1)
            book = (await socket.push())["data"]
            assert book["symbol"] == SYMBOL and len(book["bids"]) == 1
            await subscribe(socket, "watch_tickers", venue="BINANCE")
            tickers = (await socket.push())["data"]
            assert list(tickers) == [SYMBOL] and tickers[SYMBOL]["last"] == "60000.1"
            await subscribe(socket, "watch_ohlcv", venue="BINANCE", symbol=SYMBOL)
            (row,) = (await socket.push())["data"]
            assert row[1:] == ["60000.1", "60000.1", "60000.1", "60000.1", "0.001"] and row[0] % 60_000 == 0
            await subscribe(socket, "watch_ohlcv_for_symbols", venue="BINANCE", symbols=[SYMBOL], timeframe="1h")
            assert list((await socket.push())["data"][SYMBOL]) == ["1h"]
            for channel, params, code in (
                ("watch_tickers", {"venue": "BINANCE", "symbols": ["NO/ONE"]}, "unknown_instrument"),
                ("watch_ohlcv", {"venue": "BINANCE", "symbol": SYMBOL, "timeframe": "7m"}, "invalid_field"),
                ("watch_funding_rate", {"venue": "BINANCE", "symbol": SYMBOL}, "unsupported"),
            ):
                answer = await socket.ask({"op": "subscribe", "id": 1, "channel": channel, "params": params})
                assert answer["error"]["code"] == code

    within(tmp_path, body)


def test_own_orders_executions_and_balances_are_ccxt_structures(tmp_path: Path) -> None:
    child = ChildOrder(
        child_id="k1-1",
        parent_id="p-1",
        venue="BINANCE",
        symbol=SYMBOL,
        side="buy",
        quantity=Decimal("0.30"),
        limit_price=Decimal("60001.50"),
        state=ChildState.PARTIAL,
        filled=Decimal("0.1"),
        notional=Decimal("6000.1"),
        created_ns=1_700_000_000_000_000_000,
    )
    fill = VenueFill(
        venue="BINANCE",
        symbol=SYMBOL,
        client_order_id="k1-1",
        trade_id="77",
        side="buy",
        price=Decimal("60001.00"),
        quantity=Decimal("0.1"),
        fee=Decimal("0.00004"),
        fee_currency="BTC",
        ts_ns=1_700_000_000_500_000_000,
        venue_order_id="9",
        maker=False,
    )
    order = VenueOrder(child=child, venue_order_id="9", fees={"BTC": fill.fee}, last_fill_ns=fill.ts_ns)

    async def body(house: House) -> None:
        house.accounts.open, house.accounts.executions = [order], [fill]
        house.accounts.held = {code: (Decimal("1.50"), Decimal(1), Decimal("0.5")) for code in ("BTC", "USDT", "ETH")}
        async with house.operator().socket() as socket:
            await subscribe(socket, "watch_orders", venue="BINANCE")
            (seen,) = (await socket.push())["data"]
            assert set(seen) >= set(ccxt.Exchange().safe_order({}))
            assert (seen["id"], seen["status"], seen["remaining"], seen["average"]) == ("9", "open", "0.2", "60001")
            assert seen["fee"] == {"currency": "BTC", "cost": "0.00004"} and seen["timeInForce"] == "IOC"
            await subscribe(socket, "watch_my_trades_for_symbols", venue="BINANCE", symbols=[SYMBOL])
            (trade,) = (await socket.push())["data"]
            assert set(trade) >= set(ccxt.Exchange().safe_trade({})) and trade["id"] == "77"
            assert (trade["order"], trade["takerOrMaker"]) == ("9", "taker")
            await subscribe(socket, "watch_balance", venue="BINANCE", symbol=SYMBOL)
            balance = (await socket.push())["data"]
            assert balance["BTC"] == {"free": "1", "used": "0.5", "total": "1.5"} and "ETH" not in balance["total"]
            other = msgspec.structs.replace(order, child=msgspec.structs.replace(child, venue="KRAKEN"))
            done = msgspec.structs.replace(order, child=msgspec.structs.replace(child, state=ChildState.UNKNOWN))
            for one in (other, done):
                for listener in house.accounts.on_order:
                    listener(one)
            (seen,) = (await socket.push())["data"]
            assert (seen["status"], seen["info"]["state"]) == ("open", "unknown"), "unknown is never an end"
            for listener in house.accounts.on_fill:
                listener(fill)
            assert (await socket.push())["data"][0]["fee"]["cost"] == "0.00004"
            house.accounts.held["BTC"] = (Decimal(2), Decimal(2), Decimal(0))
            assert (await socket.push())["data"]["total"]["BTC"] == "2"

    within(tmp_path, body)


def test_rfqs_and_trades_are_ones_own_and_everybodys_for_an_operator(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        alice, bob, operator = house.wire(), house.wire("bob"), house.operator()
        await alice.call("POST", "/v1/rfqs", {**RFQ, "client_rfq_id": "before"})
        async with alice.socket() as mine, bob.socket() as his, operator.socket() as all_:
            for socket in (mine, his, all_):
                await subscribe(socket, "rfqs")
                await subscribe(socket, "trades")
            assert [item["client_rfq_id"] for item in (await mine.push())["data"]["items"]] == ["before"]
            assert (await his.push())["data"]["items"] == []
            assert (await all_.push())["data"]["items"][0]["client_id"] == "alice"
            for socket in (mine, his, all_):
                assert (await socket.push())["kind"] == "snapshot"
            rfq = (await alice.call("POST", "/v1/rfqs", RFQ))[1]
            path = f"/v1/quotes/{rfq['quotes'][0]['quote_id']}/accept"
            trade = (await alice.call("POST", path, {"client_order_id": "o-1"}))[1]
            frames = [await mine.push() for _ in range(3)]
            assert [frame["data"].get("state") for frame in frames] == ["quoted", "filled", "filled"]
            assert frames[2]["data"] == trade and frames[2]["seq"] == 2
            assert [frame["data"]["client_id"] for frame in [await all_.push() for _ in range(3)]] == ["alice"] * 3
            await his.ask({"op": "ping", "id": 1})
            assert not his.pushes

    within(tmp_path, body)


def test_market_data_for_a_slow_consumer_is_conflated_and_says_so(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        move_book(house.market)
        async with house.wire().socket() as socket:
            await subscribe(socket, "watch_order_book", **BOOK, hz=10)
            await socket.push()
            for step in range(50):
                move_book(house.market, 6_000_000 + step)
            frames = [await socket.push()]
            while frames[-1]["data"]["bids"][0][0] != "60000.49":
                frames.append(await socket.push())
            assert len(frames) < 10
            assert [frame["seq"] for frame in frames] == list(range(2, 2 + len(frames)))
            assert frames[-1]["data"]["bids"][0][0] == "60000.49", "the latest wins"
            assert sum(1 + frame.get("conflated", 0) for frame in frames) == 50, "every change is accounted for"

    within(tmp_path, body)


def test_rfs_quotes_are_two_way_executable_and_renewed_before_they_run_out(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        wire = house.wire()
        async with wire.socket() as socket:
            await subscribe(socket, "rfs", instrument=SYMBOL, quantities=["1", "2.5"])
            first = (await socket.push())["data"]
            assert [rung["quantity"] for rung in first["rungs"]] == ["1", "2.5"]
            for rung in first["rungs"]:
                assert (rung["ask"]["side"], rung["bid"]["side"]) == ("buy", "sell")
            move_book(house.market)
            answer = await socket.ask(
                {"op": "accept", "id": 1, "quote_id": first["rungs"][1]["ask"]["quote_id"], "client_order_id": "o-1"}
            )
            assert answer["ok"] and answer["data"]["quantity"] == "2.5"
            began, calls = time.monotonic(), house.desk.ladder_calls
            renewed = (await socket.push())["data"]
            assert 0.5 < time.monotonic() - began < 1.5, "unchanged prices are sent again only before they expire"
            assert renewed["rungs"][0]["ask"]["quote_id"] != first["rungs"][0]["ask"]["quote_id"]
            for step in range(100):
                move_book(house.market, 6_000_000 + step)
            await asyncio.sleep(0.3)
            assert house.desk.ladder_calls - calls <= 6, "at most five ladders a second"
            house.desk.unpriced = True
            move_book(house.market)
            while (frame := await socket.push())["data"]["rungs"]:
                pass
            assert frame["data"]["reason"] == "no_price", "no price is said, not implied by silence"
            house.desk.unpriced = False
            assert (await socket.push())["data"]["rungs"], "and it comes back by itself"

    within(tmp_path, body)


@pytest.mark.parametrize("msgpack", [False, True])
def test_desk_sends_a_whole_state_and_then_only_what_changed(tmp_path: Path, msgpack: bool) -> None:
    async def body(house: House) -> None:
        async with house.operator().socket(msgpack=msgpack) as socket:
            await subscribe(socket, "desk", hz=10)
            first = await socket.push()
            assert first["kind"] == "snapshot" and first["data"]["ledger"]["imbalance"] == {"BTC": "0", "USDT": "0"}
            update = await socket.push()
            assert set(update["data"]) == {"ts_ns"} and update["seq"] == 2
            house.desk.mode, house.desk.halt_reason = "halted", "drill"
            while "trading" not in (update := await socket.push())["data"]:
                pass
            assert set(update["data"]) == {"ts_ns", "trading", "halt_reason"}
            assert update["data"]["trading"] == "halted"

    within(tmp_path, body)


def test_a_snapshot_that_fails_is_one_refusal_not_a_subscription(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        def fail(*_: object, **__: object) -> None:
            raise Failed("ledger_down", "the ledger does not answer")

        async with house.wire().socket() as socket:
            house.desk.rfqs = fail  # type: ignore[method-assign,assignment]
            answer = await socket.ask({"op": "subscribe", "id": 1, "channel": "rfqs"})
            assert answer["id"] == 1 and fault_of(answer) == ("failed", "ledger_down")
            assert await socket.ask({"op": "ping", "id": 2}) == {"ok": True, "id": 2, "op": "pong"}
            socket.heartbeats.clear()
            assert (await socket.heartbeat())["seqs"] == {}

    within(tmp_path, body)


def test_alerts_come_as_they_happen(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        alert = AlertView(alert_id="a-1", severity="critical", source="risk", message="halted", ts_ns=1)
        house.desk.alerts.append(alert)
        async with house.operator().socket() as socket:
            await subscribe(socket, "alerts")
            assert (await socket.push())["data"]["items"][0]["alert_id"] == "a-1"
            house.events.alert(alert)
            alert.count = 99
            assert (await socket.push())["data"]["count"] == 1, "as it was when it was told"

    within(tmp_path, body)


def test_a_feed_with_a_bug_ends_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(house: House) -> None:
        async with house.wire().socket() as socket:
            sub = await subscribe(socket, "watch_order_book", **BOOK)
            await socket.push()
            await subscribe(socket, "rfqs")
            await socket.push()
            monkeypatch.setattr(house.market.books[SYMBOL], "status", None)
            move_book_safely(house)
            answer = await socket.receive()
            assert answer["ok"] is False and answer["sub"] == sub and fault_of(answer)[0] == "failed"
            assert (await socket.ask({"op": "ping", "id": 1}))["ok"]

    def move_book_safely(house: House) -> None:
        for listener in house.market.on_book:
            listener(change("BINANCE"))

    within(tmp_path, body)
