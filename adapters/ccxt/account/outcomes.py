"""From a ccxt exception to what is known of the order: refused, never sent, or unknown. Unknown is a state, not a rejection.

    REFUSED    the venue (or our own limit) said no; the order does not exist
    NOT_SENT   the request never left: no connection, or our own checks stopped it
    NOT_FOUND  a query or cancel: the venue does not know the order (now)
    UNKNOWN    it may live: query by client order id until proven, never send it again

The default is UNKNOWN. ccxt uses one class for "connection refused" and "502 after sending", so `__cause__` and the
HTTP status in the text decide. Source: reference table of section "Errors", each row a test case.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from adapters.ccxt.limits.bucket import RateLimited
from adapters.ccxt.symbols import ClientIdError


class Verdict(StrEnum):
    """What an exception proves about the order."""

    REFUSED = "refused"
    NOT_SENT = "not_sent"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"

    @property
    def outcome_known(self) -> bool:
        """Whether the order certainly does not exist."""
        return self in (Verdict.REFUSED, Verdict.NOT_SENT)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed request. `retryable`: certainly not executed, and the same client order id may go once more."""

    verdict: Verdict
    reason: str
    retryable: bool = False
    disables_venue: bool = False  # credentials refused: nothing will work until a person acts
    forbids: bool = False  # the key or the account may not trade this market


_STATUS = re.compile(r" (4\d\d|5\d\d) ")
_EMPTY = re.compile(r"\w+ (\{\s*\}|\[\s*\])")
_REFUSING_STATUS = {"400", "401", "403", "404", "405", "407", "410", "418", "422", "429", "451"}


class NotSent(Exception):
    """Our own checks stopped a request: it did not leave."""


@cache
def _errors() -> Any:
    import ccxt  # here: it takes a second to load

    return ccxt


def classify(error: BaseException) -> Failure:
    """What is known after `error` ended a request."""
    e = _errors()
    reason = f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
    match error:
        case RateLimited() | ClientIdError() | NotSent():
            return Failure(verdict=Verdict.NOT_SENT, reason=str(error))
        case e.OrderNotFound():
            return Failure(verdict=Verdict.NOT_FOUND, reason=reason)
        case e.PermissionDenied() | e.RestrictedLocation():
            return Failure(verdict=Verdict.REFUSED, reason=reason, forbids=True)
        case e.AuthenticationError():
            return Failure(verdict=Verdict.REFUSED, reason=reason, disables_venue=True)
        case e.CancelPending():
            return Failure(verdict=Verdict.UNKNOWN, reason=reason)
        case e.InvalidNonce():
            return Failure(verdict=Verdict.REFUSED, reason=reason, retryable=True)
        case e.RateLimitExceeded() | e.DDoSProtection() | e.OnMaintenance():
            return Failure(verdict=Verdict.REFUSED, reason=reason)
        case e.ExchangeNotAvailable() | e.RequestTimeout():
            return _network(error, reason)
        case e.OperationFailed():
            # Binance -1008 ("overloaded, throttled") is the one of these codes that promises the order was not taken
            known = '"code":-1008' in reason.replace(" ", "")
            return Failure(verdict=Verdict.REFUSED if known else Verdict.UNKNOWN, reason=reason)
        case e.InvalidOrder() if "Unknown order" in reason:
            return Failure(verdict=Verdict.NOT_FOUND, reason=reason)  # Kraken's words outside cancel
        case e.BadResponse():
            return Failure(verdict=Verdict.UNKNOWN, reason=reason)
        case e.ExchangeError():
            # an answer that broke off halfway, or says nothing at all, is no answer
            said = not _is_client_error(error.__cause__) and _EMPTY.fullmatch(str(error)) is None
            return Failure(verdict=Verdict.REFUSED if said else Verdict.UNKNOWN, reason=reason)
        case _:
            return Failure(verdict=Verdict.UNKNOWN, reason=reason)


def _network(error: BaseException, reason: str) -> Failure:
    """Network trouble: before anything was sent, a refusal by HTTP status, or (default) unknown."""
    if _never_connected(error):
        return Failure(verdict=Verdict.NOT_SENT, reason=reason)
    status = _STATUS.search(str(error))
    if status and status[1] in _REFUSING_STATUS and error.__cause__ is None:
        return Failure(verdict=Verdict.REFUSED, reason=reason)
    return Failure(verdict=Verdict.UNKNOWN, reason=reason)


def _never_connected(error: BaseException) -> bool:
    """Whether there was no connection to the host that was asked; one that was only led on to another host has been asked."""
    import socket

    import aiohttp

    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorError) and cause.host not in str(error):
        return False
    return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | socket.gaierror)


def _is_client_error(cause: BaseException | None) -> bool:
    import aiohttp

    return isinstance(cause, aiohttp.ClientError)
