"""Clients who know what the market is worth: the better the desk's price for them, the likelier they trade.

Requests come at Poisson times with log-uniform sizes. Which side is asked leans one way for a while and then the other (an
Ornstein-Uhlenbeck process by seed), so that a desk that only waits is carried out of its bands. A quote `d` bps from fair value, against
the client, is taken with probability 1 / (1 + exp((d − at) / width)); the dice of a request are its own, so arms of a study that quote the
same price meet the same answer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from adapters.nautilus.safe import Alarm
from desk.compose import DeskParts
from desk.errors import ApiFault
from desk.rfq.outcomes import charge, outcome
from desk.rfq.records import RfqRecord
from desk.service import Caller
from pricing.winning import Outcome
from sim.clients import CROWD, ScriptedRfq
from sim.replay.clients import MS, ScriptedClients
from sim.studies.parents import completion

SAMPLE_NS = 500 * MS


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """How clients are. `lean`: standard deviation of the share of buyers around one half; its memory is `lean_half_life_s`."""

    rate_per_s: float = 1.2
    at_bps: float = 5.5  # half of the requests trade at this distance from fair value
    width_bps: float = 1.0
    lean: float = 0.25
    lean_half_life_s: float = 30.0


def requests_of(
    seed: int, sizes: Mapping[str, tuple[float, float]], demand: Demand, duration_s: float
) -> list[ScriptedRfq]:
    """One-sided requests of a seed, sizes log-uniform in `sizes` (base, by symbol)."""
    dice = random.Random(f"flow|{seed}")
    leans = {symbol: dice.gauss(0.0, demand.lean) for symbol in sizes}
    found, at_s = [], 0.0
    while True:
        waited = dice.expovariate(demand.rate_per_s)
        at_s += waited
        if at_s >= duration_s:
            return found
        keep = 0.5 ** (waited / demand.lean_half_life_s)
        for symbol in leans:
            leans[symbol] = keep * leans[symbol] + dice.gauss(0.0, demand.lean * math.sqrt(1.0 - keep * keep))
        symbol = dice.choice(sorted(sizes))
        low, high = sizes[symbol]
        who = dice.choices(CROWD, weights=[client.weight for client in CROWD])[0]
        size = math.exp(dice.uniform(math.log(low), math.log(high)))
        found.append(
            ScriptedRfq(
                at_ns=int(at_s * 1e9),
                client=who.client_id,
                instrument=symbol,
                side="buy" if dice.random() < min(0.95, max(0.05, 0.5 + leans[symbol])) else "sell",
                quantity=Decimal(f"{size:.4f}"),
                currency=symbol.partition("/")[0],
                accept_after_ms=dice.randint(20, 400),
                tier=who.tier,
            )
        )


class PriceTakers(ScriptedClients):
    """Plays requests, and takes a quote or leaves it by its price. `inventory`: the desk's position in `base`, sampled;
    `outcomes`: every quote and whether it was taken; `charged`: what each that was taken charges beside the markup, quote currency;
    `closing`: at the end, what a sweep of the books would cost, beyond fair value,
    that closes the position (quote currency, fees in)."""

    def __init__(
        self, parts: DeskParts, requests: Sequence[ScriptedRfq], start_ns: int, *, seed: int, demand: Demand, base: str
    ) -> None:
        super().__init__(parts.desk, requests, start_ns)
        self._parts = parts
        self._seed = seed
        self._demand = demand
        self._base = base
        self.inventory: list[float] = []
        self.outcomes: list[Outcome] = []
        self.charged: list[float] = []
        self.closing = 0.0

    def on_start(self) -> None:
        """Begin to ask, and to look at the desk's inventory."""
        super().on_start()
        self.every_ns("inventory", SAMPLE_NS, self._look)

    def on_stop(self) -> None:
        """The end: what is left would have to be closed."""
        position, now_ns = self._parts.ledger.position(self._base), self.clock.timestamp_ns()
        book = next(book for book in self._parts.market.books.values() if book.symbol.startswith(f"{self._base}/"))
        fair = book.fair(now_ns)
        if position and fair is not None:
            side = "sell" if position > 0 else "buy"
            paid = completion(book, side, abs(position), now_ns, fair)
            self.closing = float((paid - abs(position) * fair) * (-1 if position > 0 else 1))
        super().on_stop()

    def _look(self, _: Alarm) -> None:
        self.inventory.append(float(self._parts.ledger.position(self._base)))

    def _answered(self, caller: Caller, request: ScriptedRfq, number: int, answer: RfqRecord | ApiFault) -> None:
        taken = not isinstance(answer, ApiFault) and self._takes(number, answer)
        super()._answered(
            caller, request if taken else msgspec.structs.replace(request, accept_after_ms=None), number, answer
        )

    def _takes(self, number: int, answer: RfqRecord) -> bool:
        fair = self._parts.market.fair(answer.symbol, self.clock.timestamp_ns())
        if fair is None or not answer.quotes:
            return False
        quote = answer.quotes[0]
        sign = 1.0 if quote.side == "buy" else -1.0
        distance = sign * float(quote.price / fair - 1) * 10_000
        chance = 1.0 / (1.0 + math.exp((distance - self._demand.at_bps) / self._demand.width_bps))
        taken = random.Random(f"{self._seed}|{number}").random() < chance
        self.outcomes.append(outcome(quote, won=taken))
        if taken:
            self.charged.append(charge(quote))
        return taken
