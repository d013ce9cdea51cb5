"""Why a split is as it is: what each child costs at its margin, what it saves, and what kept the others out.

Every reason is a counterfactual, not a guess: the same request is solved again without a child, or with one rule of one venue
or quote lifted, and what changes is told. Prices are all-in: fee, expected slippage and expected rejection are in them, fixed
costs apart. λ, the order's shadow price, is what the dearest unit costs of the children that could have taken less.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any

import msgspec

from router.exact import floor
from router.exact.problem import WIDE, Block, Problem
from router.exact.request import SplitRequest
from router.exact.result import SplitResult
from router.exact.split import split

NODES = 2_000  # of each counterfactual
MANY = 64  # venues and quotes above which nothing is solved again

BRIEF = Context(prec=12)
GREEDY = "plain greedy"

Target = tuple[str, str]  # venue or LP, quote_id


class Taken(msgspec.Struct, frozen=True):
    """A child: all-in price of its average (fixed cost included) and its last unit, the cheapest next unit elsewhere, and what
    the order would cost more, or fill less, without it (None: not worked out)."""

    target: Target
    quantity: Decimal
    worst: Decimal
    average: Decimal
    last: Decimal
    elsewhere: Decimal | None
    saves: Decimal | None
    fills: Decimal | None


class Plain(msgspec.Struct, frozen=True):
    """What a choice that needs no search fills, and costs with all that is expected."""

    name: str
    filled: Decimal
    cost: Decimal


class Why:
    """One request and its answer, looked into. `cost`: of the answer, with all that is expected; `expected`: that part;
    `shadow`: λ; `next`: the cheapest unit that is left; all-in prices are of one unit and positive on both sides."""

    def __init__(self, request: SplitRequest, result: SplitResult) -> None:
        self.request, self.result = request, result
        self.problem = problem = Problem(request)
        taken = {(child.target, child.quote_id): child for child in result.children}
        self._atoms = [
            problem.atoms(taken[_target(block)].quantity) if _target(block) in taken else 0 for block in problem.blocks
        ]
        _, cost = floor.value(problem, self._atoms)
        self.cost = problem.money(cost)
        self.expected = problem.money(problem.expected(self._atoms))
        used = [(block, atoms) for block, atoms in zip(problem.blocks, self._atoms, strict=True) if atoms]
        lasts = [_slope(block, atoms) for block, atoms in used if atoms > block.low]
        self._shadow = max(lasts or [_slope(block, atoms) for block, atoms in used], default=None)
        self.shadow = self._unit(self._shadow)
        self.next = self._unit(self._cheapest_next(None))

    def taken(self) -> Iterator[Taken]:
        """The children, cheapest average first."""
        rows = []
        for block, atoms in zip(self.problem.blocks, self._atoms, strict=True):
            if not atoms:
                continue
            saves = fills = None
            if len(self.problem.blocks) <= MANY:
                without = self._solved(_changed(self.request, block, None))
                saves, fills = self._more(without)
            size = self.problem.size(atoms)
            row = Taken(
                target=_target(block),
                quantity=size,
                worst=block.worst(atoms),
                average=_share(abs(self.problem.money(block.cost(atoms) + block.fixed)), size),
                last=self._priced(_slope(block, atoms)),
                elsewhere=self._unit(self._cheapest_next(block)),
                saves=saves,
                fills=fills,
            )
            rows.append((block.cost(atoms) + block.fixed, atoms, row))
        yield from (row for _, _, row in sorted(rows, key=lambda each: each[0] / each[1]))

    def left_out(self) -> Iterator[tuple[Target, str]]:
        """Who got nothing, and why."""
        yield from (((name, quote_id), why) for name, quote_id, why in self.problem.refused)
        for block, atoms in zip(self.problem.blocks, self._atoms, strict=True):
            if not atoms:
                yield _target(block), self._reason(block)

    def plain(self) -> Iterator[Plain]:
        """What needs no search, the best first: each venue or quote alone, and the plain greedy."""
        blocks = self.problem.blocks
        plans = [(GREEDY, floor.greedy(self.problem))]
        plans += [
            (f"{name(_target(one))} alone", [one.high if one is each else 0 for each in blocks]) for one in blocks
        ]
        for _, told, plan in sorted((floor.value(self.problem, plan), told, plan) for told, plan in plans):
            less, cost = floor.value(self.problem, plan)
            yield Plain(told, self.problem.size(-less), self.problem.money(cost))

    def _reason(self, block: Block) -> str:
        least = self._priced(block.slopes[0])
        dear = f"price: its best unit is {brief(least)} all-in, λ is {brief(self.shadow)}"
        raw = self.problem.sign * self.problem.ticks(block.prices[0]) * self.problem.one
        if self._shadow is None or (raw > self._shadow and not self._bound(block)):
            return dear
        if len(self.problem.blocks) > MANY:
            return dear if block.slopes[0] > self._shadow else "no cheaper plan with it was found"
        for said, other in self._lifted(block):
            found = self._solved(other)
            quantity = next((c.quantity for c in found.children if (c.target, c.quote_id) == _target(block)), None)
            if quantity is not None:
                return f"{said}, it would get {brief(quantity)}"
        if block.slopes[0] > self._shadow:
            return dear
        return f"no cheaper plan uses it: its best unit is {brief(least)} all-in, but the rest of the order would pay for it"

    def _bound(self, block: Block) -> bool:
        """Whether a rule beside the price may have kept a dear block out: then a rule is the reason."""
        return len(self.result.children) == self.request.max_children or self.result.unfilled > 0

    def _lifted(self, block: Block) -> Iterator[tuple[str, SplitRequest]]:
        """The request with one rule lifted at a time, the tightest first."""
        request, (target, quote_id) = self.request, _target(block)
        rival = next((c for c in self.result.children if c.lp and c.lp == target and quote_id), None)
        if rival is not None:
            others = tuple(q for q in request.quotes if (q.lp, q.quote_id) != (rival.lp, rival.quote_id))
            said = f"one quote an LP: {rival.quote_id} is taken; without that"
            yield said, msgspec.structs.replace(request, quotes=others)
        if request.max_children is not None and len(self.result.children) >= request.max_children:
            for more in (request.max_children + 1, None):
                said = f"children limit: with {more} instead of" if more else "children limit: without that of"
                yield f"{said} {request.max_children}", msgspec.structs.replace(request, max_children=more)
        quote = next((q for q in request.quotes if (q.lp, q.quote_id) == (target, quote_id)), None)
        if quote is not None:
            if quote.fixed_cost:
                yield (
                    f"fixed cost: without its {quote.fixed_cost}",
                    _changed(request, block, {"fixed_cost": Decimal(0)}),
                )
            if quote.all_or_none or quote.min_quantity > quote.lot:
                said = "all or none: in part" if quote.all_or_none else f"minimum: below its {quote.min_quantity}"
                yield said, _changed(request, block, {"all_or_none": False, "min_quantity": Decimal(0)})
            if block.loading:
                said = f"expected rejection: without its probability of {quote.reject_probability}"
                yield said, _changed(request, block, {"reject_probability": Decimal(0)})
            return
        book = next(book for book in request.books if book.venue == target)
        if book.fixed_cost:
            yield f"fixed cost: without its {book.fixed_cost}", _changed(request, block, {"fixed_cost": Decimal(0)})
        if block.low > block.lot:
            said = f"minimum: below its {brief(self.problem.size(block.low))}"
            yield said, _changed(request, block, {"min_quantity": Decimal(0), "min_notional": Decimal(0)})
        if book.taker_fee_bps > 0:
            yield f"fee: without its {book.taker_fee_bps} bps", _changed(request, block, {"taker_fee_bps": Decimal(0)})
        if book.slippage_bps > 0:
            said = f"expected slippage: without its {book.slippage_bps} bps"
            yield said, _changed(request, block, {"slippage_bps": Decimal(0)})

    def _solved(self, request: SplitRequest) -> SplitResult:
        return split(request, node_limit=NODES)

    def _more(self, other: SplitResult) -> tuple[Decimal | None, Decimal | None]:
        """(what another answer costs more, None) when it fills as much, else (None, what it fills)."""
        if other.filled != self.result.filled:
            return None, other.filled
        problem, taken = self.problem, {(c.target, c.quote_id): c.quantity for c in other.children}
        atoms = [problem.atoms(taken.get(_target(block), Decimal(0))) for block in problem.blocks]
        return WIDE.subtract(problem.money(floor.value(problem, atoms)[1]), self.cost), None

    def _cheapest_next(self, but: Block | None) -> int | None:
        """Slope of the cheapest unit that is left, of blocks other than `but`."""
        return min(
            (
                _slope(block, atoms + 1)
                for block, atoms in zip(self.problem.blocks, self._atoms, strict=True)
                if block is not but and max(atoms + block.lot, block.low) <= block.high
            ),
            default=None,
        )

    def _priced(self, slope: int) -> Decimal:
        """A slope as the price of one unit."""
        return abs(WIDE.scaleb(Decimal(slope), -self.problem.price_decimals - self.problem.rate_decimals))

    def _unit(self, slope: int | None) -> Decimal | None:
        return None if slope is None else self._priced(slope)


def _target(block: Block) -> Target:
    return block.name, block.quote_id


def _slope(block: Block, atoms: int) -> int:
    """Choice cost of the last of `atoms`."""
    return block.slopes[bisect_left(block.ends, atoms)]


def _share(amount: Decimal, size: Decimal) -> Decimal:
    return Context(prec=40).divide(amount, size)


def _changed(request: SplitRequest, block: Block, terms: dict[str, Any] | None) -> SplitRequest:
    """The request with other terms of one venue or quote; without it if there are none."""
    books, quotes = [], []
    for book in request.books:
        if block.quote_id or book.venue != block.name:
            books.append(book)
        elif terms is not None:
            books.append(msgspec.structs.replace(book, **terms))
    for quote in request.quotes:
        if (quote.lp, quote.quote_id) != _target(block):
            quotes.append(quote)
        elif terms is not None:
            quotes.append(msgspec.structs.replace(quote, **terms))
    return msgspec.structs.replace(request, books=tuple(books), quotes=tuple(quotes))


def name(target: Target) -> str:
    """For people."""
    return f"quote {target[1]} of {target[0]}" if target[1] else f"venue {target[0]}"


def brief(value: Decimal | None) -> str:
    """Twelve digits at most, no exponent, no zeros behind."""
    if value is None:
        return "none"
    rounded = f"{BRIEF.plus(value):f}"
    return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded
