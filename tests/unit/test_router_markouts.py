"""Markouts: when they are due, which sign they have, and what their averages say."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from router.costs.markouts import HORIZONS_MS, MS, ClientMarkouts, Markout, MarkoutQueue, Traced, look


def trade(n: int, ts_ms: int, *, side: str = "buy", fair: str | None = "100", price: str = "100.5") -> Traced:
    return Traced(
        source="client",
        ref=f"t{n}",
        party="alpha",
        symbol="BTC/USDT",
        side=side,
        price=D(price),
        quantity=D(1),
        fair=None if fair is None else D(fair),
        ts_ns=ts_ms * MS,
    )


def test_every_horizon_of_every_trade_is_due_once_in_the_order_of_time() -> None:
    queue = MarkoutQueue()
    for n, ts_ms in enumerate((0, 50, 950, 70_000)):
        assert queue.add(trade(n, ts_ms))
    assert queue.next_ns == 100 * MS
    assert queue.due(100 * MS - 1) == []
    first = queue.due(1_000 * MS)  # 100 ms of two, then 1 s of the first
    assert [(item.ref, horizon) for item, horizon in first] == [("t0", 100), ("t1", 100), ("t0", 1_000)]
    assert queue.next_ns == 1_050 * MS
    rest = queue.due(10**18)
    assert len(first) + len(rest) == 4 * len(HORIZONS_MS)
    assert len({(item.ref, horizon) for item, horizon in first + rest}) == 20
    times = [item.ts_ns + horizon * MS for item, horizon in rest]
    assert times == sorted(times)
    assert (queue.next_ns, len(queue)) == (None, 0)


def test_too_many_trades_are_left_out_and_counted() -> None:
    queue = MarkoutQueue(most=2)
    assert [queue.add(trade(n, n)) for n in range(4)] == [True, True, False, False]
    assert queue.skipped == 2
    assert len(queue.due(10**18)) == 2 * len(HORIZONS_MS)
    assert queue.add(trade(9, 9))


@pytest.mark.parametrize(("side", "move", "edge"), [("buy", 100.0, 49.7512), ("sell", -100.0, -49.7512)])
def test_the_sign_is_the_desks(side: str, move: float, edge: float) -> None:
    found = look(trade(0, 0, side=side), 1_000, D(101), 1_003 * MS)
    assert found.move_bps == pytest.approx(move)
    assert found.edge_bps == pytest.approx(edge, abs=1e-3)
    assert (found.horizon_ms, found.taken_ns, found.ref) == (1_000, 1_003 * MS, "t0")


def test_without_fair_value_there_is_no_markout() -> None:
    assert look(trade(0, 0), 100, None, MS).move_bps is None
    late = look(trade(0, 0, fair=None), 100, D(101), MS)
    assert late.move_bps is None
    assert late.edge_bps == pytest.approx(49.7512, abs=1e-3)


def moved(client: str, bps: float, at_s: float, symbol: str = "BTC/USDT", horizon_ms: int = 10_000) -> Markout:
    then = D(100) * (1 + D(str(bps)) / 10_000)
    seen = look(trade(0, 0), horizon_ms, then, int(at_s * 1e9))
    return Markout(
        **({name: getattr(seen, name) for name in seen.__struct_fields__} | {"party": client, "symbol": symbol})
    )


def test_a_client_is_judged_by_its_own_trades_at_one_horizon() -> None:
    clients = ClientMarkouts(halflife_s=1e9, prior_n=20.0)
    for bps in (-4.0, -2.0, -6.0):
        clients.add(moved("toxic", bps, 1.0))
    clients.add(moved("toxic", 500.0, 1.0, horizon_ms=60_000))
    clients.add(moved("toxic", 9.0, 1.0, symbol="ETH/USDT"))
    mean, n = clients.estimate("toxic", "BTC/USDT")
    assert mean == pytest.approx(-4.0)
    assert n == pytest.approx(3.0)
    assert clients.estimate("nobody", "BTC/USDT") == (0.0, 0.0)
    assert clients.pairs == [("toxic", "BTC/USDT"), ("toxic", "ETH/USDT")]
    assert clients.move("toxic", "BTC/USDT", 60_000).mean == 200.0  # clipped


def test_few_trades_are_drawn_to_everybodys() -> None:
    clients = ClientMarkouts(halflife_s=1e9, prior_n=20.0)
    for _ in range(180):
        clients.add(moved("many", -1.0, 1.0))
    for _ in range(20):
        clients.add(moved("few", -11.0, 1.0))
    everybody = (180 * -1.0 + 20 * -11.0) / 220  # of 200, with 20 of nothing
    assert clients.shrunk("few", "BTC/USDT") == pytest.approx((20 * -11.0 + 20 * everybody) / 40, abs=1e-6)
    assert clients.shrunk("new", "BTC/USDT") == pytest.approx(everybody, abs=1e-6)


def test_old_trades_fade_and_two_memories_make_one() -> None:
    whole, first, second = (ClientMarkouts(halflife_s=10.0, prior_n=5.0) for _ in range(3))
    for at_s, bps in ((1.0, -8.0), (4.0, 2.0)):
        whole.add(moved("a", bps, at_s))
        first.add(moved("a", bps, at_s))
    for at_s, bps in ((11.0, 1.0), (30.0, 3.0)):
        whole.add(moved("a", bps, at_s))
        second.add(moved("a", bps, at_s))
    second.merge(first)
    assert second.estimate("a", "BTC/USDT") == pytest.approx(whole.estimate("a", "BTC/USDT"))
    weights = [2 ** (-(30.0 - at) / 10.0) for at in (1.0, 4.0, 11.0, 30.0)]
    mean = sum(w * x for w, x in zip(weights, (-8.0, 2.0, 1.0, 3.0), strict=True)) / sum(weights)
    assert whole.estimate("a", "BTC/USDT") == pytest.approx((mean, sum(weights)))
