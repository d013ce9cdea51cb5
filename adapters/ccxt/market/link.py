"""Market data of one exchange, in plain asyncio: what a venue says, exactly and losslessly, or a CLEAR that says why not.

Each (symbol, stream) has a driver that subscribes through ccxt's `watch_*`, then only waits for a reason to do it again: connection lost,
gap, checksum, crossed or stuck book, silence. Data never come from what `watch_*` returns, but from the hook. A book in trouble is
cleared at once, and its SNAPSHOT says that it is whole again. Reconnects are jittered and backed off; nothing here ends by an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from contextvars import ContextVar
from decimal import Decimal
from time import monotonic
from typing import Any, Protocol, cast

import msgspec

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded, PerpetualMarketDialect
from adapters.ccxt.events import (
    SPOT_STREAMS,
    BookEvent,
    BookEventKind,
    FundingEvent,
    LiquidationEvent,
    QuoteEvent,
    Stream,
    StreamStatus,
    TradeEvent,
)
from adapters.ccxt.hook import Counters, attach
from adapters.ccxt.limits.purse import purse_of
from adapters.ccxt.market.audit import Audit
from adapters.ccxt.market.books import BinanceBook, VenueBook
from adapters.ccxt.market.lag import Lag
from adapters.ccxt.market.witness import Witness
from adapters.ccxt.pace import PATIENT_ATTEMPTS, YOUNG_S, backoff_s
from adapters.ccxt.symbols import Market, market_of
from adapters.ccxt.venues.registry import market_dialect

log = logging.getLogger(__name__)

WATCHDOG_S = 0.25
FIRST_MESSAGE_S = 10.0  # a subscription that brings nothing for so long is made again,
CLOSE_S = 5.0  # a socket that does not answer its closing is dropped
AGAIN_MESSAGE_S = 3.0  # and one of a stream that has brought something before
SNAPSHOT_S = (
    60.0  # how long a book whose changes come may wait for its REST snapshot, which may have to wait for the rate limit
)
HEADLESS_S = 0.5  # how long changes of a book may come ahead of its snapshot: stragglers of the subscription before
LATE_S = 5.0  # behind its quickest message by more than this (or the age it may have), a book is one of another time
CONFIRM_S = 1.0  # how often the best prices of a quiet book are told again, while the venue proves it current


class MarketSink(Protocol):
    """Who a market link talks to; called synchronously on the loop thread."""

    def on_markets(self, markets: list[Market]) -> None:
        """The venue's rules of our symbols are known (again): before any data."""

    def on_book(self, event: BookEvent) -> None:
        """Levels of a book."""

    def on_trade(self, event: TradeEvent) -> None:
        """A public trade."""

    def on_quote(self, event: QuoteEvent) -> None:
        """Best prices."""

    def on_funding(self, event: FundingEvent) -> None:
        """Mark price and funding rate of a perpetual."""

    def on_liquidation(self, event: LiquidationEvent) -> None:
        """A position in a perpetual that was closed by force."""


class StreamState:
    """One (symbol, stream): its health, and the wish to restore it."""

    def __init__(self, symbol: str, stream: Stream) -> None:
        self.symbol = symbol
        self.stream = stream
        self.status = StreamStatus.CONNECTING
        self.reason = ""
        self.resyncs = 0
        self.client: Any = None  # the ccxt client that was asked for it, and that its messages come through
        self.subscribed = False  # the venue has answered, if only with what we drop (Kraken's snapshot of old trades)
        self.heard_s = monotonic()  # any message of it,
        self.last_s = monotonic()  # one that says how things are now: a book's must not be a repetition
        self.told_s = 0.0  # when the sink heard of a book
        self.lag = Lag()
        self.headless_s: float | None = None  # since when changes of a book come that has not begun
        self.began_s = monotonic()
        self.proven = False  # it has been live before
        self.hard = False  # the socket itself is suspect
        self.dropped = False  # it went with its socket
        self.leaving: Any = None  # the ccxt client at which it is being unsubscribed
        self.left = asyncio.Event()  # that client is gone
        self.wake = asyncio.Event()


_SUBSCRIBING: ContextVar[StreamState | None] = ContextVar("subscribing", default=None)


def _asked(client: Any) -> None:
    """Remember at which client a stream is subscribed before it brings anything: it may never."""
    if (state := _SUBSCRIBING.get()) is not None:
        state.client = client


class MarketLink:
    """All streams of all configured symbols of one exchange. `start` returns at once; `stop` ends everything it started."""

    def __init__(self, config: ExchangeConfig, sink: MarketSink, rng: random.Random | None = None) -> None:
        self.config = config
        self._tops: dict[str, QuoteEvent] = {}  # by symbol, told last, of a venue that has no stream of them
        self._witnesses: dict[str, Witness] = {}
        self.counters = Counters()
        self.markets: dict[str, Market] = {}
        self.connected = False
        self.reason = "not started"
        self._sink = sink
        self._rng = rng or random.Random()
        self._dialect = market_dialect(config.exchange)
        self._purse = purse_of(config)
        self._read = getattr(self._dialect, "frame", None)  # a venue may do without
        self._streams: tuple[Stream, ...] = getattr(self._dialect, "streams", SPOT_STREAMS)
        self._derives_quotes = Stream.QUOTES not in self._streams  # best prices are those of the book
        self._by_id: dict[str, Market] = {}
        self._books: dict[str, VenueBook] = {}
        self._states: dict[tuple[str, Stream], StreamState] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._exchange: Any = None
        self._closing: set[asyncio.Future[None]] = set()
        self._stopping = False
        self._audit = Audit(
            config.venue,
            config.audit_s,
            ask=lambda symbol, levels: self._dialect.whole_book(self._exchange, symbol, levels),
            wrong=self._audited,
        )

    def start(self) -> None:
        """Connect in the background, for ever."""
        self._tasks.append(asyncio.create_task(self._run(), name=f"{self.config.venue} market data"))

    async def stop(self) -> None:
        """Leave the venue; every book is cleared."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for closing in self._closing:
            closing.cancel()
        for symbol in self._books:
            self._break(symbol, "stopped")
        self.connected = False
        if self._exchange is not None:
            await self._exchange.close()

    def health(self) -> dict[str, Any]:
        """Per stream: status, age, resyncs, reason; and the counters. For operators and the desk."""
        now = monotonic()
        return {
            "venue": self.config.venue,
            "integrity": getattr(self._dialect, "integrity", "by the venue's own rules"),  # of its books
            "connected": self.connected,
            "reason": self.reason,
            "streams": {
                f"{state.symbol}.{state.stream}": {
                    "status": str(state.status),
                    "age_ms": int((now - state.last_s) * 1000),
                    "resyncs": state.resyncs,
                    "reason": state.reason,
                }
                for state in self._states.values()
            },
            "audits": {symbol: msgspec.structs.asdict(tally) for symbol, tally in self._audit.tallies.items()},
            "budget": {} if self._purse is None else self._purse.budget.health(),
            "counters": {name: getattr(self.counters, name) for name in self.counters.__struct_fields__},
        }

    def status(self, symbol: str, stream: Stream = Stream.BOOK) -> StreamStatus:
        """Whether a stream can be relied on; a book is priced from only while LIVE."""
        state = self._states.get((symbol, stream))
        return StreamStatus.CONNECTING if state is None else state.status

    def replay_book(self, symbol: str) -> None:
        """Tell the sink the whole book of a symbol again, if it is whole: the first snapshot came before anybody listened."""
        book = self._books.get(symbol)
        if book is not None and (event := book.replay()) is not None:
            self._sink.on_book(event)

    async def _run(self) -> None:
        """Learn the markets, then drive every stream."""
        attempt = 0
        while not self.markets:
            try:
                await self._load()
            except Exception as e:
                self.reason = f"cannot load markets: {type(e).__name__}: {e}"[:200]
                log.warning("%s: %s", self.config.venue, self.reason)
                if isinstance(e, ValueError):  # the venue has answered, and not with our symbols: no outage
                    attempt = max(attempt, PATIENT_ATTEMPTS)
                await asyncio.sleep(backoff_s(attempt, self._rng))
                attempt += 1
        self._sink.on_markets(list(self.markets.values()))
        drivers = (self._drive(state) for state in self._states.values())
        await asyncio.gather(self._watch(), self._audit.run(self._books.values), *drivers)

    async def _load(self) -> None:
        """The instance, its hook, the markets of our symbols with our own fees."""
        exchange = self._made()
        if self._purse is not None:
            self._purse.attach(exchange, throttled=False)
        await exchange.load_markets()
        missing = [symbol for symbol in self.config.symbols if symbol not in exchange.markets]
        if missing:
            raise ValueError(f"{self.config.venue} does not list {', '.join(missing)}")
        fees = await self._taker_fees()
        rows = {symbol: exchange.markets[symbol] for symbol in self.config.symbols}
        if (completed := getattr(self._dialect, "rows", None)) is not None:
            rows = await completed(exchange, rows)
        self.prepare({symbol: market_of(row, taker=fees.get(symbol)) for symbol, row in rows.items()})

    def _made(self) -> Any:
        """The ccxt instance, hooked."""
        if self._exchange is None:
            self._exchange = self._dialect.create(self.config)
            self._exchange.on_snapshot = self._on_snapshot
            self._exchange.on_pieces = self._on_pieces
            hooks = (self._on_message, self._on_down, self._on_frame)
            attach(self._exchange, self.counters, *hooks, self._rng, _asked, self.config.dials)
        return self._exchange

    def prepare(self, markets: dict[str, Market]) -> None:
        """Empty books and streams of these markets. What follows on the hook is applied to them."""
        self._made()
        self._by_id = {market.market_id: market for market in markets.values()} | markets
        self._books = {symbol: self._dialect.book(market, self.config.depth) for symbol, market in markets.items()}
        self._states = {(symbol, stream): StreamState(symbol, stream) for symbol in markets for stream in self._streams}
        self._witnesses = {symbol: Witness() for symbol in markets}
        self.markets = markets

    async def _taker_fees(self) -> dict[str, Decimal]:
        """By symbol: as configured, else the account's own; where neither is known the list price stays."""
        symbols = self.config.symbols
        if self.config.taker_fee_bps is not None:
            return dict.fromkeys(symbols, self.config.taker_fee_bps / 10_000)
        try:
            return await self._dialect.taker_fees(self._exchange, symbols)
        except Exception as e:
            log.warning("%s: own fees are not known (%s): list prices used", self.config.venue, e)
            return {}

    async def _drive(self, state: StreamState) -> None:
        """Subscribe, wait for trouble, forget, again."""
        attempt = 0
        while True:
            state.wake.clear()
            state.hard, state.subscribed, state.dropped, state.headless_s = False, False, False, None
            state.began_s = state.heard_s = state.last_s = monotonic()
            state.lag = Lag()
            watch = asyncio.ensure_future(self._subscribe(state))
            wake = asyncio.create_task(state.wake.wait())
            try:
                await asyncio.wait((watch, wake), return_when=asyncio.FIRST_COMPLETED)
                if watch.done() and not watch.cancelled() and watch.exception() is None:
                    state.subscribed = True
                    await wake
                    if state.dropped or monotonic() - state.began_s > YOUNG_S:
                        attempt = 0  # sockets have a pace of their own; what was soon wrong again may stay so
                elif watch.done():
                    error = asyncio.CancelledError() if watch.cancelled() else watch.exception()
                    self._lose(state, f"{type(error).__name__}: {error}"[:200])
            finally:
                watch.cancel()
                wake.cancel()
                with contextlib.suppress(BaseException):
                    await watch  # its exception is told already, or is our own cancellation
            state.resyncs += 1
            self.counters.resyncs += 1
            await self._forget(state)
            await asyncio.sleep(backoff_s(attempt, self._rng))
            attempt += 1

    async def _subscribe(self, state: StreamState) -> None:
        """Returns with the first message; raises what ccxt raises."""
        _SUBSCRIBING.set(state)
        await self._dialect.subscribe(self._exchange, state.symbol, state.stream, self.config.depth)

    async def _forget(self, state: StreamState) -> None:
        """Leave no trace of the broken subscription, in ccxt or at the venue."""
        client, state.client = state.client, None
        if client is None:
            return
        alive = self._exchange.clients.get(client.url) is client and not client.closed()
        try:
            if alive and not state.hard and getattr(self._dialect, "forgets", True):
                await self._leave(state, client)
            elif alive:
                self._exchange.clients.pop(client.url, None)
                self.counters.reconnects += 1
                self._on_down(client, state.reason)  # the other streams of this socket
                self._closing.add(asyncio.ensure_future(_close(client)))  # nobody waits: its other end may be gone
                self._closing = {task for task in self._closing if not task.done()}
        except Exception as e:
            log.warning("%s %s.%s: while resubscribing: %s", self.config.venue, state.symbol, state.stream, e)

    async def _leave(self, state: StreamState, client: Any) -> None:
        """End a subscription at the venue, unless its socket goes first."""
        state.leaving = client
        state.left.clear()
        leave = asyncio.ensure_future(
            self._dialect.forget(self._exchange, client, state.symbol, state.stream, self.config.depth)
        )
        gone = asyncio.ensure_future(state.left.wait())
        try:
            await asyncio.wait((leave, gone), return_when=asyncio.FIRST_COMPLETED)
            if leave.done():
                leave.result()
        finally:
            state.leaving = None
            for task in (leave, gone):
                task.cancel()
            await asyncio.gather(leave, gone, return_exceptions=True)

    async def _watch(self) -> None:
        """Silence, missing snapshots, and ccxt's own growing copies of the books."""
        while True:
            await asyncio.sleep(WATCHDOG_S)
            try:
                for state in self._states.values():
                    self._check(state, monotonic())
                for book in self._exchange.orderbooks.values():
                    book.limit()
            except Exception:
                self.counters.handler_faults += 1
                log.exception("%s: watchdog", self.config.venue)

    def _check(self, state: StreamState, now: float) -> None:
        """Each stream has an age that it may not pass; where it is 0 (trades, if not configured), it may be silent for ever."""
        max_age_s = self.config.max_age_s(state.stream)
        if state.wake.is_set() or not max_age_s:
            return
        if state.status is not StreamStatus.LIVE:
            wait_s = AGAIN_MESSAGE_S if state.proven else FIRST_MESSAGE_S
            if state.headless_s is not None and now - state.headless_s > HEADLESS_S:
                self._lose(state, f"changes for {HEADLESS_S:g} s and no snapshot before them")
            elif now - state.began_s > (SNAPSHOT_S if self._awaits_snapshot(state, now - wait_s) else wait_s):
                reason = f"nothing within {wait_s:g} s of subscribing"
                self._lose(state, reason, hard=self._socket_silent(state, now))
        elif now - state.last_s > max_age_s:
            reason = f"stale: silent for {(now - state.last_s) * 1000:.0f} ms"
            self._lose(state, reason, hard=self._socket_silent(state, now))
        elif (behind_s := state.lag.behind_s()) > max(LATE_S, max_age_s):
            reason = f"late: what comes is {behind_s * 1000:.0f} ms behind the quickest that came"
            self._lose(state, reason, hard=True)  # the queue is left behind with the socket
        elif state.stream is Stream.BOOK and (reason := self._witnesses[state.symbol].verdict(now)):
            self._lose(state, reason)

    def _awaits_snapshot(self, state: StreamState, since_s: float) -> bool:
        """Whether a book gathers its changes, one at least since a moment, until its REST snapshot is there. To ask for another one would
        only put it at the end of the queue."""
        gathers = state.stream is Stream.BOOK and isinstance(self._books[state.symbol], BinanceBook)
        return gathers and state.heard_s > max(since_s, state.began_s)

    def _socket_silent(self, state: StreamState, now: float) -> bool:
        """Whether no other stream of this socket had a message lately: then the socket is suspect, not only the stream.

        Lately is most of the age a book may have: streams that fall silent together had their last messages at about the same time.
        """
        others = (other for other in self._states.values() if other is not state and other.client is state.client)
        return all(now - other.heard_s > 0.8e-3 * self.config.max_age_ms for other in others)

    def _on_frame(self, client: Any, text: Any) -> bool:
        """Take a frame from its text, if it belongs to streams that ccxt has subscribed: it waits for nothing more of them."""
        pieces = self._read(text) if self._read is not None and type(text) is str else None
        if not pieces:
            return False
        routes = []
        for piece in pieces:
            market = self._by_id.get(piece.market_id)
            if market is None or not (state := self._states[market.symbol, piece.stream]).subscribed:
                return False
            routes.append((state, market, piece))
        for state, market, piece in routes:
            self._take(client, state, market, piece)
        return True

    def _on_message(self, client: Any, message: Any) -> None:
        """Every decoded frame, before ccxt's own handler."""
        for piece in self._dialect.split(message):
            market = self._by_id.get(piece.market_id)
            if market is not None:
                self._take(client, self._states[market.symbol, piece.stream], market, piece)

    def _on_pieces(self, client: Any, pieces: list[Decoded]) -> None:
        """What a dialect takes from ccxt's own handling of a message, within it: an error of ours must not end that."""
        for piece in pieces:
            if (market := self._by_id.get(piece.market_id)) is None:
                continue
            try:
                self._take(client, self._states[market.symbol, piece.stream], market, piece)
            except Exception as e:
                self.counters.frames_bad += 1
                log.warning("%s: bad message: %s: %s", self.config.venue, type(e).__name__, e)

    def _take(self, client: Any, state: StreamState, market: Market, piece: Decoded) -> None:
        """One piece to its book or its listeners."""
        state.client = client
        state.heard_s = monotonic()
        if piece.stream is not Stream.BOOK:
            state.last_s = state.heard_s
        match piece.stream:
            case Stream.BOOK:
                self._book_piece(state, market, piece)
            case Stream.TRADES:
                self._live(state)
                for trade in self._dialect.trades(market, piece.raw):
                    self._sink.on_trade(trade)
            case Stream.QUOTES:
                self._live(state)
                quote = self._dialect.quote(market, piece.raw)
                self._quoted(market.symbol, quote)
                self._sink.on_quote(quote)
            case Stream.FUNDING:
                self._live(state)
                self._sink.on_funding(cast("PerpetualMarketDialect", self._dialect).funding(market, piece.raw))
            case Stream.LIQUIDATIONS:
                self._live(state)
                for closed in cast("PerpetualMarketDialect", self._dialect).liquidations(market, piece.raw):
                    self._sink.on_liquidation(closed)

    def _book_piece(self, state: StreamState, market: Market, piece: Decoded) -> None:
        book = self._books[market.symbol]
        if state.wake.is_set():
            return  # being restored: what comes on the old subscription is not for the new book
        try:
            event = self._dialect.book_event(book, piece.raw)
            if event is not None or not book.late:
                state.last_s = state.heard_s
                self._confirm(state, event)
            if book.headless and state.headless_s is None:
                state.headless_s = state.heard_s
            self._emit(state, book, event)
        except Exception as e:
            self._lose(state, f"bad message: {e}"[:200])  # a change is lost: the book is not whole
            raise

    def _on_snapshot(self, symbol: str, raw: Any) -> None:
        """A raw REST snapshot passed by, on its way into ccxt's own book."""
        state, book = self._states.get((symbol, Stream.BOOK)), self._books.get(symbol)
        if state is None or not isinstance(book, BinanceBook) or state.wake.is_set():
            return
        try:
            self._emit(state, book, book.snapshot(raw))
        except Exception as e:
            self.counters.frames_bad += 1
            self._lose(state, f"bad snapshot: {e}"[:200])

    def _emit(self, state: StreamState, book: VenueBook, event: BookEvent | None) -> None:
        if event is not None:
            self._sink.on_book(event)
            if event.kind is BookEventKind.SNAPSHOT:
                self._live(state)
            self._audit.saw(event)
            witness = self._witnesses[state.symbol]
            if witness.doubts:  # depth comes in batches, a moment after the best prices it explains
                witness.changed(book.levels.best_bid, book.levels.best_ask, monotonic())
            if self._derives_quotes:
                self._tell_best(state.symbol, book, event)
        if book.trouble:
            self._lose(state, book.trouble)

    def _confirm(self, state: StreamState, event: BookEvent | None) -> None:
        """A book that the venue proves current without a change of it: tell its best prices again, or others take it for stale.

        Only of a venue that has no stream of best prices: where there is one, it is the proof, and is told as it comes.
        """
        top = self._tops.get(state.symbol)
        if event is not None:
            state.told_s = state.heard_s
            if event.kind is BookEventKind.UPDATE:
                state.lag.heard(event.ts_event_ns, state.heard_s)
        elif top is not None and state.heard_s - state.told_s >= CONFIRM_S:
            state.told_s = state.heard_s
            self._sink.on_quote(top)

    def _tell_best(self, symbol: str, book: VenueBook, event: BookEvent) -> None:
        """The best prices of a book, when they changed, of a venue that has no stream of them."""
        if event.kind is BookEventKind.CLEAR:
            self._tops.pop(symbol, None)
            return
        top, known = book.levels.top(), self._tops.get(symbol)
        if top is None or (known is not None and (known.bid, known.bid_size, known.ask, known.ask_size) == top):
            return
        bid, bid_size, ask, ask_size = top
        quote = QuoteEvent(
            symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, ts_event_ns=event.ts_event_ns
        )
        self._tops[symbol] = quote
        self._sink.on_quote(quote)

    def _quoted(self, symbol: str, quote: QuoteEvent) -> None:
        """The venue's own best prices are a witness of its book."""
        levels, now = self._books[symbol].levels, monotonic()
        if self._witnesses[symbol].quoted(quote, levels.best_bid, levels.best_ask, now):
            self._states[symbol, Stream.BOOK].last_s = now

    def _live(self, state: StreamState) -> None:
        if state.status is StreamStatus.LIVE:
            return
        state.status, state.reason, state.proven = StreamStatus.LIVE, "", True
        if state.stream is Stream.BOOK:
            self._witnesses[state.symbol].forget()
        if not self.connected:
            self.connected, self.reason = True, ""

    def _lose(self, state: StreamState, reason: str, *, hard: bool = False) -> None:
        """A stream cannot be relied on: say so now, restore it soon."""
        if state.stream is Stream.BOOK:
            self._break(state.symbol, reason)
        if state.status is StreamStatus.LIVE:
            log.warning("%s %s.%s lost: %s", self.config.venue, state.symbol, state.stream, reason)
        state.status, state.reason = StreamStatus.DOWN, reason
        state.hard = state.hard or hard
        state.wake.set()
        if not any(other.status is StreamStatus.LIVE for other in self._states.values()):
            self.connected, self.reason = False, reason

    def _break(self, symbol: str, reason: str) -> None:
        """Empty a book, once, with its reason."""
        if (event := self._books[symbol].break_(reason)) is not None:
            self._sink.on_book(event)

    def _audited(self, symbol: str, reason: str) -> None:
        """An audit found a wrong book. When nothing came over its socket meanwhile, it is the socket that is dead."""
        state, now = self._states[symbol, Stream.BOOK], monotonic()
        sharing = (other for other in self._states.values() if other.client is state.client)
        self._lose(state, reason, hard=all(now - other.heard_s > self._audit.window_s for other in sharing))

    def _on_down(self, client: Any, reason: str) -> None:
        """A socket is gone, and every stream on it."""
        for state in self._states.values():
            if state.leaving is client:
                state.left.set()
        states = () if self._stopping else self._states.values()
        lost = [state for state in states if state.client is client or (state.client is None and state.subscribed)]
        if lost and getattr(client, "isConnected", True):  # a dial that failed loses no socket,
            client.isConnected = False  # and one that is lost is told of more than once
            self.counters.reconnects += 1
        for state in lost:
            state.dropped = True
            self._lose(state, f"disconnected: {reason}")


async def _close(client: Any) -> None:
    """Close a socket that may not answer."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), CLOSE_S)
