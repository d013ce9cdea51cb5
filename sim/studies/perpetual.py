"""Spot against perpetual on two tapes of the same moment: which of them the router would take, and whether it was right.

Every `step_s` both books are priced for each size and side by `router.routes.choice.choose` (the perpetual taken as tradable). The
basis' mean and half-life come from the part of the tape before `train_s` (an AR(1) of the basis, second by second), never from
what follows. Funding is not on these tapes: it is a parameter. What is counted:

* the share of orders in which the perpetual has the lower expected cost, and the mean cost of both, in bps of spot fair;
* for horizons that end on the tape, the basis cost that was expected against the one that came, and what each choice cost then.

Fees are parameters too; the defaults are about those of one volume tier on both markets (spot 4 bps, perpetual 3 bps).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import repeat
from math import exp, log
from pathlib import Path
from statistics import fmean, pstdev

import msgspec

from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router.routes.book import RouteBook, from_live
from router.routes.choice import Alternative, RouteChoice, RouteKind, RouteRequest, choose
from router.routes.perpetual import Perpetual, carry
from sim.events import EventKind, VenueEvent
from sim.feed import binance_events, binance_instrument_of
from sim.tape import TapeInfo, scan

SECOND = 1_000_000_000
DEPTH = 1_200
SPOT_FEE_BPS, PERPETUAL_FEE_BPS = Decimal(4), Decimal(3)
BPS = Decimal("0.0001")


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the study varies and what it takes as given."""

    sizes: tuple[Decimal, ...]
    horizons_s: tuple[int, ...] = (60, 600, 3_600, 28_800)
    funding_rate: Decimal = Decimal("0.0001")
    spot_fee_bps: Decimal = SPOT_FEE_BPS
    perpetual_fee_bps: Decimal = PERPETUAL_FEE_BPS
    step_s: int = 5
    train_s: int = 120


class Moment(msgspec.Struct, frozen=True):
    """Both books at one time."""

    ts_ns: int
    spot: RouteBook
    perpetual: RouteBook

    @property
    def basis_bps(self) -> float:
        """Perpetual less spot fair value."""
        return float((self.perpetual.fair - self.spot.fair) / self.spot.fair / BPS)


class Row(msgspec.Struct, kw_only=True):
    """One size and horizon over all moments and both sides."""

    size: Decimal
    horizon_s: int
    orders: int
    perpetual_wins: float  # share
    spot_bps: float  # mean expected cost of spot, and its two parts
    spot_sweep_bps: float
    perpetual_bps: float
    perpetual_sweep_bps: float
    short: int  # orders that one of the books could not fill
    realised_spot_bps: float | None  # of the same orders, when the horizon ends on the tape
    realised_perpetual_bps: float | None
    realised_choice_bps: float | None  # what the router's choices cost


class Basis(msgspec.Struct, kw_only=True):
    """The basis over the tape, and how well its move was expected."""

    mean_usd: float
    sd_usd: float
    mean_bps: float  # of the training part: what the router knew
    halflife_s: float | None
    explained: dict[int, float]  # horizon → 1 − Σ(came − expected)² / Σ came², of the part after training


class Found(msgspec.Struct, kw_only=True):
    """The study's answer."""

    symbol: str
    seconds: float
    basis: Basis
    rows: list[Row]


def moments(spot: TapeInfo, perpetual: TapeInfo, setup: Setup) -> Iterator[Moment]:
    """Both books, every `step_s` while both are live. The perpetual's symbol is the spot's with its settlement currency."""
    books = [
        _book(spot, spot.symbol, setup.spot_fee_bps),
        _book(perpetual, perpetual.symbol, setup.perpetual_fee_bps),
    ]
    streams = [zip(binance_events(tape), repeat(place)) for place, tape in enumerate((spot, perpetual))]
    due = 0
    for event, place in heapq.merge(*streams, key=lambda pair: pair[0].ts_init_ns):
        if event.ts_init_ns >= due:
            seen = [from_live(book, sigma=0.0, now_ns=event.ts_init_ns, depth=DEPTH) for book in books]
            if seen[0] is not None and seen[1] is not None:
                yield Moment(event.ts_init_ns, seen[0], seen[1])
                due = event.ts_init_ns + setup.step_s * SECOND
        hear(books[place], books[place].venues[0], event)


def study(spot: Path, perpetual: Path, setup: Setup) -> Found:
    """Run it. Raises ValueError when the tapes never have two live books together."""
    at = list(moments(scan(spot), scan(perpetual), msgspec.structs.replace(setup, step_s=1)))
    if len(at) < 10:
        raise ValueError("the two tapes hardly ever have live books at the same time")
    first = at[0].ts_ns
    known = [moment for moment in at if moment.ts_ns - first < setup.train_s * SECOND]
    mean, halflife = fit([moment.basis_bps for moment in known])
    after = at[len(known) :]
    orders = [
        _order(moment, size, side, setup, mean, halflife)
        for moment in after[:: setup.step_s]
        for size in setup.sizes
        for side in ("buy", "sell")
    ]
    usd = [float(moment.perpetual.fair - moment.spot.fair) for moment in at]
    return Found(
        symbol=at[0].spot.symbol,
        seconds=(at[-1].ts_ns - first) / SECOND,
        basis=Basis(
            mean_usd=fmean(usd),
            sd_usd=pstdev(usd),
            mean_bps=mean,
            halflife_s=halflife,
            explained={
                h: _explained(after, h, mean, halflife)
                for h in setup.horizons_s
                if h * SECOND < after[-1].ts_ns - after[0].ts_ns
            },
        ),
        rows=[_row(orders, after, size, horizon, setup) for size in setup.sizes for horizon in setup.horizons_s],
    )


def fit(basis: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half-life (samples) of an AR(1); None when it does not go back."""
    mean = fmean(basis)
    before = [value - mean for value in basis[:-1]]
    after = [value - mean for value in basis[1:]]
    power = sum(value * value for value in before)
    phi = sum(x * y for x, y in zip(before, after, strict=True)) / power if power else 1.0
    return mean, log(0.5) / log(phi) if 0.0 < phi < 1.0 else None


class _Order(msgspec.Struct):
    moment: Moment
    size: Decimal
    side: str
    perpetual: Perpetual
    choice: RouteChoice  # at horizon 0: what trading costs; the carry is added by horizon


def _order(moment: Moment, size: Decimal, side: str, setup: Setup, mean: float, halflife: float | None) -> _Order:
    base, terms = moment.spot.symbol.split("/")
    perpetual = Perpetual(
        symbol=f"{moment.spot.symbol}:{terms}",
        venues=moment.perpetual.venues,
        fair=moment.perpetual.fair,
        funding_rate=setup.funding_rate,
        mean_basis_bps=None if halflife is None else Decimal(f"{mean:.6f}"),
        basis_halflife_s=None if halflife is None else Decimal(f"{halflife:.6f}"),
        executable=True,
    )
    request = RouteRequest(base=base, terms=terms, side=side, quantity=size, horizon_s=0)
    choice = choose(request, {moment.spot.symbol: moment.spot}, perpetuals=[perpetual])
    return _Order(moment, size, side, perpetual, choice)


def _of(choice: RouteChoice, kind: RouteKind) -> Alternative | None:
    return next((item for item in choice.alternatives if item.kind is kind and item.price is not None), None)


def _row(orders: Sequence[_Order], after: Sequence[Moment], size: Decimal, horizon: int, setup: Setup) -> Row:
    pairs = []
    short = 0
    for order in orders:
        if order.size != size:
            continue
        spot, perpetual = _of(order.choice, RouteKind.DIRECT), _of(order.choice, RouteKind.PERPETUAL)
        if spot is None or perpetual is None:
            short += 1
            continue
        held = carry(order.perpetual, side=order.side, spot_fair=order.moment.spot.fair, horizon_s=horizon)
        expected = float(perpetual.cost.total + held.basis_bps + held.funding_bps)
        later = _later(after, order.moment.ts_ns + horizon * SECOND)
        came: float | None = None
        if later is not None:
            sign = 1 if order.side == "buy" else -1
            came = float(perpetual.cost.total + held.funding_bps) + sign * (order.moment.basis_bps - later.basis_bps)
        pairs.append((float(spot.cost.total), float(spot.cost.sweep), expected, float(perpetual.cost.sweep), came))
    real = [pair for pair in pairs if pair[4] is not None]
    return Row(
        size=size,
        horizon_s=horizon,
        orders=len(pairs),
        perpetual_wins=fmean(pair[2] < pair[0] for pair in pairs) if pairs else 0.0,
        spot_bps=_mean([pair[0] for pair in pairs]) or 0.0,
        spot_sweep_bps=_mean([pair[1] for pair in pairs]) or 0.0,
        perpetual_bps=_mean([pair[2] for pair in pairs]) or 0.0,
        perpetual_sweep_bps=_mean([pair[3] for pair in pairs]) or 0.0,
        short=short,
        realised_spot_bps=_mean([pair[0] for pair in real]),
        realised_perpetual_bps=_mean([pair[4] for pair in real if pair[4] is not None]),
        realised_choice_bps=_mean([pair[4] if pair[2] < pair[0] else pair[0] for pair in real if pair[4] is not None]),
    )


def _explained(after: Sequence[Moment], horizon: int, mean: float, halflife: float | None) -> float:
    """Share of the basis' later move that its expectation explains (1 = all, 0 = none, negative = worse than none)."""
    missed = moved = 0.0
    for moment in after:
        later = _later(after, moment.ts_ns + horizon * SECOND)
        if later is None:
            break
        expected = 0.0 if halflife is None else (mean - moment.basis_bps) * (1 - exp(-log(2) * horizon / halflife))
        came = later.basis_bps - moment.basis_bps
        missed, moved = missed + (came - expected) ** 2, moved + came**2
    return 1 - missed / moved if moved else 0.0


def _later(after: Sequence[Moment], ts_ns: int) -> Moment | None:
    """The first moment at or after a time; None past the end of the tape."""
    low, high = 0, len(after)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if after[middle].ts_ns < ts_ns else (low, middle)
    return after[low] if low < len(after) else None


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _book(tape: TapeInfo, symbol: str, fee_bps: Decimal) -> ConsolidatedBook:
    listing = binance_instrument_of(tape)
    terms = VenueTerms(
        venue=listing.venue,
        taker_fee_bps=fee_bps,
        tick=listing.price(1),
        lot=listing.size(1),
        min_notional=listing.min_notional,
        price_decimals=listing.price_decimals,
        size_decimals=listing.size_decimals,
        max_age_ns=5 * SECOND,
    )
    scale = Scale(symbol, listing.price_decimals, listing.size_decimals)
    return ConsolidatedBook(symbol, scale, [terms], depth=DEPTH)


def hear(book: ConsolidatedBook, venue: str, event: VenueEvent) -> None:
    """What a venue did, into its book."""
    match event.kind:
        case EventKind.SNAPSHOT | EventKind.UPDATE if event.levels is not None:
            book.apply(venue, event.levels, event.kind is EventKind.SNAPSHOT, event.ts_init_ns)
        case EventKind.CLEAR:
            book.clear(venue, event.reason, event.ts_init_ns)
        case EventKind.QUOTE:
            book.mark_top(venue, event.bid, event.bid_size, event.ask, event.ask_size, event.ts_init_ns)
        case _:
            pass


def told(found: Found) -> list[str]:
    """The table for people."""
    basis = found.basis
    halflife = "does not go back" if basis.halflife_s is None else f"half-life {basis.halflife_s:.1f} s"
    lines = [
        f"{found.symbol}: {found.seconds:.0f} s of both markets; basis {basis.mean_usd:.2f} ± {basis.sd_usd:.2f} USD, "
        f"{basis.mean_bps:.2f} bps while learnt, {halflife}",
        *(
            f"  its move over {horizon} s: {share:.0%} of the variance was expected"
            for horizon, share in basis.explained.items()
        ),
        f"{'size':>8}{'horizon s':>11}{'orders':>8}{'spot bps':>10}{'(sweep)':>9}{'perp bps':>10}{'(sweep)':>9}{'perp wins':>11}"
        f"{'came: spot':>12}{'perp':>8}{'choice':>8}",
    ]
    for row in found.rows:
        came = "".join(
            f"{'–':>{width}}" if value is None else f"{value:>{width}.2f}"
            for value, width in (
                (row.realised_spot_bps, 12),
                (row.realised_perpetual_bps, 8),
                (row.realised_choice_bps, 8),
            )
        )
        lines.append(
            f"{row.size.normalize():>8f}{row.horizon_s:>11}{row.orders:>8}{row.spot_bps:>10.2f}{row.spot_sweep_bps:>9.2f}"
            f"{row.perpetual_bps:>10.2f}{row.perpetual_sweep_bps:>9.2f}{row.perpetual_wins:>11.0%}{came}"
            + (f"  ({row.short} could not be filled)" if row.short else "")
        )
    return lines
