"""Raw tapes: what a recorder of Binance's public feeds wrote, read tolerantly.

One line is `<receive time, ns> <raw JSON>`, gzip or plain. Read are combined-stream frames (`bookTicker`, `trade`,
`depthUpdate`) of spot and of USD-M futures, and REST depth snapshots (`lastUpdateId`) anywhere in the file, or nowhere.
Frames of other streams are passed over.

Promises: a damaged tape never raises once its first frame was read. What can be read is yielded, what cannot is a
`TapeProblem` with its line. A path that is no tape at all raises `TapeFault` with one sentence. Prices and sizes come as
integers in units of 10^-8 (`E8`). Rules of continuity, from Binance's "How to manage a local order book correctly": spot
`U <= previous u + 1`, USD-M `pu == previous u`; a frame whose `u` is not newer is old and says nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO

import msgspec
import orjson

E8 = 8  # decimals of the integers in frames
_CHUNK = 1 << 20
_LONGEST_LINE = 16 << 20
_EARLIEST_NS, _LATEST_NS = 10**18, 4 * 10**18  # 2001 to 2096
_LONGEST_HOLE_NS = 24 * 3600 * 10**9
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "EUR", "TRY", "BRL", "USD", "BTC", "ETH", "BNB")


class Market(StrEnum):
    """Which of Binance's markets a frame belongs to."""

    SPOT = "spot"
    USDM = "usdm"


class ProblemKind(StrEnum):
    """What can be wrong with a tape."""

    NOT_A_TAPE = "not_a_tape"
    TRUNCATED = "truncated"
    CORRUPT_FRAME = "corrupt_frame"
    SEQUENCE_GAP = "sequence_gap"
    TIME_BACKWARDS = "time_backwards"
    EMPTY = "empty"


class TapeFault(ValueError):
    """The path cannot be used as a tape; the message is one clear sentence."""

    def __init__(self, message: str, kind: ProblemKind = ProblemKind.NOT_A_TAPE) -> None:
        super().__init__(message)
        self.kind = kind


class TapeProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, at a line (1-based; 0 = the whole file). `symbol` is empty when the frame could not be read."""

    kind: ProblemKind
    line: int
    message: str
    ts_ns: int = 0
    symbol: str = ""


class Depth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A depth update: absolute sizes of changed levels, (price, size) in 10^-8."""

    line: int
    ts_ns: int
    symbol: str
    market: Market
    event_ns: int
    first_id: int
    last_id: int
    previous_id: int  # USD-M's `pu`; -1 on spot
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A REST depth snapshot."""

    line: int
    ts_ns: int
    symbol: str
    market: Market
    last_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Trade(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A print; `side` is the aggressor's: +1 buyer, -1 seller."""

    line: int
    ts_ns: int
    symbol: str
    market: Market
    event_ns: int
    trade_id: int
    price: int
    size: int
    side: int


class Quote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Top of book after update `update_id`; `event_ns` is 0 on spot, which sends none."""

    line: int
    ts_ns: int
    symbol: str
    market: Market
    event_ns: int
    update_id: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


TapeEvent = Depth | Snapshot | Trade | Quote | TapeProblem


# --- lines -----------------------------------------------------------------------------------------------------------------------------


def _chunks(stream: IO[bytes]) -> Iterator[bytes | str]:
    """Decompressed bytes; a string at the end says what is wrong with the compression."""
    head = stream.read(_CHUNK)
    if head[:2] != b"\x1f\x8b":
        while head:
            yield head
            head = stream.read(_CHUNK)
        return
    inflate = zlib.decompressobj(wbits=31)
    try:
        while head:
            while head:
                out = inflate.decompress(head, _CHUNK)
                if out:
                    yield out
                head = inflate.unconsumed_tail
                if inflate.eof:
                    head = inflate.unused_data.lstrip(b"\0")
                    if not head:
                        break
                    inflate = zlib.decompressobj(wbits=31)
                elif not head and not out:
                    break
            head = stream.read(_CHUNK)
            if head and inflate.eof:
                inflate = zlib.decompressobj(wbits=31)
        if not inflate.eof:
            yield inflate.flush()
            yield "the compressed data ends early"
    except zlib.error as error:
        yield f"the compressed data is damaged ({error})"


def _lines(path: Path) -> Iterator[tuple[int, bytes] | TapeProblem]:
    """Numbered lines without their newline; a truncation is the last thing yielded."""
    number, rest = 0, b""
    with path.open("rb") as stream:
        for chunk in _chunks(stream):
            if isinstance(chunk, str):
                message = f"{path.name}: {chunk} after line {number}; what was readable is used"
                yield TapeProblem(kind=ProblemKind.TRUNCATED, line=number, message=message)
                return
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                number += 1
                yield number, line
            if len(rest) > _LONGEST_LINE:
                number += 1
                yield number, rest[:200]
                rest = b""
    if rest.strip():
        number += 1
        try:
            orjson.loads(rest.partition(b" ")[2])
        except orjson.JSONDecodeError:
            message = f"{path.name}: the file ends in the middle of line {number}; the lines before are used"
            yield TapeProblem(kind=ProblemKind.TRUNCATED, line=number, message=message)
            return
        yield number, rest


# --- frames ----------------------------------------------------------------------------------------------------------------------------


def _e8(text: str) -> int:
    """A non-negative decimal string in units of 10^-8."""
    if text[-9:-8] == ".":
        value = int(text[:-9] + text[-8:])
    else:
        whole, _, fraction = text.partition(".")
        if len(fraction) > E8:
            raise ValueError(text)
        value = int(whole + fraction.ljust(E8, "0"))
    if value < 0:
        raise ValueError(text)
    return value


def _levels(pairs: list[list[str]]) -> list[tuple[int, int]]:
    return [(_e8(price), _e8(size)) for price, size in pairs]


def unified_symbol(raw: str) -> str | None:
    """`BTC/USDT` of `BTCUSDT`, or None when it is no spot or USD-M perpetual symbol."""
    for quote in _QUOTES:
        if raw.endswith(quote) and len(raw) > len(quote) and raw.isalnum():
            return f"{raw[: -len(quote)]}/{quote}"
    return None


class _Frames:
    """Turns lines into frames and remembers what continuity needs: update ids by stream, and the last receive time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last_ts = 0
        self.last_id: dict[tuple[str, Market], int] = {}
        self.last_price: dict[tuple[str, Market], int] = {}
        self.symbols: dict[str, str | None] = {}

    def parse(self, number: int, line: bytes) -> list[TapeEvent]:
        """Frames and problems of one line; empty for streams that are not read, and for empty lines."""
        if not line.strip():
            return []
        stamp, _, body = line.partition(b" ")
        try:
            ts = self._time(stamp)
            frame = orjson.loads(body)
            event = self._frame(number, ts, frame)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            message = f"{self.name}: line {number} cannot be read ({line[:60]!r}{'…' if len(line) > 60 else ''}); it is skipped"
            return [TapeProblem(kind=ProblemKind.CORRUPT_FRAME, line=number, ts_ns=self.last_ts, message=message)]
        if event is None:
            return []
        problems: list[TapeEvent] = []
        if ts < self.last_ts:
            message = (
                f"{self.name}: line {number} was received {(self.last_ts - ts) / 1e6:.3f} ms before the line above it"
            )
            problems.append(
                TapeProblem(
                    kind=ProblemKind.TIME_BACKWARDS, line=number, ts_ns=ts, symbol=event.symbol, message=message
                )
            )
            event = msgspec.structs.replace(event, ts_ns=self.last_ts)
        else:
            self.last_ts = ts
        match event:
            case Depth():
                problems.extend(self._gap(event))
            case Trade():
                self.last_price[event.symbol, event.market] = event.price
            case Quote():
                self.last_price[event.symbol, event.market] = event.bid
        problems.append(event)
        return problems

    def _time(self, stamp: bytes) -> int:
        """The receive time; one that cannot be (damaged digits) would otherwise carry all later frames with it."""
        ts = int(stamp) if stamp.isdigit() else -1
        if not _EARLIEST_NS <= ts < _LATEST_NS or (self.last_ts and ts > self.last_ts + _LONGEST_HOLE_NS):
            raise ValueError(stamp)
        return ts

    def _gap(self, frame: Depth) -> list[TapeProblem]:
        key = (frame.symbol, frame.market)
        last = self.last_id.get(key)
        self.last_id[key] = max(frame.last_id, last or 0)
        if last is None or frame.last_id <= last or follows(frame, last):
            return []
        since = frame.previous_id if frame.market is Market.USDM else frame.first_id
        message = f"{self.name}: {frame.symbol} depth updates are missing before line {frame.line} (after {last} comes {since})"
        return [
            TapeProblem(
                kind=ProblemKind.SEQUENCE_GAP, line=frame.line, ts_ns=frame.ts_ns, symbol=frame.symbol, message=message
            )
        ]

    def _symbol(self, raw: str) -> str | None:
        try:
            return self.symbols[raw]
        except KeyError:
            self.symbols[raw] = symbol = unified_symbol(raw)
            return symbol

    def _frame(self, line: int, ts: int, frame: dict) -> Depth | Snapshot | Trade | Quote | None:
        if "lastUpdateId" in frame:
            return self._snapshot(line, ts, frame)
        data = frame.get("data", frame)
        if not isinstance(data, dict) or "s" not in data:
            return None
        symbol = self._symbol(data["s"])
        if symbol is None:
            return None
        match data.get("e", "bookTicker"):
            case "depthUpdate":
                previous = data.get("pu", -1)
                return Depth(
                    line=line,
                    ts_ns=ts,
                    symbol=symbol,
                    market=Market.SPOT if previous == -1 else Market.USDM,
                    event_ns=int(data["E"]) * 1_000_000,
                    first_id=int(data["U"]),
                    last_id=int(data["u"]),
                    previous_id=int(previous),
                    bids=_levels(data["b"]),
                    asks=_levels(data["a"]),
                )
            case "trade":
                return Trade(
                    line=line,
                    ts_ns=ts,
                    symbol=symbol,
                    market=Market.USDM if "X" in data else Market.SPOT,
                    event_ns=int(data["T"]) * 1_000_000,
                    trade_id=int(data["t"]),
                    price=_e8(data["p"]),
                    size=_e8(data["q"]),
                    side=-1 if data["m"] else 1,
                )
            case "bookTicker" if "b" in data and "a" in data:
                return Quote(
                    line=line,
                    ts_ns=ts,
                    symbol=symbol,
                    market=Market.USDM if "e" in data else Market.SPOT,
                    event_ns=int(data.get("E", 0)) * 1_000_000,
                    update_id=int(data["u"]),
                    bid=_e8(data["b"]),
                    bid_size=_e8(data["B"]),
                    ask=_e8(data["a"]),
                    ask_size=_e8(data["A"]),
                )
        return None

    def _snapshot(self, line: int, ts: int, frame: dict) -> Snapshot | None:
        """A snapshot names no symbol: it belongs to the stream with a price like its own and the nearest update ids."""
        last_id = int(frame["lastUpdateId"])
        bids, asks = _levels(frame["bids"]), _levels(frame["asks"])
        price = bids[0][0] if bids else 0
        alike = [key for key in self.last_id if abs(self.last_price.get(key, price) - price) <= price // 5]
        key = min(alike, key=lambda known: abs(self.last_id[known] - last_id), default=("", Market.SPOT))
        return Snapshot(
            line=line,
            ts_ns=ts,
            symbol=key[0],
            market=key[1],
            last_id=last_id,
            bids=bids,
            asks=asks,
        )


def follows(frame: Depth, last_id: int) -> bool:
    """Whether `frame` continues a book that is at `last_id`."""
    return frame.previous_id == last_id if frame.market is Market.USDM else frame.first_id <= last_id + 1


def read(path: Path | str, symbol: str | None = None, market: Market | None = None) -> Iterator[TapeEvent]:
    """All frames and problems of a tape in file order; with `symbol` (and `market`) only those of that stream.

    A snapshot that precedes the first depth frame carries the stream's symbol only when one was given.
    """
    path = Path(path)
    frames = _Frames(path.name)
    for item in _lines(path):
        if isinstance(item, TapeProblem):
            yield msgspec.structs.replace(item, ts_ns=frames.last_ts)
            return
        for event in frames.parse(*item):
            if isinstance(event, Snapshot) and not event.symbol:
                event = msgspec.structs.replace(event, symbol=symbol or "", market=market or event.market)
            of_symbol = symbol is None or event.symbol in (symbol, "")
            if of_symbol and (market is None or isinstance(event, TapeProblem) or event.market is market):
                yield event
