"""What a raw tape holds: scanning a file, choosing among the tapes of a folder. Frames themselves are read by `sim.tape_frames`.

A path that is no tape at all raises `TapeFault` with one sentence; whatever else is wrong is a `TapeProblem` in the `TapeInfo`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import msgspec

from sim.tape_frames import (
    E8,
    Depth,
    Market,
    ProblemKind,
    Quote,
    Snapshot,
    TapeEvent,
    TapeFault,
    TapeProblem,
    Trade,
    follows,
    read,
    unified_symbol,
)

__all__ = [
    "E8",
    "Depth",
    "Market",
    "ProblemKind",
    "Quote",
    "Snapshot",
    "TapeEvent",
    "TapeFault",
    "TapeInfo",
    "TapeProblem",
    "Trade",
    "discover",
    "follows",
    "read",
    "scan",
    "scan_all",
    "unified_symbol",
]

_GIVE_UP_AFTER = 50  # lines without one readable frame: it is no tape
_PEEK_FRAMES = 400
_KEPT_PROBLEMS = 20  # of each kind; the rest are counted
_MIN_LATENCY_NS = 1_000_000


class TapeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape holds of one symbol.

    `clock_skew_ns` is to be subtracted from the exchange's times to compare them with receive times. Decimals are the finest
    seen (of sizes: in trades, because old dust in books is finer than the lot). `notes` are sentences for the operator
    (left-out files, re-encoding).
    """

    path: Path
    symbol: str
    market: Market
    messages: int
    depths: int
    trades: int
    quotes: int
    first_ns: int
    last_ns: int
    has_snapshot: bool
    price_decimals: int
    size_decimals: int
    clock_skew_ns: int
    first_price: Decimal = Decimal(0)  # of the first trade, quote or depth level: roughly where it trades
    problems: tuple[TapeProblem, ...] = ()
    notes: tuple[str, ...] = ()


_PRICE_DEPTHS = 100  # a tape of depth alone tells its price by the highest bid of so many updates


class _Tally:
    """Counts of one (symbol, market) stream while a tape is scanned."""

    def __init__(self) -> None:
        self.messages = self.depths = self.trades = self.quotes = self.snapshots = 0
        self.first_ns = self.last_ns = 0
        self.price_gcd = self.size_gcd = self.trade_gcd = 0
        self.least_delay_ns: int | None = None
        self.first_price = self.highest_bid = 0

    def add(self, event: Depth | Snapshot | Trade | Quote) -> None:
        self.messages += 1
        self.first_ns = min(self.first_ns or event.ts_ns, event.ts_ns)
        self.last_ns = max(self.last_ns, event.ts_ns)  # an opening snapshot that names no symbol is added last
        match event:
            case Depth():
                self.depths += 1
                if self.depths <= _PRICE_DEPTHS:
                    self.highest_bid = max(
                        self.highest_bid, max((price for price, size in event.bids if size), default=0)
                    )
                self._decimals(event.bids)
                self._decimals(event.asks)
                self._delay(event.ts_ns - event.event_ns)
            case Snapshot():
                self.snapshots += 1
                if event.bids:
                    self.first_price = self.first_price or event.bids[0][0]
                self._decimals(event.bids)
                self._decimals(event.asks)
            case Trade():
                self.trades += 1
                self.first_price = self.first_price or event.price
                self.price_gcd = math.gcd(self.price_gcd, event.price)
                self.trade_gcd = math.gcd(self.trade_gcd, event.size)
                self._delay(event.ts_ns - event.event_ns)
            case Quote():
                self.quotes += 1
                self.first_price = self.first_price or event.bid
                self._decimals([(event.bid, event.bid_size), (event.ask, event.ask_size)])

    def _decimals(self, levels: list[tuple[int, int]]) -> None:
        if levels:
            self.price_gcd = math.gcd(self.price_gcd, *[price for price, _ in levels])
            self.size_gcd = math.gcd(self.size_gcd, *[size for _, size in levels])

    def _delay(self, delay_ns: int) -> None:
        if self.least_delay_ns is None or delay_ns < self.least_delay_ns:
            self.least_delay_ns = delay_ns


def _decimals_of(gcd: int) -> int:
    decimals = E8
    while decimals and gcd and gcd % 10 == 0:
        gcd //= 10
        decimals -= 1
    return decimals if gcd else 0


def scan_all(path: Path | str, limit: int | None = None) -> list[TapeInfo]:
    """What a tape holds, one `TapeInfo` for each (symbol, market), the busiest first.

    `limit`: stop after so many frames (a peek). Raises `TapeFault` when the path is no tape.
    """
    path = Path(path)
    if not path.exists():
        raise TapeFault(f"{path} does not exist")
    if not path.is_file():
        raise TapeFault(f"{path} is a folder, not a tape")
    tallies: dict[tuple[str, Market], _Tally] = {}
    early: list[Snapshot] = []
    problems: dict[ProblemKind, list[TapeProblem]] = {}
    counts: dict[ProblemKind, int] = {}
    frames = unreadable = 0
    last: TapeProblem | None = None
    try:
        for event in read(path):
            if isinstance(event, TapeProblem):
                last = event
                kept = problems.setdefault(event.kind, [])
                counts[event.kind] = counts.get(event.kind, 0) + 1
                if len(kept) < _KEPT_PROBLEMS:
                    kept.append(event)
                unreadable += event.kind is ProblemKind.CORRUPT_FRAME
                if not frames and unreadable >= _GIVE_UP_AFTER:
                    break
                continue
            if isinstance(event, Snapshot) and not event.symbol:
                early.append(event)
                continue
            frames += 1
            tallies.setdefault((event.symbol, event.market), _Tally()).add(event)
            if limit is not None and frames >= limit:
                break
    except OSError as error:
        raise TapeFault(f"{path} cannot be read: {error.strerror or error}") from error
    if not frames:
        raise _no_tape(path, unreadable, last)
    busiest = sorted(tallies.items(), key=lambda item: -item[1].messages)
    for snapshot in early:  # only a tape of one symbol can say whose they are
        busiest[0][1].add(snapshot)
    return [_info(path, symbol, market, tally, problems, counts) for (symbol, market), tally in busiest]


def _no_tape(path: Path, unreadable: int, last: TapeProblem | None) -> TapeFault:
    if path.stat().st_size == 0:
        return TapeFault(f"{path} is empty: there is no frame in it", ProblemKind.EMPTY)
    if last is not None and last.kind is ProblemKind.TRUNCATED and not unreadable:
        return TapeFault(f"{path} is damaged before its first frame: {last.message}", ProblemKind.TRUNCATED)
    return TapeFault(
        f"{path} is not a tape: no line is '<receive time, ns> <JSON frame>' of a Binance spot or USD-M trade, bookTicker or depth stream"
    )


def _info(
    path: Path,
    symbol: str,
    market: Market,
    tally: _Tally,
    problems: dict[ProblemKind, list[TapeProblem]],
    counts: dict[ProblemKind, int],
) -> TapeInfo:
    found: list[TapeProblem] = []
    for kind, kept in problems.items():
        mine = [problem for problem in kept if problem.symbol in (symbol, "")]
        found.extend(mine)
        if counts[kind] > len(kept):
            message = f"{path.name}: {counts[kind] - len(kept)} more of kind {kind} are not listed"
            found.append(TapeProblem(kind=kind, line=kept[-1].line, message=message, symbol=symbol))
    if not tally.depths and not tally.snapshots:
        message = f"{path.name}: there are no depth frames of {symbol}: no book can be built from it"
        found.append(TapeProblem(kind=ProblemKind.EMPTY, line=0, message=message, symbol=symbol))
    delay = tally.least_delay_ns
    return TapeInfo(
        path=path,
        symbol=symbol,
        market=market,
        messages=tally.messages,
        depths=tally.depths,
        trades=tally.trades,
        quotes=tally.quotes,
        first_ns=tally.first_ns,
        last_ns=tally.last_ns,
        has_snapshot=tally.snapshots > 0,
        price_decimals=_decimals_of(tally.price_gcd),
        size_decimals=_decimals_of(tally.trade_gcd or tally.size_gcd),
        first_price=Decimal(tally.first_price or tally.highest_bid).scaleb(-E8),
        clock_skew_ns=0 if delay is None else max(0, _MIN_LATENCY_NS - delay),
        problems=tuple(sorted(found, key=lambda problem: problem.line)),
    )


def scan(path: Path | str) -> TapeInfo:
    """What a tape holds of its busiest symbol (most tapes hold one)."""
    return scan_all(path)[0]


def discover(path: Path | str, prefer: Market = Market.SPOT) -> list[TapeInfo]:
    """The tapes to use of a file or a folder, one a symbol, sorted by symbol.

    In a folder files that are no tapes are passed over; tapes of the preferred market come first, then the earliest recording; what is left
    out is said in `notes`. A named file that is no tape, or a folder without one, raises `TapeFault`.
    """
    path = Path(path)
    if not path.exists():
        raise TapeFault(f"{path} does not exist")
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    candidates: dict[str, list[TapeInfo]] = {}
    for file in files:
        try:
            found = scan_all(file, limit=_PEEK_FRAMES)
        except TapeFault:
            if not path.is_dir():
                raise
            continue
        for info in found:
            candidates.setdefault(info.symbol, []).append(info)
    if not candidates:
        raise TapeFault(f"there is no tape in {path}")
    chosen: list[TapeInfo] = []
    scanned: dict[Path, list[TapeInfo]] = {}
    for symbol in sorted(candidates):
        best, *rest = sorted(candidates[symbol], key=lambda info: (info.market is not prefer, info.first_ns))
        whole = scanned.setdefault(best.path, []) or scan_all(best.path)
        scanned[best.path] = whole
        info = next(item for item in whole if (item.symbol, item.market) == (symbol, best.market))
        notes = [
            f"{left.path.name} ({left.market}) is left out: {symbol} is taken from {best.path.name}" for left in rest
        ]
        if info.market is Market.USDM and prefer is Market.SPOT:
            notes.append(f"{best.path.name} is a USD-M futures tape: it is re-encoded in the spot dialect as {symbol}")
        chosen.append(msgspec.structs.replace(info, notes=tuple(notes)))
    return chosen
