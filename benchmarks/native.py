"""The same kernel in C, compiled when there is a compiler: how far numba is from what the machine gives.

`Native.build` compiles `certified.c` with gcc -O3 -march=native into a folder of its own and loads it; None without gcc.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from pricing import book
from pricing.book import Array
from router.live import layout, merge

SOURCE = Path(__file__).with_name("certified.c")
FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")
WORDS = {
    **{name: value for name, value in vars(layout).items() if name.isupper() and name != "U"},
    "BOOK_HEADER": book.HEADER,
    "BOOK_VENUE": book.VENUE_WORDS,
    "H_VENUES": book.H_VENUES,
    "H_DEPTH": book.H_DEPTH,
    "V_COUNT": book.V_COUNT,
    "STRIDE": merge.STRIDE,
}


class Native:
    """The compiled C kernel. Arrays are those of `pricing.book` and `router.live.layout`."""

    def __init__(self, library: Path) -> None:
        loaded = ctypes.CDLL(str(library))
        self._timed, self._certify = loaded.timed, loaded.certify
        self._timed.restype = None
        self._certify.restype = ctypes.c_int64

    @classmethod
    def build(cls) -> Native | None:
        """Compile and load; None when there is no gcc or it cannot compile this."""
        compiler = shutil.which("gcc")
        if compiler is None:
            return None
        with tempfile.TemporaryDirectory(prefix="kerb-bench-") as folder:
            library = Path(folder) / "certified.so"
            words = [f"-D{name}=INT64_C({int(value)})" for name, value in WORDS.items()]
            command = [compiler, *FLAGS, *words, str(SOURCE), "-o", str(library), "-lm"]
            done = subprocess.run(command, capture_output=True, check=False)
            return cls(library) if done.returncode == 0 else None

    def timed(self, books: Array, which: Array, orders: Array, work: Array, plain: int) -> tuple[Array, Array]:
        """Ticks of each order, and its verdict; `plain`: levels merged one by one before batches are tried."""
        n, words = orders.shape
        cycles, verdicts = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        number = ctypes.c_int64
        self._timed(
            _at(books), number(books.shape[1]), _at(which), _at(orders), number(words), number(n), _at(work),
            number(plain), _at(cycles), _at(verdicts),
        )  # fmt: skip
        return cycles, verdicts

    def certify(self, book: Array, work: Array, plain: int) -> int:
        """One order."""
        return int(self._certify(_at(book), _at(work), ctypes.c_int64(plain)))


def _at(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
