"""What grew over a day: least squares over its second half, as the first fills caches; what has a bound of its own may fill it."""

from __future__ import annotations

from typing import Any

from adapters.ccxt.account.link import CLOSED_KEPT, SEEN_TRADES
from adapters.ccxt.account.positions import SEEN_PAYMENTS
from adapters.ccxt.account.reconciliation import OURS_KEPT
from adapters.ccxt.hook import ROWS_KEPT
from adapters.ccxt.venues.coinbase.account import SENT_KEPT
from adapters.ccxt.venues.kraken.lookup import KEPT as LOOKUP_KEPT
from adapters.ccxt.venues.kraken.tariff import _PLACED_KEPT as PLACED_KEPT
from adapters.ccxt.venues.krakenfutures.account import KEPT
from tests.faults.day.held import slope_a_day
from tests.faults.day.life import Lived

HELD = ("files", "sockets", "tasks", "clients", "futures")
MEMORY = ("objects", "blocks", "resident_kb", "trimmed_kb", "malloc_kb")
LONG_H = 12.0  # a shorter day has too few measurements for a slope, and caches that are not full
MOST_A_DAY = 4.0  # of anything that must not grow: less than one in six hours
# What grows with the orders of a day up to a bound of its own, by the end of its path: entries kept at most.
BOUNDED = {
    "account._seen": SEEN_TRADES,
    "account._seen[]": 2 * SEEN_TRADES,
    "account._ids": CLOSED_KEPT,
    "account._ids[]": 2 * CLOSED_KEPT,
    ".reconciliation._ours": OURS_KEPT,
    ".positions._paid": SEEN_PAYMENTS,
    ".budget._limits[]._taken": 200_000,  # Binance's orders of a day
    ".budget._make._placed": PLACED_KEPT,
    ".lookup._txids": LOOKUP_KEPT,
    ".lookup._sent": LOOKUP_KEPT,
    "._dialect._ids": KEPT,
    "._dialect._sent": SENT_KEPT,
    "._dialect._symbols": SENT_KEPT,
    "._dialect._sent_ms": KEPT,
    "._dialect._fees": KEPT,
    "._dialect._booked": KEPT,
}
FIELDS = 40  # of a row of ccxt's at most: they are counted as well
BOOK_ROWS = 5_000  # levels of ccxt's own copies of the books, which the link has it cut
STRAY = 8  # sockets that REST keeps open for the next request, and what belongs to an order under way


def bound(path: str) -> int:
    """How much a container is meant to keep at most; 0 where nothing is meant to stay."""
    if "._exchange." in path and any(f".{cache}" in path for cache in ("trades", "myTrades", "orders")):
        return ROWS_KEPT * FIELDS
    if "._exchange.orderbooks" in path:
        return BOOK_ROWS
    return next((most for end, most in BOUNDED.items() if path.endswith(end)), 0)


def summary(lived: Lived) -> dict[str, Any]:
    """The figures of a day; whatever must not grow and did is `wrong`."""
    rows = [row.held for row in lived.rows]
    late = rows[len(rows) // 2 :] if len(rows) > 4 else rows
    at_s = [row.at_s for row in late]
    grown = {name: round(slope_a_day([getattr(row, name) for row in late], at_s), 1) for name in (*HELD, *MEMORY)}
    wrong = list(lived.wrong)
    if lived.hours >= LONG_H:
        kept = [name for name in HELD if grown[name] > MOST_A_DAY and _more([getattr(row, name) for row in late])]
        wrong += [f"{name} grow by {grown[name]:g} a day" for name in kept]
    else:
        more = {name: getattr(rows[-1], name) - getattr(rows[0], name) for name in HELD}
        wrong += [f"{count} more {name} than at the start" for name, count in more.items() if count > STRAY]
    inside = containers(late, at_s)
    for path, slope in inside.items() if lived.hours >= LONG_H else ():
        last, most = late[-1].containers.get(path, 0), bound(path)
        if last > most if most else slope > MOST_A_DAY and _more([row.containers.get(path, 0) for row in late]):
            wrong.append(f"{path} grows by {slope:g} entries a day, and holds {last}")
    first, last = rows[0], rows[-1]
    return {
        "venue": lived.venue,
        "hours": lived.hours,
        "seed": lived.seed,
        "wrong": wrong,
        "disturbances": sum(lived.disturbances.values()),
        "figures": lived.figures,
        "answers": lived.answers,
        "refusals": lived.refusals,
        "first": {name: getattr(first, name) for name in (*HELD, *MEMORY)},
        "last": {name: getattr(last, name) for name in (*HELD, *MEMORY)},
        "growth_a_day": grown,
        "containers_a_day": inside,
        "types_a_day": _types(late, at_s),
    }


def _more(values: list[int]) -> bool:
    """Whether the last third is above the first: a slope alone may be one odd measurement."""
    third = max(1, len(values) // 3)
    return min(values[-third:]) > max(values[:third])


def containers(rows: list[Any], at_s: list[float]) -> dict[str, float]:
    """By path: growth of every container that does not stay as it is."""
    paths = {path for row in rows for path in row.containers}
    slopes = {path: round(slope_a_day([row.containers.get(path, 0) for row in rows], at_s), 1) for path in paths}
    return dict(sorted(((path, slope) for path, slope in slopes.items() if abs(slope) >= 1), key=lambda item: -item[1]))


def _types(rows: list[Any], at_s: list[float]) -> dict[str, float]:
    """The object types that grow most."""
    names = set.intersection(*(set(row.types) for row in rows))
    slopes = {name: round(slope_a_day([row.types[name] for row in rows], at_s), 1) for name in names}
    return dict(
        sorted(((name, slope) for name, slope in slopes.items() if slope >= 10), key=lambda item: -item[1])[:12]
    )
