"""A simulated LP inside the engine: `SimLpActor` quotes and streams, `SimLpExecClient` fills accepted quotes or looks last and declines.

Both follow `sim.lp_model` on the engine's clock, so that a run is a function of (tape, seed). The actor answers endpoint `LP.<ID>.rfq` and
publishes `lp.ladder`; the client is the LP's venue: a FOK limit order that carries `params={"quote_id": …}` fills whole at the quoted price
after the LP's hold time, or is rejected with a reason. Its account starts at zero and may go negative: its balances are what is unsettled.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig
from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.enums import AccountType, LiquiditySide, OmsType, OrderSide, OrderType, TimeInForce
from nautilus_trader.model.identifiers import AccountId, ClientId, InstrumentId, TradeId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.model.orders import Order

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq, LpRung
from adapters.nautilus.safe import Alarm, LoopSafe, Safe
from sim.lp_model import LpModel, ModelNoQuote, ModelQuote, Verdict

QUOTES_KEPT = 10_000
STALE_NS = 5_000_000_000  # an LP whose own market view is older does not quote


@dataclass(slots=True)
class SimLp:
    """What the LP's two halves share. `reference`: the venue whose top of book is the LP's own view of the market."""

    model: LpModel
    symbols: Sequence[str]
    reference: str
    network_ns: int = 5_000_000  # one way
    quotes: OrderedDict[str, ModelQuote] = field(default_factory=OrderedDict)
    executed: dict[str, str] = field(default_factory=dict)  # quote id -> client order id

    @property
    def name(self) -> str:
        """The LP's id, which is also its Venue."""
        return self.model.params.lp

    def mid(self, cache: Any, symbol: str, now_ns: int) -> Decimal | None:
        """The LP's mid, or None while it has no fresh market."""
        tick = cache.quote_tick(InstrumentId.from_str(f"{symbol}.{self.reference}"))
        if tick is not None:
            if now_ns - tick.ts_init > STALE_NS:
                return None
            return (tick.bid_price.as_decimal() + tick.ask_price.as_decimal()) / 2
        book = cache.order_book(InstrumentId.from_str(f"{symbol}.{self.reference}"))
        if book is None or now_ns - book.ts_last > STALE_NS:
            return None
        bid, ask = book.best_bid_price(), book.best_ask_price()
        if bid is None or ask is None or bid >= ask:
            return None
        return (bid.as_decimal() + ask.as_decimal()) / 2


class SimLpActor(Safe, LoopSafe, Actor):
    """The LP's quoting side. `books`: keep a book of the reference venue, for tapes without a stream of tops."""

    def __init__(self, lp: SimLp, *, books: bool = False) -> None:
        super().__init__(ActorConfig(component_id=f"SimLp-{lp.name}"))
        self._lp = lp
        self._books = books
        self._asked = 0
        self._empty: set[str] = set()

    def on_start(self) -> None:
        """Begin to stream and to answer."""
        self.bind_loop()
        self._bus = Bus(self)
        self._bus.register(topics.lp_rfq(self._lp.name), self.on_rfq)
        for symbol in self._lp.symbols:
            if self._books:  # tops need no subscription: the engine's cache has the last one anyway
                reference = InstrumentId.from_str(f"{symbol}.{self._lp.reference}")
                self.subscribe_order_book_deltas(reference, managed=True)
        self.every_ns("ladder", self._lp.model.params.ladder_interval_ns, self._stream)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def on_rfq(self, rfq: LpRfq) -> None:
        """The request reaches the LP after the network's delay; its answer comes when the model says, and the same delay later."""
        self._asked += 1
        due_ns = self.clock.timestamp_ns() + self._lp.network_ns
        self.at_ns(f"rfq:{self._asked}", due_ns, lambda alarm: self._price(rfq, alarm.name))

    def _price(self, rfq: LpRfq, name: str) -> None:
        now_ns = self.clock.timestamp_ns()
        mid = self._lp.mid(self.cache, rfq.symbol, now_ns)
        if mid is None:
            rfq.reply(LpNoQuote(lp=self._lp.name, rfq_id=rfq.rfq_id, reason="no market"))
            return
        answer = self._lp.model.quote(rfq.symbol, rfq.side, rfq.quantity, mid, now_ns)
        if isinstance(answer, ModelQuote):
            self._lp.quotes[answer.quote_id] = answer
            while len(self._lp.quotes) > QUOTES_KEPT:
                self._lp.quotes.popitem(last=False)
        self.at_ns(f"answer:{name}", answer.sent_ns + self._lp.network_ns, lambda _: rfq.reply(self._told(rfq, answer)))

    def _told(self, rfq: LpRfq, answer: ModelQuote | ModelNoQuote) -> LpQuote | LpNoQuote:
        if isinstance(answer, ModelNoQuote):
            return LpNoQuote(lp=self._lp.name, rfq_id=rfq.rfq_id, reason=f"{answer.code}: {answer.reason}")
        return LpQuote(
            lp=self._lp.name,
            rfq_id=rfq.rfq_id,
            quote_id=answer.quote_id,
            symbol=answer.symbol,
            bid=answer.bid,
            ask=answer.ask,
            quantity=answer.quantity,
            valid_until_ns=answer.valid_until_ns,
            ts_ns=self.clock.timestamp_ns(),
        )

    def _stream(self, _: Alarm) -> None:
        now_ns = self.clock.timestamp_ns()
        for symbol in self._lp.symbols:
            mid = self._lp.mid(self.cache, symbol, now_ns)
            model_rungs = () if mid is None else self._lp.model.ladder(symbol, mid, now_ns)
            if not model_rungs and symbol in self._empty:
                continue  # said already
            (self._empty.discard if model_rungs else self._empty.add)(symbol)
            rungs = tuple(LpRung(rung.quantity, rung.bid, rung.ask) for rung in model_rungs)
            self._bus.publish(topics.LP_LADDER, LpLadder(lp=self._lp.name, symbol=symbol, rungs=rungs, ts_ns=now_ns))


class SimLpExecClient(ExecutionClient):
    """The LP's venue. Orders are whole or nothing, at the price of the quote they name."""

    def __init__(self, lp: SimLp, msgbus: Any, cache: Any, clock: Any) -> None:
        # Both registries are of the process and refuse a second registration; a process may replay more than once.
        AccountFactory.register_calculated_account(lp.name)
        AccountFactory.deregister_cash_borrowing(lp.name)
        AccountFactory.register_cash_borrowing(lp.name)
        super().__init__(
            client_id=ClientId(lp.name),
            venue=Venue(lp.name),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=None,
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(AccountId(f"{lp.name}-unsettled"))
        self._lp = lp
        self._time = clock
        self._instruments = cache
        self._orders = 0

    def _start(self) -> None:
        currencies = sorted({code for symbol in self._lp.symbols for code in symbol.split("/")})
        nothing = [Money(0, Currency.from_str(code)) for code in currencies]
        balances = [AccountBalance(zero, zero, zero) for zero in nothing]
        self.generate_account_state(balances, [], reported=True, ts_event=self._time.timestamp_ns())
        self._set_connected(True)

    def _stop(self) -> None:
        self._set_connected(False)

    def submit_order(self, command: Any) -> None:
        """Send a FOK limit order; the LP's decision comes after network and hold time."""
        order, quote_id = command.order, str((command.params or {}).get("quote_id", ""))
        now_ns = self._time.timestamp_ns()
        self.generate_order_submitted(order.strategy_id, order.instrument_id, order.client_order_id, now_ns)
        self._later(order, "arrive", now_ns + self._lp.network_ns, lambda: self._decide(order, quote_id))

    def cancel_order(self, command: Any) -> None:
        """A FOK order under way cannot be taken back."""

    def _decide(self, order: Order, quote_id: str) -> None:
        lp, now_ns = self._lp, self._time.timestamp_ns()
        quote = lp.quotes.get(quote_id)
        reason = _refusal(order, quote, lp.executed.get(quote_id))
        if quote is None or reason:
            self._later(order, "answer", now_ns + lp.network_ns, lambda: self._reject(order, reason))
            return
        mid = lp.mid(self._instruments, quote.symbol, now_ns) or quote.mid
        decision = lp.model.decide(quote, mid, now_ns)
        due_ns = now_ns + decision.hold_ns + lp.network_ns
        if decision.verdict is Verdict.FILLED:
            lp.executed[quote_id] = order.client_order_id.value
            self._later(order, "answer", due_ns, lambda: self._fill(order, quote))
        else:
            self._later(order, "answer", due_ns, lambda: self._reject(order, decision.reason))

    def _later(self, order: Order, step: str, ts_ns: int, action: Any) -> None:
        self._time.set_time_alert_ns(f"{order.client_order_id.value}-{step}", ts_ns, lambda _: action())

    def _reject(self, order: Order, reason: str) -> None:
        self.generate_order_rejected(
            order.strategy_id, order.instrument_id, order.client_order_id, reason, self._time.timestamp_ns()
        )

    def _fill(self, order: Order, quote: ModelQuote) -> None:
        self._orders += 1
        now_ns = self._time.timestamp_ns()
        instrument = self._instruments.instrument(order.instrument_id)
        price = quote.price("buy" if order.side == OrderSide.BUY else "sell")
        assert price is not None
        venue_order_id = VenueOrderId(f"{self._lp.name}-{self._orders}")
        self.generate_order_accepted(
            order.strategy_id, order.instrument_id, order.client_order_id, venue_order_id, now_ns
        )
        self.generate_order_filled(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            venue_order_id,
            None,
            TradeId(quote.quote_id),
            order.side,
            order.order_type,
            Quantity(quote.quantity, instrument.size_precision),
            Price(price, instrument.price_precision),
            instrument.quote_currency,
            Money(0, instrument.quote_currency),
            LiquiditySide.TAKER,
            now_ns,
        )


def _refusal(order: Order, quote: ModelQuote | None, executed_by: str | None) -> str:
    """Why this order cannot accept this quote, whatever the market does; "" when it can."""
    if order.order_type != OrderType.LIMIT or order.time_in_force != TimeInForce.FOK:
        return "an LP takes FOK limit orders only"
    if quote is None:
        return "unknown quote"
    if executed_by is not None:
        return f"quote was executed by order {executed_by}"
    if order.instrument_id.symbol.value != quote.symbol or order.quantity.as_decimal() != quote.quantity:
        return f"quote is for {quote.quantity} {quote.symbol}, all or none"
    buy = order.side == OrderSide.BUY
    price, limit = quote.price("buy" if buy else "sell"), order.price.as_decimal()
    if price is None:
        return "that side was not quoted"
    if price > limit if buy else price < limit:
        return f"quoted {price} is beyond the limit {limit}"
    return ""
