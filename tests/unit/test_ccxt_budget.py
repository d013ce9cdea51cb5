"""Limits counted as the venues count them: who waits, for how long, and what each request costs."""

import asyncio
from types import SimpleNamespace

import pytest

from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.limits.bucket import RateLimited
from adapters.ccxt.limits.budget import SHARE, Budget, Counter, Kind, Spending, Window
from adapters.ccxt.limits.purse import Purse
from adapters.ccxt.venues.binance.tariff import BinanceTariff
from adapters.ccxt.venues.binanceusdm.tariff import BinanceUsdmTariff
from adapters.ccxt.venues.bybit.tariff import BybitTariff
from adapters.ccxt.venues.coinbase.tariff import CoinbaseTariff
from adapters.ccxt.venues.kraken.tariff import KrakenTariff
from adapters.ccxt.venues.krakenfutures.tariff import KrakenFuturesTariff
from adapters.ccxt.venues.okx.tariff import OkxTariff

ORDER = OrderRequest(
    client_order_id="c-1", symbol="BTC/USDT", side="buy", kind="limit", time_in_force="GTC", quantity="1", price="1"
)
AMEND = AmendRequest(client_order_id="c-1", venue_order_id="9", symbol="BTC/USDT", side="buy", quantity="1", price="2")
CANCEL = CancelRequest(client_order_id="c-1", symbol="BTC/USDT")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_request_counts_until_an_interval_after_its_answer():
    window = Window(10, 1.0)
    window.take(9, 0.0)
    assert window.wait_s(1, 1.0, 5.0) > 0  # still under way: the venue may count it any moment
    window.answered(9, 6.0, 6.0)
    assert window.wait_s(1, 1.0, 6.5) == pytest.approx(0.5)
    assert window.wait_s(1, 1.0, 7.0) == 0


def test_short_windows_keep_a_tenth_free_and_never_close_altogether():
    assert Window(20, 1.0).wait_s(18, 1.0, 0.0) == 0
    one = Window(1, 1.0)
    assert one.wait_s(1, 1.0, 0.0) == 0
    one.take(1, 0.0)
    one.answered(1, 0.1, 0.1)
    assert one.wait_s(1, 1.0, 0.5) == pytest.approx(0.6)


def test_data_stop_first_then_queries_then_orders_and_cancels_use_all():
    clock = Clock()
    budget = Budget(lambda name: Window(1_000, 60.0), clock)

    async def room(kind: Kind) -> int:
        taken = 0
        while budget.wait_s(Spending(kind, (("weight", 1.0),))) == 0:
            async with budget.spend(Spending(kind, (("weight", 1.0),))):
                taken += 1
        return taken

    async def main() -> list[int]:
        return [await room(kind) for kind in Kind]

    assert asyncio.run(main()) == [600, 250, 100, 50]


def test_who_would_wait_too_long_is_not_sent_and_pays_nothing():
    clock = Clock()
    budget = Budget(lambda name: Window(1, 60.0), clock)
    spending = Spending(Kind.ORDER, (("orders", 1.0),))

    async def main() -> None:
        async with budget.spend(spending):
            pass
        with pytest.raises(RateLimited, match="would wait 60"):
            async with budget.spend(spending):
                raise AssertionError("it was sent")
        assert budget.health()["limits"]["orders"] == {"capacity": 1, "used": 1.0, "left": 0.0}

    asyncio.run(main())


def test_what_is_kept_is_left_to_cancels():
    points = Window(500, 10.0, kept=0.2)
    points.take(10 * 34, 0.0)
    assert points.wait_s(10, SHARE[Kind.ORDER], 0.0) > 0
    assert points.wait_s(110, SHARE[Kind.CANCEL], 0.0) == 0


def test_what_the_venue_says_is_used_counts_and_after_a_refusal_nothing_leaves():
    clock = Clock()
    purse = Purse(BinanceTariff())
    purse.budget = Budget(purse.tariff.limit, clock)
    purse.tariff.heard(purse.budget, 200, "api/v3/order", {"x-mbx-used-weight-1m": "5990"}, "")
    data = purse.tariff.rest("public", "GET", "depth", {}, 1.0)
    assert purse.budget.wait_s(data) == pytest.approx(60)
    assert purse.budget.wait_s(purse.tariff.rest("private", "DELETE", "order", {}, 0.2)) == 0
    purse.tariff.heard(purse.budget, 429, "api/v3/order", {"retry-after": "7"}, "")
    assert purse.budget.wait_s(purse.tariff.rest("private", "DELETE", "order", {}, 0.2)) == pytest.approx(7)
    assert purse.budget.health()["refused"] == 1


def test_a_counter_goes_down_with_time_but_not_while_the_answer_is_awaited():
    counter = Counter(20, 1.0)
    counter.take(10, 0.0)
    assert counter.used(4.0) == 6
    counter.answered(10, 4.0, 4.0)
    assert counter.used(4.0) == 10  # the venue may have begun to count only now
    assert counter.wait_s(12, 1.0, 4.0) == pytest.approx(3.0)


COSTS = [
    (BinanceTariff, ("private", "POST", "order", {}, 0.2), Kind.ORDER, {"weight 1m": 1, "orders 10s": 1, "orders 1d": 1}),
    (BinanceTariff, ("private", "GET", "order", {}, 0.8), Kind.QUERY, {"weight 1m": 4}),
    (BinanceTariff, ("private", "GET", "openOrders", {}, 1.2), Kind.QUERY, {"weight 1m": 6}),
    (BinanceTariff, ("private", "DELETE", "openOrders", {}, 0.2), Kind.CANCEL, {"weight 1m": 1}),
    (BinanceTariff, ("private", "PUT", "order/amend/keepPriority", {}, 0.8), Kind.ORDER, {"weight 1m": 4}),
    (BinanceTariff, ("public", "GET", "depth", {}, 10.0), Kind.DATA, {"weight 1m": 50}),
    (BinanceUsdmTariff, ("fapiPrivate", "POST", "order", {}, 1.0), Kind.ORDER, {"weight 1m": 1, "orders 10s": 1, "orders 1m": 1}),
    (BybitTariff, ("private", "POST", "v5/order/create", {}, 2.5), Kind.ORDER, {"v5/order/create": 1, "address 5s": 1}),
    (BybitTariff, ("private", "POST", "v5/order/cancel-all", {}, 50), Kind.CANCEL, {"v5/order/cancel-all": 1, "address 5s": 1}),
    (CoinbaseTariff, ("v3", "POST", "brokerage/orders", {}, 1), Kind.ORDER, {"private 1s": 1}),
    (CoinbaseTariff, ("v3", "POST", "brokerage/orders/batch_cancel", {}, 1), Kind.CANCEL, {"private 1s": 1}),
    (CoinbaseTariff, ("v3", "GET", "brokerage/orders/historical/fills", {}, 1), Kind.QUERY, {"private 1s": 1}),
    (CoinbaseTariff, ("v3", "GET", "brokerage/market/products", {}, 3), Kind.DATA, {"public 1s": 1}),
    (OkxTariff, ("private", "POST", "trade/batch-orders", [{}, {}], 1 / 15), Kind.ORDER, {"trade/batch-orders 300/2s": 2, "orders 2s": 2}),
    (OkxTariff, ("private", "GET", "trade/fills-history", {}, 2), Kind.QUERY, {"trade/fills-history 10/2s": 1}),
    (KrakenTariff, ("private", "POST", "AddOrder", {"cl_ord_id": "c", "pair": "XBTUSDT"}, 0), Kind.ORDER, {"orders BTCUSDT": 1}),
    (KrakenTariff, ("private", "POST", "TradesHistory", {}, 6), Kind.QUERY, {"requests": 2}),
    (KrakenTariff, ("private", "POST", "BalanceEx", {}, 3), Kind.DATA, {"requests": 1}),
    (KrakenTariff, ("private", "POST", "CancelAllOrdersAfter", {}, 3), Kind.CANCEL, {"requests": 1}),
    (KrakenFuturesTariff, ("private", "POST", "sendorder", {}, 1), Kind.ORDER, {"points 10s": 10}),
    (KrakenFuturesTariff, ("private", "POST", "batchorder", {"batchOrder": [{}, {}]}, 1), Kind.CANCEL, {"points 10s": 11}),
]  # fmt: skip


@pytest.mark.parametrize(("tariff", "request_", "kind", "costs"), COSTS)
def test_what_a_request_costs(tariff, request_, kind, costs):
    spending = tariff().rest(*request_)
    assert (spending.kind, dict(spending.costs)) == (kind, costs)


def test_a_young_order_is_dear_to_cancel_at_kraken_by_either_way(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("adapters.ccxt.venues.kraken.tariff.monotonic", clock)
    tariff = KrakenTariff()
    assert dict(tariff.socket(ORDER, "c-1").costs) == {"orders BTCUSDT": 1}
    assert dict(tariff.rest("private", "POST", "CancelOrder", {"cl_ord_id": "c-1"}, 0).costs) == {"orders BTCUSDT": 8}
    clock.now += 12
    assert dict(tariff.socket(CANCEL, "c-1").costs) == {"orders BTCUSDT": 5}
    assert dict(tariff.socket(AMEND, "c-1").costs) == {"orders BTCUSDT": 2}
    assert dict(tariff.socket(CANCEL, "c-1").costs) == {"orders BTCUSDT": 8}  # young again
    clock.now += 400
    batch = {"cl_ord_ids": ["c-1", "unknown"]}
    assert dict(tariff.rest("private", "POST", "CancelOrderBatch", batch, 0).costs) == {
        "orders BTCUSDT": 0,
        "orders ": 8,
    }


def test_a_limit_that_bybit_tells_replaces_the_documented_one():
    tariff = BybitTariff()
    budget = Budget(tariff.limit)
    spending = tariff.rest("private", "POST", "v5/order/create", {}, 2.5)
    assert budget.wait_s(spending) == 0
    assert budget.health()["limits"]["v5/order/create"]["capacity"] == 20
    heard = {"x-bapi-limit": "5", "x-bapi-limit-status": "1"}
    tariff.heard(budget, 200, "v5/order/create", heard, "")
    assert tariff.rest("private", "POST", "v5/order/create", {}, 2.5) == spending
    assert budget.health()["limits"]["v5/order/create"] == {"capacity": 5, "used": 4, "left": 1}
    assert budget.wait_s(spending) > 0  # four of five are used


def test_every_request_of_an_instance_is_paid_once_and_its_answer_heard():
    sent = []

    async def fetch2(path, api, method, params, config):
        sent.append(path)
        return {}

    exchange = SimpleNamespace(
        fetch2=fetch2,
        on_rest_response=lambda code, reason, url, method, headers, body, *rest: body,
        calculate_rate_limiter_cost=lambda api, method, path, params, config: config["cost"],
    )
    purse = Purse(BinanceTariff())
    purse.attach(exchange)
    purse.attach(exchange)
    asyncio.run(exchange.fetch2("account", ["private"], "GET", {}, {"cost": 4}))
    assert sent == ["account"]
    assert purse.budget.health()["limits"]["weight 1m"]["used"] == 20
    url = "http://127.0.0.1:1/api/v3/account?x=1"
    assert exchange.on_rest_response(200, "OK", url, "GET", {"X-MBX-USED-WEIGHT-1M": "77"}, "{}", {}, None) == "{}"
    assert purse.budget.health()["limits"]["weight 1m"]["used"] == 77


def served(make, kind, *requests) -> list[str]:
    """The order in which requests, asked for in this order at once, are sent; each is (name, costs)."""
    sent = []

    async def main() -> None:
        budget = Budget(make)
        async with budget.spend(Spending(kind, (("requests", 16.0),))):
            pass  # of nineteen, queries leave 15 % free: nothing is left for now

        async def one(name, costs) -> None:
            async with budget.spend(Spending(kind, costs)):
                sent.append(name)

        tasks = []
        for name, costs in requests:
            tasks.append(asyncio.create_task(one(name, costs)))
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)

    asyncio.run(main())
    return sent


def test_a_dear_request_is_not_overtaken_by_cheap_ones_that_came_later():
    dear, cheap = ("dear", (("requests", 4.0),)), [(f"cheap {n}", (("requests", 1.0),)) for n in range(8)]
    assert served(lambda name: Counter(20, 40.0), Kind.QUERY, dear, *cheap)[0] == "dear"


def test_requests_of_one_kind_are_sent_in_the_order_they_came():
    requests = [(str(n), (("requests", 1.0 + n % 3),)) for n in range(12)]
    assert served(lambda name: Counter(20, 100.0), Kind.QUERY, *requests) == [name for name, _ in requests]


def test_one_that_waits_for_one_limit_does_not_hold_up_those_that_need_another():
    both, other = ("both", (("requests", 4.0), ("address", 1.0))), ("other", (("address", 1.0),))
    assert served(lambda name: Counter(20, 40.0), Kind.QUERY, both, other) == ["other", "both"]


def test_one_that_gives_up_lets_those_behind_it_go():
    async def main() -> list[str]:
        budget, sent = Budget(lambda name: Counter(20, 40.0)), []
        async with budget.spend(Spending(Kind.QUERY, (("requests", 16.0),))):
            pass

        async def one(name: str, cost: float) -> None:
            async with budget.spend(Spending(Kind.QUERY, (("requests", cost),))):
                sent.append(name)

        dear = asyncio.create_task(one("dear", 12.0))
        await asyncio.sleep(0.001)
        cheap = asyncio.create_task(one("cheap", 1.0))
        await asyncio.sleep(0.001)
        dear.cancel()
        await asyncio.wait_for(cheap, 1.0)
        assert not any(budget._lines.values())
        return sent

    assert asyncio.run(main()) == ["cheap"]
