"""What makes an order invalid before anything is sent: type, time in force, capacity, sizes, limits, schedule."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from desk.api.messages import AmendRequest, OrderRequest
from desk.config.model import InstrumentSection, OrdersSection
from desk.errors import ApiFault, Invalid
from desk.orders.records import Capacity, OrderRecord
from desk.rfq.checks import require_size, require_step

SCHEDULED = ("twap", "vwap", "pov", "is")  # worked over `duration_ms`
_WORKED = (*SCHEDULED, "iceberg")  # a rule decides when; time in force is how long it may
# field -> the types it says something about; anywhere else it is refused rather than ignored
_FIELDS = {
    "duration_ms": SCHEDULED,
    "participation": ("pov",),
    "risk_aversion": ("is",),
    "display_quantity": ("iceberg",),
    "expire_ns": ("limit", "iceberg"),
}
_REQUIRED = {
    "limit": ("limit_price",),
    "iceberg": ("limit_price", "display_quantity"),
    "twap": ("duration_ms",),
    "vwap": ("duration_ms",),
    "pov": ("duration_ms", "participation"),
    "is": ("duration_ms",),
}
_IN_FORCE = {
    "market": ("ioc", "fok"),
    "limit": ("gtc", "gtd", "ioc", "fok"),
    "iceberg": ("gtc", "gtd"),
}


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """An order that makes sense."""

    quantity: Decimal
    limit_price: Decimal | None
    time_in_force: str
    capacity: Capacity
    end_ns: int


def accepted(
    request: OrderRequest, instrument: InstrumentSection, section: OrdersSection, client_id: str, now_ns: int
) -> Accepted:
    """The order with its defaults filled in. Raises `ApiFault`."""
    for field in _REQUIRED.get(request.type, ()):
        if getattr(request, field) is None:
            raise _bad(field, f"a {request.type} order needs {field}")
    for field, types in _FIELDS.items():
        if getattr(request, field) is not None and request.type not in types:
            raise _bad(field, f"{field} says nothing about a {request.type} order")
    if request.type == "market" and request.limit_price is not None:
        raise _bad("limit_price", "a market order has no limit: send type limit")
    quantity = Decimal(request.quantity)
    require_step(quantity, instrument.quantity_step)
    require_size(instrument, quantity)
    in_force = _time_in_force(request)
    return Accepted(
        quantity=quantity,
        limit_price=_limit(request.limit_price, instrument),
        time_in_force=in_force,
        capacity=_capacity(request, in_force, section, client_id),
        end_ns=_end(request, in_force, section, now_ns),
    )


class Amended(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is to be after an amendment."""

    quantity: Decimal
    limit_price: Decimal | None
    end_ns: int


def amended(
    request: AmendRequest, order: OrderRecord, instrument: InstrumentSection, section: OrdersSection, now_ns: int
) -> Amended:
    """The order as it is to be. Raises `ApiFault`."""
    if request.quantity is None and request.limit_price is None and request.end_ns is None:
        raise _bad("quantity", "nothing to amend: give quantity, limit_price or end_ns")
    quantity = order.quantity
    if request.quantity is not None:
        quantity = Decimal(request.quantity)
        require_step(quantity, instrument.quantity_step)
        require_size(instrument, quantity)
        if quantity < order.filled:
            raise _bad("quantity", f"{order.filled:f} has filled")
    if request.limit_price is not None and order.type == "market":
        raise _bad("limit_price", "a market order has no limit")
    if request.end_ns is not None and not now_ns < request.end_ns <= now_ns + section.max_duration_ms * 1_000_000:
        raise _bad("end_ns", f"end_ns is in the future, by {section.max_duration_ms} ms at most")
    return Amended(
        quantity=quantity,
        limit_price=_limit(request.limit_price, instrument) or order.limit_price,
        end_ns=request.end_ns or order.end_ns,
    )


def _time_in_force(request: OrderRequest) -> str:
    allowed = _IN_FORCE.get(request.type, ("gtd",))
    chosen = request.time_in_force or ("gtd" if request.expire_ns is not None else allowed[0])
    if chosen not in allowed:
        raise _bad("time_in_force", f"a {request.type} order is {' or '.join(allowed)}, not {chosen}")
    if chosen == "gtd" and request.type not in SCHEDULED and request.expire_ns is None:
        raise _bad("expire_ns", "gtd needs expire_ns")
    if chosen != "gtd" and request.expire_ns is not None:
        raise _bad("expire_ns", f"expire_ns is for gtd, not {chosen}")
    return chosen


def _capacity(request: OrderRequest, in_force: str, section: OrdersSection, client_id: str) -> Capacity:
    allowed = section.capacities.get(client_id, ("agency", "principal"))
    at_once = request.type in ("market", "limit") and in_force in ("fok", "ioc")
    wanted = request.capacity or ("principal" if in_force == "fok" or "agency" not in allowed else "agency")
    if wanted not in allowed:
        raise Invalid(
            "not_entitled",
            f"this client's orders are {' or '.join(allowed) or 'not taken'}, not {wanted}",
            status=403,
            details={"capacity": wanted},
        )
    if wanted == "principal" and not at_once:
        raise _bad(
            "capacity", "the desk takes an order as principal at once or not at all: market or limit, fok or ioc"
        )
    if wanted == "agency" and in_force == "fok":
        raise _bad("time_in_force", "fok over several venues cannot be promised as agent: send it as principal")
    return Capacity(wanted)


def _limit(price: str | None, instrument: InstrumentSection) -> Decimal | None:
    if price is None:
        return None
    limit = Decimal(price)
    if limit <= 0:
        raise _bad("limit_price", "limit_price must be above zero")
    if limit % instrument.price_tick:
        raise _bad("limit_price", f"limit_price must be a multiple of {instrument.price_tick:f}")
    return limit


def _end(request: OrderRequest, in_force: str, section: OrdersSection, now_ns: int) -> int:
    most = section.max_duration_ms
    if request.type in SCHEDULED:
        assert request.duration_ms is not None
        if request.duration_ms > most:
            raise _bad("duration_ms", f"an order is worked for {most} ms at most")
        return now_ns + request.duration_ms * 1_000_000
    match in_force:
        case "gtd":
            assert request.expire_ns is not None
            if request.expire_ns <= now_ns:
                raise _bad("expire_ns", "expire_ns has passed")
            if request.expire_ns > now_ns + most * 1_000_000:
                raise _bad("expire_ns", f"an order is worked for {most} ms at most")
            return request.expire_ns
        case "gtc":
            return now_ns + most * 1_000_000
        case _:
            return now_ns + section.immediate_ms * 1_000_000


def _bad(field: str, message: str) -> ApiFault:
    return Invalid("bad_order", message, details={"field": field})
