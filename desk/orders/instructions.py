"""A client's order in the router's words: which algorithm works it."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from desk.api.messages import OrderRequest
from desk.errors import Invalid
from router.algos.spec import AlgoSpec, Iceberg, ImplementationShortfall, Pov, Twap, Vwap

_SLICES = 20  # a schedule's, between these bounds of an interval
_SHORTEST_MS, _LONGEST_MS = 1_000, 30_000


def algo_of(request: OrderRequest, time_in_force: str, quantity: Decimal) -> AlgoSpec | None:
    """None: swept at once. A limit order that may rest is an iceberg that shows all of itself. Raises `Invalid`."""
    try:
        return _spec(request, time_in_force, quantity)
    except ValueError as fault:
        raise Invalid("bad_order", str(fault), details={"field": request.type}) from None


def _spec(request: OrderRequest, time_in_force: str, quantity: Decimal) -> AlgoSpec | None:
    match request.type:
        case "market":
            return None
        case "limit":
            return Iceberg(display=quantity, size_jitter=0.0) if time_in_force in ("gtc", "gtd") else None
        case "iceberg":
            return Iceberg(display=Decimal(request.display_quantity or 0))
        case "twap":
            return Twap(interval_ms=_interval(request))
        case "vwap":
            return Vwap(interval_ms=_interval(request))
        case "pov":
            return Pov(participation=Decimal(request.participation or 0))
        case "is":
            if request.risk_aversion is None:
                return ImplementationShortfall(interval_ms=_interval(request))
            return ImplementationShortfall(interval_ms=_interval(request), risk_aversion=float(request.risk_aversion))
        case _:
            assert_never(request.type)


def _interval(request: OrderRequest) -> int:
    return max(_SHORTEST_MS, min(_LONGEST_MS, (request.duration_ms or 0) // _SLICES))
