"""A split in words and in JSON: what each child costs all-in, and what the next best simple choice would have cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from router.exact.request import SplitRequest
from router.exact.split import SplitResult, split


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
    return msgspec.json.encode(body).decode()


def narrate(request: SplitRequest, result: SplitResult) -> Iterator[str]:
    """Sentences for a person."""
    verb = "buy" if request.side == "buy" else "sell"
    yield f"{verb} {text(request.quantity)}: fills {text(result.filled)}, leaves {text(result.unfilled)}"
    if result.filled:
        yield f"all-in {abs(result.cost / result.filled):.8f} per unit, fixed costs included"
    for child in result.children:
        kind = f"quote {child.quote_id} of {child.lp}" if child.lp else f"venue {child.venue}"
        yield f"  {text(child.quantity):>18} at {text(child.limit_price)} or better: {kind}"
    if result.optimal:
        proof = "no plan is cheaper"
    else:
        proof = f"no plan is more than {result.gap_bps:.6f} bps cheaper"
    yield f"{proof} ({result.nodes} branches)"
    alone = []
    for book in request.books:
        one = split(msgspec.structs.replace(request, books=(book,), quotes=()))
        alone.append((-one.filled, one.cost, f"venue {book.venue}"))
    for quote in request.quotes:
        one = split(msgspec.structs.replace(request, books=(), quotes=(quote,)))
        alone.append((-one.filled, one.cost, f"quote {quote.quote_id} of {quote.lp}"))
    for filled, cost, name in sorted(alone):
        if not filled:
            yield f"  {name} alone: nothing"
        elif -filled == result.filled and cost:
            worse = (cost - result.cost) / abs(result.cost) * 10_000
            yield f"  {name} alone: costs {text(cost)}, {worse:.4f} bps more"
        else:
            yield f"  {name} alone: fills only {text(-filled)}"
