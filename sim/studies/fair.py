"""How well does fair value foretell the mid? Each value as a forecast of the recorded venue's own mid a moment later.

On an even grid of `STEP_NS`, with m the mid of the recorded venue's top stream and F what a `ConsolidatedBook` answers at that moment:

    error   √mean (m_{t+h} − F_t)²                                    bps of m
    R²      1 − Σ (m_{t+h} − F_t)² / Σ (m_{t+h} − m_t)²               F as it is: 0 is as good as the mid, below it worse
    slope   Σ (F_t − m_t)(m_{t+h} − m_t) / Σ (F_t − m_t)²             1: as far as F says; 0: F says nothing
    told    ρ² of the same two                                        what F would tell who knew the slope

R² has a 95 % interval: blocks of `BLOCK_NS` of the tape drawn with replacement (Künsch 1989), seeded. Venue sets: the recorded venue alone
(F is its microprice), alone without its top stream, with the exchange that is derived from it (`sim.transform`, by seed), and with the
perpetual of the same moment, its price less the basis as it was before (exponential mean, half-life `BASIS_HALF_LIFE_S`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from math import exp, log
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from sim.events import ASK, BID, EventKind, VenueEvent, rows
from sim.feed import binance_events, binance_instrument_of, kraken_events, kraken_instrument_of
from sim.instruments import BINANCE, KRAKEN, VenueInstrument
from sim.studies.perpetual import hear
from sim.studies.tables import table
from sim.tape import TapeInfo

MS, SECOND = 1_000_000, 1_000_000_000
STEP_NS = 100 * MS
BLOCK_NS = 15 * SECOND
FIRST_NS = 5 * SECOND  # books fill and the basis settles
BASIS_HALF_LIFE_S = 30.0
RESAMPLES = 2_000
HORIZONS_MS = (100, 500, 1_000, 5_000, 10_000)
PERPETUAL = "PERPETUAL"

Floats = npt.NDArray[np.float64]


class Venues(StrEnum):
    """Which books the fair value is made of."""

    RECORDED = "recorded, microprice"
    DEPTH = "recorded, depth stream alone"
    DERIVED = "recorded and derived, weighted"
    PERPETUAL = "recorded and perpetual, weighted"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One venue set at one horizon of one tape; `mid_error_bps` is the mid's own error."""

    venues: Venues
    horizon_ms: int
    moments: int
    error_bps: float
    mid_error_bps: float
    r2: float
    interval: tuple[float, float]
    slope: float
    told: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one tape. `off_bps`: root mean square of F − mid, by venue set."""

    tape: str
    symbol: str
    seconds: float
    off_bps: dict[Venues, float]
    rows: list[Row]


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """Mid and fair values on the grid (quote currency); nan where there is none."""

    mid: Floats
    fair: dict[Venues, Floats]


def study(tape: TapeInfo, perpetual: TapeInfo | None, *, seed: int, horizons_ms: Sequence[int] = HORIZONS_MS) -> Found:
    """Run it on one tape. Raises ValueError when the tape is too short to tell."""
    sampled = sample(tape, perpetual, seed)
    if len(sampled.mid) * STEP_NS < 3 * BLOCK_NS:
        raise ValueError(f"{Path(tape.path).name} is too short: {3 * BLOCK_NS // SECOND} s of a live book are needed")
    return Found(
        tape=Path(tape.path).name,
        symbol=tape.symbol,
        seconds=len(sampled.mid) * STEP_NS / SECOND,
        off_bps={name: _rms((fair / sampled.mid - 1) * 1e4) for name, fair in sampled.fair.items()},
        rows=[judged(name, sampled.mid, fair, h) for name, fair in sampled.fair.items() for h in horizons_ms],
    )


def judged(venues: Venues, mid: Floats, fair: Floats, horizon_ms: int) -> Row:
    """A value against the mid `horizon_ms` later. Both arrays lie on the grid of `STEP_NS`."""
    ahead = max(1, horizon_ms * MS // STEP_NS)
    move = (mid[ahead:] / mid[:-ahead] - 1) * 1e4
    said = (fair[:-ahead] / mid[:-ahead] - 1) * 1e4
    block = np.arange(len(move)) * STEP_NS // BLOCK_NS
    known = np.isfinite(move) & np.isfinite(said)
    move, said, block = move[known], said[known], block[known]
    missed, moved = (np.bincount(block, weights=values) for values in ((move - said) ** 2, move**2))
    drawn = np.random.default_rng(20_240_808).integers(0, len(moved), size=(RESAMPLES, len(moved)))
    ratios = 1 - missed[drawn].sum(axis=1) / np.maximum(moved[drawn].sum(axis=1), 1e-12)
    low, high = np.quantile(ratios, (0.025, 0.975)).tolist()
    power, cross = float(said @ said), float(said @ move)
    return Row(
        venues=venues,
        horizon_ms=horizon_ms,
        moments=len(move),
        error_bps=_rms(move - said),
        mid_error_bps=_rms(move),
        r2=1 - float(missed.sum() / moved.sum()) if moved.sum() else 0.0,
        interval=(low, high),
        slope=cross / power if power else 0.0,
        told=float(np.corrcoef(said, move)[0, 1] ** 2) if said.std() > 0 and move.std() > 0 else 0.0,
    )


def sample(tape: TapeInfo, perpetual: TapeInfo | None, seed: int) -> Sampled:
    """Play the tape(s) once, every venue set in a book of its own."""
    recorded, derived = binance_instrument_of(tape), kraken_instrument_of(tape)
    books = {
        Venues.RECORDED: _book([recorded]),
        Venues.DEPTH: _book([recorded]),
        Venues.DERIVED: _book([recorded, derived]),
    }
    streams: list[Iterable[tuple[VenueEvent, str]]] = [
        ((event, BINANCE) for event in binance_events(tape)),
        ((event, KRAKEN) for event in kraken_events(tape, seed)),
    ]
    shifted: Shifted | None = None
    if perpetual is not None:
        other = msgspec.structs.replace(recorded, venue=PERPETUAL)
        books[Venues.PERPETUAL] = _book([recorded, other])
        shifted = Shifted(binance_instrument_of(perpetual), other)
        streams.append((event, PERPETUAL) for event in binance_events(perpetual) if event.kind is EventKind.QUOTE)
    mids: list[float] = []
    fairs: dict[Venues, list[float]] = {name: [] for name in books}
    mid, unit, due = float("nan"), float(recorded.price(1)), 0
    for event, venue in heapq.merge(*streams, key=lambda pair: pair[0].ts_init_ns):
        now_ns = event.ts_init_ns
        due = due or now_ns + FIRST_NS
        while now_ns >= due:  # what has arrived by `due`, and nothing later
            mids.append(mid)
            for name, book in books.items():
                fair = book.fair(due)
                fairs[name].append(float("nan") if fair is None else float(fair))
            due += STEP_NS
        match venue:
            case "BINANCE":
                if event.kind is EventKind.QUOTE:
                    mid = (event.bid + event.ask) / 2 * unit
                for name, book in books.items():
                    if name is not Venues.DEPTH or event.kind is not EventKind.QUOTE:
                        hear(book, BINANCE, event)
            case "KRAKEN":
                hear(books[Venues.DERIVED], KRAKEN, event)
            case _ if shifted is not None and mid == mid:
                books[Venues.PERPETUAL].apply(PERPETUAL, shifted.top(event, mid), True, now_ns)
    return Sampled(mid=np.array(mids), fair={name: np.array(values) for name, values in fairs.items()})


class Shifted:
    """The perpetual's top in the spot's ticks, less the mean basis until then."""

    def __init__(self, source: VenueInstrument, target: VenueInstrument) -> None:
        self._unit, self._size = float(source.price(1)), float(source.size(1) / target.size(1))
        self._tick = float(target.price(1))
        self._basis: float | None = None
        self._last_ns = 0

    def top(self, event: VenueEvent, mid: float) -> npt.NDArray[np.int64]:
        """A book of one level a side; `mid` is the spot's now."""
        now = (event.bid + event.ask) / 2 * self._unit - mid
        kept = exp(-log(2) * (event.ts_init_ns - self._last_ns) * 1e-9 / BASIS_HALF_LIFE_S) if self._last_ns else 0.0
        before = now if self._basis is None else self._basis
        self._basis, self._last_ns = kept * before + (1 - kept) * now, event.ts_init_ns
        bid, ask = ((price * self._unit - before) / self._tick for price in (event.bid, event.ask))
        low = round(bid)
        return rows(
            [
                (BID, low, max(1, round(event.bid_size * self._size))),
                (ASK, max(low + 1, round(ask)), max(1, round(event.ask_size * self._size))),
            ]
        )


def _book(listings: Sequence[VenueInstrument]) -> ConsolidatedBook:
    terms = [
        VenueTerms(
            venue=item.venue,
            taker_fee_bps=Decimal(0),
            tick=item.price(1),
            lot=item.size(1),
            price_decimals=item.price_decimals,
            size_decimals=item.size_decimals,
            max_age_ns=5 * SECOND,
        )
        for item in listings
    ]
    decimals = (max(item.price_decimals for item in listings), max(item.size_decimals for item in listings))
    return ConsolidatedBook(listings[0].symbol, Scale(listings[0].symbol, *decimals), terms)


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.nanmean(np.square(values))))


def told(found: Found) -> Iterator[str]:
    """A Markdown table, a line for each venue set: R² with its interval, and in parentheses what it would tell who knew the slope."""
    horizons = sorted({row.horizon_ms for row in found.rows})
    rows = {(row.venues, row.horizon_ms): row for row in found.rows}
    first = next(iter(found.off_bps))
    mid = ["the mid: error, bps", "0", *(f"{rows[first, h].mid_error_bps:.3f}" for h in horizons)]
    yield f"{found.tape} ({found.symbol}), {found.seconds:.0f} s. R², its 95 % interval, and what it would tell who knew the slope:"
    yield ""
    yield from table(
        ["fair value of", "rms off mid, bps", *(f"{h / 1_000:g} s" for h in horizons)],
        [mid]
        + [
            [venues.value, f"{off:.3f}", *(_told(rows[venues, h]) for h in horizons)]
            for venues, off in found.off_bps.items()
        ],
    )


def _told(row: Row) -> str:
    return f"{row.r2:+.3f} [{row.interval[0]:+.3f}, {row.interval[1]:+.3f}] ({row.told:.1%})"
