"""The desk's own channels: a client's RFQs and trades, streaming quotes, and for operators the state and the alerts."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from desk.api.context import Api
from desk.api.convert import desk_order_of, desk_rfq_of, desk_trade_of, order_of, quote_of, rfq_of, text, trade_of
from desk.api.desk_messages import AlertView, DeskState
from desk.api.frames import RfsLadder, RfsRung
from desk.api.market_feeds import MarketHub
from desk.api.messages import PositiveText, Quote
from desk.api.subscriptions import Conflated, Reliable
from desk.errors import ApiFault
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, TradeRecord
from desk.service import Caller

SNAPSHOT_ITEMS = 100
RFS_INTERVAL_S = 0.2
RFS_RETRY_S = 1.0
STATE_AGE_NS = 50_000_000  # how old a shared state may be
_REFRESH_BEFORE_NS = 500_000_000  # a streamed quote is replaced this long before it runs out


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel without parameters."""


class DeskParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of channel `desk`: how often a second at most."""

    hz: Annotated[float, Meta(gt=0, le=10)] = 2.0


class RfsParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of channel `rfs`: sizes in base currency."""

    instrument: Annotated[str, Meta(min_length=1, max_length=64)]
    quantities: Annotated[list[PositiveText], Meta(min_length=1, max_length=10)]


class RfqsFeed(Reliable):
    """`rfqs`: every transition of the caller's requests; of everybody's for an operator."""

    def __init__(self, number: int, caller: Caller, api: Api) -> None:
        super().__init__(number, "rfqs", "native", caller, api.clock_ns)
        self._api = api
        self._view = desk_rfq_of if caller.operator else rfq_of

    def snapshot(self) -> Any:
        page = self._api.service.rfqs(self.caller, limit=SNAPSHOT_ITEMS)
        return {"items": [self._view(record) for record in page.items]}

    def attach(self) -> None:
        self._api.events.on_rfq.append(self._on_rfq)

    def stop(self) -> None:
        self.outbox = None
        if self._on_rfq in self._api.events.on_rfq:
            self._api.events.on_rfq.remove(self._on_rfq)

    def _on_rfq(self, record: RfqRecord) -> None:
        if self.caller.operator or record.client_id == self.caller.client_id:
            self.publish(self._view(record))


class TradesOfClientFeed(Reliable):
    """`trades`: every trade of the caller; of everybody for an operator."""

    def __init__(self, number: int, caller: Caller, api: Api) -> None:
        super().__init__(number, "trades", "native", caller, api.clock_ns)
        self._api = api
        self._view = desk_trade_of if caller.operator else trade_of

    def snapshot(self) -> Any:
        page = self._api.service.trades(self.caller, limit=SNAPSHOT_ITEMS)
        return {"items": [self._view(record) for record in page.items]}

    def attach(self) -> None:
        self._api.events.on_trade.append(self._on_trade)

    def stop(self) -> None:
        self.outbox = None
        if self._on_trade in self._api.events.on_trade:
            self._api.events.on_trade.remove(self._on_trade)

    def _on_trade(self, record: TradeRecord) -> None:
        if self.caller.operator or record.client_id == self.caller.client_id:
            self.publish(self._view(record))


class OrdersFeed(Reliable):
    """`orders`: every transition and fill of the caller's orders; of everybody's for an operator."""

    def __init__(self, number: int, caller: Caller, api: Api) -> None:
        super().__init__(number, "orders", "native", caller, api.clock_ns)
        self._api = api
        self._view = desk_order_of if caller.operator else order_of

    def snapshot(self) -> Any:
        page = self._api.orders.orders(self.caller, limit=SNAPSHOT_ITEMS)
        return {"items": [self._view(record) for record in page.items]}

    def attach(self) -> None:
        self._api.events.on_order.append(self._on_order)

    def stop(self) -> None:
        self.outbox = None
        if self._on_order in self._api.events.on_order:
            self._api.events.on_order.remove(self._on_order)

    def _on_order(self, record: OrderRecord) -> None:
        if self.caller.operator or record.client_id == self.caller.client_id:
            self.publish(self._view(record))


class AlertsFeed(Reliable):
    """`alerts`: what the operator should know."""

    def __init__(self, number: int, caller: Caller, api: Api) -> None:
        super().__init__(number, "alerts", "native", caller, api.clock_ns)
        self._api = api

    def snapshot(self) -> Any:
        return {"items": [copy.copy(alert) for alert in self._api.service.state().alerts]}

    def attach(self) -> None:
        self._api.events.on_alert.append(self._on_alert)

    def stop(self) -> None:
        self.outbox = None
        if self._on_alert in self._api.events.on_alert:
            self._api.events.on_alert.remove(self._on_alert)

    def _on_alert(self, alert: AlertView) -> None:
        self.publish(copy.copy(alert))  # the desk counts repeats in the original


class StateSource:
    """`service.state()` for all operators, computed once for those who look at about the same time."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._held: DeskState | None = None
        self._made_ns = 0

    def state(self) -> DeskState:
        """A state not older than 50 ms."""
        now = self._api.clock_ns()
        if self._held is None or not 0 <= now - self._made_ns < STATE_AGE_NS:
            self._held, self._made_ns = self._api.service.state(), now
        return self._held


class DeskFeed(Conflated):
    """`desk`: the whole state, then of each further state only the top-level fields that changed."""

    def __init__(self, number: int, caller: Caller, api: Api, source: StateSource, hz: float) -> None:
        super().__init__(number, "desk", "native", caller, api.clock_ns, 0.0)
        self._source = source
        self._period_s = 1.0 / hz
        self._sent: dict[str, bytes] = {}
        self._timer: Any = None

    def attach(self) -> None:
        self._sent.clear()
        self._timer = self._loop.call_later(self._period_s, self._tick)

    def detach(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._period_s, self._tick)
        self.changed()

    def render(self) -> dict[str, msgspec.Raw] | None:
        if self.outbox is None:
            return None
        state, codec = self._source.state(), self.outbox.codec
        changed: dict[str, msgspec.Raw] = {}
        for name in state.__struct_fields__:
            raw = codec.encode(getattr(state, name))
            if self._sent.get(name) != raw:
                self._sent[name] = raw
                changed[name] = msgspec.Raw(raw)
        return changed


class RfsFeed(Conflated):
    """`rfs`: a two-way price for each size, each side executable by its quote_id; renewed on change and before it runs
    out.
    """

    def __init__(self, number: int, caller: Caller, api: Api, hub: MarketHub, params: RfsParams) -> None:
        super().__init__(number, "rfs", "native", caller, api.clock_ns, RFS_INTERVAL_S)
        self._api = api
        self._hub = hub
        self._params = params
        self.quantities = [Decimal(quantity) for quantity in params.quantities]
        self._prices: list[tuple[str, str, str]] = []
        self._renew_at_ns = 0
        self._reason: str | None = None
        self._timer: Any = None

    def attach(self) -> None:
        self._prices = []
        self._reason = None
        self._hub.watch_symbol(self._params.instrument, self)

    def detach(self) -> None:
        self._hub.forget(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def render(self) -> RfsLadder | None:
        try:
            quotes = self._api.service.stream_ladder(self.caller, self._params.instrument, self.quantities)
        except ApiFault as fault:
            self._again(RFS_RETRY_S)
            if self._reason == fault.code and not self.fresh:
                return None
            self._reason, self._prices = fault.code, []
            return RfsLadder(instrument=self._params.instrument, rungs=[], reason=fault.code)
        now_ns = self._clock_ns()
        prices = [(quote.side, text(quote.quantity), text(quote.price)) for quote in quotes]
        if prices == self._prices and now_ns < self._renew_at_ns and not self.fresh:
            self._again((self._renew_at_ns - now_ns) / 1e9)
            return None
        self._prices, self._reason = prices, None
        valid_until_ns = min((quote.valid_until_ns for quote in quotes), default=now_ns)
        self._renew_at_ns = valid_until_ns - _REFRESH_BEFORE_NS
        self._again((self._renew_at_ns - now_ns) / 1e9)
        return RfsLadder(instrument=self._params.instrument, rungs=_rungs(self.quantities, quotes))

    def _again(self, in_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(in_s, RFS_INTERVAL_S), self.changed)


def _rungs(quantities: list[Decimal], quotes: list[QuoteRecord]) -> list[RfsRung]:
    by_size: dict[tuple[Decimal, str], Quote] = {(quote.quantity, quote.side): quote_of(quote) for quote in quotes}
    return [
        RfsRung(quantity=text(size), bid=by_size.get((size, "sell")), ask=by_size.get((size, "buy")))
        for size in quantities
    ]
