"""A split in JSON, and in words: what is taken, what is left out, why, and what simpler choices would have cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal

import msgspec

from router.exact.problem import WIDE
from router.exact.request import SplitRequest
from router.exact.result import SplitResult
from router.exact.why import GREEDY, Plain, Why, brief, name

SHOWN, PLAINEST = 64, 6  # lines of who is left out, and of simpler choices


def text(value: Decimal) -> str:
    """Plain decimal text, no exponent."""
    return format(value, "f")


def answer(result: SplitResult) -> str:
    """The answer of CONTRACT section 6."""
    children = []
    for child in result.children:
        if child.lp:
            children.append({"lp": child.lp, "quote_id": child.quote_id, "quantity": text(child.quantity)})
        else:
            limit = text(child.limit_price)
            children.append({"venue": child.venue, "limit_price": limit, "quantity": text(child.quantity)})
    body = {
        "filled": text(result.filled),
        "cost": text(result.cost),
        "children": children,
        "optimal": result.optimal,
        "bound": text(result.bound),
        "gap_bps": "0.0" if not result.gap_bps else text(result.gap_bps),
        "unfilled": text(result.unfilled),
    }
    if result.reach is not None:
        body["might_fill"] = text(result.reach)
    return msgspec.json.encode(body).decode()


def narrate(request: SplitRequest, result: SplitResult) -> Iterator[str]:
    """The answer for a person: what is taken and why, what is left out and why, and what simpler choices would cost."""
    why = Why(request, result)
    side, problem = request.side, why.problem
    rules = [] if request.limit_price is None else [f"limit price {request.limit_price}"]
    rules += [] if request.max_children is None else [f"at most {request.max_children} children"]
    yield f"{side} {text(request.quantity)}{''.join(f', {rule}' for rule in rules)}: {_filled(result)}"
    if result.filled:
        average = Context(prec=40).divide(abs(result.cost), result.filled)
        verb = "costs" if side == "buy" else "brings"
        yield f"{verb} {brief(abs(result.cost))}, {brief(average)} a unit with fees and fixed costs"
        if why.expected:
            yield f"expected slippage and rejections of {brief(why.expected)} weigh in the choice and are no cost"
        yield f"shadow price λ {brief(why.shadow)}: what the last unit is all-in; the next unit anywhere is {brief(why.next)}"
    yield from _proof(result)
    if result.filled:
        yield ""
        yield from _table(why, side)
    left = list(why.left_out())
    if left:
        yield ""
        yield "left out"
        width = max(len(name(target)) for target, _ in left)
        yield from (f"  {name(target):<{width}}  {reason}" for target, reason in left[:SHOWN])
        if len(left) > SHOWN:
            yield f"  and {len(left) - SHOWN} more"
    plans = list(why.plain()) if problem.blocks else []
    if plans:
        yield ""
        yield "simpler choices, the best first"
        shown = [plan for i, plan in enumerate(plans) if i < PLAINEST or plan.name == GREEDY]
        width = max(len(plan.name) for plan in shown)
        yield from (f"  {plan.name:<{width}}  {_against(plan, why)}" for plan in shown)
        if len(plans) > len(shown):
            yield f"  and {len(plans) - len(shown)} more, none better"


def _filled(result: SplitResult) -> str:
    if not result.unfilled:
        return "fills it whole"
    most = "no plan fills more" if result.reach is None else f"no plan fills more than {text(result.reach)}"
    return f"fills {text(result.filled)}, leaves {text(result.unfilled)} ({most})"


def _proof(result: SplitResult) -> Iterator[str]:
    branches = f"{result.nodes} branch{'' if result.nodes == 1 else 'es'}"
    if result.reach is not None:
        yield f"the search ended after {branches}: up to {text(result.reach)} might be filled"
    if result.optimal:
        yield f"proven: no plan is cheaper ({branches})"
    else:
        size = "" if result.reach is None else " that fills as much"
        yield f"no plan{size} is more than {result.gap_bps:.6f} bps cheaper ({branches})"


def _table(why: Why, side: str) -> Iterator[str]:
    """The children: figures aligned, one line each."""
    head = ("taken", "quantity", "limit", "average all-in", "last unit", "next elsewhere", "without it")
    rows = [head]
    for row in why.taken():
        without = ""
        if row.fills is not None:
            without = f"fills {brief(row.fills)} only"
        elif row.saves is not None:
            dearer = "costs" if side == "buy" else "brings"
            sign = "more" if side == "buy" else "less"
            without = f"{dearer} {brief(row.saves)} {sign}" if row.saves > 0 else "the same within the gap"
        prices = (brief(row.average), brief(row.last), brief(row.elsewhere))
        rows.append((name(row.target), brief(row.quantity), text(row.worst), *prices, without))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for cells in rows:
        figures = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells[1:-1], widths[1:-1], strict=True))
        yield f"{cells[0]:<{widths[0]}}  {figures}  {cells[-1]}".rstrip()


def _against(plan: Plain, why: Why) -> str:
    """A simpler choice held against the answer."""
    if plan.filled != why.result.filled:
        return f"fills {brief(plan.filled)} only" if plan.filled else "fills nothing"
    more = WIDE.subtract(plan.cost, why.cost)
    if not more:
        return "the same"
    bps = f", {brief(Context(prec=8).divide(more * 10_000, abs(why.cost)))} bps" if why.cost else ""
    return f"{brief(more)} worse{bps}"
