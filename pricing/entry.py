"""`entry`: the compiled function behind a kernel, without numba's dispatcher in front of it.

The dispatcher works out the type of every argument at every call: for kernels that take a microsecond or less that is more
than half of the time (eight arguments: 0.7 of 1.2 µs). What is called for every tick, always with the same types, goes
in by the entry of that one signature; the golden vectors of `pricing.warm` go in the same way.

What to give it: `int` for an int64, `float` for a float64, and contiguous arrays of exactly the type that was named:
nothing looks at an array again, so give it the owner's own arrays or look yourself. Asking for an entry compiles the
kernel, or loads it from the cache, unless that was done already: ask when an object is made, not when a tick comes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def entry(kernel: Any, signature: str) -> Callable[..., Any]:
    """The function of `kernel` (made by `njit`) for one signature in numba's notation, as `"(int64[::1], int64)"`."""
    found: Callable[..., Any] = kernel.compile(signature)
    return found
