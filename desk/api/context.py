"""What handlers of the API work with: the desk, the market, who is calling, the clock, and the counters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from desk.accounts import VenueAccounts
from desk.api.events import Events
from desk.api.messages import RateLimits
from desk.api.metrics import Metrics
from desk.clients.auth import Authenticator
from desk.errors import ApiFault, Unknown
from desk.market import Market
from desk.service import DeskService, OrderService

REPLY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Venues:
    """What the API says of the venues beyond their markets. `exchanges`: the ccxt id of each; `paper`: our accounts there are imagined;
    `derived_tops`: whose best prices are read from the book because of how it is followed here.
    """

    exchanges: Mapping[str, str] = field(default_factory=dict)
    paper: bool = False
    derived_tops: frozenset[str] = frozenset()
    rate_limits: Callable[[], dict[str, RateLimits]] = dict


@dataclass(slots=True)
class Api:
    """Passed to every handler. Loop-thread only."""

    service: DeskService
    orders: OrderService
    market: Market
    authenticator: Authenticator
    events: Events
    metrics: Metrics
    clock_ns: Callable[[], int]
    epoch: str
    reply_timeout_s: float = REPLY_TIMEOUT_S
    accounts: VenueAccounts | None = None  # None: this desk has no accounts at venues
    venues: Venues = Venues()


async def ask[R, T](
    start: Callable[[Callable[[R | ApiFault], None]], None], convert: Callable[[R], T], timeout_s: float
) -> T:
    """Call the desk and wait for its one reply, converted the moment it comes (records go on changing).

    Without a reply in time the outcome is `Unknown`: the client asks again by its own id, and nothing was sent twice.
    """
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def reply(answer: R | ApiFault) -> None:
        if future.done():
            return
        if isinstance(answer, ApiFault):
            future.set_exception(answer)
        else:
            future.set_result(convert(answer))

    start(reply)
    try:
        return await asyncio.wait_for(future, timeout_s)
    except TimeoutError:
        raise outcome_unknown(timeout_s) from None


def outcome_unknown(timeout_s: float) -> Unknown:
    """The desk did not answer in time."""
    return Unknown("outcome_unknown", f"no answer within {timeout_s:g} s: ask again with the same id of yours")
