"""The split's kernels in Python integers of any size: the same source lines, interpreted instead of compiled.

A request may carry numbers far beyond int64. Its arena is then a list of Python integers, and `solve` is
`router.exact.search.solve` with every compiled function it reaches replaced by the Python function it was compiled from. There is
one algorithm, and it cannot diverge.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from numba.core.dispatcher import Dispatcher

from router.exact import search


def interpreted(function: Any) -> Callable[..., Any]:
    """The Python function of a compiled one, calling Python functions only."""
    made: dict[int, FunctionType] = {}

    def plain(value: Any) -> Any:
        if not isinstance(value, Dispatcher):
            return value
        if id(value) not in made:
            source = value.py_func
            names: dict[str, Any] = {}
            made[id(value)] = FunctionType(source.__code__, names, source.__name__)
            names.update({name: plain(each) for name, each in source.__globals__.items() if name in _names(source)})
            names["__builtins__"] = __builtins__
        return made[id(value)]

    return plain(function)


def _names(function: Any) -> tuple[str, ...]:
    return function.__code__.co_names


solve: Callable[[list[int]], int] = interpreted(search.solve)
