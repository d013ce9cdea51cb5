"""`split`: one order over venue books and LP quotes at the least all-in cost, with the proof's bound.

Exact in and out: decimals become integers of any size (`router.exact.problem`), the search is over integers
(`router.exact.search`), money comes back as decimals without loss. First as much of the quantity as the rules allow, then the
least cost; `optimal` is said only when it is proven, and no answer is worse than the best venue alone or the plain greedy
(`router.exact.floor`). `router.live.split` asks the same of live books.
"""

from __future__ import annotations

from decimal import Decimal

from router.exact import floor
from router.exact.pack import Solution, search
from router.exact.problem import WIDE, Problem
from router.exact.request import SplitFault, SplitQuote, SplitRequest
from router.exact.result import SplitChild, SplitResult

DEFAULT_GAP_BPS = Decimal("0.01")
NODE_LIMIT = 200_000  # 0.2 s on ordinary machines for requests of ordinary size

__all__ = ["SplitChild", "SplitFault", "SplitQuote", "SplitRequest", "SplitResult", "split"]


def split(request: SplitRequest, *, gap_bps: Decimal = DEFAULT_GAP_BPS, node_limit: int = NODE_LIMIT) -> SplitResult:
    """Answer a request. The cost is within `gap_bps` of the least one, or `gap_bps` of the answer says how far it may
    be."""
    problem = Problem(request)
    return _result(problem, _held(problem, search(problem, node_limit, int(gap_bps * 10**5))))


def _held(problem: Problem, found: Solution) -> Solution:
    """What the search found, never worse than what needs no search, and with a true bound when more might be filled."""
    if found.proven:
        return found
    taken = floor.best(problem)
    less, cost = floor.value(problem, taken)
    grown = -less > found.filled
    if (less, cost) < (-found.filled, found.cost):
        found = Solution(taken, -less, found.reach, cost, min(found.bound, cost), False, found.nodes)
    if grown or found.reach > found.filled:  # the search's bound was of another size
        found.bound = min(found.cost, floor.cheapest(problem, found.filled))
    found.proven = found.bound == found.cost and found.reach == found.filled
    return found


def _result(problem: Problem, found: Solution) -> SplitResult:
    children = []
    expected = problem.expected(found.taken)
    for block, atoms in zip(problem.blocks, found.taken, strict=True):
        if not atoms:
            continue
        children.append(
            SplitChild(
                venue="" if block.quote_id else block.name,
                lp=block.name if block.quote_id else "",
                quote_id=block.quote_id,
                limit_price=block.worst(atoms),
                quantity=plain(problem.size(atoms)),
            )
        )
    cost, bound = found.cost - expected, found.bound - expected
    nano_bps = -((bound - cost) * 10**13 // max(abs(cost), 1)) if bound < cost else 0
    return SplitResult(
        side=problem.request.side,
        filled=plain(problem.size(found.filled)),
        unfilled=plain(problem.size(problem.quantity - found.filled)),
        cost=plain(problem.money(cost)),
        bound=plain(problem.money(bound)),
        gap_bps=WIDE.scaleb(Decimal(nano_bps), -9),
        optimal=found.proven,
        children=children,
        nodes=found.nodes,
        reach=plain(problem.size(found.reach)) if found.reach > found.filled else None,
    )


def plain(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent, whatever its length."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    kept = list(digits)
    while exponent < 0 and len(kept) > 1 and kept[-1] == 0:
        kept.pop()
        exponent += 1
    if kept == [0]:
        return Decimal(0)
    return Decimal((sign, tuple(kept), exponent))
