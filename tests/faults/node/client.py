"""Clients of a node, from outside: what they asked over REST, what they were told, and which trades they believe they have."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from time import time_ns
from typing import Any

import msgspec

from tests.e2e.outside_client import Answer, Outsider
from tests.faults.node.episode import Ask, Rest
from tests.faults.node.place import SYMBOL

HONEST = (
    "quote_expired",
    "no_live_venue",
)  # why a firm quote may not be taken: too late, or nothing to hold it against


class Asked(msgspec.Struct, kw_only=True):
    """A request and its answer. `code`: of a refusal; `price`: the first quote's."""

    sent_ns: int
    answered_ns: int = 0
    status: int = 0
    code: str = ""
    kind: str = ""
    rfq_id: str = ""
    quotes: list[dict[str, Any]] = []

    @property
    def quoted(self) -> bool:
        """Whether a price was given."""
        return self.status == 201


class Crowd:
    """`asked`: every request of this episode. `trades`: by client order id, the answers to accepts, ever. `wrong`: answers that
    contradict each other."""

    def __init__(self, outsider: Outsider) -> None:
        self._outsider = outsider
        self.asked: list[Asked] = []
        self.trades: dict[str, dict[str, Any]] = {}
        self.lost: set[str] = set()  # client order ids of accepts whose answer never came
        self.refused: dict[str, int] = {}  # accepts, by code
        self.orders: dict[str, str] = {}  # client order id → order id, of orders that rest
        self.wrong: list[str] = []

    def begin(self) -> None:
        """A new episode."""
        self.asked, self.refused, self.wrong = [], {}, []

    async def ask(self, side: str, quantity: str) -> Asked:
        """Ask once."""
        asked = Asked(sent_ns=time_ns())
        answer = await asyncio.to_thread(self._outsider.ask, side, quantity)
        asked.answered_ns, asked.status = time_ns(), answer.status
        if answer.status == 201:
            asked.rfq_id, asked.quotes = answer.body["rfq_id"], answer.body["quotes"]
        else:
            asked.code, asked.kind = answer.body["error"]["code"], answer.body["error"]["kind"]
        self.asked.append(asked)
        return asked

    async def want(self, ask: Ask) -> None:
        """Ask, and take it."""
        asked = await self.ask(ask.side, ask.quantity)
        if not asked.quoted or not ask.accept:
            return
        token = self._outsider.new_id("o")
        quote = asked.quotes[len(asked.rfq_id) % len(asked.quotes)]
        takes = [self._accept(quote["quote_id"], token) for _ in range(2 if ask.twice else 1)]
        told = [answer.body for answer in await asyncio.gather(*takes) if answer is not None and answer.status == 200]
        if len({body["trade_id"] for body in told}) > 1:
            self.wrong.append(f"{token} was answered with two trades")
        if told:
            self.trades[token] = told[0]

    async def _accept(self, quote_id: str, token: str) -> Answer | None:
        try:
            answer = await asyncio.to_thread(self._outsider.accept, quote_id, client_order_id=token)
        except OSError:
            self.lost.add(token)
            return None
        if answer.status == 504:
            self.lost.add(token)
        elif answer.status != 200:
            code = answer.body["error"]["code"]
            self.refused[code] = self.refused.get(code, 0) + 1
            if code not in HONEST:
                self.wrong.append(f"an accept was refused: {answer.status} {answer.body}")
        return answer

    async def find_lost(self) -> None:
        """What became of accepts without an answer."""
        for token in list(self.lost):
            answer = await asyncio.to_thread(self._outsider.get, f"/v1/trades?client_order_id={token}")
            if answer.status == 200:
                self.lost.discard(token)
                for body in answer.body["items"]:
                    self.trades[token] = body

    async def rest(self, rest: Rest) -> None:
        """Give the desk an order that rests, and take it back if that is wanted."""
        asked = await self.ask(rest.side, rest.quantity)
        if not asked.quoted:
            return
        away = 1 - Decimal(rest.away_bps) / 10_000 if rest.side == "buy" else 1 + Decimal(rest.away_bps) / 10_000
        token = self._outsider.new_id("r")
        body = {
            "client_order_id": token,
            "instrument": SYMBOL,
            "side": rest.side,
            "type": "limit",
            "time_in_force": "gtc",
            "quantity": rest.quantity,
            "limit_price": f"{Decimal(asked.quotes[0]['price']) * away:.1f}",
        }
        answer = await asyncio.to_thread(self._outsider.post, "/v1/orders", body)
        if answer.status == 409 and answer.body["error"]["code"] == "no_fair_value":
            return  # the market has gone since
        if answer.status not in (200, 201):
            self.wrong.append(f"an order that rests was refused: {answer.status} {answer.body}")
            return
        self.orders[token] = answer.body["order_id"]
        if rest.cancel_s is not None:
            await asyncio.sleep(rest.cancel_s)
            await self.take_back(token)

    async def take_back(self, token: str) -> None:
        """Cancel an order that rests."""
        answer = await asyncio.to_thread(self._outsider.delete, f"/v1/orders/{self.orders.pop(token)}")
        if answer.status not in (200, 202, 409):
            self.wrong.append(f"a cancel was refused: {answer.status} {answer.body}")

    async def take_all_back(self) -> None:
        """Cancel what still rests."""
        for token in list(self.orders):
            await self.take_back(token)
