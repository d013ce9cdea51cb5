"""The budget of one account at one venue, and the tariff it is spent by, shared by all its links."""

from __future__ import annotations

import contextlib
from typing import Any
from weakref import WeakValueDictionary

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.limits.budget import Budget
from adapters.ccxt.limits.tariff import RETRY_S, Command, Tariff
from adapters.ccxt.venues.registry import VENUES


class Purse:
    """A budget and the tariff it is spent by: one an account at a venue, shared by its links."""

    def __init__(self, tariff: Tariff) -> None:
        self.tariff = tariff
        self.budget = Budget(tariff.limit)

    def attach(self, exchange: Any, *, throttled: bool = True) -> None:
        """Let every REST request of a ccxt instance be paid for before it leaves, once, and read what the answers say.

        `throttled`: ccxt may space them as well. It does so evenly, first come first served, also those that nobody waits for any more.
        """
        if getattr(exchange, "paid_from", None) is self:
            return
        exchange.paid_from = self
        if not throttled:
            exchange.throttle = _at_once  # of REST only: sockets have a throttle of their own
        fetch, respond = exchange.fetch2, exchange.on_rest_response

        async def fetch2(
            path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
        ) -> Any:
            given, table = params or {}, config or {}
            cost = float(exchange.calculate_rate_limiter_cost(api, method, path, given, table))
            name = api if isinstance(api, str) else api[0]
            async with self.budget.spend(self.tariff.rest(name, method, path, given, cost)):
                return await fetch(path, api, method, given, table)

        def on_rest_response(code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any) -> str:
            lower = {str(key).lower(): str(value) for key, value in dict(headers or {}).items()}
            path = url.partition("?")[0].partition("://")[2].partition("/")[2]
            self.tariff.heard(self.budget, code, path, lower, body if isinstance(body, str) else "")
            return str(respond(code, reason, url, method, headers, body, *rest))

        exchange.fetch2, exchange.on_rest_response = fetch2, on_rest_response

    def refused(self, error: Exception) -> None:
        """A request over the socket was refused; if for too many, nothing leaves for a while."""
        import ccxt

        if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            self.budget.close(RETRY_S)

    def socket(self, request: Command, sent: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Around a request over the private socket: pay for it; `sent`: our order id as the venue has it."""
        return self.budget.spend(self.tariff.socket(request, sent))


async def _at_once(cost: float | None = None) -> None:
    """In place of ccxt's throttle: what a request costs is paid already."""


_PURSES: WeakValueDictionary[tuple[str, str, str], Purse] = WeakValueDictionary()


def purse_of(config: ExchangeConfig) -> Purse | None:
    """The purse of an account at a venue, the same for all its links; None for a venue whose tariff is not known: ccxt's throttle stays."""
    if config.exchange not in VENUES:
        return None
    key = (config.exchange, config.rest_url or "", config.api_key)
    purse = _PURSES.get(key)
    if purse is None:
        purse = _PURSES[key] = Purse(VENUES[config.exchange].tariff())
    return purse
