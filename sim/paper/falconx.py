"""FalconX on paper: real streams and real quotes; accepting one is imagined. The adapter's own client runs on a link that executes nothing.

An accept fills whole at the quoted price while the quote is firm on our clock, `latency_ms` after it was sent; later it is refused. No last
look is imagined. What was "executed" is kept in a file, so that it is proven after a restart, and the balances are what is unsettled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus

from adapters.falconx.codec import FxQuote
from adapters.falconx.execution import FalconXExecutionClient
from adapters.falconx.link import Execution, FalconXLink, HeldQuote, LinkFault, Verdict
from sim.paper.account import PaperAccount, PaperFill, PaperOrder
from sim.paper.config import PaperFalconXConfig

NOTHING = Decimal(0)


class PaperFalconXLink:
    """`FalconXLink` as the execution client uses it; only the quotes are the real link's. Never sends anything."""

    def __init__(
        self, real: FalconXLink, account: PaperAccount, latency_ms: int, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.real = real
        self.config = real.config
        self.counters = {"executes": 0, "fills": 0, "refused": 0}
        self._account = account
        self._latency_s = latency_ms / 1000
        self._clock_ns = clock_ns
        self._on_the_way: dict[str, asyncio.Event] = {}

    @property
    def quotes(self) -> dict[str, HeldQuote]:
        """Quotes of the real LP that this process was given."""
        return self.real.quotes

    @property
    def closed(self) -> bool:
        """Whether the real link is closed."""
        return self.real.closed

    async def execute(self, fx_quote_id: str, side: str) -> Execution:
        """Take a quote, on paper: at once durable, or refused with the reason."""
        self.counters["executes"] += 1
        arrived = self._on_the_way[fx_quote_id] = asyncio.Event()
        try:
            await asyncio.sleep(self._latency_s)
            result = await self._decide(fx_quote_id, side)
        finally:
            arrived.set()
            del self._on_the_way[fx_quote_id]
        self.counters["fills" if result.verdict is Verdict.FILLED else "refused"] += 1
        return result

    async def _decide(self, fx_quote_id: str, side: str) -> Execution:
        now_ns, held = self._clock_ns(), self.quotes.get(fx_quote_id)
        price = held.quote.price(side) if held is not None else None
        if held is None or price is None:
            return Execution(Verdict.REFUSED, "that was not quoted", refused=True)
        if self._account.order(fx_quote_id) is not None:
            return Execution(Verdict.REFUSED, "the quote was executed before", refused=True)
        if now_ns > held.valid_until_ns:
            return Execution(Verdict.REFUSED, "the quote expired on the way", refused=True)
        currency = held.quote.symbol.split("/")[1]
        fill = PaperFill(
            trade_id=fx_quote_id, price=price, quantity=held.quote.quantity, fee=NOTHING, fee_currency=currency
        )
        order = PaperOrder(order_id=fx_quote_id, symbol=held.quote.symbol, side=side, ts_ns=now_ns, fills=(fill,))
        self._account.apply(order)
        await asyncio.to_thread(self._account.record, order)
        return Execution(Verdict.FILLED, "", _executed(order))

    async def prove(self, fx_quote_id: str, side: str, *, refused: bool = False) -> Execution:
        """What became of an execute: known for certain once it has arrived."""
        if (arrived := self._on_the_way.get(fx_quote_id)) is not None:
            await arrived.wait()
        order = self._account.order(fx_quote_id)
        if order is None:
            return Execution(Verdict.NOT_FOUND, "it was never executed on paper")
        if side and order.side != side:
            return Execution(Verdict.REFUSED, f"the quote was executed as {order.side}", _executed(order))
        return Execution(Verdict.FILLED, "", _executed(order))

    async def query(self, fx_quote_id: str) -> FxQuote:
        """The quote as it stands. Raises `LinkFault` for one this process was never given."""
        order, held = self._account.order(fx_quote_id), self.quotes.get(fx_quote_id)
        if order is not None:
            return _executed(order)
        if held is None:
            raise LinkFault("no such quote on paper", status=404)
        return held.quote

    async def balances(self) -> dict[str, Decimal]:
        """What is unsettled."""
        return dict(self._account.balances)

    def close_account(self) -> None:
        """Close the file; the real link is its holders' to release."""
        self._account.close()


class PaperFalconXClient(FalconXExecutionClient):
    """The adapter's client, whose link executes nothing."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: PaperFalconXConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> None:
        super().__init__(loop, config.falconx, msgbus, cache, clock)
        self._paper = config

    async def _open_link(self) -> PaperFalconXLink:  # type: ignore[override]
        account = await asyncio.to_thread(PaperAccount, self._paper.file, {}, overdraft=True)
        return PaperFalconXLink(await super()._open_link(), account, self._paper.latency_ms)

    async def _close_link(self, link: PaperFalconXLink) -> None:  # type: ignore[override]
        link.close_account()
        await super()._close_link(link.real)


def _executed(order: PaperOrder) -> FxQuote:
    """The quote object of an execution."""
    fill = order.fills[0]
    return FxQuote(
        fx_quote_id=order.order_id,
        symbol=order.symbol,
        quantity=fill.quantity,
        quantity_token=order.symbol.split("/")[0],
        side_requested=order.side,
        buy_price=fill.price if order.side == "buy" else None,
        sell_price=fill.price if order.side == "sell" else None,
        t_quote_ns=None,
        t_expiry_ns=order.ts_ns,
        is_filled=True,
        side_executed=order.side,
        price_executed=fill.price,
        t_execute_ns=order.ts_ns,
    )
