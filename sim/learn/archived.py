"""Examples from an archive: orders, book messages and tops out of the database, a minute at a time, into `sim.learn.relive`."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from adapters.clickhouse.client import ArchiveError
from adapters.clickhouse.place import Place
from desk.errors import TemporaryFault
from router.orders import ChildOrder, ChildState
from sim.learn.examples import Example, Examples, collected
from sim.learn.relive import Listing, Lived, Message, Top, relive
from sim.learn.slippage import TrainingFault

CHUNK_NS = 60 * 1_000_000_000


def examples_of_archive(
    state: Path | None, dsn: str | None, *, latency_s: float, say: Callable[[str], None]
) -> Examples:
    """Every order at an exchange that the archive holds. Raises TrainingFault when there is none, TemporaryFault when it is away."""
    place = Place(dsn, state)

    def rows(sql: str) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in place.query(sql, "JSONEachRow").splitlines()]
        except ArchiveError as fault:
            raise (TemporaryFault if fault.retryable else TrainingFault)(f"the archive: {fault}") from fault

    found: list[Example] = []
    left_out: Counter[str] = Counter()
    for symbol, orders in _orders(rows).items():
        say(f"{symbol}: {len(orders):,} orders")
        first_ns = min(order.first.created_ns for order in orders)
        last_ns = max(order.last.updated_ns for order in orders)
        listings = _listings(rows, symbol, last_ns)
        if not listings:
            left_out["no book in the archive"] += len(orders)
            continue
        bench = relive(symbol, listings, _events(rows, symbol, listings, first_ns, last_ns), orders, latency_s)
        found += bench.examples
        left_out += bench.left_out
    return collected(found, "the desk's own orders in its archive", left_out)


Rows = Callable[[str], list[dict[str, Any]]]


def _orders(rows: Rows) -> dict[str, list[Lived]]:
    """Finished orders at exchanges by symbol."""
    told = rows(
        "SELECT child_id, parent_id, venue, symbol, side, toString(quantity) AS size, toString(assumeNotNull(limit_price)) AS limit,"
        " toString(argMax(filled, updated)) AS last_filled, toString(argMax(notional, updated)) AS last_notional,"
        " argMax(reason, updated) AS last_reason, argMax(state, updated) AS last_state,"
        " toUnixTimestamp64Nano(min(created)) AS created_ns, toUnixTimestamp64Nano(max(updated)) AS updated_ns"
        " FROM order_events WHERE kind = 'child' AND quote_id = '' AND limit_price IS NOT NULL"
        " GROUP BY child_id, parent_id, venue, symbol, side, size, limit"
    )
    found: dict[str, list[Lived]] = {}
    for row in told:
        state = ChildState(row["last_state"])
        if not state.terminal:
            continue
        first = ChildOrder(
            child_id=row["child_id"],
            parent_id=row["parent_id"],
            venue=row["venue"],
            symbol=row["symbol"],
            side=row["side"],
            quantity=Decimal(row["size"]),
            limit_price=Decimal(row["limit"]),
            created_ns=int(row["created_ns"]),
        )
        last = msgspec.structs.replace(
            first,
            state=state,
            filled=Decimal(row["last_filled"]),
            notional=Decimal(row["last_notional"]),
            reason=row["last_reason"],
            updated_ns=int(row["updated_ns"]),
        )
        found.setdefault(first.symbol, []).append(Lived(first, last))
    return dict(sorted(found.items()))


def _listings(rows: Rows, symbol: str, last_ns: int) -> list[Listing]:
    """Venues whose books of the symbol are archived, with the finest decimals they showed."""
    told = rows(
        "SELECT instrument_id, max(length(splitByChar('.', toString(price))[2])) AS price_decimals,"
        " max(length(splitByChar('.', toString(size))[2])) AS size_decimals FROM md_deltas"
        f" WHERE {_of(symbol)} AND ts_init <= fromUnixTimestamp64Nano(toInt64({last_ns})) GROUP BY instrument_id ORDER BY instrument_id"
    )
    return [
        Listing(row["instrument_id"].rpartition(".")[2], int(row["price_decimals"]), int(row["size_decimals"]))
        for row in told
    ]


def _of(symbol: str) -> str:
    quoted = symbol.replace("\\", "\\\\").replace("'", "\\'")
    return f"startsWith(instrument_id, '{quoted}.')"


def _events(rows: Rows, symbol: str, listings: list[Listing], first_ns: int, last_ns: int) -> Iterator[Message | Top]:
    """Book messages and tops by arrival, from the last snapshots before the first order, a minute at a time."""
    by_venue = {one.venue: one for one in listings}
    began = rows(
        "SELECT toUnixTimestamp64Nano(min(latest)) AS began FROM (SELECT max(ts_init) AS latest FROM md_deltas"
        f" WHERE {_of(symbol)} AND kind = 'snapshot' AND ts_init <= fromUnixTimestamp64Nano(toInt64({first_ns})) GROUP BY instrument_id)"
    )
    start_ns = int(began[0]["began"]) if began and int(began[0]["began"]) > 0 else first_ns
    start_ns = min(start_ns, first_ns - CHUNK_NS)  # volatility is measured before the first order as well
    while start_ns <= last_ns:
        end_ns = min(start_ns + CHUNK_NS, last_ns + 1)
        within = (
            f"{_of(symbol)} AND ts_init >= fromUnixTimestamp64Nano(toInt64({start_ns}))"
            f" AND ts_init < fromUnixTimestamp64Nano(toInt64({end_ns}))"
        )
        yield from heapq.merge(_messages(rows, by_venue, within), _tops(rows, by_venue, within), key=itemgetter(0))
        start_ns = end_ns


def _messages(rows: Rows, listings: Mapping[str, Listing], within: str) -> Iterator[Message]:
    told = rows(
        "SELECT instrument_id, toUnixTimestamp64Nano(ts_init) AS ts_ns, toString(seq) AS message, toString(kind) AS what, side,"
        " toString(price) AS price, toString(size) AS size"
        f" FROM md_deltas WHERE {within} ORDER BY ts_init, seq, i"
    )
    for (name, _), group in groupby(told, key=lambda row: (row["instrument_id"], row["message"])):
        levels = list(group)
        listing = listings[name.rpartition(".")[2]]
        yield Message(
            int(levels[0]["ts_ns"]),
            listing.venue,
            levels[0]["what"],
            [
                (
                    int(row["side"]),
                    _units(row["price"], listing.price_decimals),
                    _units(row["size"], listing.size_decimals),
                )
                for row in levels
                if int(row["side"])
            ],
        )


def _tops(rows: Rows, listings: Mapping[str, Listing], within: str) -> Iterator[Top]:
    told = rows(
        "SELECT instrument_id, toUnixTimestamp64Nano(ts_init) AS ts_ns, toString(bid_price) AS bid, toString(bid_size) AS bid_size,"
        f" toString(ask_price) AS ask, toString(ask_size) AS ask_size FROM md_quotes WHERE {within} ORDER BY ts_init"
    )
    for row in told:
        listing = listings.get(row["instrument_id"].rpartition(".")[2])
        if listing is not None:
            prices, sizes = listing.price_decimals, listing.size_decimals
            yield Top(
                int(row["ts_ns"]),
                listing.venue,
                _units(row["bid"], prices),
                _units(row["bid_size"], sizes),
                _units(row["ask"], prices),
                _units(row["ask_size"], sizes),
            )


def _units(text: str, decimals: int) -> int:
    """A decimal in units of 10^-decimals; digits beyond them are cut (a top may be finer than any level)."""
    return int(Decimal(text).scaleb(decimals))
