"""Funding rates, liquidations and positions over the WebSocket: ccxt's structures, and typed refusals where there are none."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import msgspec

from adapters.nautilus.perpetual import FundingPaid, Liquidation, VenuePosition, VenuePositions
from desk.api.capabilities import ACCOUNT_CHANNELS, MARKET_CHANNELS
from desk.market import Funding
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from tests.api.house import BOOK, House, fault_of, subscribe, within

VENUE, PERPETUAL = "BINANCEUSDM", "BTC/USDT:USDT"
WHERE = {"venue": VENUE, "symbol": PERPETUAL}
NEXT_NS = 1_800_000_000_000_000_000
SPOT_TOO = ("watch_ticker", "watch_order_book", "watch_trades", "watch_bids_asks", "watch_ohlcv", "watch_orders")


def with_perpetuals(house: House, *, account: bool = True) -> None:
    """A venue of perpetuals beside the spot ones."""
    terms = VenueTerms(
        venue=VENUE,
        taker_fee_bps=Decimal(4),
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        price_decimals=1,
        size_decimals=3,
        max_age_ns=3_600_000_000_000,
    )
    house.market.books[PERPETUAL] = ConsolidatedBook(PERPETUAL, Scale(PERPETUAL, 1, 3), [terms])
    house.accounts.margin = frozenset({VENUE} if account else ())


def funding(rate: str = "0.0001", **other: Any) -> Funding:
    return Funding(
        **{
            "symbol": PERPETUAL,
            "venue": VENUE,
            "mark": Decimal("60000.5"),
            "index": Decimal("60010.25"),
            "rate": Decimal(rate),
            "next_ns": NEXT_NS,
            "ts_ns": time.time_ns(),
            **other,
        }
    )


def hear(house: House, told: Funding) -> None:
    house.market.funding[told.symbol, told.venue] = told
    for listener in house.market.on_funding:
        listener(told)


def position(quantity: str) -> VenuePosition:
    return VenuePosition(
        symbol=PERPETUAL,
        quantity=Decimal(quantity),
        entry=Decimal("59000.50"),
        contract_size=Decimal(1),
        settle="USDT",
        inverse=False,
        unrealised=Decimal("100.10"),
        mark=Decimal("60000.5"),
        liquidation=None,
        initial_margin=Decimal(3000),
        maintenance_margin=Decimal(240),
        leverage=None,
        margin_mode="cross",
        ts_ns=1_723_161_256_000_000_000,
    )


def hold(house: House, *held: VenuePosition) -> None:
    house.accounts._held(VenuePositions(venue=VENUE, positions=held))


def closed(order_id: str = "", side: str = "sell") -> Liquidation:
    return Liquidation(
        venue=VENUE,
        symbol=PERPETUAL,
        side=side,
        price=Decimal("58000.1"),
        quantity=Decimal("0.250"),
        ts_ns=1_723_161_256_000_000_000,
        order_id=order_id,
    )


def test_all_channels_of_a_venue_of_perpetuals_answer_and_spot_venues_refuse(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        with_perpetuals(house)
        wire = house.wire("ops", "operate,read,quote,trade")
        matrix = (await wire.call("GET", "/v1/capabilities"))[1]["venues"]
        names = (*MARKET_CHANNELS, *ACCOUNT_CHANNELS)
        assert {name for name in names if matrix[VENUE][name] == "unsupported"} == set()
        assert matrix[VENUE]["watch_funding_rates"] == matrix[VENUE]["watch_positions"] == "native"
        assert matrix[VENUE]["watch_funding_rate_for_my_position"] == "derived"
        of_contracts = {name for name in names if matrix["BINANCE"][name] == "unsupported"}
        assert len(of_contracts) == 11
        assert not of_contracts & set(SPOT_TOO)
        async with wire.socket() as socket:
            for name in names:
                answer = await socket.ask({"op": "subscribe", "id": name, "channel": name, "params": WHERE})
                assert answer["ok"] and answer["mode"] == matrix[VENUE][name], answer
            for name in of_contracts:
                answer = await socket.ask({"op": "subscribe", "id": name, "channel": name, "params": BOOK})
                assert fault_of(answer) == ("invalid", "unsupported")
            answer = await socket.ask(
                {"op": "subscribe", "id": 1, "channel": "watch_positions", "params": {**WHERE, "symbol": "BTC/USDT"}}
            )
            assert fault_of(answer) == ("invalid", "unknown_instrument")

    within(tmp_path, body)


def test_without_an_account_the_market_of_perpetuals_is_there_and_positions_are_refused(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        with_perpetuals(house, account=False)  # paper trading
        async with house.operator().socket() as socket:
            await subscribe(socket, "watch_funding_rate", **WHERE)
            answer = await socket.ask({"op": "subscribe", "id": 1, "channel": "watch_positions", "params": WHERE})
            assert fault_of(answer) == ("invalid", "unsupported")

    within(tmp_path, body)


def test_funding_rates_are_ccxt_structures(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        with_perpetuals(house)
        async with house.wire().socket() as socket:
            await subscribe(socket, "watch_funding_rate", **WHERE)
            hear(house, funding())
            row = (await socket.push())["data"]
            assert set(row) == {*ccxt.binanceusdm().parse_funding_rate({"symbol": "BTCUSDT"})}
            assert (row["fundingRate"], row["markPrice"], row["indexPrice"]) == ("0.0001", "60000.5", "60010.25")
            assert (row["fundingTimestamp"], row["nextFundingRate"]) == (NEXT_NS // 1_000_000, None)
            await subscribe(socket, "watch_funding_rates", venue=VENUE)
            rows = (await socket.push())["data"]
            assert rows[PERPETUAL]["fundingRate"] == "0.0001"
            hear(house, funding("-0.00025"))
            frames = [(await socket.push())["data"], (await socket.push())["data"]]
            assert {frame.get("fundingRate") or frame[PERPETUAL]["fundingRate"] for frame in frames} == {"-0.00025"}

    within(tmp_path, body)


def test_liquidations_come_once_and_ours_name_the_venues_order(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        with_perpetuals(house)
        for listener in house.market.on_liquidation:
            listener(closed())
        async with house.operator().socket() as socket:
            await subscribe(socket, "watch_liquidations", **WHERE)
            (row,) = (await socket.push())["data"]
            assert set(row) > set(ccxt.Exchange().safe_liquidation({"info": {}}))
            assert (row["contracts"], row["price"], row["side"], row["datetime"]) == (
                "0.25",
                "58000.1",
                "sell",
                "2024-08-08T23:54:16.000Z",
            )
            for listener in house.market.on_liquidation:
                listener(closed(side="buy"))
            (row,) = (await socket.push())["data"]
            assert row["side"] == "buy" and row["info"] == {"venue": VENUE}
            await subscribe(socket, "watch_my_liquidations", **WHERE)
            assert (await socket.push())["data"] == []
            house.accounts._liquidated(closed("8886999"))
            (row,) = (await socket.push())["data"]
            assert row["info"] == {"venue": VENUE, "order": "8886999"}

    within(tmp_path, body)


def test_positions_are_ccxt_structures_flat_ones_as_well(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        with_perpetuals(house)
        async with house.operator().socket() as socket:
            await subscribe(socket, "watch_positions", venue=VENUE)
            assert (await socket.push())["data"] == []
            hold(house, position("-1.500"))
            (row,) = (await socket.push())["data"]
            assert (row["side"], row["contracts"], row["contractSize"], row["hedged"]) == ("short", "1.5", "1", False)
            assert (row["notional"], row["unrealizedPnl"], row["entryPrice"]) == ("90000.75", "100.1", "59000.5")
            assert row["liquidationPrice"] is row["leverage"] is None
            await subscribe(socket, "watch_position", **WHERE)
            assert (await socket.push())["data"] == row
            hold(house, position("0"))
            for frame in ((await socket.push())["data"][0], (await socket.push())["data"]):
                assert (frame["side"], frame["contracts"], frame["entryPrice"]) == (None, "0", None)

    within(tmp_path, body)


def test_inverse_positions_are_worth_their_settlement_currency(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        with_perpetuals(house)
        hold(house, msgspec.structs.replace(position("60000.5"), inverse=True, settle="BTC", mark=Decimal("60000.5")))
        hear(house, funding())
        async with house.operator().socket() as socket:
            await subscribe(socket, "watch_position", **WHERE)
            row = (await socket.push())["data"]
            assert (row["notional"], row["info"]["settle"]) == ("1", "BTC")
            await subscribe(socket, "watch_funding_rate_for_my_position", **WHERE)
            row = (await socket.push())["data"]
            assert (row["info"]["expected"], row["info"]["currency"]) == ("-0.0001", "BTC")

    within(tmp_path, body)


def test_funding_for_my_position_is_what_it_will_cost_and_what_was_paid(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        with_perpetuals(house)
        async with house.operator().socket() as socket:
            await subscribe(socket, "watch_funding_rate_for_my_position", **WHERE)
            hear(house, funding())
            row = (await socket.push())["data"]
            assert (row["fundingRate"], row["info"]["contracts"], row["info"]["expected"]) == ("0.0001", None, None)
            hold(house, position("2"))
            row = (await socket.push())["data"]
            assert row["info"]["expected"] == "-12.0001"  # longs pay while the rate is positive
            paid = FundingPaid(
                venue=VENUE, symbol=PERPETUAL, payment_id="9", amount=Decimal("-12.0001"), currency="USDT", ts_ns=10**18
            )
            house.accounts._funded(paid)
            (payment,) = (await socket.push())["data"]["info"]["payments"]
            assert (payment["id"], payment["code"], payment["amount"]) == ("9", "USDT", "-12.0001")

    within(tmp_path, body)
