"""`kerb archive fetch`: the past of one instrument into the archive, asking the venue only for what is not there.

What is stored stays stored whenever this ends; the next run goes on from there. What the venue cannot tell is said with the reason, and the
rest is fetched all the same.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from adapters.clickhouse.place import Place

if TYPE_CHECKING:
    from adapters.ccxt.config import ExchangeConfig
    from adapters.ccxt.past.history import History
    from adapters.ccxt.past.told import Page, Span
    from adapters.clickhouse.history import HistoryStore, Series

MOST_ROWS = 10_000  # in memory before they are stored
MOST_S = 5.0  # what a death can lose
SAY_S = 1.0
END_MS = round(datetime(2262, 1, 1, tzinfo=UTC).timestamp() * 1_000)  # nanoseconds since 1970 fit 63 bits until then


class Fetched(msgspec.Struct, kw_only=True):
    """What a run did. `missing`: what of the asked span could not be had, and why. `until_ms`: where what has settled ends."""

    rows: int = 0
    requests: int = 0
    until_ms: int = 0
    missing: list[tuple[Any, str]] = []


async def fetch(
    series: Series, asked: Span, history: History, store: HistoryStore, say: Callable[[float, Fetched], None]
) -> Fetched:
    """Have `asked` of a series in the archive. `say(share done, so far)` hears of progress. Raises ArchiveError, HistoryFault."""
    from adapters.ccxt.past.told import TIMEFRAMES, HistoryRefused, Span
    from adapters.clickhouse.history import missing

    step = TIMEFRAMES[series.timeframe] if series.kind == "candles" else 1

    def whole_steps(end_ms: int) -> Span:
        return Span(-(-asked.start_ms // step) * step, end_ms // step * step)

    out = Fetched()
    wanted = whole_steps(min(asked.end_ms, time.time_ns() // 1_000_000))
    held = await asyncio.to_thread(store.held, series)
    if missing(wanted, held):
        wanted = whole_steps(min(wanted.end_ms, await history.settled_ms()))
    out.until_ms = wanted.end_ms
    gaps = missing(wanted, held)
    total, done = sum(gap.end_ms - gap.start_ms for gap in gaps), 0
    for gap in gaps:
        try:
            async with aclosing(_stored(series, _pages(series, gap, history), store, out)) as growing:
                async for whole in growing:
                    out.requests = history.requests
                    say((done + whole.end_ms - whole.start_ms) / total, out)
        except HistoryRefused as refused:
            out.missing.append((refused.span, str(refused)))
        done += gap.end_ms - gap.start_ms
    out.requests = history.requests
    return out


def _pages(series: Series, gap: Span, history: History) -> AsyncIterator[Page]:
    if series.kind == "candles":
        return history.candles(series.symbol, series.timeframe, gap)
    return history.trades(series.symbol, gap)


async def _stored(
    series: Series, pages: AsyncIterator[Page], store: HistoryStore, out: Fetched
) -> AsyncGenerator[Span]:
    """Store pages, several at a time; what is whole, as it grows."""
    from adapters.ccxt.past.told import Span

    rows: list[Any] = []
    whole: Span | None = None
    last = time.monotonic()

    async def flush() -> None:
        nonlocal rows, last
        if whole is None or whole.start_ms == whole.end_ms:
            return  # rows of a moment that is not known whole yet are kept for the pages to come
        await asyncio.to_thread(store.write, series, rows, whole)
        out.rows += len(rows)
        rows, last = [], time.monotonic()

    try:
        async for page in pages:
            rows += page.rows
            whole = page.whole if whole is None else Span(min(whole[0], page.whole[0]), max(whole[1], page.whole[1]))
            if len(rows) >= MOST_ROWS or time.monotonic() - last > MOST_S:
                await flush()
            yield whole
    finally:
        await flush()  # what came before a fault is whole, too


class _Moment(click.ParamType[int]):
    """A moment in UTC: a date, a date and time, or milliseconds since the epoch."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds since the epoch, of the years that the archive's times can hold."""
        if isinstance(value, int) or (isinstance(value, str) and value.isdigit() and len(value) > 8):
            ms = int(value)
        else:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                self.fail(f"{value!r} is no moment: 2024-08-08, 2024-08-08T23:54 (UTC) or milliseconds", param, ctx)
            ms = round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1_000)
        if not 0 <= ms < END_MS:
            self.fail(
                f"{value!r} is not between 1970 and {datetime.fromtimestamp(END_MS / 1_000, UTC).year}", param, ctx
            )
        return ms


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@click.command("fetch")
@click.argument("kind", type=click.Choice(["candles", "trades"]))
@click.argument("venue")
@click.argument("symbol")
@click.option("--from", "start_ms", type=_Moment(), required=True, help="UTC, as 2024-08-08 or 2024-08-08T23:54")
@click.option("--to", "end_ms", type=_Moment(), help="not included; default: now")
@click.option("--timeframe", default="1m", show_default=True, help="of candles: 1m to 1d")
@click.option(
    "--share", type=click.FloatRange(0.01, 1.0), default=0.5, show_default=True, help="of the venue's rate limit"
)
@click.option("--dsn", envvar="KERB__ARCHIVE__DSN", help="chdb:///path or clickhouse://user:pw@host/db")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="the desk's state folder (default: ./state when it is there)",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="where the venue is described (default: desk.toml of the state folder; without one, the venue itself)",
)
@click.option("--json", "as_json", is_flag=True, help="the result as one JSON object")
@click.pass_context
def fetch_command(
    context: click.Context,
    kind: str,
    venue: str,
    symbol: str,
    start_ms: int,
    end_ms: int | None,
    timeframe: str,
    share: float,
    dsn: str | None,
    state: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Fetch the past of an instrument from its venue: closed candles, or public trades. What is there is not asked for again."""
    from adapters.ccxt.hook import BadFrame
    from adapters.ccxt.past.history import HistoryFault
    from adapters.ccxt.past.told import HistoryRefused, Span
    from adapters.clickhouse.client import ArchiveError
    from adapters.clickhouse.history import Series

    asked = Span(start_ms, time.time_ns() // 1_000_000 if end_ms is None else end_ms)
    if asked.start_ms >= asked.end_ms:
        raise click.UsageError("--from is not before --to")
    place = Place(dsn, state)
    if config_file is None and place.state is not None and (place.state / "desk.toml").exists():
        config_file = place.state / "desk.toml"
    exchange = _exchange(context, venue.upper(), symbol, config_file)
    series = Series(kind, exchange.venue, symbol, timeframe if kind == "candles" else "")
    try:
        out = asyncio.run(_run(series, asked, exchange, share, place))
    except (ArchiveError, HistoryFault, BadFrame, HistoryRefused) as error:
        click.echo(f"kerb: archive: {error}", err=True)
        context.exit(3 if getattr(error, "retryable", False) else 1)
    _tell(series, Span(asked.start_ms, max(asked.start_ms, out.until_ms)), out, as_json)
    context.exit(1 if out.missing else 0)


async def _run(series: Series, asked: Span, exchange: ExchangeConfig, share: float, place: Place) -> Fetched:
    from adapters.ccxt.past.history import History
    from adapters.clickhouse.history import HistoryStore

    told = time.monotonic()

    def say(done: float, out: Fetched) -> None:
        nonlocal told
        if time.monotonic() - told > SAY_S:
            told = time.monotonic()
            click.echo(f"kerb: archive: {done:4.0%} of what was missing, {out.requests} requests", err=True)

    async with History(exchange, share=share) as history:
        history.tells(series.kind, series.timeframe, asked)
        return await fetch(series, asked, history, HistoryStore(place), say)


def _exchange(context: click.Context, venue: str, symbol: str, config_file: Path | None) -> ExchangeConfig:
    """The venue as the configuration describes it, else at its own hosts. No key is needed for what is public."""
    from adapters.ccxt.config import EXCHANGES, ExchangeConfig

    sections = context.obj("venues", config_file) if callable(context.obj) and config_file is not None else ()
    for section in sections:
        if section.venue == venue:
            rest, ws = section.rest_url or None, section.ws_url or None
            return ExchangeConfig(venue=venue, exchange=section.exchange, symbols=(symbol,), rest_url=rest, ws_url=ws)
    if venue.lower() not in EXCHANGES:
        known = sorted({section.venue for section in sections} | {name.upper() for name in EXCHANGES})
        raise click.UsageError(f"no venue {venue}: there are {', '.join(known)}")
    return ExchangeConfig(venue=venue, exchange=venue.lower(), symbols=(symbol,))


def _tell(series: Series, span: Span, out: Fetched, as_json: bool) -> None:
    lost = [{"from": _moment(part[0]), "to": _moment(part[1]), "reason": why} for part, why in out.missing]
    if as_json:
        named = {name: value for name, value in series._asdict().items() if value}
        spans = {"from": _moment(span.start_ms), "to": _moment(span.end_ms)}
        click.echo(json.dumps({**named, **spans, "rows": out.rows, "requests": out.requests, "missing": lost}))
        return
    what = " ".join(part for part in (series.venue, series.symbol, series.timeframe, series.kind) if part)
    told = (
        f"{_moment(span.start_ms)} to {_moment(span.end_ms)} is there"
        if span.end_ms > span.start_ms
        else "nothing of it has ended yet"
    )
    click.echo(f"{what}: {out.rows} rows in {out.requests} requests" + ("" if lost else f"; {told}"))
    for part in lost:
        click.echo(f"kerb: archive: not to be had: {part['from']} to {part['to']}: {part['reason']}", err=True)
