"""From a wish for new terms to the certainty whether they are in force.

Some venues only acknowledge (OKX, Bybit), so the order itself is asked in every case: with the new terms it is amended; ended, it is over;
still with the old terms three times over at least five seconds, with no request of ours under way, the venue did not do it. An outcome
that is unknown is proven by the same questions, and the request is never sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from time import monotonic

from adapters.ccxt.account.outcomes import Failure, Verdict, classify
from adapters.ccxt.dialect import Amending, AmendRequest, Offers
from adapters.ccxt.events import OrderEvent
from adapters.ccxt.hook import Counters

log = logging.getLogger(__name__)

MISSES = 3
SPAN_S = 5.0
PAUSES_S = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)

Ask = Callable[[], Awaitable[OrderEvent | None]]


def refusal(offers: Offers, request: AmendRequest, order: OrderEvent) -> str:
    """Why these terms cannot be asked for at this venue, "" when they can."""
    price, quantity = Decimal(request.price), Decimal(request.quantity)
    if order.kind != "limit":
        return "only limit orders are amended"
    if order.filled is not None and quantity <= order.filled:
        return f"{quantity} is no more than has filled ({order.filled}): cancel it"
    match offers.amending:
        case Amending.NONE:
            return "the venue does not amend orders: cancel and place anew"
        case Amending.REDUCE if order.price is not None and price != order.price:
            return "the venue does not change the price of an order: cancel and place anew"
        case Amending.REDUCE if order.quantity is not None and quantity >= order.quantity:
            return "the venue amends an order to less only: cancel and place anew"
    return ""


def in_force(request: AmendRequest, order: OrderEvent) -> bool:
    """Whether an order has the terms that were asked for."""
    price_is = order.price is None or order.price == Decimal(request.price)
    return price_is and (order.quantity is None or order.quantity == Decimal(request.quantity))


async def amended(
    venue: str, request: AmendRequest, send: Callable[[], Awaitable[None]], ask: Ask, counters: Counters
) -> OrderEvent | Failure:
    """Send once, and prove. A failure when the order certainly keeps its old terms (or is not known any more)."""
    try:
        await send()
    except Exception as e:
        failure = classify(e)
        if failure.verdict is Verdict.NOT_FOUND:  # it may have ended meanwhile: its end is told by what was asked
            with contextlib.suppress(Exception):
                await ask()
        if failure.verdict is not Verdict.UNKNOWN:
            return failure
        counters.unknown_orders += 1
        log.warning("%s: amending %s is unknown: %s", venue, request.client_order_id, failure.reason)
    return await proven(venue, request, ask)


async def proven(venue: str, request: AmendRequest, ask: Ask) -> OrderEvent | Failure:
    """The order with the new terms, or ended; a failure when it certainly kept its old ones. Lasts while the venue cannot be asked."""
    misses, first_miss_s, turn = 0, 0.0, 0
    while True:
        await asyncio.sleep(PAUSES_S[min(turn, len(PAUSES_S) - 1)])
        turn += 1
        try:
            order = await ask()
        except Exception as e:
            log.warning("%s: amending %s: %s: %s", venue, request.client_order_id, type(e).__name__, e)
            continue
        if order is not None and (order.state.closed or in_force(request, order)):
            return order
        misses += 1
        first_miss_s = first_miss_s or monotonic()
        if misses >= MISSES and monotonic() - first_miss_s >= SPAN_S:
            return Failure(verdict=Verdict.REFUSED, reason="the venue kept the old terms")
