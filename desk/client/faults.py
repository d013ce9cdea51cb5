"""Turns an error answer of the desk (CONTRACT 3.4) into the exception of `desk.errors` that a caller can catch by kind.

Invalid · Rejected · Limited · Failed · Unknown, each an `ApiFault` with `code`, `message`, `status`, `details`
"""

from __future__ import annotations

from typing import Any

from desk.errors import ApiFault, Failed, Invalid, Limited, Rejected, Unknown

_KINDS: dict[str, type[ApiFault]] = {fault.kind: fault for fault in (Invalid, Rejected, Limited, Failed, Unknown)}


def fault_of(error: dict[str, Any], status: int | None = None) -> ApiFault:
    """The exception of an `error` object. `details` keeps the desk's `request_id` as well, for a support case."""
    kind = _KINDS.get(str(error.get("kind")), Failed)
    details = {**error.get("details", {}), "request_id": error.get("request_id", "")}
    return kind(str(error.get("code", "failed")), str(error.get("message", "")), status=status, details=details)
