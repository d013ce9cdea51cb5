"""`ArchiveTap`: listens to everything and hands it to the archive, at the price of an append.

It subscribes to the fixed topics of the bus and to the market data of the instruments it is told. On the event loop
it only appends references; turning them into columns, writing and syncing happen on the flush thread. It never
blocks, and what it drops it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.model.identifiers import InstrumentId

from adapters.clickhouse import rows
from adapters.clickhouse.buffers import Buffers
from adapters.clickhouse.config import ArchiveConfig
from adapters.clickhouse.rows import BookMessage
from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind, levels_of
from adapters.nautilus.bus import Bus
from adapters.nautilus.safe import Safe


class ArchiveTap(Safe, Actor):
    """Feeds the spool. `sources`: (symbol, venue) pairs whose ticks are archived. `view()` and `close()` are for the
    desk.
    """

    def __init__(self, config: ArchiveConfig, sources: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._sources = list(sources)
        self.store = Buffers(config)
        buffers = self.store.buffers
        self._deltas = buffers["md_deltas"]
        self._trades = buffers["md_trades"]
        self._quotes = buffers["md_quotes"]
        self._ladders = buffers["lp_ladders"]
        self._events = buffers["feed_events"]
        self._seq = self.store.epoch << 40
        self._names: dict[InstrumentId, tuple[str, int, int]] = {}  # id -> text, price and size precision
        self._down: set[tuple[str, str]] = set()  # (venue, symbol) whose book or stream is not whole

    # ---- life ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Subscribe to everything."""
        self._bus = Bus(self)
        for topic, handler in (
            (topics.RFQ, self.on_rfq),
            (topics.QUOTE, self.on_quote),
            (topics.CLIENT_TRADE, self.on_client_trade),
            (topics.RISK, self.on_decision),
            (topics.PARENT, self.on_parent),
            (topics.CHILD, self.on_child),
            (topics.FILL, self.on_fill),
            (topics.COST, self.on_cost),
            (topics.MARKOUT, self.on_markout),
            (topics.LP_ROUND, self.on_lp_round),
            (topics.LP_LADDER, self.on_lp_ladder),
            (topics.FAULT, self.on_fault),
            (topics.ALERT, self.on_alert),
        ):
            self._bus.subscribe(topic, handler)
        for symbol, venue in self._sources:
            instrument_id = InstrumentId.from_str(f"{symbol}.{venue}")
            self.subscribe_order_book_deltas(instrument_id, managed=False)
            self.subscribe_trade_ticks(instrument_id)
            self.subscribe_quote_ticks(instrument_id)

    def on_stop(self) -> None:
        """Leave the bus; what was offered is written by `close`."""
        self._bus.close()

    def view(self) -> dict[str, Any]:
        """Rows offered, dropped, in the database; segments waiting; status."""
        return self.store.view()

    def close(self) -> bool:
        """Write what is in memory; False when something could not be. After the node has stopped, off the loop."""
        return self.store.close()

    # ---- market data -----------------------------------------------------------------------------

    def on_order_book_deltas(self, deltas: Any) -> None:
        """A book message: its level array is kept by reference."""
        instrument_id = deltas.instrument_id
        name = self._names.get(instrument_id) or self._name(instrument_id, deltas)
        if type(deltas) is BookDeltas:
            levels, kind = deltas.levels, deltas.kind
        else:
            levels, kind = levels_of(deltas, name[1], name[2])
        if kind is not BookKind.UPDATE:
            self._book_event(instrument_id, kind, deltas)
        count = len(levels)
        if count == 0 and kind is BookKind.UPDATE:
            return
        self._seq += 1
        message = BookMessage(name[0], deltas.ts_event, deltas.ts_init, self._seq, kind, levels, name[1], name[2])
        self._deltas.offer(message, count or 1)

    def on_trade_tick(self, tick: Any) -> None:
        """A trade of the market."""
        self._trades.offer(tick)

    def on_quote_tick(self, tick: Any) -> None:
        """A best bid and ask of the market."""
        self._quotes.offer(tick)

    def on_lp_ladder(self, ladder: Any) -> None:
        """A streamed LP ladder, and when the stream stops and goes on."""
        self._ladders.offer(ladder)
        key = (ladder.lp, ladder.symbol)
        if bool(ladder.rungs) == (key in self._down):
            kind = "lp_up" if ladder.rungs else "lp_down"
            (self._down.discard if ladder.rungs else self._down.add)(key)
            self._events.offer((ladder.ts_ns, kind, ladder.lp, ladder.symbol, "", 1))

    # ---- business --------------------------------------------------------------------------------

    def on_rfq(self, rfq: Any) -> None:
        """A request's transition: it changes later, so its row is made now."""
        self.store.buffers["rfqs"].offer(rows.rfq_row(rfq))

    def on_quote(self, quote: Any) -> None:
        """A firm quote with its waterfall."""
        self.store.buffers["rfq_quotes"].offer(quote)

    def on_client_trade(self, trade: Any) -> None:
        """A client trade."""
        self.store.buffers["client_trades"].offer(trade)

    def on_decision(self, decision: Any) -> None:
        """A decision of the risk gate."""
        self.store.buffers["risk_decisions"].offer(decision)

    def on_parent(self, parent: Any) -> None:
        """A parent order's transition: it changes later, so its row is made now."""
        self.store.buffers["order_events"].offer(rows.parent_row(parent))

    def on_child(self, child: Any) -> None:
        """A child order's transition: it changes later, so its row is made now."""
        self.store.buffers["order_events"].offer(rows.child_row(child))

    def on_fill(self, fill: Any) -> None:
        """An execution."""
        self.store.buffers["fills"].offer(fill)

    def on_cost(self, line: Any) -> None:
        """What an order cost."""
        self.store.buffers["order_costs"].offer(line)

    def on_markout(self, markout: Any) -> None:
        """What a trade was worth after a while."""
        self.store.buffers["markouts"].offer(markout)

    def on_lp_round(self, told: Any) -> None:
        """What LPs answered."""
        for row in rows.lp_answer_rows(told):
            self.store.buffers["lp_answers"].offer(row)

    def on_fault(self, fault: Any) -> None:
        """A contained exception of a component."""
        self._events.offer((fault.ts_ns, "fault", "", "", f"{fault.component}.{fault.handler}: {fault.error}", 1))

    def on_alert(self, alert: Any) -> None:
        """Something the operator was told."""
        detail = f"{getattr(alert, 'severity', '')} {getattr(alert, 'source', '')}: {getattr(alert, 'message', alert)}"
        self._events.offer((self.clock.timestamp_ns(), "alert", "", "", detail, getattr(alert, "count", 1)))

    # ---- inside ----------------------------------------------------------------------------------

    def _name(self, instrument_id: InstrumentId, deltas: Any) -> tuple[str, int, int]:
        instrument = self.cache.instrument(instrument_id)
        if instrument is not None:
            name = (instrument_id.value, instrument.price_precision, instrument.size_precision)
            self._names[instrument_id] = name
            return name
        for delta in deltas.deltas:  # not known yet: the levels carry the precision themselves
            if delta.order is not None and delta.order.size.raw:
                return (instrument_id.value, delta.order.price.precision, delta.order.size.precision)
        return (instrument_id.value, 0, 0)

    def _book_event(self, instrument_id: InstrumentId, kind: BookKind, deltas: Any) -> None:
        """A book was lost, or is whole: a row when that is news."""
        symbol, venue = instrument_id.symbol.value, instrument_id.venue.value
        key = (venue, symbol)
        if kind is BookKind.CLEAR:
            self._down.add(key)
            self._events.offer((deltas.ts_init, "clear", venue, symbol, getattr(deltas, "reason", ""), 1))
        else:
            self._down.discard(key)
            self._events.offer((deltas.ts_init, "snapshot", venue, symbol, f"{len(deltas.deltas)} levels", 1))
