"""Scripted clients on the engine's clock: they ask the desk through the same door as the API does, and accept as the script says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal

from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig

from adapters.nautilus.safe import LoopSafe, Safe
from desk.api.messages import AcceptRequest, RfqRequest
from desk.errors import ApiFault
from desk.rfq.records import QuoteRecord, RfqRecord, TradeRecord
from desk.service import Caller, DeskService
from sim.clients import ScriptedRfq

SCOPES = frozenset({"quote", "trade", "read"})
MS = 1_000_000


class ScriptedClients(Safe, LoopSafe, Actor):
    """Plays a script from `start_ns` on. `counts`: what the clients saw ("asked", "quoted", "traded", refusal codes)."""

    def __init__(self, desk: DeskService, requests: Iterable[ScriptedRfq], start_ns: int) -> None:
        super().__init__(ActorConfig(component_id="Clients"))
        self._desk = desk
        self._script: Iterator[ScriptedRfq] = iter(requests)
        self._start_ns = start_ns
        self._asked = 0
        self.counts: Counter[str] = Counter()

    def on_start(self) -> None:
        """Wait for the first request's time."""
        self.bind_loop()
        self._steps = {item.symbol: Decimal(item.quantity_step) for item in self._desk.instruments()}
        self._wait()

    def _wait(self) -> None:
        request = next(self._script, None)
        if request is not None:
            self.at_ns("next", self._start_ns + request.at_ns, lambda _: self._ask(request))

    def _ask(self, request: ScriptedRfq) -> None:
        self._wait()
        self._asked += 1
        self.counts["asked"] += 1
        number = self._asked
        caller = Caller(client_id=request.client, key_id=f"{request.client}-key", scopes=SCOPES, tier=request.tier)
        self._desk.request_quote(
            caller,
            RfqRequest(
                client_rfq_id=f"c-{number}",
                instrument=request.instrument,
                side=request.side,  # type: ignore[arg-type]
                quantity=f"{request.quantity:f}",
                currency=request.currency,
                ttl_ms=request.ttl_ms,
            ),
            lambda answer: self._answered(caller, request, number, answer),
        )

    def _answered(self, caller: Caller, request: ScriptedRfq, number: int, answer: RfqRecord | ApiFault) -> None:
        if isinstance(answer, ApiFault):
            self.counts[answer.code] += 1
            return
        self.counts["quoted"] += 1
        if request.accept_after_ms is None:
            return
        wanted = request.accept_side if request.side == "two_way" else request.side
        quote = next((quote for quote in answer.quotes if quote.side == wanted), None)
        if quote is None:
            return
        due_ns = self.clock.timestamp_ns() + request.accept_after_ms * MS
        self.at_ns(f"accept:{number}", due_ns, lambda _: self._accept(caller, request, number, quote))

    def _accept(self, caller: Caller, request: ScriptedRfq, number: int, quote: QuoteRecord) -> None:
        quantity: str | None = None
        if request.accept_ratio != 1:
            steps = int(quote.quantity * request.accept_ratio / self._steps[quote.symbol])
            quantity = f"{max(1, steps) * self._steps[quote.symbol]:f}"
        self._desk.accept(
            caller, quote.quote_id, AcceptRequest(client_order_id=f"o-{number}", quantity=quantity), self._traded
        )

    def _traded(self, answer: TradeRecord | ApiFault) -> None:
        self.counts[answer.code if isinstance(answer, ApiFault) else "traded"] += 1
