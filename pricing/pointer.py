"""Arenas by their address in compiled code: `integers(address)` and `doubles(address)` are indexed as an array is.

An array is seven words that every call between kernels hands on, with an atomic count of its users at entry and exit: for
kernels that call one another inside a microsecond that was half of the time. A pointer is one word, and nothing is counted.
Nothing knows its length either: the one who gives an address keeps the array alive, and its kernels stay inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic


def _pointer(address: Any, to: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer
    return pointer(to)(address), code


@intrinsic
def _integers(typing: Any, address: Any) -> Any:
    return _pointer(address, types.int64)


@intrinsic
def _doubles(typing: Any, address: Any) -> Any:
    return _pointer(address, types.float64)


integers: Callable[[int], npt.NDArray[np.int64]] = cast(Any, _integers)  # the int64 words at an address
doubles: Callable[[int], npt.NDArray[np.float64]] = cast(Any, _doubles)  # the float64 words at an address
