"""The tape reader on real recordings: its book equals an independent replay of the same frames, level by level."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from sim.events import EventKind
from sim.feed import binance_events, kraken_events
from sim.tape import scan
from tests.recorded_data import TAPES

LIMIT = 5_000  # messages of each tape that are compared

pytestmark = pytest.mark.skipif(not TAPES.is_dir(), reason="no recorded data here")


def head(path: Path, tmp_path: Path, *, snapshot: bool = True) -> Path:
    """The first messages of a tape as a tape of its own."""
    out = tmp_path / path.with_suffix(".txt").name
    with gzip.open(path, "rt") as source, out.open("w") as target:
        for number, line in enumerate(source):
            if number >= LIMIT:
                break
            if snapshot or "lastUpdateId" not in line:
                target.write(line)
    return out


def plain_replay(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The book at the end by Binance's rules, in the simplest way: dicts keyed by the price's text."""
    frames = [json.loads(line.partition(" ")[2]) for line in path.read_text().splitlines()]
    [snapshot] = [frame for frame in frames if "lastUpdateId" in frame]
    bids, asks = dict(snapshot["bids"]), dict(snapshot["asks"])
    for frame in frames:
        data = frame.get("data", {})
        if data.get("e") == "depthUpdate" and data["u"] > snapshot["lastUpdateId"]:
            for side, rows in ((bids, data["b"]), (asks, data["a"])):
                side.update({price: size for price, size in rows})
    return tuple({float(p): float(q) for p, q in side.items() if float(q) > 0} for side in (bids, asks))


@pytest.mark.parametrize("name", ["spot_btcusdt_20240808.gz", "spot_ethusdt_20240808.gz", "usdm_btcusdt_20240808.gz"])
def test_the_book_equals_an_independent_replay(name: str, tmp_path: Path) -> None:
    path = head(TAPES / name, tmp_path)
    info = scan(path)
    assert info.problems == ()
    book: dict[int, dict[int, int]] = {1: {}, -1: {}}
    for event in binance_events(info):
        if event.levels is not None:
            for side, price, size in event.levels.tolist():
                book[side][price] = size
    price_unit, lot = 10**-2, 10 ** -(5 if "btc" in name else 4)
    for side, expected in zip((1, -1), plain_replay(path), strict=True):
        ours = {round(p * price_unit, 2): q * lot for p, q in book[side].items() if q}
        # old dust finer than the lot is floored: such levels may be missing or a lot smaller
        assert set(ours) == {p for p, q in expected.items() if q >= lot}
        assert all(0 <= expected[p] - q < lot * 1.0001 or abs(expected[p] - q) < 1e-9 for p, q in ours.items())


def test_the_recorders_clock_error_is_found(tmp_path: Path) -> None:
    info = scan(head(TAPES / "spot_btcusdt_20240808.gz", tmp_path))
    assert 1.2e9 < info.clock_skew_ns < 1.35e9
    delays = [event.ts_init_ns - event.ts_event_ns for event in binance_events(info) if event.kind is EventKind.UPDATE]
    assert min(delays) >= 0 and sorted(delays)[len(delays) // 2] < 50_000_000


@pytest.mark.parametrize("name", ["spot_btcusdt_20240808.gz", "spot_ethusdt_20240808.gz"])
def test_a_real_tape_without_its_snapshot_is_trusted_within_seconds(name: str, tmp_path: Path) -> None:
    info = scan(head(TAPES / name, tmp_path, snapshot=False))
    first = next(event for event in binance_events(info) if event.kind is EventKind.SNAPSHOT)
    assert 1 < (first.ts_init_ns - info.first_ns) / 1e9 < 10


def test_each_venue_is_the_better_one_part_of_the_time(tmp_path: Path) -> None:
    path = head(TAPES / "spot_btcusdt_20240808.gz", tmp_path)
    binance = [(e.ts_init_ns, e.bid, e.ask) for e in binance_events(path) if e.kind is EventKind.QUOTE]
    kraken = [(e.ts_init_ns, e.bid * 10, e.ask * 10) for e in kraken_events(path, 7) if e.kind is EventKind.QUOTE]
    better, at = [0, 0], 0
    for ts, bid, _ in kraken:
        while at + 1 < len(binance) and binance[at + 1][0] <= ts:
            at += 1
        better[bid > binance[at][1]] += 1
    assert min(better) > 0.1 * sum(better), better
