"""The desk of a scenario: what it was told of books, orders and executions, and how it works an order whose outcome is unknown."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from time import monotonic
from typing import Any

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.dialect import OrderRequest
from adapters.ccxt.events import BookEvent, BookEventKind, FillEvent, OrderEvent, QuoteEvent
from adapters.ccxt.market.link import MarketLink
from tests.faults.scenario import Trade

CHASE_PAUSES_S = (0.3, 0.3, 0.5, 1.0)


def unlimited(link: MarketLink | AccountLink) -> None:
    """Take the venue's rate limits out of it: a minute of theirs is played in seconds. What a 429 says still holds."""
    if link._purse is not None:
        budget = link._purse.budget
        budget.wait_s = lambda spending: max(0.0, budget._closed_until - budget._clock())  # type: ignore[method-assign]


class Desk:
    """Both sinks. `wrong`: what must never happen and did, in words. `live`: (broken at, whole again at) of every lost book."""

    def __init__(self) -> None:
        self.market: MarketLink | None = None
        self.account: AccountLink | None = None
        self.wrong: list[str] = []
        self.reasons: list[str] = []  # why books were given up
        self.left_behind: list[str] = []  # those of books that were told nothing any more while they were audited
        self._told_s = monotonic()
        self.levels: dict[tuple[int, int], int] = {}
        self.whole = False
        self.cleared_s: float | None = None
        self.recoveries: list[tuple[float, float]] = []
        self.quote: QuoteEvent | None = None
        self.fills: Counter[tuple[str, str]] = Counter()  # (client order id, trade id): how often it was told
        self.filled: Counter[str] = Counter()
        self.streamed: set[str] = set()  # trade ids
        self._in_stream = False
        self.ended: set[str] = set()
        self.rejected: dict[str, str] = {}  # client order id → why the desk takes it for never having been
        self.external: list[OrderEvent] = []

    def listen(self) -> None:
        """Keep what the private stream itself brings, known or not: `streamed`."""
        link: Any = self.account
        read, fill = link._on_message, link._fill

        def on_message(client: Any, message: Any) -> None:
            self._in_stream = True
            try:
                read(client, message)
            finally:
                self._in_stream = False

        def on_fill(event: FillEvent) -> None:
            if self._in_stream:
                self.streamed.add(event.trade_id)
            fill(event)

        link._on_message, link._fill = on_message, on_fill

    # -- market data

    def on_markets(self, markets: list[Any]) -> None: ...

    def on_book(self, event: BookEvent) -> None:
        assert self.market is not None
        match event.kind:
            case BookEventKind.SNAPSHOT:
                self.levels.clear()
                self.whole = True
                if self.cleared_s is not None:
                    self.recoveries.append((self.cleared_s, monotonic()))
                    self.cleared_s = None
            case BookEventKind.CLEAR:
                self.levels.clear()
                if not event.reason:
                    self.wrong.append("a CLEAR without a reason")
                self.reasons.append(event.reason)
                if event.reason.startswith("audit") and monotonic() - self._told_s >= self.market._audit.window_s:
                    self.left_behind.append(event.reason)
                self.whole, self.cleared_s = False, monotonic()
            case BookEventKind.UPDATE if not self.whole:
                self.wrong.append("an update of a book that is not whole")
        self._told_s = monotonic()
        for side, price, size in event.levels.tolist():
            if size:
                self.levels[side, price] = size
            else:
                self.levels.pop((side, price), None)
        (book,) = self.market._books.values()
        if event.kind is not BookEventKind.CLEAR and book.levels.crossed:
            self.wrong.append("a crossed book was told")

    def on_trade(self, event: Any) -> None: ...

    def on_funding(self, event: Any) -> None: ...

    def on_liquidation(self, event: Any) -> None: ...

    def on_quote(self, event: QuoteEvent) -> None:
        self.quote = event

    def best(self, side: int) -> int | None:
        """Best price of what was told."""
        prices = [price for own, price in self.levels if own == side]
        return (max(prices) if side == 1 else min(prices)) if prices else None

    # -- the account

    def on_order(self, event: OrderEvent) -> None:
        if event.state.closed:
            self.ended.add(event.client_order_id)

    def on_fill(self, event: FillEvent) -> None:
        self.fills[event.client_order_id, event.trade_id] += 1
        self.filled[event.client_order_id] += event.quantity  # type: ignore[assignment]
        if event.client_order_id in self.rejected:
            self.wrong.append(f"{event.client_order_id} filled after it was taken for never having been")

    def on_balances(self, balances: list[Any]) -> None: ...

    def on_positions(self, positions: list[Any], agreed: bool) -> None: ...

    def on_funding_payment(self, payment: Any) -> None: ...

    def on_external(self, orders: list[OrderEvent]) -> None:
        self.external = orders

    def on_connected(self) -> None: ...

    # -- orders

    async def trade(self, trade: Trade, symbol: str) -> None:
        """Work one order to its end, as the execution client does."""
        assert self.account is not None
        assert self.market is not None
        best = self.best(-1 if trade.side == "buy" else 1)
        if best is None:
            return  # no book, no order
        price = Decimal(best).scaleb(-self.market.markets[symbol].price_decimals)
        request = OrderRequest(
            client_order_id=trade.client_order_id,
            symbol=symbol,
            side=trade.side,
            kind="limit",
            time_in_force=trade.time_in_force,
            quantity=trade.quantity,
            price=str(price + (trade.through if trade.side == "buy" else -trade.through)),
        )
        answer = await self.account.place(request)
        if isinstance(answer, Failure) and not await self._known(request, answer):
            return
        if trade.cancel_s is not None:
            await asyncio.sleep(trade.cancel_s)
            failure = await self.account.cancel(trade.client_order_id, symbol)
            if failure is not None and failure.verdict.outcome_known:
                return  # it was not cancelled, and stays
            if failure is not None and failure.verdict is Verdict.UNKNOWN:
                await self.account.prove(trade.client_order_id, symbol, cancel=True)
        elif trade.time_in_force == "GTC":
            return
        turn = 0
        while not self._settled(trade.client_order_id) and turn < 40:
            await asyncio.sleep(CHASE_PAUSES_S[min(turn, len(CHASE_PAUSES_S) - 1)])
            turn += 1
            if not self._settled(trade.client_order_id):
                await self.account.refresh(trade.client_order_id, symbol)

    def _settled(self, client_order_id: str) -> bool:
        return client_order_id in self.ended

    async def _known(self, request: OrderRequest, failure: Failure) -> bool:
        """Whether the order is there after all."""
        assert self.account is not None
        if failure.verdict.outcome_known:
            self.rejected[request.client_order_id] = failure.reason
            return False
        proof = await self.account.prove(request.client_order_id, request.symbol)
        if proof.order is None:
            self.rejected[request.client_order_id] = f"proven never to have been, after {failure.reason}"
            return False
        return True
