"""The LP panel: asks every liquidity provider worth asking for firm quotes, and waits no longer than agreed.

An LP is asked while its ladder is up, it is not left out, and the size is within its ladder. Whole size and a part are asked for, so
that a plan may take a part from the LP and the rest from venues. The order of asking is shuffled by a seeded source: nobody is
always first. Late answers are ignored. What came of a round is told once (`LpRound`), for the scorecards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import partial
from random import Random

import msgspec

from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq

Done = Callable[[list[LpQuote]], None]


class LpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request to an LP. `price`: the all-in price of our side; None: no quote, `reason` says why."""

    lp: str
    rfq_id: str
    quantity: Decimal
    quote_id: str = ""
    price: Decimal | None = None
    reason: str = ""
    asked_ns: int
    answered_ns: int = 0  # 0: not within the wait


class LpRound(msgspec.Struct, frozen=True, kw_only=True):
    """A round of asking for `parent_id`, over. One answer per request, in the order of asking."""

    parent_id: str
    symbol: str
    side: str  # ours
    mid: Decimal | None  # fair value when it was over
    answers: tuple[LpAnswer, ...]


class _Round:
    def __init__(self, symbol: str, side: str, requests: list[tuple[str, str, Decimal]], asked_ns: int, done: Done):
        self.symbol, self.side, self.asked_ns = symbol, side, asked_ns
        self.requests = requests
        self.waiting = {rfq_id for _, rfq_id, _ in requests}
        self.quotes: list[LpQuote] = []
        self.answers: dict[str, tuple[LpQuote | LpNoQuote, int]] = {}
        self.done: Done | None = done


class LpPanel:
    """`send(lp, rfq)` gives a request to an LP's endpoint (False: nobody there); `new_id` makes request ids; `told` hears of each round
    before its `done` is called; `fair` is the fair value now."""

    def __init__(
        self,
        lps: Sequence[str],
        *,
        send: Callable[[str, LpRfq], bool],
        new_id: Callable[[], str],
        seed: int,
        now_ns: Callable[[], int],
        fair: Callable[[str], Decimal | None],
        told: Callable[[LpRound], None],
    ) -> None:
        self._lps = list(lps)
        self._send = send
        self._new_id = new_id
        self._random = Random(seed)
        self._now_ns = now_ns
        self._fair = fair
        self._told = told
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
        self._rounds[key] = current = _Round(symbol, side, requests, self._now_ns(), done)
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
        current.answers[rfq_id] = (answer, self._now_ns())
        if isinstance(answer, LpQuote):
            current.quotes.append(answer)
        if not current.waiting:
            self._finish(key, current)

    def _finish(self, key: str, current: _Round) -> None:
        if self._rounds.get(key) is current:
            del self._rounds[key]
        done, current.done = current.done, None
        if done is not None:
            self._told(_told_of(key, current, self._fair(current.symbol)))
            done(sorted(current.quotes, key=lambda quote: (quote.lp, quote.rfq_id)))


def _told_of(parent_id: str, current: _Round, mid: Decimal | None) -> LpRound:
    answers = []
    for lp, rfq_id, quantity in current.requests:
        answer, at_ns = current.answers.get(rfq_id, (None, 0))
        quote = answer if isinstance(answer, LpQuote) else None
        price = None if quote is None else (quote.ask if current.side == "buy" else quote.bid)
        answers.append(
            LpAnswer(
                lp=lp,
                rfq_id=rfq_id,
                quantity=quantity,
                quote_id=quote.quote_id if quote else "",
                price=price,
                reason=answer.reason if isinstance(answer, LpNoQuote) else "" if answer else "no answer in time",
                asked_ns=current.asked_ns,
                answered_ns=at_ns,
            )
        )
    return LpRound(parent_id=parent_id, symbol=current.symbol, side=current.side, mid=mid, answers=tuple(answers))
