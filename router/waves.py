"""`Waves`: from what is free to the children that leave now, and to those that wait for them.

    plan = split over live books and the quotes that came → who goes first (`router.sequence`) → children; what waits stands in `run.later`
    the first have ended, or have had their time → what is then left is planned anew, over the quotes that are still good

Nothing that waits is reserved, and nothing is sent of it but what is then free: a wave can never take more than the parent's quantity.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from adapters.nautilus.standing import AccountStanding
from pricing.consolidated import ConsolidatedBook
from risk.exact import ZERO
from risk.gate import Gate
from risk.state import TradingState
from router.children import Children
from router.messages import Crossing, Journal
from router.pace import within
from router.parameters import RouterParameters
from router.plan import PlannedChild, Terms, limit_of
from router.planner import Planner
from router.run import Later, Phase, Run
from router.sequence import Wave, first_wave


class Waves(Children):
    """`_planner` is there from the start of the engine on. Who knows when a parent has to stop (`SmartOrderRouter`) says so."""

    _planner: Planner

    def __init__(
        self,
        parameters: RouterParameters,
        gate: Gate,
        journal: Journal,
        epoch: str,
        crossing: Crossing | None,
        books: Mapping[str, ConsolidatedBook],
    ) -> None:
        super().__init__(parameters, gate, journal, epoch, crossing)
        self._books = books
        self._refusing: set[str] = set()  # venues that take no orders of ours

    @abstractmethod
    def _must_stop(self, run: Run, now: int) -> str | None:
        """Why nothing more may be sent for this parent, if so."""

    def _send(self, run: Run, what: Later, now: int) -> bool:
        """Plan what is free and send the first of it; what is to wait for that stands in `run.later`. True: something was made."""
        known = len(run.work.children)
        wave = self._plan(run, what, now)
        for planned in wave.children:
            self._make(run, planned, now)
        if len(run.work.children) == known:
            return False
        if wave.until_ns:
            used = frozenset(child.venue for child in wave.children if child.quote_id)
            quotes = tuple(quote for quote in what.quotes if quote.lp not in used)
            run.later = Later(quotes=quotes, without=what.without | used | wave.swept, why=wave.why)
            self.at_ns(f"wave:{run.work.parent.parent_id}", wave.until_ns, lambda _: self._send_later(run))
        return True

    def _send_later(self, run: Run) -> None:
        """The first of a plan have ended, or have had their time: plan what is left, over the quotes that are still good."""
        later, run.later = run.later, None
        self.cancel(f"wave:{run.work.parent.parent_id}")
        if later is None or run.phase is not Phase.WORKING:
            return
        now = self.clock.timestamp_ns()
        if self._must_stop(run, now) is None and not run.quiet and run.work.free > 0:
            run.phase = Phase.SENDING
            self._send(run, later, now)
            run.phase = Phase.WORKING
        self._go_on(run)

    def _plan(self, run: Run, what: Later, now: int) -> Wave:
        working = [child for other in self._runs.working() for child in other.work.open]
        without = self._left_out(now) | what.without
        plan = self._planner.plan(run.work, what.quotes, working=working, without=without, now_ns=now)
        if plan.dropped:
            run.why_not = "; ".join(f"{piece.venue} {piece.quantity:f}: {piece.reason}" for piece in plan.dropped)
        worst = None if run.step is None else run.step.all_in
        if worst is None:
            wave = first_wave(
                plan.children,
                quotes=[quote for quote in what.quotes if quote.lp not in without],
                parameters=self.parameters,
                refusal=lambda lp: plan.refusal.get(lp, ZERO),
                now_ns=now,
            )
            return msgspec.structs.replace(wave, children=_said(wave.children, what.why)) if what.why else wave
        book, terms = self._books[run.work.parent.symbol], self._planner.terms(run.work.parent.symbol)
        taken = [
            _no_worse(child, worst, book.terms(child.venue).taker_fee_bps, terms[child.venue], run.work.parent.side)
            for child in plan.children
            if not child.quote_id
        ]
        return Wave(children=tuple(taken))

    def _left_out(self, now: int) -> frozenset[str]:
        """Venues and LPs that failed just now, that take no orders of ours, or that the operator has halted."""
        states = self.gate.state.venues.items()
        halted = {name for name, trading in states if trading.state is TradingState.HALTED}
        return self._backoff.out(now) | self._refusing | halted

    def on_standing(self, standing: AccountStanding) -> None:
        """Whether a venue takes orders of ours at all."""
        if standing.refusing:
            self._refusing.add(standing.venue)
        else:
            self._refusing.discard(standing.venue)


def _no_worse(child: PlannedChild, all_in: Decimal, fee_bps: Decimal, terms: Terms, side: str) -> PlannedChild:
    """The child with a limit at which `all_in` is not passed with the venue's fee."""
    bound = within(all_in, fee_bps, side)
    limit = limit_of(child.limit_price, side, terms.tick, ZERO, bound)
    return msgspec.structs.replace(child, limit_price=limit)


def _said(children: tuple[PlannedChild, ...], why: str) -> tuple[PlannedChild, ...]:
    """Children of a later wave, with what they waited for."""
    return tuple(
        msgspec.structs.replace(child, why=f"{why}; then {child.why}" if child.why else why) for child in children
    )
