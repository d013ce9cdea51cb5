"""What `kerb replay` and `kerb bench replay` do: tapes in, a report or a ratio out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model.data import QuoteTick

from desk.config.model import DeskConfig, InstrumentSection
from desk.errors import ConfigFault
from sim.clients import ScriptedRfq, read_script, script
from sim.crosses import crosses
from sim.feed import binance_instrument_of
from sim.instruments import BINANCE, KRAKEN, binance_instrument
from sim.replay import report as reports
from sim.replay.archive import ReplayArchive
from sim.replay.data import TapeData, generated, load
from sim.replay.run import CLIENTS_START_NS, run_desk
from sim.replay.settings import moment, opening_price, replay_config
from sim.replay.throughput import Throughput, run_bare
from sim.tape import TapeFault, TapeInfo, discover

RATE_PER_S = (
    0.8  # requests for quote, of the tape's time: a busy desk's, not a demo's that must show something within a minute
)
TAIL_S = 8.0  # clients stop asking this long before the tape ends, so that hedges can end as well


@dataclass(slots=True, frozen=True)
class Replay:
    """A replay ready to run: everything is read, nothing has happened."""

    tapes: Sequence[TapeInfo]
    data: TapeData
    config: DeskConfig
    requests: Sequence[ScriptedRfq]
    seed: int


@dataclass(slots=True, frozen=True)
class Ratio:
    """Replay beside the bare engine. Each pair ran one after the other; the best pair counts, the machine being what it is."""

    pairs: tuple[tuple[Throughput, Throughput], ...]  # (bare, desk)
    rfqs: int

    @property
    def best(self) -> tuple[Throughput, Throughput]:
        """The pair in which the desk did best."""
        return max(self.pairs, key=lambda pair: pair[1].events_per_s / pair[0].events_per_s)

    @property
    def ratio(self) -> float:
        """Events per second of the replay over those of the bare engine."""
        bare, desk = self.best
        return desk.events_per_s / bare.events_per_s


def prepare(
    tape: Path,
    *,
    config: Path | None = None,
    start: str | None = None,
    end: str | None = None,
    clients: Path | None = None,
    seed: int = 7,
    say: Callable[[str], None] = lambda sentence: None,
) -> Replay:
    """Read tapes, configuration and script. Every problem of a tape is said. Raises ConfigFault for what cannot be used."""
    try:
        tapes = discover(tape)
    except TapeFault as fault:
        raise ConfigFault(str(fault)) from fault
    for info in tapes:
        for sentence in (*info.notes, *(problem.message for problem in info.problems)):
            say(sentence)
    prices = {info.symbol: opening_price(info) for info in tapes}
    settings = replay_config(config, [binance_instrument_of(info) for info in tapes], prices, seed)
    tapes = _configured(tapes, settings, say)
    settings = _narrowed(settings, {info.symbol for info in tapes}, say)
    first_ns = min(info.first_ns for info in tapes)
    try:
        data = load(tapes, seed, from_ns=moment(start, first_ns, "--from"), to_ns=moment(end, first_ns, "--to"))
    except ValueError as fault:
        raise ConfigFault(str(fault)) from fault
    if data.clears:
        say(
            f"{data.clears} times a book could not be trusted and was cleared; the desk does not quote from it until it is whole"
        )
    return Replay(tapes, data, settings, _script(clients, data, settings, prices, seed), seed)


def replay(job: Replay, folder: Path | None = None, archive: Path | None = None) -> dict[str, Any]:
    """Run it. `folder`: keep `summary.json` and `events.jsonl` (every recorded fact, in order) there; `archive`: keep an archive there."""
    kept = ReplayArchive(archive, job.data.listings) if archive is not None else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    record = folder / "events.jsonl" if folder is not None else None
    tap = kept.tap if kept is not None else None
    result = run_desk(job.data, job.config, job.requests, job.seed, record=record, tap=tap)
    found = reports.summary(result, job.data, job.tapes, job.seed)
    if kept is not None:
        rows, dropped = kept.close()
        found["archive"] = {"rows": rows, "dropped": dropped}
    if folder is not None:
        reports.write(folder, found)
    return found


def prepare_generated(seconds: float, *, seed: int = 7, symbol: str = "BTC/USDT") -> Replay:
    """A replay of a generated market, for when there is no tape."""
    listing = binance_instrument(symbol)
    data = generated(symbol, seed, seconds)
    tick = next(event for event in data.events if isinstance(event, QuoteTick))
    prices = {symbol: tick.bid_price.as_decimal()}
    settings = replay_config(None, [listing], prices, seed)
    return Replay((), data, settings, _script(None, data, settings, prices, seed), seed)


def measure_ratio(source: Path | Replay, *, seed: int = 7, pairs: int = 3, end: str | None = None) -> Ratio:
    """Replay a tape and run the bare engine on the same loaded data, in turns. Both run once unmeasured before that."""
    job = prepare(source, seed=seed, end=end) if isinstance(source, Path) else source
    seed = job.seed
    run_bare(job.data, seed)
    run_desk(job.data, job.config, job.requests, seed)
    found = []
    for _ in range(pairs):
        bare = run_bare(job.data, seed)
        found.append((bare, run_desk(job.data, job.config, job.requests, seed).throughput))
    return Ratio(tuple(found), len(job.requests))


def _configured(tapes: Sequence[TapeInfo], config: DeskConfig, say: Callable[[str], None]) -> list[TapeInfo]:
    """Tapes whose instrument the desk trades; the others are said and left out."""
    wanted = set(config.direct_symbols)
    for info in tapes:
        if info.symbol not in wanted:
            say(f"{info.path.name}: {info.symbol} is not among the configured instruments; it is left out")
    kept = [info for info in tapes if info.symbol in wanted]
    if not kept:
        raise ConfigFault(
            f"the tapes show {', '.join(sorted(i.symbol for i in tapes))}, the configuration none of them"
        )
    return kept


def _narrowed(config: DeskConfig, symbols: set[str], say: Callable[[str], None]) -> DeskConfig:
    """The configuration with the venues and instruments that can be simulated; the others are said and left out."""
    for section in config.venues:
        if section.enabled and section.venue not in (BINANCE, KRAKEN):
            say(f"{section.venue} cannot be simulated from a tape yet; it is left out")
    for item in config.instruments:
        if not _playable(item, symbols):
            say(f"there is no tape of {item.symbol}; it is left out")
    narrowed = [
        msgspec.structs.replace(section, symbols=tuple(s for s in config.venue_symbols(section) if s in symbols))
        for section in config.venues
        if section.venue in (BINANCE, KRAKEN)
    ]
    lps = [
        msgspec.structs.replace(section, symbols=tuple(s for s in config.lp_symbols(section) if s in symbols))
        for section in config.lps
    ]
    return msgspec.structs.replace(
        config,
        instruments=tuple(
            item if set(item.synthetic) <= symbols else msgspec.structs.replace(item, synthetic=())
            for item in config.instruments
            if _playable(item, symbols)
        ),
        venues=tuple(section for section in narrowed if section.symbols),
        lps=tuple(section for section in lps if section.symbols),
    )


def _playable(item: InstrumentSection, symbols: set[str]) -> bool:
    """Whether the tapes show the instrument, or the legs it is priced through."""
    return set(item.synthetic) <= symbols if item.synthetic and not item.direct else item.symbol in symbols


def _script(
    path: Path | None, data: TapeData, config: DeskConfig, prices: dict[str, Decimal], seed: int
) -> Sequence[ScriptedRfq]:
    if path is not None:
        try:
            return read_script(path)
        except OSError as fault:
            raise ConfigFault(f"cannot read {path}: {fault.strerror}") from fault
        except ValueError as fault:
            raise ConfigFault(str(fault)) from fault
    duration_s = (data.last_ns - data.first_ns - CLIENTS_START_NS) / 1e9 - TAIL_S
    if duration_s <= 0:
        return ()
    prices = prices | {cross.symbol: cross.price for cross in crosses(prices)}
    return tuple(
        script(
            seed,
            sorted(prices.keys() & {item.symbol for item in config.instruments}),
            prices=prices,
            rate_per_s=RATE_PER_S,
            duration_s=duration_s,
        )
    )
