"""Book and sweep kernels against dictionaries and sorting, after any sequence of messages."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import sweep as kernels
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from tests.oracles import books as twin

DEPTH = 6
FEES = (Decimal(10), Decimal("2.5"), Decimal("-1"))
DECIMALS = ((1, 2), (0, 1), (1, 0))
SCALE = Scale("GOLD/USD", 1, 2)

Level = tuple[int, int, int]
level = st.tuples(st.sampled_from((1, -1)), st.integers(1, 25), st.integers(0, 9))
message = st.tuples(
    st.sampled_from(("update", "update", "snapshot", "top", "clear")),
    st.integers(0, 2),
    st.lists(level, min_size=0, max_size=9),
)


def venue(i: int) -> VenueTerms:
    return VenueTerms(
        venue=f"V{i}",
        taker_fee_bps=FEES[i],
        tick=Decimal("0.1"),
        lot=Decimal("0.01"),
        price_decimals=DECIMALS[i][0],
        size_decimals=DECIMALS[i][1],
        max_age_ns=100,
    )


def replay(messages: list[tuple[str, int, list[Level]]]) -> tuple[ConsolidatedBook, list[twin.DictBook]]:
    """Feed the kernel and its twin the same messages."""
    book = ConsolidatedBook("GOLD/USD", SCALE, [venue(i) for i in range(3)], depth=DEPTH)
    plain = [twin.DictBook(DEPTH) for _ in range(3)]
    whole = [False] * 3
    for kind, v, levels in messages:
        pf, sf = 10 ** (1 - DECIMALS[v][0]), 10 ** (2 - DECIMALS[v][1])
        rows = [(side, price + (13 if side == -1 else 0), size) for side, price, size in levels]
        array = np.array(rows, dtype=np.int64).reshape(-1, 3)
        match kind:
            case "clear":
                book.clear(f"V{v}", "gap", 1)
                plain[v], whole[v] = twin.DictBook(DEPTH), False
            case "top":
                bid, ask = len(levels) * 3, len(levels) * 3 + 13
                book.mark_top(f"V{v}", bid, 2, ask, 3, 1)
                if whole[v]:
                    plain[v].top(bid * pf, 2 * sf, ask * pf, 3 * sf)
            case _:
                snapshot = kind == "snapshot"
                book.apply(f"V{v}", array, snapshot, 1)
                if snapshot:
                    plain[v], whole[v] = twin.DictBook(DEPTH), True
                if whole[v]:
                    for side, price, size in rows:
                        plain[v].set(side, price * pf, size * sf)
    return book, plain


@settings(max_examples=300, deadline=None)
@given(st.lists(message, max_size=14))
def test_books_equal_a_sorted_rebuild(messages: list[tuple[str, int, list[Level]]]) -> None:
    book, plain = replay(messages)
    for v in range(3):
        for side in (0, 1):
            assert book.side_levels(f"V{v}", side) == plain[v].side(side)
        bids, asks = plain[v].side(0), plain[v].side(1)
        live = book.status(f"V{v}", 1) is BookStatus.LIVE
        assert live == bool(bids and asks and bids[0][0] < asks[0][0])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(message, min_size=3, max_size=14), st.lists(st.integers(1, 9000), min_size=1, max_size=5), st.booleans()
)
def test_sweep_equals_its_twin(messages: list[tuple[str, int, list[Level]]], targets: list[int], buying: bool) -> None:
    book, plain = replay(messages)
    mask = book.live_mask(1)
    live = [plain[v] if mask >> v & 1 else twin.DictBook(1) for v in range(3)]
    fees = [int(fee * 100) for fee in FEES]
    sizes = np.array(sorted(targets), dtype=np.int64)
    out = np.zeros((len(sizes), 3, 2), dtype=np.int64)
    side = 1 if buying else 0
    filled = kernels.sweep_targets(book.arena, side, mask, sizes, out)
    expected = [twin.sweep(live, fees, side, int(size)) for size in sizes]
    assert filled == sum(row is not None for row in expected)
    keys = [1_000_000 + (1 if buying else -1) * fee for fee in fees]
    for row, want in zip(out.tolist(), expected, strict=True):
        if want is not None:  # ties may go to either venue: money and size are equal
            assert sum(lots for lots, _ in row) == sum(lots for lots, _ in want)
            ours = sum(n * key for (_, n), key in zip(row, keys, strict=True))
            assert ours == sum(n * key for (_, n), key in zip(want, keys, strict=True))
