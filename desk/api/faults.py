"""Every error in the one shape of CONTRACT 3.4, with the right status: business refusals, bad requests, and our own bugs.

A bug of ours is 503 `failed` with a request id that the log has too: never a stack trace, never a 500.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from desk.api.messages import ErrorAnswer, ErrorBody
from desk.errors import ApiFault, Failed, Invalid, Limited

_log = logging.getLogger(__name__)
_counter = itertools.count(1)
_run = os.urandom(4).hex()

_CODES = {
    400: "bad_request",
    404: "no_such_route",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    417: "expectation_failed",
    426: "upgrade_required",
}


def new_request_id() -> str:
    """Unique in this desk for ever; short, since people read it out."""
    return f"q-{_run}-{next(_counter):x}"


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return format(value, "f")
        case str() | int() | float() | bool() | None:
            return value
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return str(value)


def error_body(fault: ApiFault, request_id: str) -> ErrorBody:
    """The `error` object of a fault."""
    return ErrorBody(
        code=fault.code,
        kind=fault.kind,  # type: ignore[arg-type]
        message=fault.message,
        retryable=fault.retryable,
        details={str(name): _plain(value) for name, value in fault.details.items()},
        request_id=request_id,
    )


def error_response(fault: ApiFault, request_id: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The HTTP answer of a fault; a limit says when to come back."""
    extra = dict(headers or {})
    if isinstance(fault, Limited):
        extra["Retry-After"] = str(max(1, -int(-_seconds(fault.details.get("retry_after_s")) // 1)))
    return web.Response(
        status=fault.status,
        body=msgspec.json.encode(ErrorAnswer(error=error_body(fault, request_id))),
        content_type="application/json",
        headers=extra,
    )


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 1.0


def fault_of_http(status: int, method: str, path: str) -> ApiFault:
    """What aiohttp itself refused (no such route, wrong method, body too large) as a fault."""
    phrase = HTTPStatus(status).phrase.lower()
    if status >= 500:
        return Failed("failed", phrase, status=503)
    return Invalid(_CODES.get(status, "bad_request"), f"{method} {path[:200]}: {phrase}", status=status)


def unexpected(what: str, request_id: str) -> Failed:
    """Log the exception at hand and answer without telling anything about it."""
    _log.exception("%s failed, request %s", what, request_id)
    return Failed("failed", "the desk could not do this; it is logged under the request id")
