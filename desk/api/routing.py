"""A route is a value: the same table serves requests and is described in OpenAPI, so the two cannot differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from desk.errors import Invalid
from desk.service import Caller

if TYPE_CHECKING:
    from desk.api.context import Api


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request, decoded."""

    caller: Caller
    request_id: str
    path: dict[str, str]
    body: Any = None
    query: Any = None


@dataclass(frozen=True, slots=True)
class Route:
    """`scopes`: any of them lets a key in; empty: every key. `answer` is the type of a successful answer."""

    method: str
    path: str
    name: str  # operationId
    summary: str
    answer: type
    handle: Callable[[Api, Call], Awaitable[Any]]
    scopes: tuple[str, ...] = ()
    body: type | None = None
    query: type | None = None
    status: int = 200
    errors: tuple[int, ...] = field(default=())  # beyond those every route can answer
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # bodies, by a name

    def admit(self, caller: Caller) -> None:
        """Raise 403 unless the caller has one of the scopes."""
        require(caller, self.scopes)


def require(caller: Caller, scopes: tuple[str, ...]) -> None:
    """Raise `Invalid` 403 unless the caller has one of `scopes` (none: every caller). Operators may read everything."""
    if scopes and caller.scopes.isdisjoint(scopes) and not ("read" in scopes and caller.operator):
        raise Invalid(
            "missing_scope",
            f"this key lacks scope {' or '.join(scopes)}",
            status=403,
            details={"needs": list(scopes), "has": sorted(caller.scopes)},
        )
