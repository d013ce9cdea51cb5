"""Scripted clients: deterministic, balanced, in range, and the same from a file."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from sim.clients import CROWD, SIZE_RANGES, ScriptedRfq, read_script, script, write_script

PRICES = {"BTC/USDT": Decimal("61000"), "ETH/USDT": Decimal("2600"), "SOL/USDT": Decimal("140")}
SYMBOLS = list(PRICES)


def _some(seed: int = 7, count: int = 3_000, **more: object) -> list[ScriptedRfq]:
    return list(islice(script(seed, SYMBOLS, prices=PRICES, **more), count))  # type: ignore[arg-type]


def test_a_seed_is_a_script() -> None:
    assert _some(7) == _some(7)
    assert _some(7, 50) != _some(8, 50)


def test_it_is_in_order_of_time_at_the_rate_asked_for() -> None:
    times = [request.at_ns for request in _some(rate_per_s=1.5)]
    assert times == sorted(times)
    assert 1.4 < len(times) / (times[-1] / 1e9) < 1.6
    assert all(request.at_ns < 20e9 for request in script(7, SYMBOLS, prices=PRICES, duration_s=20))


def test_sizes_stay_in_range_in_either_currency() -> None:
    for request in _some():
        base, _, quote = request.instrument.partition("/")
        assert request.currency in (base, quote)
        size = float(request.quantity)
        if request.currency == quote:
            size /= float(PRICES[request.instrument])
        low, high = SIZE_RANGES.get(base, (600 / 140, 180_000 / 140))
        assert low * 0.99 <= size <= high * 1.01
        assert 0 < request.accept_ratio <= 1


def test_the_mix_is_what_a_desk_meets() -> None:
    requests = _some()
    count = len(requests)
    assert 0.5 < sum(request.accept_after_ms is not None for request in requests) / count < 0.68
    assert {request.side for request in requests} == {"buy", "sell", "two_way"}
    assert {request.client for request in requests} == {client.client_id for client in CROWD}
    assert 0.15 < sum(request.currency == "USDT" for request in requests) / count < 0.45
    assert any(request.accept_ratio < 1 for request in requests)


@pytest.mark.parametrize("seed", range(5))
def test_clients_together_neither_buy_nor_sell_for_ever(seed: int) -> None:
    net = worst = Decimal(0)
    for request in _some(seed):
        if request.instrument == "BTC/USDT" and request.accept_after_ms is not None:
            side = request.accept_side if request.side == "two_way" else request.side
            size = request.quantity if request.currency == "BTC" else request.quantity / PRICES["BTC/USDT"]
            net += size * request.accept_ratio * (1 if side == "buy" else -1)
            worst = max(worst, abs(net))
    assert Decimal(2) < worst < Decimal(40)  # it needs hedging, and it does not run away


def test_a_file_holds_the_same_script(tmp_path: Path) -> None:
    requests = _some(count=100)
    path = tmp_path / "clients.jsonl"
    write_script(path, requests)
    assert read_script(path) == requests


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        '{"at_ns":1}',
        '{"at_ns":-1,"client":"a","instrument":"BTC/USDT","side":"buy","quantity":"1","currency":"BTC"}',
        '{"at_ns":1,"client":"a","instrument":"BTC/USDT","side":"hold","quantity":"1","currency":"BTC"}',
        '{"at_ns":1,"client":"a","instrument":"BTC/USDT","side":"buy","quantity":"NaN","currency":"BTC"}',
        '{"at_ns":1,"client":"a","instrument":"BTC/USDT","side":"buy","quantity":"1","currency":"BTC","typo":1}',
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    good = '{"at_ns":1,"client":"a","instrument":"BTC/USDT","side":"buy","quantity":"1","currency":"BTC"}'
    path = tmp_path / "clients.jsonl"
    path.write_text(f"{good}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"clients\.jsonl, line 3"):
        read_script(path)
