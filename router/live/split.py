"""`split_book`: the same split as `router.exact.split`, of live books and in microseconds.

Compiled code answers all that lies on the books' own grid (`router.live.splitter`); what does not (an LP's price with more
digits than the books have) becomes a request and is solved from decimals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pricing.consolidated import BookStatus, ConsolidatedBook
from router.exact.request import Book, SplitFault, SplitQuote, SplitRequest
from router.exact.result import SplitResult
from router.exact.split import DEFAULT_GAP_BPS, split
from router.live.layout import PPM
from router.live.splitter import NODE_LIMIT, splitter

PLAIN_NODE_LIMIT = 60  # of a request with numbers beyond int64, which is not compiled
DEPTH = 400
_NO_SLIPPAGE: Mapping[str, Decimal] = {}
_NO_HAIRCUT: Mapping[str, int] = {}


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
    min_notional: Decimal = Decimal(0),
    gap_bps: Decimal = DEFAULT_GAP_BPS,
    node_limit: int = NODE_LIMIT,
) -> SplitResult:
    """Split over the live venues of `book` that are not excluded. `side` is ours. Compiled code settles all that is on the
    books' grid (`router.live.splitter`), `router.exact.split` the rest.

    `balances`: what each venue's account can spend (quote currency for a buy, base for a sell); a venue not in it is
    unlimited. `exclude` names venues and LPs. `slippage_bps`: what a venue is expected to cost beyond its book; it weighs in
    the choice and is never part of the cost. `haircut_ppm`: by venue, the share of every displayed size that is expected to be
    gone. `min_notional`: no child of a venue is worth less, fee excluded. Children of a venue carry the worst price they
    touch; check `unfilled`.
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
        min_notional=min_notional,
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
                min_notional=max(terms.min_notional, min_notional),
                balance=None if balance is None else max(balance, Decimal(0)),
                fixed_cost=terms.fixed_cost,
                slippage_bps=slippage_bps.get(venue, Decimal(0)),
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
    for ticks, displayed in book.side_levels(venue, side, DEPTH):
        lots = displayed * share_ppm // PPM
        if lots == 0:
            continue
        levels.append((scale.price(ticks), scale.size(lots)))
        wanted -= lots
        if wanted <= 0:
            break
    return tuple(levels)
