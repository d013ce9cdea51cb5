"""`GET /v1/capabilities`: true for this desk, whatever its venues are called, however they are followed, real or on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from desk.api.context import Venues
from desk.api.messages import RateLimit, RateLimits
from tests.api.house import House, fault_of, within

OF_CONTRACTS = ("funding", "liquidation", "position")


def matrix_of(tmp_path: Path, venues: Venues, accounts: bool = True) -> dict[str, Any]:
    answers: list[dict[str, Any]] = []

    async def body(house: House) -> None:
        if not accounts:
            house.server.api.accounts = None
        status, answer = (await house.wire("ops", "operate,read,quote,trade").call("GET", "/v1/capabilities"))[:2]
        assert status == 200
        answers.append(answer)

    within(tmp_path, body, venues=venues)
    return answers[0]


def test_a_venue_is_what_its_exchange_is_whatever_it_is_called(tmp_path: Path) -> None:
    exchanges = {"BINANCE": "coinbase", "KRAKEN": "kraken"}
    matrix = matrix_of(tmp_path, Venues(exchanges=exchanges))["venues"]
    assert matrix["BINANCE"]["watch_bids_asks"] == "derived"
    assert matrix["BINANCE"]["watch_my_trades"] == matrix["BINANCE"]["watch_my_trades_for_symbols"] == "polled"
    assert matrix["BINANCE"]["watch_orders"] == "native"
    assert (matrix["KRAKEN"]["watch_bids_asks"], matrix["KRAKEN"]["watch_balance"]) == ("native", "polled")


def test_on_paper_what_is_ours_is_derived_also_where_a_real_account_could_not_be(tmp_path: Path) -> None:
    matrix = matrix_of(tmp_path, Venues(exchanges={"BINANCE": "bitget"}, paper=True))["venues"]
    for venue in ("BINANCE", "KRAKEN"):
        assert {matrix[venue][f"watch_{name}"] for name in ("orders", "my_trades", "balance")} == {"derived"}
    assert matrix["BINANCE"]["watch_order_book"] == "native"
    real = matrix_of(tmp_path / "real", Venues(exchanges={"BINANCE": "bitget"}))["venues"]
    assert {real["BINANCE"][f"watch_{name}"] for name in ("orders", "my_trades", "balance")} == {"unsupported"}
    none = matrix_of(tmp_path / "none", Venues(), accounts=False)["venues"]
    assert none["BINANCE"]["watch_orders"] == none["FALCONX"]["watch_orders"] == "unsupported"


def test_spot_venues_have_nothing_of_contracts_and_lps_nothing_but_our_orders(tmp_path: Path) -> None:
    matrix = matrix_of(tmp_path, Venues())["venues"]
    spot = {name for name, mode in matrix["KRAKEN"].items() if mode == "unsupported"}
    assert spot == {name for name in matrix["KRAKEN"] if any(word in name for word in OF_CONTRACTS)}
    assert {name for name, mode in matrix["FALCONX"].items() if mode != "unsupported"} == {
        *("watch_orders", "watch_my_trades", "watch_orders_for_symbols", "watch_my_trades_for_symbols")
    }


def test_best_prices_that_the_engines_adapter_has_from_the_book_are_derived(tmp_path: Path) -> None:
    matrix = matrix_of(tmp_path, Venues(derived_tops=frozenset({"KRAKEN"})))["venues"]
    assert (matrix["KRAKEN"]["watch_bids_asks"], matrix["BINANCE"]["watch_bids_asks"]) == ("derived", "native")


def test_rate_limits_are_told_with_what_is_left(tmp_path: Path) -> None:
    weight = RateLimit(capacity=6_000, used=120.5, left=5_879.5)
    told = RateLimits(limits={"weight 1m": weight}, waited={"data": 3}, refused=0, closed_s=0.0)
    answer = matrix_of(tmp_path, Venues(rate_limits=lambda: {"BINANCE": told}))
    assert answer["rate_limits"] == {
        "BINANCE": {
            "limits": {"weight 1m": {"capacity": 6000.0, "used": 120.5, "left": 5879.5}},
            "waited": {"data": 3},
            "refused": 0,
            "closed_s": 0.0,
        }
    }


def test_a_subscription_says_the_mode_of_the_matrix(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        wire = house.wire("ops", "operate,read,quote,trade")
        async with wire.socket() as socket:
            for channel, mode in (("watch_balance", "polled"), ("watch_bids_asks", "native")):
                params = {"venue": "KRAKEN", "symbol": "BTC/USDT"}
                answer = await socket.ask({"op": "subscribe", "id": 1, "channel": channel, "params": params})
                assert (answer["ok"], answer["mode"]) == (True, mode)
            params = {"venue": "KRAKEN", "symbol": "BTC/USDT"}
            answer = await socket.ask({"op": "subscribe", "id": 1, "channel": "watch_positions", "params": params})
            assert fault_of(answer) == ("invalid", "unsupported")

    within(tmp_path, body)
