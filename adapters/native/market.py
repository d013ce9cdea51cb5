"""Market data of one exchange through the engine's own adapter, said as `adapters.ccxt.market.link` says it.

What the adapter promises of a book it keeps to itself (README: which venue's gaps and checksums it sees). What we hold to it from outside:

1. A book begins with a snapshot, is cut to the depth that was subscribed after every change, and is given up when it crosses, when its
   numbers do not fit the market, when the venue's own best prices contradict it (`Witness`) or when it is silent for `max_age_ms`: a CLEAR
   with the reason in words, then a new subscription, jittered and backed off, until a snapshot comes.
2. Prices, sizes and instruments are the same ints and the same terms that the ccxt adapter would give: nothing behind it knows which it is.
3. Each book is held to the venue's own REST snapshot every `audit_s` (`Audit`): most adapters do not see a lost update themselves.
4. An adapter that cannot connect is made anew, for ever; a symbol that the venue does not list is told by name.
"""

from __future__ import annotations

import asyncio
import logging
import random
from time import monotonic
from typing import Any

import numpy as np
from msgspec.structs import asdict, replace
from nautilus_trader.common.component import LiveClock
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.messages import (
    RequestOrderBookSnapshot,
    SubscribeOrderBook,
    SubscribeQuoteTicks,
    SubscribeTradeTicks,
    UnsubscribeOrderBook,
    UnsubscribeQuoteTicks,
    UnsubscribeTradeTicks,
)
from nautilus_trader.model.data import OrderBookDelta, OrderBookDeltas, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide, BookAction, BookType, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.instruments import Instrument

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEvent, BookEventKind, QuoteEvent, Stream, StreamStatus, TradeEvent
from adapters.ccxt.hook import BadFrame, Counters
from adapters.ccxt.instruments import Scale
from adapters.ccxt.market.audit import Audit, Depth
from adapters.ccxt.market.books import VenueBook
from adapters.ccxt.market.link import AGAIN_MESSAGE_S, FIRST_MESSAGE_S, WATCHDOG_S, MarketSink
from adapters.ccxt.market.witness import Witness
from adapters.ccxt.pace import backoff_s
from adapters.ccxt.symbols import Market
from adapters.native.catalogue import DEPTHS, DERIVES_TOP
from adapters.native.inner import DATA, RESPONSE, Inner
from adapters.native.symbols import Symbols
from adapters.native.venues import data_client

log = logging.getLogger(__name__)

CONNECT_S = 30.0
STREAMS = (Stream.BOOK, Stream.TRADES, Stream.QUOTES)
DELETE, CLEAR = int(BookAction.DELETE), int(BookAction.CLEAR)
BUY, BUYER = int(OrderSide.BUY), int(AggressorSide.BUYER)


class NativeBook(VenueBook):
    """A book as the adapter tells it."""

    def take(self, deltas: OrderBookDeltas, levels: np.ndarray, *, snapshot: bool) -> BookEvent | None:
        """SNAPSHOT or UPDATE; None while there is no book; raises BadFrame when it crosses."""
        if not snapshot and not self.whole:
            return None
        if snapshot:
            self.levels.clear()
        self.sequence = deltas.sequence
        self.levels.put(levels)
        changed = self._cut(levels, self.depth)
        if self.levels.crossed:
            raise BadFrame(self._crossed())
        self.whole = True
        kind = BookEventKind.SNAPSHOT if snapshot else BookEventKind.UPDATE
        return self._event(kind, self.levels.array() if snapshot else changed, deltas.ts_event)


class _State:
    """One (symbol, stream)."""

    def __init__(self) -> None:
        self.status = StreamStatus.CONNECTING
        self.reason = ""
        self.resyncs = 0
        self.since_s = self.last_s = monotonic()


class NativeMarket:
    """As `MarketLink`: all streams of all configured symbols; `start` returns at once, `stop` ends everything it started."""

    def __init__(
        self,
        config: ExchangeConfig,
        sink: MarketSink,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: LiveClock,
        trader_id: TraderId,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config
        self.counters = Counters()
        self.markets: dict[str, Market] = {}
        self.connected = False
        self.reason = "not started"
        self._sink = sink
        self._rng = rng or random.Random()
        self._loop, self._clock, self._trader_id = loop, clock, trader_id
        self._client: Any = None
        self._derives_top = config.exchange in DERIVES_TOP
        self._tops: dict[str, tuple[int, int, int, int]] = {}
        self._symbols = Symbols(config.venue, config.symbols)
        self._scales: dict[str, tuple[int, int]] = {}  # raw units of a tick and of a lot, by symbol
        self._books: dict[str, NativeBook] = {}
        self._witnesses: dict[str, Witness] = {}
        self._states: dict[tuple[str, Stream], _State] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._restoring: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[UUID4, asyncio.Future[OrderBookDeltas]] = {}
        self._audit = Audit(config.venue, config.audit_s, ask=self._whole_book, wrong=self._lose)

    # -- the link's face

    def start(self) -> None:
        """Connect in the background, for ever."""
        self._tasks.append(asyncio.create_task(self._run(), name=f"{self.config.venue} market data"))

    async def stop(self) -> None:
        """Leave the venue; every book is cleared."""
        tasks = [*self._tasks, *self._restoring.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for symbol in self._books:
            self._break(symbol, "stopped")
        self.connected = False
        await self._leave()

    def health(self) -> dict[str, Any]:
        """As `MarketLink.health`."""
        now = monotonic()
        return {
            "venue": self.config.venue,
            "integrity": "by the engine's adapter, and by audits",  # of its books
            "connected": self.connected,
            "reason": self.reason,
            "streams": {
                f"{symbol}.{stream}": {
                    "status": str(state.status),
                    "age_ms": int((now - state.last_s) * 1000),
                    "resyncs": state.resyncs,
                    "reason": state.reason,
                }
                for (symbol, stream), state in self._states.items()
            },
            "audits": {symbol: asdict(tally) for symbol, tally in self._audit.tallies.items()},
            "counters": {name: getattr(self.counters, name) for name in self.counters.__struct_fields__},
        }

    def status(self, symbol: str, stream: Stream = Stream.BOOK) -> StreamStatus:
        """As `MarketLink.status`."""
        state = self._states.get((symbol, stream))
        return StreamStatus.CONNECTING if state is None else state.status

    def replay_book(self, symbol: str) -> None:
        """As `MarketLink.replay_book`."""
        book = self._books.get(symbol)
        if book is not None and (event := book.replay()) is not None:
            self._sink.on_book(event)

    # -- the adapter's life

    async def _run(self) -> None:
        attempt = 0
        while not self.markets:
            try:
                await self._connect()
            except Exception as e:
                self.reason = f"cannot connect: {type(e).__name__}: {e}"[:200]
                log.warning("%s: %s", self.config.venue, self.reason)
                await self._leave()
                await asyncio.sleep(backoff_s(attempt, self._rng))
                attempt += 1
        self._sink.on_markets(list(self.markets.values()))
        for symbol in self.markets:
            await self._subscribe(symbol)
        audits = asyncio.create_task(self._audit.run(self._books.values), name=f"{self.config.venue} audits")
        self._tasks.append(audits)
        await self._watch()

    async def _connect(self) -> None:
        """An adapter on a bus of its own, its instruments, and from them our markets."""
        inner = Inner(self._trader_id, self._clock)
        instruments: list[Instrument] = []

        def heard(data: Any) -> None:
            if isinstance(data, Instrument):
                inner.cache.add_instrument(data)
                if not self.markets:
                    instruments.append(data)
            else:
                self._heard(data)

        inner.on(DATA, heard)
        inner.on(RESPONSE, self._answered)
        self._client = data_client(self.config, self._loop, inner.msgbus, inner.cache, self._clock)
        async with asyncio.timeout(CONNECT_S):
            await self._client._connect()
        found = {market.symbol: market for row in instruments if (market := self._symbols.learn(row)) is not None}
        if missing := [symbol for symbol in self.config.symbols if symbol not in found]:
            raise ValueError(f"{self.config.venue} does not list {', '.join(missing)}")
        self._prepare(found)

    def _prepare(self, found: dict[str, Market]) -> None:
        fee = self.config.taker_fee_bps
        for symbol, market in found.items():
            if fee is not None:
                taker = fee / 10_000
                found[symbol] = replace(market, taker_fee=taker, maker_fee=min(market.maker_fee, taker))
            price_raw, _, size_raw, _ = Scale(market).raw
            self._scales[symbol] = (price_raw, size_raw)
            self._books[symbol] = NativeBook(market, DEPTHS[self.config.exchange])
            self._witnesses[symbol] = Witness()
            self._states |= {(symbol, stream): _State() for stream in STREAMS}
        self.markets = found

    async def _leave(self) -> None:
        """Disconnect an adapter, whatever state it is in, and end what it left running."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(5.0):
                await client._disconnect()
        except Exception as e:
            log.warning("%s: while disconnecting: %s: %s", self.config.venue, type(e).__name__, e)
        left = [task for task in client._tasks if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _command(self, make: Any, symbol: str, **more: Any) -> Any:
        common = {
            "client_id": self._client.id,
            "venue": None,
            "command_id": UUID4(),
            "ts_init": self._clock.timestamp_ns(),
        }
        return make(instrument_id=self._symbols.theirs(symbol), params={}, **common, **more)

    async def _subscribe(self, symbol: str) -> None:
        book = {"book_data_type": OrderBookDelta, "book_type": BookType.L2_MBP, "depth": DEPTHS[self.config.exchange]}
        await self._client._subscribe_order_book_deltas(
            self._command(SubscribeOrderBook, symbol, managed=False, **book)
        )
        if not self._derives_top:
            await self._client._subscribe_quote_ticks(self._command(SubscribeQuoteTicks, symbol))
        await self._client._subscribe_trade_ticks(self._command(SubscribeTradeTicks, symbol))
        for stream in STREAMS:
            self._states[symbol, stream].since_s = monotonic()

    async def _unsubscribe(self, symbol: str) -> None:
        await self._client._unsubscribe_order_book_deltas(
            self._command(UnsubscribeOrderBook, symbol, book_data_type=OrderBookDelta)
        )
        if not self._derives_top:
            await self._client._unsubscribe_quote_ticks(self._command(UnsubscribeQuoteTicks, symbol))
        await self._client._unsubscribe_trade_ticks(self._command(UnsubscribeTradeTicks, symbol))

    async def _restore(self, symbol: str) -> None:
        """Subscribe a symbol anew until its book is whole again."""
        attempt, book = 0, self._books[symbol]
        while not book.whole:
            self.counters.resyncs += 1
            for stream in STREAMS:
                self._states[symbol, stream].resyncs += 1
            try:
                async with asyncio.timeout(AGAIN_MESSAGE_S):
                    await self._unsubscribe(symbol)
                    await self._subscribe(symbol)
                    while not book.whole:
                        await asyncio.sleep(WATCHDOG_S)
            except Exception as e:
                log.warning("%s %s: while resubscribing: %s: %s", self.config.venue, symbol, type(e).__name__, e)
            await asyncio.sleep(backoff_s(attempt, self._rng))
            attempt += 1

    # -- silence, contradiction, and a look at the whole book

    async def _whole_book(self, symbol: str, levels: int) -> Depth:
        """The venue's whole book by REST, through the adapter; it has no id that the stream's could be held to."""
        ours = UUID4()
        future = self._asked[ours] = self._loop.create_future()
        try:
            request = RequestOrderBookSnapshot(
                self._symbols.theirs(symbol), levels, self._client.id, None, None, ours, self._clock.timestamp_ns(), {}
            )
            async with asyncio.timeout(CONNECT_S):
                await self._client._request_order_book_snapshot(request)
                deltas = await future
        finally:
            self._asked.pop(ours, None)
        sides: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
        for delta in deltas.deltas:
            if delta.action != CLEAR:
                sides[delta.order.side == BUY].append((str(delta.order.price), str(delta.order.size)))
        return Depth(bids=sides[True], asks=sides[False])

    def _answered(self, response: Any) -> None:
        future = self._asked.get(response.correlation_id)
        if future is not None and not future.done():
            future.set_result(response.data[0])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCHDOG_S)
            now = monotonic()
            for symbol, book in self._books.items():
                state = self._states[symbol, Stream.BOOK]
                silent_s = now - state.last_s
                if symbol in self._restoring:
                    if self._restoring[symbol].done():
                        del self._restoring[symbol]
                elif not book.whole:
                    if now - state.since_s > FIRST_MESSAGE_S:
                        self._lose(symbol, f"nothing within {FIRST_MESSAGE_S:g} s of subscribing")
                elif silent_s > self.config.max_age_s(Stream.BOOK):
                    self._lose(symbol, f"stale: silent for {silent_s * 1000:.0f} ms")
                elif reason := self._witnesses[symbol].verdict(now):
                    self._lose(symbol, reason)

    def _lose(self, symbol: str, reason: str) -> None:
        """A book cannot be relied on: say so now, restore it soon."""
        self._break(symbol, reason)
        log.warning("%s %s lost: %s", self.config.venue, symbol, reason)
        state = self._states[symbol, Stream.BOOK]
        state.status, state.reason = StreamStatus.DOWN, reason
        if not any(book.whole for book in self._books.values()):
            self.connected, self.reason = False, reason
        if symbol not in self._restoring or self._restoring[symbol].done():
            self._restoring[symbol] = asyncio.create_task(self._restore(symbol), name=f"{self.config.venue} {symbol}")

    def _break(self, symbol: str, reason: str) -> None:
        if (event := self._books[symbol].break_(reason)) is not None:
            self._audit.saw(event)
            self._sink.on_book(event)

    # -- what the adapter says

    def _heard(self, data: Any) -> None:
        symbol = self._symbols.ours(data.instrument_id) if hasattr(data, "instrument_id") else None
        if symbol is None or symbol not in self.markets:
            return
        self.counters.messages += 1
        try:
            match data:
                case OrderBookDeltas():
                    self._on_deltas(symbol, data)
                case QuoteTick() if not self._derives_top:
                    self._on_quote(symbol, data)
                case TradeTick():
                    self._on_trade(symbol, data)
        except Exception as e:  # what we say on must not come back into the adapter's own loop
            self.counters.frames_bad += 1
            if isinstance(data, OrderBookDeltas):
                self._lose(symbol, f"bad message: {e}"[:200])
            else:
                log.warning("%s %s: bad message: %s: %s", self.config.venue, symbol, type(e).__name__, e)

    def _live(self, symbol: str, stream: Stream) -> None:
        state = self._states[symbol, stream]
        state.last_s = monotonic()
        if state.status is not StreamStatus.LIVE:
            state.status, state.reason = StreamStatus.LIVE, ""
            if stream is Stream.BOOK:
                self._witnesses[symbol].forget()
                self.connected, self.reason = True, ""

    def _on_deltas(self, symbol: str, deltas: OrderBookDeltas) -> None:
        rows, (price_raw, size_raw) = [], self._scales[symbol]
        snapshot = bool(deltas.deltas[0].flags & RecordFlag.F_SNAPSHOT)
        for delta in deltas.deltas:
            action = delta.action
            if action == CLEAR:
                snapshot, rows = True, []
                continue
            order = delta.order
            ticks, rest = divmod(order.price.raw, price_raw)
            if rest:
                raise BadFrame(f"{order.price} does not fit the market's tick")
            size = 0 if action == DELETE else order.size.raw // size_raw  # more decimals than a lot: shown smaller
            rows.append((1 if order.side == BUY else -1, ticks, size))
        if snapshot and not rows:
            self._lose(symbol, "cleared by the engine's adapter")
            return
        levels = np.array(rows, dtype=np.int64).reshape(-1, 3)
        book = self._books[symbol]
        event = book.take(deltas, levels, snapshot=snapshot)
        if event is None:
            return
        self._live(symbol, Stream.BOOK)
        self._audit.saw(event)
        self._sink.on_book(event)
        if self._derives_top:
            self._tell_top(symbol, book, deltas.ts_event)
        elif (witness := self._witnesses[symbol]).doubts:
            witness.changed(book.levels.best_bid, book.levels.best_ask, monotonic())

    def _tell_top(self, symbol: str, book: NativeBook, ts_event_ns: int) -> None:
        """The best prices of a book, when they changed, of a venue whose own are not subscribed."""
        bids, asks = book.levels.best(1, 1), book.levels.best(-1, 1)
        if not bids or not asks or (top := (*bids[0], *asks[0])) == self._tops.get(symbol):
            return
        self._tops[symbol] = top
        self._live(symbol, Stream.QUOTES)
        bid, bid_size, ask, ask_size = top
        quote = QuoteEvent(
            symbol=symbol, bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, ts_event_ns=ts_event_ns
        )
        self._sink.on_quote(quote)

    def _on_quote(self, symbol: str, tick: QuoteTick) -> None:
        price_raw, size_raw = self._scales[symbol]
        quote = QuoteEvent(
            symbol=symbol,
            bid=tick.bid_price.raw // price_raw,
            bid_size=tick.bid_size.raw // size_raw,
            ask=tick.ask_price.raw // price_raw,
            ask_size=tick.ask_size.raw // size_raw,
            ts_event_ns=tick.ts_event,
        )
        levels, now = self._books[symbol].levels, monotonic()
        if self._witnesses[symbol].quoted(quote, levels.best_bid, levels.best_ask, now):
            self._states[symbol, Stream.BOOK].last_s = now
        self._live(symbol, Stream.QUOTES)
        self._sink.on_quote(quote)

    def _on_trade(self, symbol: str, tick: TradeTick) -> None:
        price_raw, size_raw = self._scales[symbol]
        size = tick.size.raw // size_raw
        self._live(symbol, Stream.TRADES)
        if size:
            trade = TradeEvent(
                symbol=symbol,
                trade_id=tick.trade_id.value,
                price=tick.price.raw // price_raw,
                size=size,
                side="buy" if tick.aggressor_side == BUYER else "sell",
                ts_event_ns=tick.ts_event,
            )
            self._sink.on_trade(trade)
