"""`Pace`: algos at work on the router's parents: lays their schedules, shows them the market, keeps their benchmark.

It decides nothing and sends nothing: `step` returns what the algo says, the router does it. An algo is made anew from its parent's spec
and standing whenever a schedule is laid and after a restart, so both give the same. Loop-thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

import msgspec

from pricing.consolidated import ConsolidatedBook
from risk.exact import BPS, EXACT, ZERO, add, times
from risk.state import pair_of
from router.algos import build
from router.algos.benchmark import Benchmark
from router.algos.profile import VolumeProfile
from router.algos.schedule import slices_of
from router.algos.spec import AlgoSpec, ImplementationShortfall, Sliced, Standing, Vwap
from router.algos.step import Offer, Progress, Resting, Step, Top
from router.algos.volume import Tape
from router.orders import ChildState, ParentOrder
from router.plan import Terms, floor_to
from router.run import Run

_CLEAN_UP_NS = 10_000_000_000  # at most so long before its deadline a schedule ends
_DEPTH = 40  # levels shown to an algo
_REST_DEPTH = 3
_CURVE_PARTS = 96
_SECOND_NS = 1_000_000_000

Volatility = Callable[[str], float | None]  # of an instrument: relative, per √s; None: not known yet


class Listings(Protocol):
    """What of the router's planner an algo needs."""

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value, None without a live book."""

    def terms(self, symbol: str) -> dict[str, Terms]:
        """What each venue and LP takes of the symbol."""


class Pace:
    """`seed` for every schedule (with the parent's id); `own_shown`: whether venue books hold our own orders; `min_clip`: the least
    value of a child by quote currency."""

    def __init__(
        self,
        books: Mapping[str, ConsolidatedBook],
        listings: Listings,
        tapes: Mapping[str, Tape],
        *,
        seed: int,
        profiles: Mapping[str, VolumeProfile],
        volatility: Volatility,
        own_shown: bool,
        min_clip: Mapping[str, Decimal],
    ) -> None:
        self._books = books
        self._listings = listings
        self._tapes = tapes
        self._seed = seed
        self._profiles = profiles
        self._volatility = volatility
        self._own_shown = own_shown
        self._min_clip = min_clip

    # ---- schedules ----------

    def settle(self, parent: ParentOrder, now_ns: int) -> str:
        """Fill in what the spec leaves to the router. Returns why the algo cannot work, empty when it can."""
        match parent.algo:
            case Vwap(curve=()) as spec:
                profile = self._profiles.get(parent.symbol, VolumeProfile())
                until = _until(spec, parent, now_ns)
                parent.algo = msgspec.structs.replace(
                    spec,
                    curve=profile.curve(now_ns, until, _CURVE_PARTS),
                    expected=spec.expected or profile.expected(now_ns, until),
                )
            case ImplementationShortfall() as spec if not (spec.volatility and spec.impact) and spec.risk_aversion:
                return self._estimate(spec, parent, now_ns)
            case _:
                pass
        return ""

    def lay(self, run: Run, now_ns: int) -> None:
        """Lay the schedule (anew) over what is neither filled nor open."""
        parent = run.work.parent
        assert parent.algo is not None
        before = parent.standing
        parent.standing = Standing(
            since_ns=now_ns,
            until_ns=_until(parent.algo, parent, now_ns),
            done=run.work.released,
            turn=0 if before is None else before.turn + 1,
        )
        if parent.benchmark is None:
            parent.benchmark = Benchmark(since_ns=now_ns, last_ns=now_ns)
        self.adopt(run)

    def adopt(self, run: Run) -> None:
        """Make the algo of a parent whose schedule is laid: at once after laying it, or after a restart."""
        parent = run.work.parent
        assert parent.algo is not None and parent.standing is not None
        tape = self._tapes.get(parent.symbol)
        if tape is not None:
            run.tape_volume = tape.volume
            run.tape_seen = (tape.volume, tape.turnover)
        run.algo = build(
            parent.algo,
            parent.standing,
            max(ZERO, add(parent.quantity, -parent.standing.done)),
            self._unit(parent.symbol),
            f"{self._seed}:{parent.parent_id}",
            own_shown=self._own_shown,
        )

    # ---- at work ----------

    def step(self, run: Run, now_ns: int, without: frozenset[str]) -> Step:
        """What the algo wants done now; `without`: venues left out."""
        assert run.algo is not None and run.work.parent.standing is not None
        view = LiveView(self, run, now_ns, without)
        step = run.algo.step(self.progress(run, view.fair), view)
        self.observe(run, now_ns, view.fair, step.target)
        return step

    def observe(self, run: Run, now_ns: int, fair: Decimal | None, due: Decimal | None) -> None:
        """Bring the benchmark and the schedule's count of the market's volume up to date."""
        parent, tape = run.work.parent, self._tapes.get(run.work.parent.symbol)
        if parent.benchmark is None or parent.standing is None:
            return
        volume, turnover = run.tape_seen
        if tape is not None:
            run.tape_seen = (tape.volume, tape.turnover)
            parent.standing = msgspec.structs.replace(parent.standing, volume=self.volume(run))
            run.tape_volume = tape.volume
        parent.benchmark.observe(
            now_ns,
            fair=fair,
            due=due,
            filled=parent.filled,
            quantity=parent.quantity,
            volume=add(run.tape_seen[0], -volume),
            turnover=add(run.tape_seen[1], -turnover),
        )

    def volume(self, run: Run) -> Decimal:
        """What others have traded since the schedule was laid."""
        standing, tape = run.work.parent.standing, self._tapes.get(run.work.parent.symbol)
        counted = ZERO if standing is None else standing.volume
        return counted if tape is None else add(counted, add(tape.volume, -run.tape_volume))

    def progress(self, run: Run, fair: Decimal | None) -> Progress:
        """How far the parent is."""
        work, parent = run.work, run.work.parent
        resting = [child for child in work.open if child.resting]
        return Progress(
            side=parent.side,
            quantity=parent.quantity,
            filled=parent.filled,
            reserved=work.reserved,
            limit_price=parent.limit_price,
            arrival=parent.arrival_mid,
            least=self._least(parent.symbol, fair, max(ZERO, add(parent.quantity, -work.released))),
            unit=self._unit(parent.symbol),
            resting=tuple(
                Resting(
                    child_id=child.child_id,
                    venue=child.venue,
                    price=child.limit_price,
                    leaves=child.leaves,
                    since_ns=child.created_ns,
                    pulled=child.child_id in run.cancelling or child.state is ChildState.UNKNOWN,
                )
                for child in resting
            ),
            placed=work.rested,
            ended_ns=work.rest_ended_ns,
            sent_since=work.sent_since,
        )

    def book(self, symbol: str) -> ConsolidatedBook:
        """The books of a symbol."""
        return self._books[symbol]

    def terms(self, symbol: str) -> dict[str, Terms]:
        """What venues and LPs take of a symbol."""
        return self._listings.terms(symbol)

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value."""
        return self._listings.fair(symbol, now_ns)

    # ---- inside ----------

    def _unit(self, symbol: str) -> Decimal:
        return min((terms.lot for terms in self.terms(symbol).values()), default=Decimal("0.00000001"))

    def _least(self, symbol: str, fair: Decimal | None, left: Decimal) -> Decimal:
        """The smallest quantity that some venue or LP takes at fair value, a percent above its least notional; and that is worth a
        child, unless it is all that is left."""
        found = []
        for terms in self.terms(symbol).values():
            least = max(terms.min_quantity, terms.lot)
            if fair:
                value = EXACT.divide(times(terms.min_notional, Decimal("1.01")), fair)
                lots = -EXACT.divide_int(-value, terms.lot)
                least = max(least, times(lots if times(lots, terms.lot) >= value else lots + 1, terms.lot))
            found.append(least)
        least, worth = min(found, default=ZERO), self._min_clip.get(pair_of(symbol).quote, ZERO)
        if not fair or not worth:
            return least
        unit = self._unit(symbol)
        return max(least, min(add(floor_to(EXACT.divide(worth, fair), unit), unit), left))

    def _estimate(self, spec: ImplementationShortfall, parent: ParentOrder, now_ns: int) -> str:
        """σ from the desk's volatility, η from the book: a slice of n base that walks a book of slope b costs b·n/2 = η·n/τ."""
        fair, relative = self.fair(parent.symbol, now_ns), self._volatility(parent.symbol)
        volatility = spec.volatility or (float(fair) * relative if fair is not None and relative else 0.0)
        standing = Standing(since_ns=now_ns, until_ns=_until(spec, parent, now_ns))
        n = slices_of(standing, spec.interval_ms)
        slope = self._slope(parent, now_ns, EXACT.divide(parent.quantity, Decimal(n)))
        impact = spec.impact or slope * (standing.until_ns - standing.since_ns) / _SECOND_NS / n / 2
        if not volatility or not impact:
            return "no estimate of volatility and impact yet: give them, or another algo"
        parent.algo = msgspec.structs.replace(spec, volatility=volatility, impact=impact)
        return ""

    def _slope(self, parent: ParentOrder, now_ns: int, quantity: Decimal) -> float:
        """How much the price moves per base when `quantity` sweeps the visible books (all of them, when they are less)."""
        bids, asks = self._books[parent.symbol].ladder(_DEPTH, now_ns)
        rows = asks if parent.side == "buy" else bids
        reached = next((row for row in rows if row.cumulative >= quantity), rows[-1] if rows else None)
        if reached is None:
            return 0.0
        # half the level's own width lies before its middle: a slice within the best level still costs something
        moved = abs(float(reached.all_in - rows[0].all_in)) or float(rows[0].all_in) * 1e-5
        return moved / float(max(quantity, reached.cumulative))


class LiveView:
    """`router.algos.step.View` over the live books, now."""

    def __init__(self, pace: Pace, run: Run, now_ns: int, without: frozenset[str]) -> None:
        self.now_ns = now_ns
        self.fair = pace.fair(run.work.parent.symbol, now_ns)
        self.volume = pace.volume(run)
        self._pace = pace
        self._parent = run.work.parent
        self._without = without

    def tops(self) -> list[Top]:
        """Live venues that list the symbol and are not left out."""
        symbol = self._parent.symbol
        book, terms = self._pace.book(symbol), self._pace.terms(symbol)
        found = []
        for venue in book.live(self.now_ns):
            if venue in self._without or venue not in terms:
                continue
            bids, asks = book.levels(venue, _REST_DEPTH)
            found.append(
                Top(
                    venue=venue,
                    tick=terms[venue].tick,
                    lot=terms[venue].lot,
                    least=terms[venue].min_quantity,
                    fee_bps=book.terms(venue).resting_fee_bps,
                    bids=tuple(bids),
                    asks=tuple(asks),
                )
            )
        return found

    def offers(self) -> list[Offer]:
        """Levels of live venues that can be taken, best all-in first."""
        bids, asks = self._pace.book(self._parent.symbol).ladder(_DEPTH, self.now_ns)
        rows = asks if self._parent.side == "buy" else bids
        return [Offer(row.venue, row.price, row.size, row.all_in) for row in rows if row.venue not in self._without]


def within(all_in: Decimal, fee_bps: Decimal, side: str) -> Decimal:
    """The price without the fee at which a taker pays (gets) `all_in` with it."""
    sign = 1 if side == "buy" else -1
    return EXACT.divide(all_in, add(Decimal(1), times(fee_bps, BPS) * sign))


def _until(spec: AlgoSpec, parent: ParentOrder, now_ns: int) -> int:
    """Where the schedule ends: as asked for; else at the deadline, a schedule of slices a twentieth (at most 10 s) before it."""
    if now_ns < spec.end_ns <= parent.deadline_ns:
        return spec.end_ns
    left = max(1, parent.deadline_ns - now_ns)
    return now_ns + left - (min(_CLEAN_UP_NS, left // 20) if isinstance(spec, Sliced) else 0)
