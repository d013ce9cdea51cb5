"""Who trades through the day: an order every forty seconds or so, swept, taken, killed, or left to rest and cancelled minutes later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from decimal import Decimal

from tests.faults.desk import Desk
from tests.faults.scenario import Trade

EVERY_S = 40.0
MOST = Decimal(5)  # of the base currency: beyond that only orders that lead back are sent
REST_S = (1.0, 600.0)


class Trader:
    """Draws orders from a seed and works them through a desk. `working`: under way; `sent`: so far."""

    def __init__(self, desk: Desk, symbol: str, seed: int) -> None:
        self.sent = 0
        self.working: set[asyncio.Task[None]] = set()
        self.failed: list[str] = []
        self._desk = desk
        self._symbol = symbol
        self._rng = random.Random(f"{symbol} {seed} trader")
        self._net = Decimal(0)

    async def run(self, may: Callable[[], bool]) -> None:
        """Send orders for ever, none while `may()` says no."""
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / EVERY_S))
            if may():
                task = asyncio.create_task(self._work(self._drawn()), name=f"order {self.sent}")
                self.working.add(task)
                task.add_done_callback(self._ended)

    async def _work(self, trade: Trade) -> None:
        account = self._desk.account
        assert account is not None
        await self._desk.trade(trade, self._symbol)
        while trade.cancel_s is not None and trade.client_order_id in account.live_orders():  # the venue was in trouble
            await asyncio.sleep(EVERY_S)
            await account.cancel(trade.client_order_id, self._symbol)
        filled = self._desk.filled[trade.client_order_id]
        self._net += filled if trade.side == "buy" else -filled

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.append(f"{task.get_name()}: {type(error).__name__}: {error}")

    def _drawn(self) -> Trade:
        rng = self._rng
        self.sent += 1
        style = rng.choice(("sweep", "take", "kill", "rest", "rest"))
        through = {"sweep": 60, "take": 20, "kill": 20, "rest": -rng.randint(1_000, 4_000)}[style]
        quantity = Decimal(rng.randint(50, 200) if style == "sweep" else rng.randint(1, 30)) / 100
        side = rng.choice(("buy", "sell"))
        if abs(self._net) > MOST:
            side = "sell" if self._net > 0 else "buy"
        return Trade(
            at_s=0.0,
            client_order_id=f"D{self.sent}",
            side=side,
            quantity=str(quantity),
            through=through,
            time_in_force={"sweep": "IOC", "take": "IOC", "kill": "FOK", "rest": "GTC"}[style],
            cancel_s=rng.uniform(*REST_S) if style == "rest" else None,
        )
