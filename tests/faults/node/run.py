"""Episodes on one node: disturb while clients trade, clear, let it settle, and see what holds (`rules.py`).

An episode's disturbances, requests and their moments are a function of its seed and number; what the wire makes of them is not wholly.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

import msgspec

from sim.servers.faults import Fault, FaultOrder
from sim.servers.records import OrderRequest, Refusal, Tif
from tests.faults.node.books import Ledger, executions_there
from tests.faults.node.client import Crowd
from tests.faults.node.episode import Episode, Stranger
from tests.faults.node.place import Place, place, traded, until
from tests.faults.node.rules import decided, differences, price_is_true
from tests.faults.node.witness import Witness

SETTLE_S = 30.0  # longer than the longest proof that an order never was
LIMITED_SETTLE_S = 60.0  # the same where questions have to wait for their turn
STEP_S = 0.1
PATIENT_S = 3.0
CALM_SIZES = ("0.1", "0.8")
STRANGER = "stranger"


class Outcome(msgspec.Struct, kw_only=True):
    """What one episode showed. `recoveries_s`: of each lost book from the end of its venue's disturbance; `accounts_s`: the same of the
    connection to an account; `half_open_s`: from a half-open socket to a live book, detection included; `quotable_s`: of each time that
    nothing could be priced."""

    number: int
    told: str
    struck: str
    faults: list[str]
    wrong: list[str]
    recoveries_s: list[float]
    half_open_s: list[float]
    quotable_s: list[float]
    accounts_s: list[float]
    slowest: str = ""
    requests: int = 0
    refused: dict[str, int] = {}
    accepts_refused: dict[str, int] = {}
    trades: int = 0
    executions: int = 0
    unknown: int = 0
    settle_s: float = 0.0
    waited_for: str = ""  # what settling waited for longest, when it took more than `PATIENT_S`
    took_s: float = 0.0


class Node:
    """A place with its witness, its crowd and its ledger."""

    def __init__(self, there: Place) -> None:
        self.place = there
        self.witness = Witness(there)
        self.crowd = Crowd(there.client)
        self.ledger = Ledger(there.ledger_path)

    async def play(self, episode: Episode, settle_s: float = SETTLE_S) -> Outcome:
        """Play one episode; never raises for what it shows."""
        began, since_ns = monotonic(), time_ns()
        trades, executions = len(self.crowd.trades), len(executions_there(self.place))
        self.witness.begin()
        self.crowd.begin()
        outcome = Outcome(
            number=episode.number,
            told=episode.told(),
            struck=episode.struck,
            faults=[str(one.order.fault) for many in episode.disturbances.values() for one in many],
            wrong=[],
            recoveries_s=[],
            half_open_s=[],
            quotable_s=[],
            accounts_s=[],
        )
        try:
            async with asyncio.timeout(episode.active_s + settle_s + 60):
                outcome.wrong += await self._disturbed(episode)
                outcome.wrong += await self._settled(settle_s, outcome)
                outcome.settle_s = monotonic() - began - episode.active_s
                outcome.wrong += await self._calm(since_ns)
        except Exception as error:
            outcome.wrong.append(f"the episode itself failed: {type(error).__name__}: {error}")
        self._figures(episode, outcome, since_ns)
        outcome.trades = len(self.crowd.trades) - trades
        outcome.executions = len(executions_there(self.place)) - executions
        outcome.took_s = monotonic() - began
        return outcome

    async def close(self) -> None:
        """See no more."""
        await self.witness.stop()
        self.ledger.close()

    # ---- an episode -----------------------------------------------------------------------------------------------------

    async def _disturbed(self, episode: Episode) -> list[str]:
        """Everything that happens, until it is over and nothing is disturbed any more."""
        start, there = monotonic(), self.place
        self.struck_ns: dict[str, int] = {}
        work: list[Any] = []
        for venue, many in episode.disturbances.items():
            work += [_at(start + one.at_s, lambda v=venue, o=one.order: self._strike(v, o)) for one in many]
        work += [_at(start + one.at_s, lambda s=one: self._stranger(s)) for one in episode.strangers]
        work += [_at(start + one.at_s, lambda a=one: self.crowd.want(a)) for one in episode.asks]
        work += [_at(start + one.at_s, lambda r=one: self.crowd.rest(r)) for one in episode.rests]
        tasks = [asyncio.create_task(one) for one in work]
        await asyncio.sleep(episode.active_s + 0.2)
        there.clear()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        return [f"work ended by {error!r}" for error in done if isinstance(error, BaseException)]

    def _strike(self, venue: str, order: FaultOrder) -> None:
        if order.fault is Fault.HALF_OPEN:
            self.struck_ns[venue] = time_ns()
        self.place.disturb(venue, order)

    def _stranger(self, stranger: Stranger) -> None:
        """Somebody else takes a little of a perpetual's market on our account."""
        core, symbol = self.place.servers[stranger.venue].core, traded(stranger.venue)
        lot = Decimal(1).scaleb(-core.instruments[symbol].size_decimals)
        quantity = max(core.instruments[symbol].min_quantity, 20 * lot)
        request = OrderRequest(symbol=symbol, side=stranger.side, quantity=quantity, tif=Tif.IOC, client_id=STRANGER)
        with contextlib.suppress(Refusal):
            core.place(request)

    async def _settled(self, settle_s: float, outcome: Outcome) -> list[str]:
        """Wait until all that may still come true is true; else what is not."""
        place_, left, began = self.place, ["nothing was looked at"], monotonic()
        await self.crowd.find_lost()

        def quiet() -> bool:
            nonlocal left
            if monotonic() - began > PATIENT_S:
                outcome.waited_for = f"{monotonic() - began:.1f} s: {left[0]}"
            left = [f"the book of {venue} is not live" for venue in self.witness.missing()]
            left += [
                f"the account at {venue} is not connected" for venue in place_.venues if not place_.connected(venue)
            ]
            left += [f"parent {run.work.parent.parent_id} is still at work" for run in place_.working()]
            left += differences(place_, self.ledger, self.crowd)
            return not left

        await until(quiet, settle_s, STEP_S)
        return left

    async def _calm(self, since_ns: int) -> list[str]:
        """What is decided by now, and prices in the calm."""
        await until(lambda: not (self.place.desk.ledger and self.place.desk.ledger.waiting), 5.0)
        wrong = decided(self.place, self.ledger, self.crowd, self.witness, since_ns)
        for size in CALM_SIZES:
            asked = await self.crowd.ask("two_way", size)
            if not self.witness.missing():  # nobody disturbs, yet a box this busy may let a book grow old
                wrong += price_is_true(self.place, self.ledger, self.witness, asked)
        if len(self.crowd.orders) > 3:
            await self.crowd.take_all_back()
        return wrong

    def _figures(self, episode: Episode, outcome: Outcome, since_ns: int) -> None:
        for loss in self.witness.losses:
            struck_ns = self.struck_ns.get(loss.venue, 0)
            if since_ns <= struck_ns <= loss.lost_ns and loss.lost_ns - struck_ns < 15e9:
                outcome.half_open_s.append((loss.live_ns - struck_ns) / 1e9)
            else:
                outcome.recoveries_s.append(loss.recovery_s)
        if self.witness.losses:
            worst = max(self.witness.losses, key=lambda loss: loss.recovery_s)
            outcome.slowest = f"{worst.recovery_s:.2f} s {worst.venue}"
        outcome.accounts_s = [loss.recovery_s for loss in self.witness.accounts]
        outcome.quotable_s = [dark.recovery_s for dark in self.witness.darks]
        outcome.unknown = len(self.witness.unknown)
        outcome.requests = len(self.crowd.asked)
        for asked in self.crowd.asked:
            if not asked.quoted:
                outcome.refused[asked.code] = outcome.refused.get(asked.code, 0) + 1
        outcome.accepts_refused = dict(self.crowd.refused)


async def _at(when: float, work: Callable[[], Any]) -> None:
    await asyncio.sleep(max(0.0, when - monotonic()))
    if (more := work()) is not None:
        await more


@contextlib.asynccontextmanager
async def node(venues: tuple[str, ...], seed: int, state: Path, limits: bool = False) -> AsyncIterator[Node]:
    """A running node, ready to be disturbed."""
    async with place(venues, seed, state, limits) as there:
        made = Node(there)
        try:
            yield made
        finally:
            await made.close()
