"""`split`: one order over venue books and LP quotes at the least all-in cost, with the proof's bound.

Exact in and out: decimals become integers of any size (`router.problem`), the search is over integers (`router.search`),
money comes back as decimals without loss. First as much of the quantity as the rules allow, then the least cost;
`optimal` is said only when it is proven. `split_book` asks the same of live books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal

from pricing.consolidated import BookStatus, ConsolidatedBook
from router.layout import PPM
from router.live import splitter
from router.pack import Packed, Solution
from router.problem import Problem
from router.request import Book, SplitFault, SplitQuote, SplitRequest
from router.result import SplitChild, SplitResult

DEFAULT_GAP_BPS = Decimal("0.01")
NODE_LIMIT = 20_000  # offline; about 0.2 ms each
LIVE_NODE_LIMIT = 2_000  # of compiled code, which ends sooner by `router.prove.PATIENT`: the event loop must not wait
PLAIN_NODE_LIMIT = 60  # in Python
LIVE_DEPTH = 400
_NO_SLIPPAGE: Mapping[str, Decimal] = {}
_NO_HAIRCUT: Mapping[str, int] = {}

__all__ = ["SplitChild", "SplitFault", "SplitQuote", "SplitRequest", "SplitResult", "split", "split_book"]


def split(request: SplitRequest, *, gap_bps: Decimal = DEFAULT_GAP_BPS, node_limit: int = NODE_LIMIT) -> SplitResult:
    """Answer a request. The cost is within `gap_bps` of the least one, or `gap_bps` of the answer says how far it may
    be."""
    problem = Problem(request)
    return _result(problem, Packed(problem, node_limit).solve(int(gap_bps * 10**5)))


def _result(problem: Problem, found: Solution) -> SplitResult:
    children = []
    rejection = 0
    for block, atoms in zip(problem.blocks, found.taken, strict=True):
        if not atoms:
            continue
        rejection += problem.rejection(block, atoms)
        children.append(
            SplitChild(
                venue="" if block.quote_id else block.name,
                lp=block.name if block.quote_id else "",
                quote_id=block.quote_id,
                limit_price=block.worst(atoms),
                quantity=plain(problem.size(atoms)),
            )
        )
    cost, bound = found.cost - rejection, found.bound - rejection
    gap = Decimal(0)
    if bound < cost:
        gap = (Decimal(cost - bound) * 10_000 / abs(cost)).quantize(Decimal("1e-9"), ROUND_CEILING)
    return SplitResult(
        side=problem.request.side,
        filled=plain(problem.size(found.filled)),
        unfilled=plain(problem.size(problem.quantity - found.filled)),
        cost=plain(problem.money(cost)),
        bound=plain(problem.money(bound)),
        gap_bps=gap,
        optimal=found.proven,
        children=children,
        nodes=found.nodes,
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


def split_book(
    book: ConsolidatedBook,
    *,
    side: str,
    quantity: Decimal,
    limit_price: Decimal | None = None,
    quotes: Sequence[SplitQuote] = (),
    balances: Mapping[str, Decimal | None] | None = None,
    max_children: int | None = None,
    exclude: frozenset[str] = frozenset(),
    now_ns: int,
    reject_cost_bps: Decimal = Decimal(0),
    slippage_bps: Mapping[str, Decimal] = _NO_SLIPPAGE,
    haircut_ppm: Mapping[str, int] = _NO_HAIRCUT,
    gap_bps: Decimal = DEFAULT_GAP_BPS,
    node_limit: int = LIVE_NODE_LIMIT,
) -> SplitResult:
    """Split over the live venues of `book` that are not excluded. `side` is ours. Compiled code settles all that is on the
    books' grid (`router.live`), the exact search in Python's integers the rest.

    `balances`: what each venue's account can spend (quote currency for a buy, base for a sell); a venue not in it is
    unlimited. `exclude` names venues and LPs. `slippage_bps`: what a venue is expected to cost beyond its book; it weighs in
    the compiled choice (the search in Python goes by the book) and is never part of the cost. `haircut_ppm`: by venue, the
    share of every displayed size that is expected to be gone. Children of a venue carry the worst price they touch; check
    `unfilled`.
    """
    if side not in ("buy", "sell") or not quantity.is_finite() or quantity <= 0:
        raise SplitFault(f"cannot split side {side!r}, quantity {quantity}")
    balances = balances or {}
    quotes = [quote for quote in quotes if quote.lp not in exclude]
    found = splitter(book).solve(
        book,
        side=side,
        quantity=quantity,
        limit_price=limit_price,
        quotes=quotes,
        balances=balances,
        max_children=max_children,
        exclude=exclude,
        now_ns=now_ns,
        gap_bps=gap_bps,
        slippage_ppm={venue: int(bps * 100) for venue, bps in slippage_bps.items()},
        haircut_ppm=haircut_ppm,
        reject_cost_bps=reject_cost_bps,
        node_limit=node_limit,
    )
    if found is not None:
        return found
    books = []
    for venue in book.venues:
        if venue in exclude or book.status(venue, now_ns) is not BookStatus.LIVE:
            continue
        balance = balances.get(venue)
        terms = book.terms(venue)
        books.append(
            Book(
                venue=venue,
                taker_fee_bps=terms.taker_fee_bps,
                lot=terms.lot,
                min_quantity=terms.min_quantity,
                min_notional=terms.min_notional,
                balance=None if balance is None else max(balance, Decimal(0)),
                fixed_cost=terms.fixed_cost,
                levels=_levels(book, venue, 1 if side == "buy" else 0, quantity, PPM - haircut_ppm.get(venue, 0)),
            )
        )
    request = SplitRequest(
        side=side,
        quantity=quantity,
        books=tuple(books),
        quotes=tuple(quotes),
        limit_price=limit_price,
        max_children=max_children,
        reject_cost_bps=reject_cost_bps,
    )
    return split(request, gap_bps=gap_bps, node_limit=min(node_limit, PLAIN_NODE_LIMIT))


def _levels(
    book: ConsolidatedBook, venue: str, side: int, quantity: Decimal, share_ppm: int
) -> tuple[tuple[Decimal, Decimal], ...]:
    """Levels of one side, best first, as deep as the quantity can reach; of each size `share_ppm`, rounded down to a lot."""
    scale = book.scale
    wanted = scale.lots_up(quantity)
    levels = []
    for ticks, displayed in book.side_levels(venue, side, LIVE_DEPTH):
        lots = displayed * share_ppm // PPM
        if lots == 0:
            continue
        levels.append((scale.price(ticks), scale.size(lots)))
        wanted -= lots
        if wanted <= 0:
            break
    return tuple(levels)
