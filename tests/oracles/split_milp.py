"""The routing problem as a MILP for HiGHS: an independent, weaker oracle (floats, tolerances). Re-evaluate its plan in exact decimals."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp


class _Rows:
    def __init__(self) -> None:
        self.rows: list[dict[int, float]] = []
        self.low: list[float] = []
        self.high: list[float] = []

    def add(self, row: dict[int, float], low: float, high: float) -> None:
        self.rows.append(row)
        self.low.append(low)
        self.high.append(high)

    def constraint(self, n: int) -> LinearConstraint:
        matrix = np.zeros((len(self.rows), n))
        for i, row in enumerate(self.rows):
            for j, value in row.items():
                matrix[i, j] = value
        return LinearConstraint(matrix, self.low, self.high)


def solve(request: dict[str, Any], seconds: float = 10.0) -> list[dict[str, Any]] | None:
    """Children of HiGHS' best plan: first the most quantity, then the least choice cost. None when it gives no plan in time.

    Quantities come back as whole lots, so that the caller can judge them exactly.
    """
    return attempt(request, seconds)[0]


def attempt(request: dict[str, Any], seconds: float) -> tuple[list[dict[str, Any]] | None, bool]:
    """`solve`, and whether HiGHS calls its plan proven; each of its two steps may take `seconds`."""
    buy = request["side"] == "buy"
    sign = 1 if buy else -1
    limit = None if request.get("limit_price") is None else Decimal(request["limit_price"])
    rate = Decimal(request.get("reject_cost_bps", "0")) / 10_000
    total = Decimal(request["quantity"])
    cost: list[float] = []
    upper: list[float] = []
    whole: list[int] = []
    rows = _Rows()
    fill: dict[int, float] = {}
    count: dict[int, float] = {}
    reference = float(next(p for v in request["venues"] for p, _ in v["asks" if buy else "bids"]))

    def variable(price: float, high: float, integer: int) -> int:
        cost.append(price)
        upper.append(high)
        whole.append(integer)
        return len(cost) - 1

    found: list[tuple[str, dict[str, Any], int, list[int], Decimal, Decimal]] = []
    for venue in request["venues"]:
        levels = [(Decimal(p), Decimal(q)) for p, q in venue["asks" if buy else "bids"]]
        levels = _reachable([(p, q) for p, q in levels if limit is None or sign * p <= sign * limit], total)
        if not levels:
            continue
        fee = Decimal(venue["taker_fee_bps"]) / 10_000
        lot = Decimal(venue["lot"])
        depth = min(sum(q for _, q in levels), total)
        low = max(Decimal(venue["min_quantity"]), Decimal(venue["min_notional"]) / levels[0][0], lot)
        low_lots = (low / lot).to_integral_value(ROUND_CEILING)
        high_lots = (depth / lot).to_integral_value(ROUND_FLOOR)
        if venue.get("balance") is not None and not buy:
            high_lots = min(high_lots, (Decimal(venue["balance"]) / lot).to_integral_value(ROUND_FLOOR))
        if high_lots < low_lots:
            continue
        used = variable(float(venue.get("fixed_cost", "0")), 1, 1)
        lots = variable(0.0, float(high_lots), 1)
        slip = Decimal(venue.get("slippage_bps", "0")) / 10_000
        xs = [variable(float(p * (sign + fee + slip)) - sign * reference, float(q), 0) for p, q in levels]
        rows.add({**{x: 1.0 for x in xs}, lots: -float(lot)}, 0.0, 0.0)
        rows.add({lots: 1.0, used: -float(high_lots)}, -np.inf, 0.0)
        rows.add({lots: 1.0, used: -float(low_lots)}, 0.0, np.inf)
        if venue.get("balance") is not None and buy:
            row = {x: float(p * (1 + fee)) for x, (p, _) in zip(xs, levels, strict=True)}
            rows.add(row, -np.inf, float(venue["balance"]))
        fill.update({x: 1.0 for x in xs})
        count[used] = 1.0
        found.append(("venue", venue, lots, xs, lot, Decimal(0)))
    by_lp: dict[str, list[int]] = {}
    for quote in request.get("quotes", []):
        price, size = Decimal(quote["price"]), Decimal(quote["quantity"])
        if limit is not None and sign * price > sign * limit:
            continue
        slope = float(sign * price + rate * Decimal(quote.get("reject_probability", "0")) * price) - sign * reference
        used = variable(float(quote.get("fixed_cost", "0")), 1, 1)
        by_lp.setdefault(quote["lp"], []).append(used)
        count[used] = 1.0
        if quote.get("all_or_none", True):
            if size > total:
                upper[used] = 0
                continue
            cost[used] += slope * float(size)
            fill[used] = float(size)
            found.append(("aon", quote, used, [], size, Decimal(0)))
        else:
            lot = Decimal(quote.get("lot", "0.00000001"))
            low = Decimal(quote.get("min_quantity", "0")) or lot
            steps = ((min(size, total) - low) / lot).to_integral_value(ROUND_FLOOR)
            if steps < 0:
                upper[used] = 0
                continue
            more = variable(slope * float(lot), float(steps), 1)
            cost[used] += slope * float(low)
            fill[used], fill[more] = float(low), float(lot)
            rows.add({more: 1.0, used: -float(steps)}, -np.inf, 0.0)
            found.append(("partial", quote, more, [used], lot, low))
    if not cost:
        return [], True
    for group in by_lp.values():
        rows.add({used: 1.0 for used in group}, -np.inf, 1.0)
    if request.get("max_children") is not None:
        rows.add(count, -np.inf, float(request["max_children"]))
    rows.add(fill, 0.0, float(total))
    n = len(cost)
    objective = np.zeros(n)
    for j, value in fill.items():
        objective[j] = -value
    options = {"time_limit": seconds, "mip_rel_gap": 0.0}
    bounds = Bounds(np.zeros(n), np.array(upper))
    first = milp(objective, integrality=whole, bounds=bounds, constraints=rows.constraint(n), options=options)
    if first.x is None or first.status != 0:
        return None, False
    rows.add(fill, -first.fun - 1e-9, float(total))
    second = milp(np.array(cost), integrality=whole, bounds=bounds, constraints=rows.constraint(n), options=options)
    if second.x is None:
        return None, False
    return _children(found, second.x, buy), second.status == 0


def _reachable(levels: list[tuple[Decimal, Decimal]], total: Decimal) -> list[tuple[Decimal, Decimal]]:
    """Levels, best first, that `total` can touch."""
    depth, kept = Decimal(0), []
    for price, size in levels:
        if depth >= total:
            break
        kept.append((price, size))
        depth += size
    return kept


def _children(found: list[Any], x: Any, buy: bool) -> list[dict[str, Any]]:
    children: list[dict[str, Any]] = []
    for kind, source, at, more, lot, low in found:
        steps = round(float(x[at]))
        if kind == "venue":
            quantity = lot * steps
            left, worst = quantity, Decimal(0)
            for p, q in source["asks" if buy else "bids"]:
                if left > 0:
                    worst, left = Decimal(p), left - Decimal(q)
            if quantity:
                children.append({"venue": source["venue"], "limit_price": str(worst), "quantity": str(quantity)})
        elif kind == "aon" and steps:
            children.append({"lp": source["lp"], "quote_id": source["quote_id"], "quantity": str(lot)})
        elif kind == "partial" and round(float(x[more[0]])):
            quantity = low + lot * steps
            children.append({"lp": source["lp"], "quote_id": source["quote_id"], "quantity": str(quantity)})
    return children
