"""The processor's own clock inside compiled code: `ticks()` reads its cycle counter (x86: RDTSC, not serialising).

One reading costs about 10 ns and resolves as much; `per_ns` says how many ticks a nanosecond has.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def ticks(typing: Any) -> Any:
    """The cycle counter."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), ())
        return builder.call(builder.module.declare_intrinsic("llvm.readcyclecounter", (), kind), ())

    return types.int64(), code


@njit(cache=True, nogil=True)
def now() -> int:
    """The cycle counter, from Python."""
    return ticks()


def per_ns(milliseconds: int = 50) -> float:
    """Ticks per nanosecond, against the system's clock."""
    now()
    began, first = perf_counter_ns(), now()
    while perf_counter_ns() - began < milliseconds * 1_000_000:
        pass
    last, ended = now(), perf_counter_ns()
    return (last - first) / (ended - began)
