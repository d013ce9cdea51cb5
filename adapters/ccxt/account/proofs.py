"""What is certain of an order whose outcome is not known: the venue is asked until the answer leaves no doubt.

"The venue never had it" needs three misses over at least five seconds. A filled order is certain when every execution that the venue counts
is at hand. Nothing is sent here but questions, and a cancel where one is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from time import monotonic

import msgspec

from adapters.ccxt.events import FillEvent, OrderEvent, VenueOrderState

log = logging.getLogger(__name__)

MISSES = 3
SPAN_S = 5.0
PAUSES_S = (0.2, 0.8, 2.0)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What is certain of an order: `order` is None when the venue never had it. `fills`: every execution it has had."""

    order: OrderEvent | None
    fills: tuple[FillEvent, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every execution the venue counts is at hand."""
        assert self.order is not None
        filled = self.order.filled
        return filled is None or sum((fill.quantity for fill in self.fills), Decimal(0)) >= filled


async def proven(
    what: str,
    ask: Callable[[], Awaitable[Proof | None]],
    failed: Callable[[Exception], Awaitable[None]],
    cancel: Callable[[], Awaitable[None]] | None,
) -> Proof:
    """Ask until it is certain; lasts as long as the venue cannot be asked.

    `ask`: one query; None while not finding the order proves nothing, because its request is under way. `failed` hears what a query
    raised. `cancel`: an open order is cancelled first, so that the proof is final; without it an open order is a proof too.
    """
    misses, first_miss_s, turn = 0, 0.0, 0
    while True:
        try:
            proof = await ask()
        except Exception as e:
            log.warning("proving %s: %s: %s", what, type(e).__name__, e)
            await failed(e)
        else:
            if proof is None:
                pass
            elif proof.order is None:
                misses += 1
                first_miss_s = first_miss_s or monotonic()
                if misses >= MISSES and monotonic() - first_miss_s >= SPAN_S:
                    return proof
            elif proof.order.state is VenueOrderState.OPEN and cancel is not None:
                misses, first_miss_s = 0, 0.0
                with contextlib.suppress(Exception):  # filled meanwhile, or unreachable: the next query says
                    await cancel()
            elif proof.complete:
                return proof
        await asyncio.sleep(PAUSES_S[min(turn, len(PAUSES_S) - 1)])
        turn += 1
        if turn % 20 == 0:
            log.warning("%s is still not proven after %d queries", what, turn)
