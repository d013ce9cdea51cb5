"""The engine's data client of one exchange: a thin coat over `MarketLink`.

Every configured symbol is subscribed on connect, whether or not an actor asks. Books go out as `BookDeltas` (changed levels,
SNAPSHOT, CLEAR with its reason), trades as `TradeTick`, best prices as `QuoteTick`, with the venue's time where it gives one; of
perpetuals also mark price, index price and funding rate, and liquidations on the bus.
`_connect` returns when the markets are known; until then the link keeps trying, and `EmbeddedNode` starts without us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.model.data import (
    FundingRateUpdate,
    IndexPriceUpdate,
    MarkPriceUpdate,
    OrderBookDelta,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import AggressorSide, BookAction, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import ClientId, InstrumentId, TradeId, Venue
from nautilus_trader.model.objects import Price

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import (
    BookEvent,
    BookEventKind,
    FundingEvent,
    LiquidationEvent,
    QuoteEvent,
    TradeEvent,
)
from adapters.ccxt.instruments import Scale, instrument_id, instrument_of
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.symbols import Market
from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind
from adapters.nautilus.perpetual import Liquidation

_KINDS = {
    BookEventKind.SNAPSHOT: BookKind.SNAPSHOT,
    BookEventKind.UPDATE: BookKind.UPDATE,
    BookEventKind.CLEAR: BookKind.CLEAR,
}

# as plain ints: looking up an enum's member takes as long as half of a delta
ADD, UPDATE, DELETE = int(BookAction.ADD), int(BookAction.UPDATE), int(BookAction.DELETE)
BUY, SELL, LAST = int(OrderSide.BUY), int(OrderSide.SELL), int(RecordFlag.F_LAST)
BUYER, SELLER = int(AggressorSide.BUYER), int(AggressorSide.SELLER)


def book_deltas(event: BookEvent, instrument: InstrumentId, scale: Scale, ts_ns: int) -> BookDeltas:
    """A link's book event as the engine's message. SNAPSHOT and CLEAR begin with the engine's own CLEAR."""
    ts_event = event.ts_event_ns or ts_ns
    snapshot = event.kind is not BookEventKind.UPDATE
    flags = int(RecordFlag.F_SNAPSHOT) if snapshot else 0
    deltas: list[OrderBookDelta] = []
    if snapshot:
        deltas.append(OrderBookDelta.clear(instrument, event.sequence, ts_event, ts_ns))
    last, change = len(event.levels) - 1, ADD if snapshot else UPDATE
    make, sequence = OrderBookDelta.from_raw, event.sequence  # half the time that prices and quantities as objects take
    price_raw, price_decimals, size_raw, size_decimals = scale.raw
    for row, (side, ticks, lots) in enumerate(event.levels.tolist()):
        delta = make(
            instrument,
            change if lots else DELETE,
            BUY if side == 1 else SELL,
            ticks * price_raw,
            price_decimals,
            lots * size_raw,
            size_decimals,
            0,
            flags if row < last else flags | LAST,
            sequence,
            ts_event,
            ts_ns,
        )
        deltas.append(delta)
    if last < 0:
        if event.kind is BookEventKind.UPDATE:
            raise ValueError("an update without levels is no message")
        deltas = [_last_clear(instrument, event.sequence, ts_event, ts_ns)]
    return BookDeltas(instrument, deltas, event.levels, _KINDS[event.kind], event.reason)


def _last_clear(instrument: InstrumentId, sequence: int, ts_event: int, ts_ns: int) -> OrderBookDelta:
    flags = RecordFlag.F_SNAPSHOT | RecordFlag.F_LAST
    return OrderBookDelta(instrument, BookAction.CLEAR, None, flags, sequence, ts_event, ts_ns)


class CcxtDataClient(LiveMarketDataClient):
    """Market data of one exchange. `link.health()` through `health()`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: ExchangeConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(config.venue),
            venue=Venue(config.venue),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            instrument_provider=InstrumentProvider(),
        )
        self.exchange = config
        self._now: Callable[[], int] = clock.timestamp_ns
        self._known = asyncio.Event()
        self._scales: dict[str, Scale] = {}
        self._instrument_ids: dict[str, InstrumentId] = {}
        self.link = self._linked()

    def _linked(self) -> MarketLink:
        """Where the data come from."""
        return MarketLink(self.exchange, self)

    def health(self) -> dict[str, Any]:
        """Streams, ages, resyncs, counters (see `MarketLink.health`)."""
        return self.link.health()

    async def _connect(self) -> None:
        self.link.start()
        await self._known.wait()

    async def _disconnect(self) -> None:
        await self.link.stop()

    # -- MarketSink

    def on_markets(self, markets: list[Market]) -> None:
        """Instruments into provider, cache and engine."""
        for market in markets:
            instrument = instrument_of(market, self.exchange.venue, self._now())
            self._scales[market.symbol] = Scale(market)
            self._instrument_ids[market.symbol] = instrument_id(market.symbol, self.exchange.venue)
            self._instrument_provider.add(instrument)
            self._cache.add_instrument(instrument)
            self._handle_data(instrument)
        self._known.set()

    def on_book(self, event: BookEvent) -> None:
        """To the engine."""
        if event.kind is BookEventKind.UPDATE and not len(event.levels):
            return  # the venue said that nothing changed
        deltas = book_deltas(event, self._instrument_ids[event.symbol], self._scales[event.symbol], self._now())
        self._handle_data(deltas)

    def on_trade(self, event: TradeEvent) -> None:
        """To the engine."""
        ts_ns, (price_raw, price_decimals, size_raw, size_decimals) = self._now(), self._scales[event.symbol].raw
        tick = TradeTick.from_raw(
            self._instrument_ids[event.symbol],
            event.price * price_raw,
            price_decimals,
            event.size * size_raw,
            size_decimals,
            BUYER if event.side == "buy" else SELLER,
            TradeId(event.trade_id),
            event.ts_event_ns or ts_ns,
            ts_ns,
        )
        self._handle_data(tick)

    def on_quote(self, event: QuoteEvent) -> None:
        """To the engine."""
        ts_ns, (price_raw, price_decimals, size_raw, size_decimals) = self._now(), self._scales[event.symbol].raw
        tick = QuoteTick.from_raw(
            self._instrument_ids[event.symbol],
            event.bid * price_raw,
            event.ask * price_raw,
            price_decimals,
            price_decimals,
            event.bid_size * size_raw,
            event.ask_size * size_raw,
            size_decimals,
            size_decimals,
            event.ts_event_ns or ts_ns,
            ts_ns,
        )
        self._handle_data(tick)

    def on_funding(self, event: FundingEvent) -> None:
        """To the engine, as its three messages."""
        ts_ns, instrument = self._now(), self._instrument_ids[event.symbol]
        ts_event = event.ts_event_ns or ts_ns
        if event.index is not None:
            self._handle_data(IndexPriceUpdate(instrument, Price.from_str(f"{event.index:f}"), ts_event, ts_ns))
        self._handle_data(MarkPriceUpdate(instrument, Price.from_str(f"{event.mark:f}"), ts_event, ts_ns))
        self._handle_data(
            FundingRateUpdate(instrument, event.rate, ts_event, ts_ns, next_funding_ns=event.next_ns or None)
        )

    def on_liquidation(self, event: LiquidationEvent) -> None:
        """To the bus: the engine has no message for it."""
        closed = Liquidation(
            venue=self.exchange.venue,
            symbol=event.symbol,
            side=event.side,
            price=event.price,
            quantity=event.quantity,
            ts_ns=event.ts_event_ns or self._now(),
        )
        self._msgbus.publish(topics.LIQUIDATION, closed)

    # -- what actors ask for: it flows already, or it is not configured

    def _asked(self, instrument: InstrumentId, what: str) -> None:
        if instrument.symbol.value not in self.exchange.symbols:
            self._log.error(f"{what} of {instrument} cannot be had: {instrument.symbol} is not configured")

    def _asked_perpetual(self, instrument: InstrumentId, what: str) -> None:
        self._asked(instrument, what)
        if not self.exchange.margin:
            self._log.error(f"{what} of {instrument} cannot be had: it is no perpetual")

    async def _subscribe_instruments(self, command: Any) -> None:
        pass

    async def _subscribe_instrument(self, command: Any) -> None:
        self._asked(command.instrument_id, "instrument")

    async def _subscribe_order_book_deltas(self, command: Any) -> None:
        self._asked(command.instrument_id, "book")
        self.link.replay_book(command.instrument_id.symbol.value)

    async def _subscribe_quote_ticks(self, command: Any) -> None:
        self._asked(command.instrument_id, "best prices")

    async def _subscribe_trade_ticks(self, command: Any) -> None:
        self._asked(command.instrument_id, "trades")

    async def _subscribe_mark_prices(self, command: Any) -> None:
        self._asked_perpetual(command.instrument_id, "mark price")

    async def _subscribe_index_prices(self, command: Any) -> None:
        self._asked_perpetual(command.instrument_id, "index price")

    async def _subscribe_funding_rates(self, command: Any) -> None:
        self._asked_perpetual(command.instrument_id, "funding rate")

    async def _unsubscribe_mark_prices(self, command: Any) -> None:
        pass

    async def _unsubscribe_index_prices(self, command: Any) -> None:
        pass

    async def _unsubscribe_funding_rates(self, command: Any) -> None:
        pass

    async def _unsubscribe_instruments(self, command: Any) -> None:
        pass

    async def _unsubscribe_instrument(self, command: Any) -> None:
        pass

    async def _unsubscribe_order_book_deltas(self, command: Any) -> None:
        pass

    async def _unsubscribe_quote_ticks(self, command: Any) -> None:
        pass

    async def _unsubscribe_trade_ticks(self, command: Any) -> None:
        pass

    async def _request_instrument(self, request: Any) -> None:
        await self._known.wait()
        instrument = self._cache.instrument(request.instrument_id)
        if instrument is None:
            self._log.error(f"{request.instrument_id} is not configured")
            return
        self._handle_instrument(instrument, request.id, request.start, request.end, request.params)

    async def _request_instruments(self, request: Any) -> None:
        await self._known.wait()
        instruments = [self._cache.instrument(known) for known in self._instrument_ids.values()]
        self._handle_instruments(request.venue, instruments, request.id, request.start, request.end, request.params)
