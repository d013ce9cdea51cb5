"""What is shown of a whole book is the best of it, and levels that name their side are read from their text: as their plain twins."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ccxt.market.digits import DIGITS, SidedReader
from adapters.ccxt.market.levels import LOWEST, Levels
from tests.oracles.ccxt_levels import PlainLevels, units


@pytest.mark.parametrize("seed", range(8))
def test_what_is_told_of_a_whole_book_makes_the_best_of_it(seed: int) -> None:
    """Through growth, levels pushed out and let in again, and rows that repeat a price."""
    rng = random.Random(seed)
    depth, span = rng.choice((1, 3, 20)), rng.choice((6, 60, 900))
    whole, shown, plain = Levels(capacity=4), Levels(capacity=4), PlainLevels()
    worst, told = np.full(2, LOWEST), PlainLevels()
    for _ in range(250):
        rows = []
        for _ in range(rng.randrange(1, 12)):
            side = rng.choice((1, -1))
            rows.append((side, 1_000 - side * rng.randrange(1, span), rng.choice((0, 0, rng.randrange(1, 9)))))
        changed = whole.follow(shown, worst, np.array(rows, dtype=np.int64), depth)
        for row in rows:
            plain.set(*row)
        assert changed is not None
        assert len(changed) <= 2 * len(rows)
        for row in changed.tolist():
            told.set(*row)
        assert whole.sizes == plain.sizes
        for index, side in enumerate((1, -1)):
            best = plain.best(side, depth)
            assert shown.best(side, 10**6) == told.best(side, 10**6) == best
            assert worst[index] == (best[-1][0] * side if len(plain.prices[side]) > depth else LOWEST)
        bids, asks = plain.best(1, 1), plain.best(-1, 1)
        assert whole.top() == shown.top() == ((*bids[0], *asks[0]) if bids and asks else None)


def test_a_book_that_crosses_is_told_and_not_shown() -> None:
    whole, shown, worst = Levels(), Levels(), np.full(2, LOWEST)
    assert whole.follow(shown, worst, np.array([[1, 99, 5], [-1, 101, 4]]), 10) is not None
    assert whole.follow(shown, worst, np.array([[1, 101, 5]]), 10) is None
    assert shown.top() == (99, 5, 101, 4)


number = st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,9})?", fullmatch=True)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(("bid", "offer")), st.text("0123456789-:.TZ ", max_size=30), number, number), max_size=6),
    price=st.integers(0, 8), size=st.integers(0, 8), floor=st.booleans(),
)  # fmt: skip
def test_levels_that_name_their_side_are_read_exactly_or_not_at_all(
    rows: list[tuple[str, str, str, str]], price: int, size: int, floor: bool
) -> None:
    names = ("side", "event_time", "price_level", "new_quantity")
    text = msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows])
    read = SidedReader(price, size, floor=floor).read(msgspec.Raw(text))
    expected = [
        [1 if side == "bid" else -1, units(a, price, floor=False), units(b, size, floor=floor)]
        for side, _, a, b in rows
    ]
    fits = all(
        level[1] and level[2] is not None and len(digits.partition(".")[0]) + decimals <= DIGITS
        for level, row in zip(expected, rows, strict=True)
        for digits, decimals in zip(row[2:], (price, size), strict=True)
    )
    if fits:
        assert read is not None and read.tolist() == expected
    else:
        assert read is None


ROW = '{"side":"bid","event_time":"t","price_level":"1","new_quantity":"2"}'
NOT_SIDED = (
    "", "{}", "[", "[{", "[{}]", f"[{ROW}", f"[{ROW},]", f"[{ROW}]]", f"{ROW}]", f"[{ROW[:-1]}]", f"[{ROW[:-2]}]", f"[{ROW}{ROW}]",
    *(f"[{ROW.replace(old, new)}]" for old, new in (
        ("bid", "bit"), ("bid", "offer_"), ('"bid"', "1"), ("t", "\\u0031"),
        ('"1"', "1"), ('"2"', '"-2"'), ('"2"', '"2e1"'), ('"1"', '"0"'),
        ('"1"', '"1.001"'), (",", ", "), ('"}', '","n":1}'), ("price_level", "price"), ('"1"', '"1_0"'), ('"2"', "null"), ('"2"', '""'),
    )),
)  # fmt: skip


@pytest.mark.parametrize("text", NOT_SIDED)
def test_other_rows_are_left_to_the_long_way(text: str) -> None:
    reader = SidedReader(2, 4, floor=True)
    assert reader.read(msgspec.Raw(text.encode())) is None
    fine = reader.read(msgspec.Raw(f"[{ROW},{ROW.replace('bid', 'offer')}]".encode()))
    assert fine is not None and fine.tolist() == [[1, 100, 20_000], [-1, 100, 20_000]]


def test_a_long_list_of_levels_is_read_whole() -> None:
    rows = [
        {"side": "offer", "event_time": "", "price_level": f"{i}.5", "new_quantity": f"{i}"} for i in range(1, 5_000)
    ]
    read = SidedReader(1, 2, floor=True).read(msgspec.Raw(msgspec.json.encode(rows)))
    assert read is not None and read.tolist() == [[-1, 10 * i + 5, 100 * i] for i in range(1, 5_000)]
