"""Tapes with every fault they may have: what is read, what is said, and when the book may be shown."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from sim.events import EventKind, VenueEvent
from sim.feed import binance_events, kraken_events
from sim.tape import Depth, Market, ProblemKind, TapeFault, discover, read, scan
from sim.tape_book import TRUSTED_CHECKS
from tests.replay.tape_maker import START_NS, tape_lines


def written(path: Path, lines: list[str]) -> Path:
    """A gzip tape of these lines."""
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return path


def book_events(path: Path) -> list[VenueEvent]:
    """Snapshots and clears of the Binance stream."""
    return [event for event in binance_events(path) if event.kind in (EventKind.SNAPSHOT, EventKind.CLEAR)]


def depth_lines(lines: list[str]) -> list[int]:
    """Indices of depth updates."""
    return [index for index, line in enumerate(lines) if '"depthUpdate"' in line]


def test_a_clean_tape_is_described_and_gives_one_whole_book(tmp_path: Path) -> None:
    info = scan(written(tmp_path / "t.gz", tape_lines()))
    assert (info.symbol, info.market, info.has_snapshot) == ("BTC/USDT", Market.SPOT, True)
    assert (info.price_decimals, info.size_decimals) == (2, 5)
    assert info.first_ns == START_NS and info.problems == ()
    events = list(binance_events(info))
    assert [event.kind for event in events if event.kind in (EventKind.SNAPSHOT, EventKind.CLEAR)] == ["snapshot"]
    assert all(event.ts_event_ns <= event.ts_init_ns for event in events)
    assert [event.ts_init_ns for event in events] == sorted(event.ts_init_ns for event in events)


def test_plain_text_is_a_tape_as_well(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("".join(f"{line}\n" for line in tape_lines(seconds=2)))
    assert scan(path).messages == len(tape_lines(seconds=2))


@pytest.mark.parametrize("content", [b"MIT License\n\nCopyright\n" * 40, bytes(range(256)) * 50, b'{"a": 1}\n' * 5])
def test_what_is_no_tape_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "LICENSE"
    path.write_bytes(content)
    with pytest.raises(TapeFault, match="is not a tape") as fault:
        scan(path)
    assert fault.value.kind is ProblemKind.NOT_A_TAPE and "\n" not in str(fault.value)


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(TapeFault, match="is empty") as fault:
        scan(tmp_path / "empty")
    assert fault.value.kind is ProblemKind.EMPTY
    with pytest.raises(TapeFault, match="does not exist"):
        discover(tmp_path / "nowhere")
    with pytest.raises(TapeFault, match="there is no tape in"):
        discover(tmp_path)


def test_truncated_gzip_yields_every_readable_line_and_ends_with_a_clear(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.gz", tape_lines()).read_bytes()
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[: len(whole) // 2])
    info = scan(path)
    assert 10 < info.messages < len(tape_lines())
    [problem] = info.problems
    assert problem.kind is ProblemKind.TRUNCATED and "cut.gz" in problem.message
    assert problem.line >= info.messages
    clear = list(binance_events(path))[-1]
    assert clear.kind is EventKind.CLEAR and "ends early" in clear.reason


def test_a_file_that_ends_in_the_middle_of_a_line_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt"
    path.write_text("".join(f"{line}\n" for line in tape_lines(seconds=3))[:-40])
    [problem] = scan(path).problems
    assert problem.kind is ProblemKind.TRUNCATED


def test_damaged_gzip_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    data = bytearray(written(tmp_path / "t.gz", tape_lines()).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8] = b"\xff" * 8
    (tmp_path / "t.gz").write_bytes(data)
    info = scan(tmp_path / "t.gz")
    assert info.messages > 0
    assert {problem.kind for problem in info.problems} & {ProblemKind.TRUNCATED, ProblemKind.CORRUPT_FRAME}
    assert sum(1 for _ in binance_events(info)) > 0


def test_a_corrupt_ticker_frame_hides_the_book_until_the_next_delta_follows(tmp_path: Path) -> None:
    lines = tape_lines()
    index = next(i for i, line in enumerate(lines) if i > 100 and "@bookTicker" in line)
    lines[index] = lines[index][:50]
    path = written(tmp_path / "t.gz", lines)
    [problem] = scan(path).problems
    assert (problem.kind, problem.line) == (ProblemKind.CORRUPT_FRAME, index + 1)
    first, clear, again = book_events(path)
    assert (first.kind, clear.kind, again.kind) == ("snapshot", "clear", "snapshot")
    assert f"line {index + 1}" in clear.reason
    assert again.ts_init_ns - clear.ts_init_ns <= 200_000_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace('"u": ', '"u": "x", "v": '),
        lambda line: line[: len(line) // 2],
        lambda line: "not a time " + line.partition(" ")[2],
        lambda line: "9" * 30 + line.partition(" ")[2],
        lambda line: line.partition(" ")[0] + " null",
    ],
)
def test_a_corrupt_delta_is_a_gap_and_the_book_comes_back_only_with_proof(tmp_path: Path, damage) -> None:
    lines = tape_lines(seconds=30)
    index = depth_lines(lines)[60]
    lines[index] = damage(lines[index])
    path = written(tmp_path / "t.gz", lines)
    kinds = [problem.kind for problem in scan(path).problems]
    assert kinds == [ProblemKind.CORRUPT_FRAME, ProblemKind.SEQUENCE_GAP]
    _, clear, again = book_events(path)
    assert clear.kind is EventKind.CLEAR and again.kind is EventKind.SNAPSHOT
    # proof takes TRUSTED_CHECKS deltas of 100 ms
    assert again.ts_init_ns - clear.ts_init_ns >= TRUSTED_CHECKS * 100_000_000


def test_a_gap_clears_at_once_and_nothing_is_shown_until_trusted(tmp_path: Path) -> None:
    path = written(tmp_path / "t.gz", tape_lines(seconds=30, gap_at=100))
    [problem] = scan(path).problems
    assert problem.kind is ProblemKind.SEQUENCE_GAP and "missing" in problem.message
    shown = True
    for event in binance_events(path):
        match event.kind:
            case EventKind.CLEAR:
                shown = False
            case EventKind.SNAPSHOT:
                shown = True
            case EventKind.UPDATE:
                assert shown, "an update of a book that is not to be trusted"
    assert shown
    kraken = [event.kind for event in kraken_events(path, 7) if event.kind in (EventKind.SNAPSHOT, EventKind.CLEAR)]
    assert kraken == ["snapshot", "clear", "snapshot"]


def without_snapshot(lines: list[str]) -> list[str]:
    return [line for line in lines if "lastUpdateId" not in line]


def test_without_a_snapshot_the_book_is_trusted_later_and_equals_the_real_one(tmp_path: Path) -> None:
    full = written(tmp_path / "full.gz", tape_lines(seconds=30))
    bare = written(tmp_path / "bare.gz", without_snapshot(tape_lines(seconds=30)))
    assert not scan(bare).has_snapshot
    [first] = book_events(bare)
    assert first.ts_init_ns - START_NS >= TRUSTED_CHECKS * 100_000_000
    real: dict[tuple[int, int], int] = {}
    for event in binance_events(full):
        if event.levels is not None and event.ts_init_ns <= first.ts_init_ns:
            real.update({(side, price): size for side, price, size in event.levels.tolist()})
    real = {level: size for level, size in real.items() if size}
    for side, price, size in first.levels.tolist():
        assert real[side, price] == size
    best = {side: (max if side > 0 else min)(p for s, p, _ in first.levels.tolist() if s == side) for side in (1, -1)}
    assert best == {1: max(p for s, p in real if s == 1), -1: min(p for s, p in real if s == -1)}


def test_without_snapshot_and_ticker_five_unbroken_seconds_are_the_proof(tmp_path: Path) -> None:
    lines = [line for line in without_snapshot(tape_lines(seconds=12)) if "@bookTicker" not in line]
    [first] = book_events(written(tmp_path / "t.gz", lines))
    assert 5.0 <= (first.ts_init_ns - START_NS) / 1e9 <= 5.3


def test_a_ticker_that_disagrees_never_lets_a_filled_book_be_trusted(tmp_path: Path) -> None:
    lines = []
    for line in without_snapshot(tape_lines(seconds=20)):
        stamp, _, body = line.partition(" ")
        frame = json.loads(body)
        if frame["stream"].endswith("bookTicker"):
            frame["data"]["b"] = f"{float(frame['data']['b']) - 0.01:.2f}"
        lines.append(f"{stamp} {json.dumps(frame)}")
    assert book_events(written(tmp_path / "t.gz", lines)) == []


def test_a_late_snapshot_makes_a_filling_book_whole(tmp_path: Path) -> None:
    lines = tape_lines(seconds=10)
    [at] = [index for index, line in enumerate(lines) if "lastUpdateId" in line]
    snapshot = lines.pop(at)
    later = depth_lines(lines)[5] + 1
    stamp = lines[later].partition(" ")[0]
    lines.insert(later, f"{stamp} {snapshot.partition(' ')[2]}")
    [first] = book_events(written(tmp_path / "t.gz", lines))
    assert (first.ts_init_ns - START_NS) / 1e9 < 1.0
    # the deltas between the snapshot and now are in it: it equals the book of the untouched tape at that moment
    book: dict[tuple[int, int], int] = {}
    for event in binance_events(written(tmp_path / "u.gz", tape_lines(seconds=10))):
        if event.levels is not None and event.ts_init_ns < int(stamp):
            book.update({(side, price): size for side, price, size in event.levels.tolist()})
    assert {(s, p): q for s, p, q in first.levels.tolist()} == {level: size for level, size in book.items() if size}


def test_time_that_runs_backwards_is_said_and_never_passed_on(tmp_path: Path) -> None:
    lines = tape_lines(seconds=5)
    stamp, _, body = lines[40].partition(" ")
    lines[40] = f"{int(stamp) - 5_000_000_000} {body}"
    path = written(tmp_path / "t.gz", lines)
    [problem] = scan(path).problems
    assert (problem.kind, problem.line) == (ProblemKind.TIME_BACKWARDS, 41)
    arrivals = [event.ts_init_ns for event in binance_events(path)]
    assert arrivals == sorted(arrivals)


def as_usdm(lines: list[str]) -> list[str]:
    """The same tape in the USD-M dialect: `pu`, ids that skip, tickers with event times."""
    out, previous = [], 0
    for line in lines:
        stamp, _, body = line.partition(" ")
        frame = json.loads(body)
        if "lastUpdateId" in frame:
            frame["lastUpdateId"] *= 10
        else:
            data = frame["data"]
            match data.get("e"):
                case "depthUpdate":
                    data |= {"U": data["U"] * 10 - 5, "u": data["u"] * 10, "pu": previous or data["U"] * 10 - 10}
                    previous = data["u"]
                case "trade":
                    data["X"] = "MARKET"
                case None:
                    data |= {
                        "e": "bookTicker",
                        "u": data["u"] * 10,
                        "E": int(stamp) // 1_000_000,
                        "T": int(stamp) // 1_000_000,
                    }
        out.append(f"{stamp} {json.dumps(frame)}")
    return out


def test_usd_m_continuity_is_by_pu(tmp_path: Path) -> None:
    path = written(tmp_path / "u.gz", as_usdm(tape_lines(seconds=10)))
    info = scan(path)
    assert info.market is Market.USDM and info.problems == ()
    assert [event.kind for event in book_events(path)] == ["snapshot"]
    lines = as_usdm(tape_lines(seconds=10))
    del lines[depth_lines(lines)[40]]
    assert [p.kind for p in scan(written(tmp_path / "v.gz", lines)).problems] == [ProblemKind.SEQUENCE_GAP]


def test_a_folder_gives_one_tape_a_symbol_spot_first_and_says_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("MIT License\n" * 10)
    written(tmp_path / "a_usdm.gz", as_usdm(tape_lines(seconds=3)))
    written(tmp_path / "b_spot.gz", tape_lines(seconds=3))
    written(tmp_path / "c_eth.gz", as_usdm(tape_lines(seconds=3, raw="ETHUSDT", price=2600)))
    bitcoin, ether = discover(tmp_path)
    assert (bitcoin.symbol, bitcoin.path.name, bitcoin.market) == ("BTC/USDT", "b_spot.gz", Market.SPOT)
    assert any("a_usdm.gz" in note and "left out" in note for note in bitcoin.notes)
    assert ether.market is Market.USDM and any("re-encoded" in note for note in ether.notes)
    [alone] = discover(tmp_path / "a_usdm.gz")
    assert alone.market is Market.USDM


def test_two_symbols_in_one_file_are_two_tapes_each_with_its_own_snapshot(tmp_path: Path) -> None:
    bitcoin, ether = tape_lines(seconds=5), tape_lines(seconds=5, raw="ETHUSDT", price=2600)
    merged = sorted(bitcoin + ether, key=lambda line: int(line.partition(" ")[0]))
    path = written(tmp_path / "both.gz", [*merged[:40], "", *merged[40:]])  # an empty line is nothing
    found = discover(path)
    assert [(info.symbol, info.problems) for info in found] == [("BTC/USDT", ()), ("ETH/USDT", ())]
    frames = [frame for frame in read(path, "ETH/USDT") if isinstance(frame, Depth)]
    assert len(frames) == len(depth_lines(ether)) and {frame.symbol for frame in frames} == {"ETH/USDT"}
    for info, low, high in zip(found, (59_000_00, 2_500_00), (61_000_00, 2_700_00), strict=True):
        levels = [event.levels for event in binance_events(info) if event.kind is EventKind.SNAPSHOT]
        assert len(levels) == 1 and all(low < price < high for price in levels[0][:, 1].tolist())


def test_the_transform_is_a_function_of_tape_and_seed(tmp_path: Path) -> None:
    path = written(tmp_path / "t.gz", tape_lines(seconds=8))

    def told(seed: int) -> list[tuple]:
        return [
            (
                e.kind,
                e.ts_init_ns,
                e.ts_event_ns,
                e.price,
                e.size,
                e.bid,
                e.ask,
                None if e.levels is None else e.levels.tobytes(),
            )
            for e in kraken_events(path, seed)
        ]

    assert told(7) == told(7)
    assert told(7) != told(8)


def test_the_derived_book_is_never_crossed_and_its_quotes_are_its_top(tmp_path: Path) -> None:
    book: dict[int, dict[int, int]] = {1: {}, -1: {}}
    quotes = 0
    for event in kraken_events(written(tmp_path / "t.gz", tape_lines(seconds=20)), 7):
        if event.kind is EventKind.SNAPSHOT:
            book = {1: {}, -1: {}}
        if event.levels is not None:
            for side, price, size in event.levels.tolist():
                if size:
                    book[side][price] = size
                else:
                    del book[side][price]
            assert max(book[1]) < min(book[-1])
        if event.kind is EventKind.QUOTE:
            quotes += 1
            assert (event.bid, event.ask) == (max(book[1]), min(book[-1]))
            assert (event.bid_size, event.ask_size) == (book[1][event.bid], book[-1][event.ask])
    assert quotes > 10


def test_a_tape_of_depth_alone_still_tells_roughly_where_it_trades(tmp_path: Path) -> None:
    bids = [["100.5", "0"], ["99.5", "1"], ["50", "2"]]
    frames = [
        json.dumps(
            {
                "stream": "btcusdt@depth@100ms",
                "data": {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": n, "u": n, "b": bids, "a": [["101", "1"]]},
            }
        )
        for n in (1, 2, 3)
    ]
    path = tmp_path / "depth.txt"
    path.write_text("".join(f"{10**18 + at} {frame}\n" for at, frame in enumerate(frames)))
    assert scan(path).first_price == Decimal("99.5")
