"""`warm`: the kernels of venue books compiled or loaded, and proven on golden vectors, before a link is made.

Both modules are of one file each, so numba's own cache key (the file) is enough to tell old machine code from new.
"""

from __future__ import annotations

from zlib import crc32

import msgspec
import numpy as np

from adapters.ccxt.market.digits import LevelReader, SidedReader
from adapters.ccxt.market.levels import LOWEST, Levels


def warm() -> None:
    """Raises RuntimeError when a kernel answers wrongly: delete the `__pycache__` folders and start again."""
    reader = LevelReader(2, 3, floor=True)
    read = reader.read(msgspec.Raw(b'[["60000.01","0.5"],["59999.5","1.00059"]]'), msgspec.Raw(b'[["60000.020","7"]]'))
    _check(
        "digits", None if read is None else read.tolist(), [[1, 6000001, 500], [1, 5999950, 1000], [-1, 6000002, 7000]]
    )
    _check("odd digits", reader.read(msgspec.Raw(b'[["6e4","0.5"]]'), msgspec.Raw(b"[]")), None)
    objects = LevelReader(1, 3, floor=False, objects=True)
    read = objects.read(msgspec.Raw(b'[{"price":60000.1,"qty":0.5},{"price":59999,"qty":7.125}]'), msgspec.Raw(b"[]"))
    _check("numbers", None if read is None else read.tolist(), [[1, 600001, 500], [1, 599990, 7125]])
    text = b'[{"side":"offer","event_time":"t","price_level":"60000.1","new_quantity":"0.50059"}]'
    read = SidedReader(1, 3, floor=True).read(msgspec.Raw(text))
    _check("sides", None if read is None else read.tolist(), [[-1, 600001, 500]])
    book = Levels(capacity=2)
    book.put(np.array([[1, 99, 5], [1, 97, 5], [1, 98, 5], [-1, 101, 4], [-1, 103, 4], [-1, 102, 0]], dtype=np.int64))
    book.set(1, 97, 0)
    book.set(1, 96, 3)
    _check("levels", book.array().tolist(), [[1, 99, 5], [1, 98, 5], [1, 96, 3], [-1, 101, 4], [-1, 103, 4]])
    _check("checksum", book.checksum(2), crc32(b"10141034" + b"995985"))
    _check("removals", book.cut(1), [(1, 96, 0), (1, 98, 0), (-1, 103, 0)])
    _check("what is left", (book.best_bid, book.best_ask), (99, 101))
    shown, worst = Levels(capacity=2), np.full(2, LOWEST)
    book.follow(shown, worst, np.array([[1, 98, 7]], dtype=np.int64), 1)
    told = book.follow(shown, worst, np.array([[1, 99, 0]], dtype=np.int64), 1)
    _check("what is shown", None if told is None else told.tolist(), [[1, 99, 0], [1, 98, 7]])


def _check(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise RuntimeError(
            f"kernel of venue books, {what}: {got!r} instead of {expected!r}; delete the __pycache__ folders"
        )
