"""`Feed`: an instrument's market data from the bus straight to a handler of its own.

The engine gives data to an actor through one method a kind of data, which looks for indicators by instrument first; the
actor then has to look up again whose tick it was. At a hundred ticks a second and venue that is a third of what an
actor costs. `Feed` subscribes as the actor does, so that the data client streams, and then takes the actor's place on
the bus: each handler hears one instrument, and what it raises is its owner's fault (see `safe`).

Handlers are called from `open` until `close`, which `on_stop` must call. The bus belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nautilus_trader.common.data_topics import TopicCache

from adapters.nautilus.safe import guarded

if TYPE_CHECKING:
    from nautilus_trader.common.actor import Actor
    from nautilus_trader.model.identifiers import InstrumentId

Handler = Callable[[Any], None]


class Feed:
    """Book deltas, quotes and trades, and a perpetual's mark price and funding, for `owner`: a `Safe` actor, already registered."""

    def __init__(self, owner: Actor) -> None:
        self._owner = owner
        self._msgbus = owner.msgbus
        self._names = TopicCache()
        self._subscribed: list[tuple[str, Handler]] = []

    def open(self, instrument_id: InstrumentId, *, book: Handler, quote: Handler, trade: Handler) -> None:
        """Have the data client stream an instrument, and hear of it."""
        owner, names = self._owner, self._names
        owner.subscribe_order_book_deltas(instrument_id, managed=False)
        owner.subscribe_quote_ticks(instrument_id)
        owner.subscribe_trade_ticks(instrument_id)
        self._replace(names.get_deltas_topic(instrument_id), owner.handle_order_book_deltas, book)
        self._replace(names.get_quotes_topic(instrument_id), owner.handle_quote_tick, quote)
        self._replace(names.get_trades_topic(instrument_id), owner.handle_trade_tick, trade)

    def open_perpetual(self, instrument_id: InstrumentId, *, mark: Handler, index: Handler, funding: Handler) -> None:
        """The same for mark price, index price and funding rate."""
        owner, names = self._owner, self._names
        owner.subscribe_mark_prices(instrument_id)
        owner.subscribe_index_prices(instrument_id)
        owner.subscribe_funding_rates(instrument_id)
        self._replace(names.get_mark_prices_topic(instrument_id), owner.handle_mark_price, mark)
        self._replace(names.get_index_prices_topic(instrument_id), owner.handle_index_price, index)
        self._replace(names.get_funding_rates_topic(instrument_id), owner.handle_funding_rate, funding)

    def close(self) -> None:
        """Hear nothing more. The data client streams on for whoever else listens."""
        for topic, call in self._subscribed:
            self._msgbus.unsubscribe(topic, call)
        self._subscribed.clear()

    def _replace(self, topic: str, of_owner: Handler, handler: Handler) -> None:
        call = guarded(self._owner, handler)
        self._msgbus.unsubscribe(topic, of_owner)
        self._msgbus.subscribe(topic, call)
        self._subscribed.append((topic, call))
