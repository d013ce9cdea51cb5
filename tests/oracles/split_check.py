"""An independent reading of the routing rules (CONTRACT section 6) in plain decimals: is a plan allowed, and what does it cost?

Shares no code with the router. Works on the JSON of request and answer.
"""

from __future__ import annotations

from decimal import Decimal, getcontext
from itertools import product
from typing import Any

getcontext().prec = 90


def evaluate(request: dict[str, Any], children: list[dict[str, Any]]) -> tuple[Decimal, Decimal]:
    """(filled, cost) of a plan; raises AssertionError naming the rule that it breaks."""
    buy = request["side"] == "buy"
    sign = 1 if buy else -1
    limit = None if request.get("limit_price") is None else Decimal(request["limit_price"])
    most = request.get("max_children")
    assert most is None or len(children) <= most, "too many children"
    venues = {v["venue"]: v for v in request["venues"]}
    quotes = {(q["lp"], q["quote_id"]): q for q in request.get("quotes", [])}
    seen: set[str] = set()
    filled = cost = Decimal(0)
    for child in children:
        quantity = Decimal(child["quantity"])
        assert quantity > 0, "empty child"
        filled += quantity
        if "lp" in child:
            quote = quotes[child["lp"], child["quote_id"]]
            assert f"lp {child['lp']}" not in seen, "two quotes of one LP"
            seen.add(f"lp {child['lp']}")
            price, whole = Decimal(quote["price"]), Decimal(quote["quantity"])
            assert limit is None or sign * price <= sign * limit, "quote beyond the limit"
            if quote.get("all_or_none", True):
                assert quantity == whole, "part of an all-or-none quote"
            else:
                low, lot = Decimal(quote.get("min_quantity", "0")), Decimal(quote.get("lot", "0.00000001"))
                assert low <= quantity <= whole and (quantity - low) % lot == 0, "partial quote off its grid"
            cost += sign * price * quantity + Decimal(quote.get("fixed_cost", "0"))
            continue
        venue = venues[child["venue"]]
        assert f"venue {child['venue']}" not in seen, "two children of one venue"
        seen.add(f"venue {child['venue']}")
        levels = [(Decimal(p), Decimal(q)) for p, q in venue["asks" if buy else "bids"]]
        fee = Decimal(venue["taker_fee_bps"]) / 10_000
        assert quantity % Decimal(venue["lot"]) == 0, "off lot"
        assert quantity >= Decimal(venue["min_quantity"]), "below the minimum quantity"
        assert quantity * levels[0][0] >= Decimal(venue["min_notional"]), "below the minimum notional"
        left, spent, worst = quantity, Decimal(0), levels[0][0]
        for price, size in levels:
            take = min(left, size)
            if take:
                spent, worst, left = spent + take * price, price, left - take
        assert left == 0, "more than the book shows"
        assert Decimal(child["limit_price"]) == worst, "limit price is not the worst level touched"
        assert limit is None or sign * worst <= sign * limit, "beyond the limit"
        if venue.get("balance") is not None:
            needs = spent * (1 + fee) if buy else quantity
            assert needs <= Decimal(venue["balance"]), "more than the balance"
        cost += sign * spent * (1 + sign * fee) + Decimal(venue.get("fixed_cost", "0"))
    assert filled <= Decimal(request["quantity"]), "over-filled"
    return filled, cost


def expected(request: dict[str, Any], children: list[dict[str, Any]]) -> Decimal:
    """What expected slippage and rejections add to the cost in the choice."""
    venues = {v["venue"]: v for v in request["venues"]}
    quotes = {(q["lp"], q["quote_id"]): q for q in request.get("quotes", [])}
    rate = Decimal(request.get("reject_cost_bps", "0")) / 10_000
    total = Decimal(0)
    for child in children:
        if "lp" in child:
            quote = quotes[child["lp"], child["quote_id"]]
            amount = Decimal(quote["price"]) * Decimal(child["quantity"])
            total += rate * Decimal(quote.get("reject_probability", "0")) * amount
            continue
        venue, left = venues[child["venue"]], Decimal(child["quantity"])
        slip = Decimal(venue.get("slippage_bps", "0")) / 10_000
        for price, size in venue["asks" if request["side"] == "buy" else "bids"]:
            total += slip * Decimal(price) * min(left, Decimal(size))
            left -= min(left, Decimal(size))
    return total


def brute_force(request: dict[str, Any], grid: Decimal) -> tuple[Decimal, Decimal]:
    """(filled, choice cost) of the best plan by trying every quantity of every venue and quote on `grid`. For tiny requests."""
    options: list[list[dict[str, Any] | None]] = []
    buy = request["side"] == "buy"
    for venue in request["venues"]:
        choices: list[dict[str, Any] | None] = [None]
        levels = [(Decimal(p), Decimal(q)) for p, q in venue["asks" if buy else "bids"]]
        depth = sum((q for _, q in levels), Decimal(0))
        step = 1
        while levels and grid * step <= min(depth, Decimal(request["quantity"])):
            quantity, left, worst = grid * step, grid * step, levels[0][0]
            for price, size in levels:
                if left > 0:
                    worst, left = price, left - size
            choices.append({"venue": venue["venue"], "limit_price": str(worst), "quantity": str(quantity)})
            step += 1
        options.append(choices)
    for quote in request.get("quotes", []):
        choices = [None]
        step = 1
        while grid * step <= min(Decimal(quote["quantity"]), Decimal(request["quantity"])):
            choices.append({"lp": quote["lp"], "quote_id": quote["quote_id"], "quantity": str(grid * step)})
            step += 1
        options.append(choices)
    possible = [
        [c for c in choices if c is None or _allowed({**request, "max_children": None}, [c])] for choices in options
    ]
    best = (Decimal(0), Decimal(0))
    for picked in product(*possible):
        children = [c for c in picked if c is not None]
        try:
            filled, cost = evaluate(request, children)
        except AssertionError:
            continue
        cost += expected(request, children)
        if (-filled, cost) < (-best[0], best[1]):
            best = (filled, cost)
    return best


def _allowed(request: dict[str, Any], children: list[dict[str, Any]]) -> bool:
    try:
        evaluate(request, children)
    except AssertionError:
        return False
    return True
