"""The configuration of a replay: the file that was given, or one made for the tapes, like the demo's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from desk.config.load import load
from desk.config.model import Band, DeskConfig, HedgingSection, InstrumentSection, LpSection, VenueSection
from desk.errors import ConfigFault
from risk.limits import RiskLimits, SymbolLimits
from sim.crosses import crosses
from sim.demo.settings import instrument_sizes
from sim.events import EventKind
from sim.feed import binance_events, binance_instrument_of
from sim.instruments import BINANCE, KRAKEN, TAKER_FEE_BPS, VenueInstrument
from sim.tape import TapeInfo

LP = "FALCONX"
SECOND_NS = 1_000_000_000


def replay_config(
    path: Path | None, listings: Sequence[VenueInstrument], prices: dict[str, Decimal], seed: int
) -> DeskConfig:
    """The desk's configuration. What a replay cannot have (API, archive, real hosts) is ignored; the seed is the replay's."""
    config = made_for(listings, prices) if path is None else load(path).config
    return msgspec.structs.replace(config, seed=seed, mode="paper", archive=None)


def made_for(listings: Sequence[VenueInstrument], prices: dict[str, Decimal]) -> DeskConfig:
    """Both simulated exchanges and the LP, every listed symbol (`listings`: Binance's), bands as in the demo."""
    instruments, bands, limits, levels, sizes = [], {}, {}, {}, {}
    for listing in listings:
        price = prices[listing.symbol]
        sizing, tick = instrument_sizes(listing.symbol, price), Decimal(1).scaleb(-listing.price_decimals)
        instruments.append(
            InstrumentSection(
                symbol=listing.symbol,
                price_tick=tick,
                max_quantity=sizing.largest,
                book_size_decimals=sizing.book_size_decimals(price, tick),
            )
        )
        bands[listing.base] = Band(soft=sizing.soft, hard=sizing.hard)
        limits[listing.base] = sizing.limit
        levels[listing.symbol] = sizing.levels
        sizes[listing.symbol] = SymbolLimits(max_quantity=sizing.largest, max_child_quantity=sizing.largest)
    for cross in crosses(prices):
        sizing = instrument_sizes(cross.legs[0], prices[cross.legs[0]])
        instruments.append(
            InstrumentSection(
                symbol=cross.symbol,
                synthetic=cross.legs,
                direct=False,
                price_tick=cross.price_tick,
                quote_precision=8,
                max_quantity=sizing.largest,
            )
        )
        sizes[cross.symbol] = SymbolLimits(
            max_quantity=sizing.largest,
            max_notional=2 * sizing.largest * cross.price,
            max_child_quantity=sizing.largest,
        )
    return DeskConfig(
        name="kerb replay",
        instruments=tuple(instruments),
        venues=tuple(
            VenueSection(venue=venue, exchange=venue.lower(), taker_fee_bps=TAKER_FEE_BPS[venue])
            for venue in (BINANCE, KRAKEN)
        ),
        lps=(LpSection(lp=LP, levels=levels),),
        risk=RiskLimits(max_position=limits, symbols=sizes),
        hedging=HedgingSection(bands=bands),
    )


def opening_price(tape: TapeInfo) -> Decimal:
    """About where the tape's symbol trades: its first top, print or snapshot."""
    unit = Decimal(1).scaleb(-binance_instrument_of(tape).price_decimals)
    for event in binance_events(tape):
        match event.kind:
            case EventKind.QUOTE:
                return event.bid * unit
            case EventKind.TRADE:
                return event.price * unit
            case EventKind.SNAPSHOT if event.levels is not None and len(event.levels):
                return int(event.levels[0][1]) * unit
    raise ConfigFault(f"{tape.path.name} shows no price of {tape.symbol}: there is nothing to replay")


def moment(text: str | None, first_ns: int, option: str) -> int | None:
    """A point on the tape: nanoseconds since the epoch, an ISO time (UTC when it names no zone), or `+90s` after the tape's start."""
    if text is None:
        return None
    try:
        if text.startswith("+"):
            return first_ns + int(Decimal(text[1:].removesuffix("s")) * SECOND_NS)
        if text.isdigit():
            return int(text)
        at = dt.datetime.fromisoformat(text)
        at = at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at
        since = at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000
    except (ValueError, ArithmeticError) as error:
        raise ConfigFault(
            f"{option} {text}: give nanoseconds, an ISO time, or +SECONDS after the tape's start"
        ) from error
