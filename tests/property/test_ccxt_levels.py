"""The kernels of venue books are their plain twins: sides of a book, and levels read from the text of a message."""

from __future__ import annotations

import random
from zlib import crc32

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ccxt.market.digits import DIGITS, EXACT_DIGITS, READ, LevelReader, read_levels, read_objects
from adapters.ccxt.market.levels import Levels
from adapters.ccxt.symbols import exact
from pricing.entry import entry
from tests.oracles.ccxt_levels import PlainLevels, units


def same(ours: Levels, plain: PlainLevels) -> None:
    assert ours.sizes == plain.sizes
    assert ours.prices == plain.prices
    rows = [(side, price, size) for side in (1, -1) for price, size in plain.best(side, 10**6)]
    assert ours.array().tolist() == [list(row) for row in rows]
    assert ours.best_bid == (plain.prices[1][-1] if plain.prices[1] else None)
    assert ours.best_ask == (plain.prices[-1][0] if plain.prices[-1] else None)
    for side in (1, -1):
        assert ours.best(side, 3) == plain.best(side, 3)
        for place in (1, 4):
            best = plain.best(side, place)
            assert ours.price_at(side, place) == (best[-1][0] if len(best) == place else None)
    text = "".join(f"{price}{size}" for side in (-1, 1) for price, size in plain.best(side, 10))
    assert ours.checksum(10) == crc32(text.encode())


@pytest.mark.parametrize("seed", range(6))
def test_a_book_is_its_plain_twin_through_changes_growth_and_cuts(seed: int) -> None:
    rng = random.Random(seed)
    ours, plain = Levels(capacity=4), PlainLevels()
    for _ in range(150):
        span = rng.choice((5, 40, 400))
        rows = [
            (rng.choice((1, -1)), 1_000 + rng.randrange(span), rng.choice((0, rng.randrange(1, 9))))
            for _ in range(rng.randrange(30))
        ]
        if rng.random() < 0.2:
            for row in rows:
                ours.set(*row)
        else:
            ours.put(np.array(rows, dtype=np.int64).reshape(-1, 3))
        for row in rows:
            plain.set(*row)
        if rng.random() < 0.3:
            depth = rng.randrange(1, 60)
            assert ours.cut(depth) == plain.cut(depth)
        if rng.random() < 0.02:
            ours.clear()
            plain = PlainLevels()
        same(ours, plain)
    assert len(ours._book) > 4 * 16  # it had to grow


number = st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,9})?", fullmatch=True)
row = st.lists(number, min_size=2, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    bids=st.lists(row, max_size=6), asks=st.lists(row, max_size=6), price=st.integers(0, 8), size=st.integers(0, 8), floor=st.booleans()
)  # fmt: skip
def test_plain_digits_are_read_exactly_or_not_at_all(
    bids: list[list[str]], asks: list[list[str]], price: int, size: int, floor: bool
) -> None:
    read = LevelReader(price, size, floor=floor).read(
        msgspec.Raw(msgspec.json.encode(bids)), msgspec.Raw(msgspec.json.encode(asks))
    )
    expected: list[list[int | None]] = [
        [side, units(values[0], price, floor=False), units(values[1], size, floor=floor)]
        for side, rows in ((1, bids), (-1, asks))
        for values in rows
    ]
    fits = all(
        level[1] and level[2] is not None and len(text.partition(".")[0]) + decimals <= DIGITS
        for level, values in zip(expected, [*bids, *asks], strict=True)
        for text, decimals in ((values[0], price), (values[1], size))
    )
    if fits:
        assert read is not None and read.tolist() == expected
    else:
        assert read is None


json_number = st.from_regex(r"(0|[1-9][0-9]{0,7})(\.[0-9]{1,9})?", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(json_number, json_number), max_size=6), price=st.integers(0, 8), size=st.integers(0, 8))
def test_json_numbers_are_read_as_the_long_way_reads_them_or_not_at_all(
    rows: list[tuple[str, str]], price: int, size: int
) -> None:
    text = "[" + ",".join(f'{{"price":{a},"qty":{b}}}' for a, b in rows) + "]"
    read = LevelReader(price, size, floor=False, objects=True).read(msgspec.Raw(text.encode()), msgspec.Raw(b"[]"))
    expected = [[1, units(a, price, floor=False), units(b, size, floor=False)] for a, b in rows]
    fits = all(
        level[1] and level[2] is not None and len(number.partition(".")[0]) + decimals <= EXACT_DIGITS
        for level, row in zip(expected, rows, strict=True)
        for number, decimals in zip(row, (price, size), strict=True)
    )
    if not fits:
        assert read is None
        return
    assert read is not None and read.tolist() == expected
    decoded = [[1, exact(row["price"], price), exact(row["qty"], size)] for row in msgspec.json.decode(text)]
    assert decoded == expected


NOT_PLAIN = (
    "", "{}", "null", '""', "[", "[[", '[["', '[["1', '[["1"]]', '[["1","2"]', '[["1","2"],]', '[["1","2"]]]', '["1","2"]', "[[]]",
    '[["",""]]', '[["-1","2"]]', '[["1","-2"]]', '[["+1","2"]]', '[["1e3","2"]]', '[["1","2e1"]]', "[[1,2]]", '[["1",2]]', '[["1.","2"]]',
    '[[".1","2"]]', '[["1","2",null]]', '[["1","2","x"]]', '[["0","2"]]', '[ ["1","2"]]', '[["1" ,"2"]]', '[["1","2"] ]', '[["1","2"]]\n',
    '[["1\\u0030","2"]]', '[["1.0001","2"]]', '[["1_0","2"]]', '[["1","NaN"]]', '[["9999999999999999999","2"]]', '[["1","2",["3"]]]',
    '[["1.2.3","1"]]',
)  # fmt: skip


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_anything_else_is_left_to_the_long_way(text: str) -> None:
    reader, fine = LevelReader(2, 4, floor=True), msgspec.Raw(b'[["1","2"]]')
    odd = msgspec.Raw(text.encode())
    assert reader.read(odd, fine) is None
    assert reader.read(fine, odd) is None
    assert reader.read(fine, fine) is not None


NOT_OBJECTS = (
    "", "[", "[{}]", '[{"price":', '[{"price":1}]', '[{"qty":1,"price":1}]', '[{"price":"1","qty":1}]', '[{"price":-1,"qty":1}]',
    '[{"price":1,"qty":1e2}]', '[{"price":1,"qty":1},]', '[{"price":1,"qty":1,"n":1}]', '[{"price":0,"qty":1}]', '[{"price": 1,"qty":1}]',
    '[{"price":1,"qty":1}', '[{"price":1,"qty":1}]]', '[["1","2"]]', '[{"price":1.,"qty":1}]', '[{"price":.1,"qty":1}]',
    '[{"price":1,"qty":null}]', '[{"price":1.001,"qty":1}]',
)  # fmt: skip


@pytest.mark.parametrize("text", NOT_OBJECTS)
def test_other_objects_are_left_to_the_long_way(text: str) -> None:
    reader, fine = LevelReader(2, 4, floor=False, objects=True), msgspec.Raw(b'[{"price":1,"qty":2}]')
    odd = msgspec.Raw(text.encode())
    assert reader.read(odd, fine) is None
    assert reader.read(fine, odd) is None
    assert reader.read(fine, fine) is not None


SHAPES = {
    False: '[["61828.01","0.12"],["61828.02","7","0"]]',
    True: '[{"price":61828.01,"qty":0.12},{"price":61828.02,"qty":7}]',
}


@pytest.mark.parametrize("objects", SHAPES)
def test_what_stands_behind_a_text_is_never_read(objects: bool) -> None:
    """Every beginning of a message, closed by a bracket or not, with the rest of the message or more digits behind it in memory."""
    whole, scratch = SHAPES[objects].encode(), np.zeros((16, 3), dtype=np.int64)
    read = entry(read_objects if objects else read_levels, READ)
    none, found = np.frombuffer(b"[]", np.uint8), set()
    for end in range(len(whole) + 1):
        for close in (b"", b"]", b"]]"):
            text = whole[:end] + close
            counts = {
                read(np.frombuffer(text + behind, np.uint8)[: len(text)], none, 2, 2, 1, scratch)
                for behind in (b"", b"99]]", whole[end:], b'"],["1","1"]]', b'},{"price":1,"qty":1}]')
            }
            assert len(counts) == 1, text
            found |= counts
    assert found == {-1, 0, 1, 2}


def test_a_long_message_is_read_whole() -> None:
    rows = [[f"{60_000 + i}.25", f"{i}.5"] for i in range(1, 5_000)]
    read = LevelReader(2, 1, floor=False).read(msgspec.Raw(msgspec.json.encode(rows)), msgspec.Raw(b"[]"))
    assert read is not None and read.tolist() == [[1, 6_000_025 + 100 * i, 10 * i + 5] for i in range(1, 5_000)]
