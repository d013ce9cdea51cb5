"""The sequence rules of every venue's book, each by its number in the docstring of that book: messages in, what is told out."""

from decimal import Decimal
from zlib import crc32

import pytest

from adapters.ccxt.market.books import BUFFER_MESSAGES, BinanceBook, KrakenBook
from adapters.ccxt.symbols import Market
from adapters.ccxt.venues.binanceusdm.book import BinanceUsdmBook
from adapters.ccxt.venues.bybit.book import BybitBook
from adapters.ccxt.venues.coinbase.book import CoinbaseBook, Sequence
from adapters.ccxt.venues.krakenfutures.book import KrakenFuturesBook
from adapters.ccxt.venues.okx.book import OkxBook

MARKET = Market(
    symbol="BTC/USDT", market_id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.1"), lot=Decimal("0.01"),
    price_decimals=1, size_decimals=2, min_quantity=None, max_quantity=None, min_notional=None,
    taker_fee=Decimal(0), maker_fee=Decimal(0),
)  # fmt: skip
BIDS, ASKS = [["99.9", "1.00"], ["99.8", "2.00"]], [["100.1", "1.00"], ["100.2", "3.00"]]
CROSS = [["100.1", "1.00"]]


def snap(last: int = 100, bids=BIDS, asks=ASKS) -> dict:
    """Binance, by REST."""
    return {"lastUpdateId": last, "bids": bids, "asks": asks}


def diff(first: int, last: int, before: int | None = None, bids=(), asks=()) -> dict:
    """Binance; `before` is `pu`, of perpetuals."""
    return {"U": first, "u": last, "pu": before, "E": 1, "b": list(bids), "a": list(asks)}


def okx(sequence: int, before: int, bids=(), asks=(), action="update") -> tuple:
    return action, {"seqId": sequence, "prevSeqId": before, "ts": "1", "bids": list(bids), "asks": list(asks)}


def bybit(update: int, bids=(), asks=(), kind="delta") -> dict:
    return {"type": kind, "ts": 1, "cts": 1, "data": {"u": update, "b": list(bids), "a": list(asks)}}


def kraken(bids=(), asks=(), kind="update", told=(BIDS, ASKS), wrong=0) -> tuple:
    """`told`: the book that the checksum is of."""
    digits = [
        price.replace(".", "") + size.replace(".", "").lstrip("0")
        for rows in (told[1], told[0])
        for price, size in rows
    ]
    rows = {
        side: [{"price": price, "qty": size} for price, size in of] for side, of in (("bids", bids), ("asks", asks))
    }
    return kind, {**rows, "checksum": crc32("".join(digits).encode()) + wrong}


def coinbase(number: int, kind: str = "update", bids=(), asks=()) -> tuple:
    rows = [
        {"side": side, "price_level": p, "new_quantity": q}
        for side, of in (("bid", bids), ("offer", asks))
        for p, q in of
    ]
    return number, {"type": kind, "updates": rows}


def futures(number: int, price: str = "99.9", size: str = "2.00", side: str = "buy") -> dict:
    """Kraken Futures: one level."""
    return {"feed": "book", "seq": number, "side": side, "price": float(price), "qty": float(size), "timestamp": 1}


def futures_whole(number: int, bids=BIDS, asks=ASKS) -> dict:
    """Kraken Futures: every level."""
    sides = {
        name: [{"price": float(price), "qty": float(size)} for price, size in rows]
        for name, rows in (("bids", bids), ("asks", asks))
    }
    return {"feed": "book_snapshot", "seq": number, "timestamp": 1, **sides}


class Binance:
    """REST snapshots and diffs."""

    def __init__(self, book: BinanceBook) -> None:
        self.book = book

    def hear(self, message):
        return self.book.snapshot(message) if "lastUpdateId" in message else self.book.update(message)


class Coinbase:
    """A connection's numbers before the book's own rules."""

    def __init__(self) -> None:
        self.book, self.sequence = CoinbaseBook(MARKET, 100), Sequence()

    def hear(self, message):
        number, event = message
        match self.sequence.follow(number):
            case None:
                return None
            case "":
                return self.book.message(event, 1)
            case lost:
                return self.book.lost(lost)


class Messages:
    """Books that take each message whole."""

    def __init__(self, book, *, apart: bool = False) -> None:
        self.book, self.apart = book, apart

    def hear(self, message):
        if isinstance(self.book, KrakenBook):
            return self.book.message(*message, 1)
        return self.book.message(*message) if self.apart else self.book.message(message)


VENUES = {
    "BINANCE": lambda: Binance(BinanceBook(MARKET, 3)),
    "BINANCEUSDM": lambda: Binance(BinanceUsdmBook(MARKET, 3)),
    "BYBIT": lambda: Messages(BybitBook(MARKET, 3)),
    "COINBASE": Coinbase,
    "KRAKEN": lambda: Messages(KrakenBook(MARKET, 3)),
    "KRAKENFUTURES": lambda: Messages(KrakenFuturesBook(MARKET, 2)),
    "OKX": lambda: Messages(OkxBook(MARKET), apart=True),
}
DEEP = [["99.7", "1.00"], ["99.6", "1.00"], ["99.5", "1.00"], ["99.4", "1.00"], ["99.3", "1.00"]]
THREE = ([["99.9", "1.00"], ["99.8", "2.00"], ["99.7", "1.00"]], ASKS)  # of a Kraken book of three levels

# venue, rule, messages, what is told of the last one (or, after " | ", the word in its reason); "-" is nothing
RULES = [
    ("BINANCE", 1, [diff(99, 102), snap()], "snapshot"),
    ("BINANCE", 1, [diff(n, n) for n in range(BUFFER_MESSAGES + 1)], "- | no snapshot within"),
    ("BINANCE", 2, [snap(), diff(90, 100, bids=[["99.9", "7.00"]])], "-"),
    ("BINANCE", 3, [snap(), diff(95, 103)], "update"),
    ("BINANCE", 3, [diff(103, 104), snap()], "- | does not join"),
    ("BINANCE", 4, [snap(), diff(101, 101), diff(102, 104)], "update"),
    ("BINANCE", 4, [snap(), diff(101, 101), diff(103, 104)], "clear | sequence gap"),
    ("BINANCE", 4, [snap(), diff(101, 103), diff(102, 105)], "clear | sequence gap"),
    ("BINANCE", 5, [snap(), diff(101, 101, bids=[["99.9", "0"], ["99.8", "2.0049"]])], "update"),
    ("BINANCE", 6, [snap(), diff(101, 101, bids=CROSS)], "clear | crossed"),
    ("BINANCE", 7, [snap(), diff(101, 101, bids=DEEP)], "update"),
    ("BINANCEUSDM", 1, [diff(98, 101, 97), snap()], "snapshot"),
    ("BINANCEUSDM", 2, [snap(), diff(90, 99, 89)], "-"),
    ("BINANCEUSDM", 3, [snap(), diff(99, 103, 98)], "update"),
    ("BINANCEUSDM", 3, [snap(), diff(107, 109, 100)], "update"),
    ("BINANCEUSDM", 4, [snap(), diff(99, 103, 98), diff(110, 111, 103)], "update"),
    ("BINANCEUSDM", 4, [snap(), diff(99, 103, 98), diff(104, 111, 105)], "clear | sequence gap"),
    ("BINANCEUSDM", 5, [snap(), diff(99, 101, 98, bids=[["90.0", "0"]])], "update"),
    ("BINANCEUSDM", 6, [snap(), diff(99, 101, 98, bids=CROSS)], "clear | crossed"),
    ("BYBIT", 1, [bybit(5, BIDS, ASKS, "snapshot"), bybit(1, BIDS, ASKS, "snapshot")], "snapshot"),
    ("BYBIT", 2, [bybit(5, BIDS, ASKS, "snapshot"), bybit(6, [["99.9", "2.00"]])], "update"),
    ("BYBIT", 2, [bybit(5, BIDS, ASKS, "snapshot"), bybit(5, [["99.9", "2.00"]])], "-"),
    ("BYBIT", 2, [bybit(5, BIDS, ASKS, "snapshot"), bybit(7)], "clear | sequence gap"),
    ("BYBIT", 2, [bybit(5)], "-"),
    ("BYBIT", 3, [bybit(5, BIDS, ASKS, "snapshot"), bybit(6, [["99.9", "0"]])], "update"),
    ("BYBIT", 4, [bybit(5, BIDS, ASKS, "snapshot"), bybit(6, DEEP)], "update"),
    ("BYBIT", 5, [bybit(5, BIDS, ASKS, "snapshot"), bybit(1, kind="snapshot")], "clear | no book"),
    ("BYBIT", 6, [bybit(5, BIDS, ASKS, "snapshot"), bybit(6, CROSS)], "clear | crossed"),
    ("COINBASE", 1, [coinbase(0, "snapshot", BIDS, ASKS), coinbase(2)], "clear | sequence gap"),
    ("COINBASE", 2, [coinbase(0, "snapshot", BIDS, ASKS), coinbase(1), coinbase(1, "update", CROSS)], "-"),
    ("COINBASE", 2, [coinbase(3, "snapshot", BIDS, ASKS), coinbase(2, "update", CROSS)], "-"),
    ("COINBASE", 3, [coinbase(0, "snapshot", BIDS, ASKS), coinbase(1, "update", [["99.9", "0"]])], "update"),
    ("COINBASE", 6, [coinbase(0, "snapshot", BIDS, ASKS), coinbase(1, "update", CROSS)], "clear | crossed"),
    ("KRAKEN", 1, [kraken(BIDS, ASKS, "snapshot"), kraken(BIDS, ASKS, "snapshot")], "snapshot"),
    ("KRAKEN", 1, [kraken([["99.9", "2.00"]])], "-"),
    ("KRAKEN", 2, [kraken(BIDS, ASKS, "snapshot"), kraken(DEEP[:2], told=THREE)], "update"),
    ("KRAKEN", 3, [kraken(BIDS, ASKS, "snapshot", wrong=1)], "- | checksum"),
    ("KRAKEN", 3, [kraken(BIDS, ASKS, "snapshot"), kraken([["99.9", "2.00"]])], "clear | checksum"),
    ("KRAKEN", 4, [kraken(CROSS, CROSS, "snapshot", told=(CROSS, CROSS))], "- | crossed"),
    ("KRAKENFUTURES", 1, [futures_whole(7), futures_whole(3)], "snapshot"),
    ("KRAKENFUTURES", 1, [futures_whole(7), futures(8)], "update"),
    ("KRAKENFUTURES", 1, [futures_whole(7), futures(8, size="0")], "update"),
    ("KRAKENFUTURES", 1, [futures(8)], "-"),
    ("KRAKENFUTURES", 2, [futures_whole(7), futures(9)], "clear | sequence gap"),
    ("KRAKENFUTURES", 2, [futures_whole(7), futures(7)], "-"),
    ("KRAKENFUTURES", 2, [futures_whole(7), futures(8), futures(6)], "-"),
    ("KRAKENFUTURES", 2, [futures_whole(7), futures(9), futures(10)], "- | sequence gap"),
    ("KRAKENFUTURES", 3, [futures_whole(7, [*BIDS, *DEEP[:2]]), futures(8, "99.8", "0")], "update"),
    ("KRAKENFUTURES", 3, [futures_whole(7, [*BIDS, *DEEP[:2]]), futures(8, "100.0")], "update"),
    ("KRAKENFUTURES", 3, [futures_whole(7, [*BIDS, *DEEP[:2]]), futures(8, "99.6", "5.00")], "-"),
    ("KRAKENFUTURES", 4, [futures_whole(7), futures_whole(8, [], [])], "clear | no book"),
    ("KRAKENFUTURES", 4, [futures_whole(7), futures(8, "100.1")], "clear | crossed"),
    ("OKX", 1, [okx(7, -1, BIDS, ASKS, "snapshot"), okx(3, -1, BIDS, ASKS, "snapshot")], "snapshot"),
    ("OKX", 2, [okx(7, -1, BIDS, ASKS, "snapshot"), okx(12, 7, [["99.9", "2.00"]])], "update"),
    ("OKX", 2, [okx(7, -1, BIDS, ASKS, "snapshot"), okx(12, 8, [["99.9", "2.00"]])], "clear | sequence gap"),
    ("OKX", 3, [okx(7, -1, BIDS, ASKS, "snapshot"), okx(7, 7)], "-"),
    ("OKX", 4, [okx(7, -1, BIDS, ASKS, "snapshot"), okx(2, 7, [["99.9", "2.00"]])], "update"),
    ("OKX", 6, [okx(7, -1, [[f"{90 - n / 10:.1f}", "1.00"] for n in range(400)], ASKS, "snapshot"), okx(8, 7, BIDS)], "update"),
    ("OKX", 7, [okx(7, -1, BIDS, ASKS, "snapshot"), okx(8, 7, CROSS)], "clear | crossed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("venue", "rule", "messages", "told"),
    RULES,
    ids=[f"{venue} {rule} {n}" for n, (venue, rule, _, _) in enumerate(RULES)],
)
def test_a_rule_of_a_venues_book(venue, rule, messages, told):
    stream = VENUES[venue]()
    for message in messages:
        event = stream.hear(message)
    kind, _, word = told.partition(" | ")
    assert (str(event.kind) if event is not None else "-") == kind
    assert word in stream.book.trouble
    if word:
        assert not stream.book.whole
        assert len(stream.book.levels.array()) == 0
        assert event is None or event.reason == stream.book.trouble


def test_what_is_cut_is_told_and_never_more_than_the_depth_is_kept():
    for venue, rule, messages, told in RULES:
        if told != "update":
            continue
        stream = VENUES[venue]()
        levels: dict[tuple[int, int], int] = {}
        for message in messages:
            if (event := stream.hear(message)) is not None:
                for side, price, size in event.levels.tolist():
                    levels[side, price] = size
        kept = {(side, price): size for side, price, size in stream.book.levels.array().tolist()}
        assert {level: size for level, size in levels.items() if size} == kept, (venue, rule)
