"""The error table: what each kind of ccxt failure proves about an order. The default is that nothing is proven."""

import aiohttp
import ccxt
import pytest

from adapters.ccxt.account.outcomes import Verdict, classify
from adapters.ccxt.limits.bucket import RateLimited
from adapters.ccxt.symbols import ClientIdError

REFUSED, NOT_SENT, NOT_FOUND, UNKNOWN = Verdict.REFUSED, Verdict.NOT_SENT, Verdict.NOT_FOUND, Verdict.UNKNOWN


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def connector_error(host: str = "venue.example") -> aiohttp.ClientConnectorError:
    key = aiohttp.client_reqrep.ConnectionKey(host, 1, False, None, None, None, None)
    return aiohttp.ClientConnectorError(key, OSError(111, "refused"))


TABLE = [
    (ccxt.InsufficientFunds("binance Account has insufficient balance"), REFUSED),
    (ccxt.InvalidOrder("binance Filter failure: LOT_SIZE"), REFUSED),
    (ccxt.OrderImmediatelyFillable("post only"), REFUSED),
    (ccxt.DuplicateOrderId("Duplicate order sent."), REFUSED),
    (ccxt.BadRequest("-1013"), REFUSED),
    (ccxt.BadSymbol("no such market"), REFUSED),
    (ccxt.OperationRejected("no"), REFUSED),
    (ccxt.MarketClosed("closed"), REFUSED),
    (ccxt.PermissionDenied("no"), REFUSED),
    (ccxt.ArgumentsRequired("no"), REFUSED),
    (ccxt.NotSupported("no"), REFUSED),
    (ccxt.ExchangeError('binance {"code":-2021,"msg":"Order would immediately trigger."}'), REFUSED),
    (ccxt.OperationFailed('binance {"code":-1008,"msg":"Server is currently overloaded"}'), REFUSED),
    (ccxt.RateLimitExceeded("429"), REFUSED),
    (ccxt.DDoSProtection("418"), REFUSED),
    (ccxt.InvalidNonce("-1021"), REFUSED),
    (ccxt.OnMaintenance("maintenance"), REFUSED),
    (ccxt.ExchangeNotAvailable("binance POST https://h/order 403 Forbidden WAF"), REFUSED),
    (ccxt.ExchangeNotAvailable("binance POST https://h/order 404 Not Found"), REFUSED),
    (caused(ccxt.ExchangeNotAvailable("binance POST https://venue.example/order"), connector_error()), NOT_SENT),
    (caused(ccxt.ExchangeNotAvailable("binance POST https://venue.example/order"), connector_error("other")), UNKNOWN),
    (caused(ccxt.RequestTimeout("binance POST https://h/order"), aiohttp.ConnectionTimeoutError()), NOT_SENT),
    (RateLimited("own limit"), NOT_SENT),
    (ClientIdError("too long"), NOT_SENT),
    (ccxt.OrderNotFound("-2013"), NOT_FOUND),
    (ccxt.InvalidOrder('kraken {"error":["EOrder:Unknown order"]}'), NOT_FOUND),
    (caused(ccxt.RequestTimeout("binance POST https://h/order"), TimeoutError()), UNKNOWN),
    (ccxt.RequestTimeout('binance {"code":-1007,"msg":"Timeout waiting for response from backend server."}'), UNKNOWN),
    (ccxt.OperationFailed('binance {"code":-1006,"msg":"unexpected response; execution status unknown"}'), UNKNOWN),
    (ccxt.ExchangeNotAvailable("binance POST https://h/order 502 Bad Gateway"), UNKNOWN),
    (ccxt.ExchangeNotAvailable("binance POST https://h/order 503 Service Unavailable"), UNKNOWN),
    (ccxt.RequestTimeout("binance POST https://h/order 504 Gateway Timeout"), UNKNOWN),
    (ccxt.ExchangeNotAvailable('kraken {"error":["EService:Unavailable"]}'), UNKNOWN),
    (caused(ccxt.ExchangeNotAvailable("binance POST"), aiohttp.ServerDisconnectedError()), UNKNOWN),
    (caused(ccxt.ExchangeError("binance POST"), aiohttp.ClientPayloadError("broken off")), UNKNOWN),
    (ccxt.ExchangeError("okx {}"), UNKNOWN),
    (ccxt.BadResponse("not json"), UNKNOWN),
    (ccxt.NullResponse("empty"), UNKNOWN),
    (ccxt.CancelPending("pending"), UNKNOWN),
    (ccxt.NetworkError("?"), UNKNOWN),
    (KeyError("a bug while reading the answer"), UNKNOWN),
]


@pytest.mark.parametrize(
    ("error", "verdict"), TABLE, ids=[f"{type(e).__name__}-{v}-{n}" for n, (e, v) in enumerate(TABLE)]
)
def test_what_a_failure_proves(error, verdict):
    failure = classify(error)
    assert failure.verdict is verdict
    assert failure.reason


def test_refused_credentials_stop_the_venue_and_nothing_else_does():
    assert classify(ccxt.AuthenticationError("EAPI:Invalid key")).disables_venue
    assert not classify(ccxt.PermissionDenied("no")).disables_venue
    assert not classify(ccxt.InsufficientFunds("no")).disables_venue


def test_only_what_was_certainly_not_executed_may_go_again():
    assert classify(ccxt.InvalidNonce("-1021")).retryable
    for error, verdict in TABLE:
        if classify(error).retryable:
            assert verdict is REFUSED


def test_every_class_of_ccxt_is_covered_and_unknown_by_default():
    """A class that ccxt adds one day must not turn into a rejection by accident."""

    def leaves(cls):
        yield cls
        for child in cls.__subclasses__():
            yield from leaves(child)

    for cls in leaves(ccxt.OperationFailed):
        verdict = classify(cls("x")).verdict
        refused = (ccxt.DDoSProtection, ccxt.RateLimitExceeded, ccxt.InvalidNonce, ccxt.OnMaintenance)
        assert verdict is (REFUSED if issubclass(cls, refused) else UNKNOWN), cls
