"""The tables of `kerb report tca`: what orders cost, by parent, venue, LP, client or algorithm.

Costs are positive when they cost the desk, and their parts add up to the total (`router.costs.shortfall`). Basis points are of the
arrival value (fair value at arrival × quantity), summed before they are divided. Amounts in different quote currencies
are never added: each has a row of its own. Markouts are means of the move of fair value in the desk's favour.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from desk.reports.evidence import Evidence
from desk.reports.table import Column, Table, Unit, Value
from risk.exact import EXACT, ZERO, add
from router.costs.markouts import HORIZONS_MS
from router.costs.shortfall import PARTS, bps

MEANINGS = {
    "timing": "the market moved between arrival and decision",
    "spread": "crossing from fair value to the venue's best price",
    "mark": "an LP's price over fair value",
    "impact": "walking the book beyond its best price, as planned",
    "fade": "what fills cost beyond the plan",
    "fees": "what venues charged",
    "fixed": "what an order costs whatever its size",
    "opportunity": "what was not filled, and the market moved away from",
}
_HORIZON = {100: "100 ms", 1_000: "1 s", 10_000: "10 s", 60_000: "1 min", 300_000: "5 min"}

_COST = (
    Column("total_bps", "cost bp", Unit.BPS, "implementation shortfall: the sum of the parts, of the arrival value"),
    *(
        Column(f"{name}_bps", name, Unit.BPS, f"{MEANINGS[name]}, of the arrival value", name not in ("fixed",))
        for name in PARTS
    ),
    Column("total", "cost", Unit.MONEY, "implementation shortfall, quote currency"),
    *(Column(name, name, Unit.MONEY, f"{MEANINGS[name]}, quote currency", False) for name in PARTS),
    Column(
        "expected_bps", "planned bp", Unit.BPS, "what the plan expected of spread, mark, impact, fees and fixed costs"
    ),
    Column("realised_bps", "realised bp", Unit.BPS, "what they came to, fade included"),
    Column(
        "vwap_bps", "over VWAP", Unit.BPS, "fills against the market's average price meanwhile, without fees", False
    ),
)
_NAME = Column("currency", "in", Unit.TEXT, "quote currency of the amounts")
_MARKOUTS = tuple(
    Column(f"markout_{h}_bps", f"{_HORIZON[h]}", Unit.BPS, f"move of fair value in the desk's favour after {_HORIZON[h]}", h != 100)
    for h in HORIZONS_MS
)  # fmt: skip
_ORDERS = (
    Column("orders", "orders", Unit.COUNT, "how many"),
    Column("notional", "notional", Unit.MONEY, "price × quantity of the fills"),
    Column("fill_ratio", "filled", Unit.SHARE, "mean filled share of an order"),
)
_LATENCY = (
    Column("rejected", "refused", Unit.COUNT, "orders refused without a fill"),
    Column("latency_ms_p50", "answer p50", Unit.MS, "from sending to the first word, ms", False),
    Column("latency_ms_p99", "answer p99", Unit.MS, "the same, the slowest hundredth", False),
    Column("hold_ms_p50", "end p50", Unit.MS, "from sending to the end (an LP's last look), ms"),
    Column("hold_ms_p99", "end p99", Unit.MS, "the same, the slowest hundredth"),
)

_BENCHMARK = (
    Column("schedule_bps", "schedule", Unit.BPS, "against its own schedule executed at fair value, without fees"),
    Column("twap_bps", "over TWAP", Unit.BPS, "against the mean of fair value meanwhile", False),
    Column(
        "others_vwap_bps", "others' VWAP", Unit.BPS, "against the average price of what others traded meanwhile", False
    ),
    Column("tracking_rms", "tracking", Unit.SHARE, "root mean square distance from its schedule, of the quantity"),
    Column("participation", "part", Unit.SHARE, "of all that traded meanwhile"),
)


def by_parent(evidence: Evidence) -> Table:
    """A row a parent order, newest first."""
    rows = []
    for row in evidence.parents():
        average = EXACT.divide(Decimal(row["notional"]), Decimal(row["filled"])) if Decimal(row["filled"]) else None
        rows.append(
            {
                "ended": datetime.fromtimestamp(row["ended_ns"] // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S"),
                **{
                    name: row[name] for name in ("parent_id", "symbol", "side", "algo", "account", "currency", "reason")
                },
                "quantity": Decimal(row["quantity"]),
                "fill_ratio": _share(Decimal(row["filled"]), Decimal(row["quantity"])),
                "arrival": None if row["arrival"] is None else Decimal(row["arrival"]),
                "average": None if average is None else average.quantize(Decimal("1e-8")),
                "took_ms": (row["ended_ns"] - row["created_ns"]) / 1e6,
                "unpriced": ", ".join(f"{amount} {currency}" for currency, amount in row["unpriced"].items()),
                **_cost(row),
                **_benchmark(row["benchmark"]),
            }
        )
    columns = (
        Column("ended", "done (UTC)", Unit.TEXT, "when the order was done"),
        Column("parent_id", "parent", Unit.TEXT, "its id"),
        Column("symbol", "symbol", Unit.TEXT, "instrument"),
        Column("side", "side", Unit.TEXT, "ours"),
        Column("algo", "algo", Unit.TEXT, "execution algorithm"),
        Column("account", "for", Unit.TEXT, "whose order; empty: the desk's own", False),
        Column("quantity", "quantity", Unit.QUANTITY, "ordered, base currency"),
        Column("fill_ratio", "filled", Unit.SHARE, "filled share"),
        Column("arrival", "arrival", Unit.PRICE, "fair value when it arrived"),
        Column("average", "average", Unit.PRICE, "of the fills, fees apart"),
        Column("took_ms", "ms", Unit.MS, "from arrival to the end"),
        *_COST,
        *_BENCHMARK,
        Column("currency", "in", Unit.TEXT, "quote currency of the amounts", False),
        Column("unpriced", "other fees", Unit.TEXT, "fees in currencies without a rate: not in the cost", False),
        Column("reason", "reason", Unit.TEXT, "why it was ordered, or why it ended", False),
    )
    return Table(name="parent", title="Parent orders", columns=columns, rows=tuple(rows))


def by_venue(evidence: Evidence) -> Table:
    """A row a venue; crosses with the desk's own inventory are INTERNAL."""
    after = evidence.markouts("fill")
    rows = [
        {"venue": row["name"], **_place(row), "saved": Decimal(row["saved"]), **_after(after, row)}
        for row in evidence.places(lp=False)
    ]
    columns = (
        Column("venue", "venue", Unit.TEXT, "exchange; INTERNAL: the desk's own inventory"),
        _NAME,
        *_ORDERS,
        *_LATENCY,
        *_COST,
        Column(
            "saved", "saved", Unit.MONEY, "INTERNAL: half spread and fee of the best venue, that crossing at mid spared"
        ),
        *_MARKOUTS,
    )
    return Table(name="venue", title="Venues", columns=columns, rows=tuple(rows))


def by_lp(evidence: Evidence) -> Table:
    """A row an LP: its orders, its answers and its last look."""
    after, refused, quotes = evidence.markouts("fill"), evidence.markouts("reject"), evidence.quotes()
    orders = {(row["name"], row["currency"]): row for row in evidence.places(lp=True)}
    rows = []
    for key in sorted({*orders, *quotes}):
        asked, known = quotes.get(key, {}), {"name": key[0], "currency": key[1]}
        row = orders.get(key)
        rows.append(
            {
                "lp": key[0],
                **({"currency": key[1]} if row is None else _place(row)),
                "asked": asked.get("requests"),
                "quoted": asked.get("quoted"),
                "quote_spread_bps": asked.get("quote_spread_bps"),
                "quote_ms_p50": asked.get("quote_ms_p50"),
                "win_share": _share(row["orders"] if row else 0, asked.get("rounds", 0)),
                "after_reject_bps": refused.get((*key, 1_000)),
                **_after(after, known),
            }
        )
    columns = (
        Column("lp", "LP", Unit.TEXT, "liquidity provider"),
        _NAME,
        Column("asked", "asked", Unit.COUNT, "requests for a firm quote"),
        Column("quoted", "quoted", Unit.SHARE, "answered with a price within the wait"),
        Column("quote_spread_bps", "quote bp", Unit.BPS, "its price over fair value when the round ended"),
        Column("quote_ms_p50", "quote p50", Unit.MS, "from asking to its price, ms"),
        Column("win_share", "won", Unit.SHARE, "of the rounds in which it quoted"),
        *_ORDERS,
        *_LATENCY,
        *_COST,
        Column("after_reject_bps", "after refusal", Unit.BPS, "move in the desk's favour 1 s after a refusal; high: one-sided last look"),
        *_MARKOUTS,
    )  # fmt: skip
    return Table(name="lp", title="Liquidity providers", columns=columns, rows=tuple(rows))


def by_client(evidence: Evidence) -> Table:
    """A row a client: what its trades earned and what they were worth afterwards; and the orders worked for it."""
    after, worked = evidence.markouts("client"), evidence.orders_of_clients()
    traded = {(row["name"], row["currency"]): row for row in evidence.clients()}
    rows = []
    for key in sorted({*traded, *worked}):
        row, order = traded.get(key), worked.get(key)
        rows.append(
            {
                "client": key[0],
                "currency": key[1],
                "trades": row["orders"] if row else 0,
                "notional": Decimal(row["notional"]) if row else ZERO,
                "earned": Decimal(row["earned"]) if row else ZERO,
                "earned_bps": bps(Decimal(row["earned"]), Decimal(row["basis"])) if row else None,
                **_after(after, {"name": key[0], "currency": key[1]}),
                "orders": order["orders"] if order else 0,
                **(_cost(order) if order else {}),
            }
        )
    columns = (
        Column("client", "client", Unit.TEXT, "who traded with the desk"),
        _NAME,
        Column("trades", "trades", Unit.COUNT, "trades on quotes"),
        Column("notional", "notional", Unit.MONEY, "of those trades"),
        Column("earned", "spread", Unit.MONEY, "what it paid over fair value when quoted"),
        Column("earned_bps", "spread bp", Unit.BPS, "the same, of fair value × quantity"),
        *_MARKOUTS,
        Column("orders", "orders", Unit.COUNT, "orders the desk worked for it", False),
        *(Column(c.name, c.title, c.unit, c.meaning, False) for c in _COST),
    )
    return Table(name="client", title="Clients", columns=columns, rows=tuple(rows))


def by_algo(evidence: Evidence) -> Table:
    """A row an execution algorithm, beside what it is measured against."""
    rows = [
        {
            "algo": row["name"],
            "currency": row["currency"],
            "orders": row["orders"],
            "notional": Decimal(row["notional"]),
            "fill_ratio": row["fill_ratio"],
            **_cost(row),
            **_benchmark(row["benchmark"]),
        }
        for row in evidence.algos()
    ]
    columns = (
        Column("algo", "algo", Unit.TEXT, "execution algorithm; sweep: at once"),
        _NAME,
        *_ORDERS,
        *_COST,
        *_BENCHMARK,
    )
    return Table(name="algo", title="Algorithms", columns=columns, rows=tuple(rows))


BY = {"parent": by_parent, "venue": by_venue, "lp": by_lp, "client": by_client, "algo": by_algo}


def _benchmark(found: Mapping[str, float]) -> dict[str, Value]:
    return {
        "schedule_bps": found.get("schedule_bps"),
        "twap_bps": found.get("twap_bps"),
        "others_vwap_bps": found.get("vwap_bps"),
        "tracking_rms": found.get("tracking_rms"),
        "participation": found.get("participation"),
    }


def _cost(row: Mapping[str, Any]) -> dict[str, Value]:
    """Parts and total in money and basis points. The total is the sum of its parts in both."""
    parts = {name: Decimal(row[name]) for name in PARTS}
    basis = Decimal(row["basis"])
    total = ZERO
    for amount in parts.values():
        total = add(total, amount)
    in_bps = {name: bps(amount, basis) for name, amount in parts.items()}
    known = [value for value in in_bps.values() if value is not None]
    realised = add(total, -add(parts["timing"], parts["opportunity"]))
    return {
        "total_bps": sum(known, ZERO) if known else None,
        **{f"{name}_bps": value for name, value in in_bps.items()},
        "total": total,
        **parts,
        "expected_bps": bps(Decimal(row["expected"]), basis),
        "realised_bps": bps(realised, basis),
        "vwap_bps": _over_vwap(row),
    }


def _over_vwap(row: Mapping[str, Any]) -> Decimal | None:
    """Of one order only: an average over several symbols and sides would mean nothing."""
    volume, filled = Decimal(row["market_quantity"]), Decimal(row["filled"])
    if "side" not in row or not volume or not filled:
        return None
    at_vwap = EXACT.divide(EXACT.multiply(Decimal(row["market_notional"]), filled), volume)
    over = EXACT.subtract(Decimal(row["notional"]), at_vwap)
    return bps(over if row["side"] == "buy" else -over, at_vwap)


def _place(row: Mapping[str, Any]) -> dict[str, Value]:
    plain = ("currency", "orders", "rejected", "fill_ratio", *(column.name for column in _LATENCY[1:]))
    return {**{name: row[name] for name in plain}, "notional": Decimal(row["notional"]), **_cost(row)}


def _after(found: Mapping[tuple[str, str, int], float], row: Mapping[str, Any]) -> dict[str, Value]:
    return {f"markout_{h}_bps": found.get((row["name"], row["currency"], h)) for h in HORIZONS_MS}


def _share(part: Decimal | int, whole: Decimal | int) -> float | None:
    return float(part / whole) if whole else None
