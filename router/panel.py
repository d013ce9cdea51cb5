"""The LP panel: asks every liquidity provider worth asking for firm quotes, and waits no longer than agreed.

An LP is asked while its ladder is up, it is not left out, and the size is within its ladder. Whole size and a part are asked for, so
that a plan may take a part from the LP and the rest from venues. The order of asking is shuffled by a seeded source: nobody is
always first. Late answers are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import partial
from random import Random

from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq

Done = Callable[[list[LpQuote]], None]


class _Round:
    def __init__(self, waiting: set[str], done: Done) -> None:
        self.waiting = waiting
        self.quotes: list[LpQuote] = []
        self.done: Done | None = done


class LpPanel:
    """`send(lp, rfq)` gives a request to an LP's endpoint (False: nobody there); `new_id` makes request ids."""

    def __init__(
        self, lps: Sequence[str], *, send: Callable[[str, LpRfq], bool], new_id: Callable[[], str], seed: int
    ) -> None:
        self._lps = list(lps)
        self._send = send
        self._new_id = new_id
        self._random = Random(seed)
        self._ladders: dict[tuple[str, str], LpLadder] = {}
        self._rounds: dict[str, _Round] = {}

    def on_ladder(self, ladder: LpLadder) -> None:
        """A ladder says who is up, and for which sizes."""
        self._ladders[(ladder.lp, ladder.symbol)] = ladder

    def up(self, symbol: str, now_ns: int, max_age_ns: int, without: Collection[str]) -> list[tuple[str, Decimal]]:
        """LPs with a fresh ladder in `symbol` and the largest size they show."""
        found = []
        for lp in self._lps:
            ladder = self._ladders.get((lp, symbol))
            if lp in without or ladder is None or not ladder.rungs or now_ns - ladder.ts_ns > max_age_ns:
                continue
            found.append((lp, max(rung.quantity for rung in ladder.rungs)))
        return found

    def ask(
        self, key: str, symbol: str, side: str, sizes: Sequence[Decimal], lps: Sequence[tuple[str, Decimal]], done: Done
    ) -> bool:
        """Ask `lps` for each of the `sizes` they show; `done` is called once, when all have answered or at `expire(key)`.

        False: there was nobody to ask, and `done` will not be called.
        """
        requests = [
            (lp, self._new_id(), size)
            for lp, largest in lps
            for size in dict.fromkeys(min(size, largest) for size in sizes)
            if size > 0
        ]
        if not requests:
            return False
        self._random.shuffle(requests)
        self._rounds[key] = current = _Round({rfq_id for _, rfq_id, _ in requests}, done)
        for lp, rfq_id, size in requests:
            rfq = LpRfq(
                rfq_id=rfq_id,
                symbol=symbol,
                side=side,
                quantity=size,
                reply=partial(self._answered, key, current, rfq_id),
            )
            if not self._send(lp, rfq):
                self._answered(key, current, rfq_id, LpNoQuote(lp=lp, rfq_id=rfq_id, reason="not connected"))
        return True

    def expire(self, key: str) -> None:
        """The wait is over: go on with the quotes that came."""
        current = self._rounds.get(key)
        if current is not None:
            self._finish(key, current)

    def _answered(self, key: str, current: _Round, rfq_id: str, answer: LpQuote | LpNoQuote) -> None:
        if rfq_id not in current.waiting or current.done is None:
            return
        current.waiting.discard(rfq_id)
        if isinstance(answer, LpQuote):
            current.quotes.append(answer)
        if not current.waiting:
            self._finish(key, current)

    def _finish(self, key: str, current: _Round) -> None:
        if self._rounds.get(key) is current:
            del self._rounds[key]
        done, current.done = current.done, None
        if done is not None:
            done(sorted(current.quotes, key=lambda quote: (quote.lp, quote.rfq_id)))
