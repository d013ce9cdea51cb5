"""The desk's error tree. Bugs raise; refusals of the business are values, turned into these only at the door of the API.

KerbError
├── ConfigFault            exit 2: the file, the environment or the command line is wrong
├── TemporaryFault         exit 3: try again (port busy, archive locked, venue unreachable)
└── ApiFault               what a client of the API may see; `kind` decides the status (CONTRACT 3.4)
    ├── Invalid            400 401 403 404 422   the request is wrong; nothing happened
    ├── Rejected           409 422               price, risk, credit, expiry said no; nothing happened
    ├── Limited            429                   too many; Retry-After says when
    ├── Failed             503                   technical; nothing happened; retryable
    └── Unknown            504                   outcome not known yet; query by client id, never resend blindly
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class KerbError(Exception):
    """Root of everything Kerb raises on purpose."""

    retryable: ClassVar[bool] = False
    outcome_known: ClassVar[bool] = True


class ConfigFault(KerbError):
    """The configuration or the command line is wrong."""


class TemporaryFault(KerbError):
    """Something outside is busy or away; the same call may work later."""

    retryable = True


class ApiFault(KerbError):
    """A refusal that is told to a client: `code` for programs, `message` for people, `details` for both."""

    kind: ClassVar[str] = "failed"
    default_status: ClassVar[int] = 503

    def __init__(
        self, code: str, message: str, *, status: int | None = None, details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = self.default_status if status is None else status
        self.details: Mapping[str, object] = details or {}


class Invalid(ApiFault):
    """The request itself is wrong."""

    kind = "invalid"
    default_status = 422


class Rejected(ApiFault):
    """The request is well-formed and the desk says no."""

    kind = "rejected"
    default_status = 409


class Limited(ApiFault):
    """Too many requests; `details["retry_after_s"]` becomes the Retry-After header."""

    kind = "limited"
    default_status = 429
    retryable = True


class Failed(ApiFault):
    """Technical failure; nothing happened."""

    kind = "failed"
    default_status = 503
    retryable = True


class Unknown(ApiFault):
    """The outcome is not known yet: query by client id."""

    kind = "unknown"
    default_status = 504
    outcome_known = False
