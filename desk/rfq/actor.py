"""The desk: answers requests for quote with firm prices, takes trades as principal exactly once, and keeps its inventory hedged.

What it promises
    1. Nothing is told to a client before it is durable (`Ledger`), and then it is told exactly as it was written.
    2. One `client_rfq_id` makes one RFQ, one `client_order_id` one trade, one quote at most one trade, however often they are sent.
    3. A price comes only from live books, passes the gate, and carries its build-up.
    4. After `valid_until_ns`, a cancel, or a halt, a quote cannot be traded.
It runs on the loop thread (live) or the backtest clock (replay); it never blocks and never awaits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy
from decimal import Decimal

from nautilus_trader.common.actor import Actor

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.safe import LoopSafe, Safe
from desk.api.desk_messages import DeskState
from desk.api.desk_messages import TradingState as Trading
from desk.api.events import Events
from desk.api.messages import AcceptRequest, Instrument, RfqRequest
from desk.config.model import DeskConfig, InstrumentSection
from desk.errors import ApiFault, Failed, Invalid, Limited, Rejected
from desk.hedging.choice import LiveRoutes
from desk.hedging.hedger import Hedger
from desk.ids import IdSource
from desk.latency import Histogram
from desk.ledger import Ledger
from desk.ledger.records import GLOBAL, DuplicateTrade
from desk.market import Market
from desk.rfq.answers import Answers, bound
from desk.rfq.booking import STREAM_TTL_MS, accepted_quantity, expired, filled, streamed_rfq, trade_of, why_not_tradable
from desk.rfq.checks import instrument_for, refusal_code, require_scope, require_size, size_of
from desk.rfq.listing import listed
from desk.rfq.lookups import Lookups
from desk.rfq.machine import advance
from desk.rfq.pricer import CreditUse, Pricer
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, TradeRecord
from desk.rfq.streamed import StreamedFates
from desk.service import Caller
from pricing.inventory import control
from pricing.ladder import NoPrice
from risk.decision import Intent, Refused, Stage
from risk.gate import Gate
from risk.state import TradingState
from router.messages import ParentRequest
from router.orders import ChildOrder, ParentOrder

RfqReply = Callable[[RfqRecord | ApiFault], None]
TradeReply = Callable[[TradeRecord | ApiFault], None]
TradingReply = Callable[[Trading | ApiFault], None]

MAX_LIVE_RFQS = 1_000  # per client; more is answered with 429
MAX_RECENT = 500  # rows of the blotter
_SECOND_NS = 1_000_000_000


class Desk(Safe, LoopSafe, Lookups, Actor):
    """Implements `desk.service.DeskService` as an actor of the engine."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        market: Market,
        ledger: Ledger,
        gate: Gate,
        ids: IdSource,
        events: Events,
        view: Callable[[Desk], DeskState],
        alert: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self.settings = config
        self.market = market
        self.ledger = ledger
        self.gate = gate
        self.ids = ids
        self.events = events
        self.rfq_to_quote = Histogram()
        self.live: OrderedDict[str, RfqRecord] = OrderedDict()  # RFQs that can still change
        self.recent: OrderedDict[str, RfqRecord] = OrderedDict()  # the blotter's rows, newest last
        self.quotes: dict[str, QuoteRecord] = {}  # quotes that can still be traded
        self._view = view
        self._alert = alert
        self._waiting_rfq: dict[tuple[str, str], list[RfqReply]] = {}
        self._waiting_trade: dict[tuple[str, str], list[TradeReply]] = {}
        self._answers = Answers(ledger)
        self._fates = StreamedFates()
        self.pricer = Pricer(config, market, ids, self.position, CreditUse(config.risk, gate.state))
        self.hedger = Hedger(
            config.hedging,
            list(config.instruments),
            ids,
            position=self.position,
            fair=lambda symbol: market.fair(symbol, self.clock.timestamp_ns()),
            send=self._send_parent,
            later=self._check_later,
            now_ns=lambda: self.clock.timestamp_ns(),
            alert=alert,
            routes=LiveRoutes(config, market, lambda: self.clock.timestamp_ns()).choose,
            currency=config.base_currency,
            zone=self._zone if config.hedging.zone == "bbg" else None,
            lots=market.lots,
        )

    # ---- life ---------------------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Take up what the last run left: open RFQs, answers already given, hedges at work, a halt."""
        self.bind_loop()
        self._bus = Bus(self)
        self._bus.subscribe(topics.PARENT, self.on_parent)
        self._bus.subscribe(topics.CHILD, self.on_child)
        now = self.clock.timestamp_ns()
        snapshot = self.ledger.load(now)
        for trade in snapshot.trades_by_order.values():
            self._answers.keep_trade(trade)
        for record in (*snapshot.rfqs_by_token.values(), *snapshot.open_rfqs):
            self._answers.keep_rfq(record)
        for record in snapshot.open_rfqs:
            self.recent[record.rfq_id] = record
            self.live[record.rfq_id] = record
            self._make_live(record, now)
        for parent, _ in snapshot.open_parents:
            if not parent.account:
                self.hedger.adopt(parent)
        for currency, position in snapshot.positions.items():
            self.gate.state.set_position(currency, position)
        quoted_in = {item.quote for item in self.settings.instruments}
        for account, amounts in snapshot.balances.items():
            if account.startswith("client:"):  # what a client has not paid yet is negative in its account
                for currency in quoted_in & amounts.keys():
                    self.gate.state.set_exposure(account.removeprefix("client:"), currency, -amounts[currency])
        if (halt := snapshot.halts.get(GLOBAL)) is not None:
            self._stop_trading(halt.reason)
        self.every_ns("desk-sweep", _SECOND_NS // 2, self._sweep)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def _make_live(self, record: RfqRecord, now_ns: int) -> None:
        for quote in record.quotes:
            self.quotes[quote.quote_id] = quote
        valid_until = max((quote.valid_until_ns for quote in record.quotes), default=now_ns)
        self.at_ns(f"expire-{record.rfq_id}", max(valid_until, now_ns) + 1, lambda _: self._expire(record))

    def _zone(self, symbol: str) -> float:
        return control(self.settings.pricing.flow, self.market.volatility[symbol].sigma).no_hedge_zone

    def position(self, currency: str) -> Decimal:
        """Inventory in a currency, from the ledger."""
        return self.ledger.position(currency)

    # ---- requests -----------------------------------------------------------------------------------------------------

    def instruments(self) -> list[Instrument]:
        """What clients may ask for."""
        return listed(self.settings)

    def request_quote(self, caller: Caller, request: RfqRequest, reply: RfqReply) -> None:
        """Price a request and make it firm; the answer comes when it is durable."""
        now = self.clock.timestamp_ns()
        key = (caller.client_id, request.client_rfq_id)
        try:
            require_scope(caller, "quote")
            if (waiting := self._waiting_rfq.get(key)) is not None:
                waiting.append(reply)
                return
            if (known := self._answers.rfq(key)) is not None:
                reply(self._answers.first_answer(known))
                return
            instrument = instrument_for(self.settings, caller, request.instrument)
            quantity, currency = size_of(instrument, request)
            if sum(record.client_id == caller.client_id for record in self.live.values()) >= MAX_LIVE_RFQS:
                raise Limited("too_many_rfqs", f"{MAX_LIVE_RFQS} requests are open", details={"retry_after_s": 1})
        except ApiFault as fault:
            reply(fault)
            return
        record = RfqRecord(
            rfq_id=self.ids.new("r"),
            client_id=caller.client_id,
            client_rfq_id=request.client_rfq_id,
            symbol=instrument.symbol,
            side=request.side,
            quantity=quantity,
            currency=currency,
            ttl_ms=request.ttl_ms or self.settings.pricing.ttl_ms,
            state=RfqState.RECEIVED,
            created_ns=now,
            updated_ns=now,
        )
        self._waiting_rfq[key] = [reply]
        self._publish_rfq(record)
        quotes = self._quote_sides(record, instrument, caller, now)
        if isinstance(quotes, ApiFault):
            advance(record, RfqState.REJECTED, now, quotes.message)
            self.ledger.save_rfq(record, lambda error: self._answered(record, key, quotes, error, now))
            return
        record.quotes = tuple(quotes)
        advance(record, RfqState.QUOTED, now)
        self.ledger.save_quotes(record, quotes, lambda error: self._answered(record, key, None, error, now))

    def _quote_sides(
        self, record: RfqRecord, instrument: InstrumentSection, caller: Caller, now: int
    ) -> list[QuoteRecord] | ApiFault:
        base = record.quantity if record.currency == instrument.base else None
        amount = None if base is not None else record.quantity
        quotes: list[QuoteRecord] = []
        for side in ("buy", "sell") if record.side == "two_way" else (record.side,):
            quote = self._quote_side(record, instrument, caller, side, base, amount, now)
            if isinstance(quote, ApiFault):
                for approved in quotes:
                    self.gate.release(approved.quote_id, stage=Stage.QUOTE)
                return quote
            quotes.append(quote)
        return quotes

    def _quote_side(
        self,
        record: RfqRecord,
        instrument: InstrumentSection,
        caller: Caller,
        side: str,
        base: Decimal | None,
        amount: Decimal | None,
        now: int,
    ) -> QuoteRecord | ApiFault:
        priced = self.pricer.price(
            instrument,
            side,
            base=base,
            amount=amount,
            ttl_ms=record.ttl_ms,
            tier=caller.tier,
            now_ns=now,
            client_id=caller.client_id,
        )
        if isinstance(priced, NoPrice):
            return Rejected(
                priced.reason.value, priced.message, details={"instrument": instrument.symbol, "side": side}
            )
        try:
            require_size(instrument, priced.quantity)
        except ApiFault as fault:
            return fault
        quote = self.pricer.record(
            priced,
            instrument=instrument,
            rfq_id=record.rfq_id,
            client_id=caller.client_id,
            ttl_ms=record.ttl_ms,
            now_ns=now,
            tier=caller.tier,
        )
        return self._ask_gate(Stage.QUOTE, quote, quote.quantity, now) or quote

    def _answered(
        self, record: RfqRecord, key: tuple[str, str], refusal: ApiFault | None, error: Exception | None, began_ns: int
    ) -> None:
        """The record is durable (or could not be made so): now, and only now, the client hears of it."""
        replies = self._waiting_rfq.pop(key, [])
        now = self.clock.timestamp_ns()
        if error is not None:
            for quote in record.quotes:
                self.gate.release(quote.quote_id, stage=Stage.QUOTE)
            record.state = RfqState.RECEIVED  # nobody was told of the step that was not made
            advance(record, RfqState.FAILED, now, "could not be recorded")
            self._publish_rfq(record)
            answer: RfqRecord | ApiFault = Failed("not_durable", "the quote could not be recorded; nothing happened")
            self._alert("critical", f"ledger refuses quotes: {error}")
        else:
            self._answers.keep_rfq(record)
            self._publish_rfq(record)
            for quote in record.quotes:
                self._bus.publish(topics.QUOTE, quote)
            if record.state is RfqState.QUOTED:
                self.live[record.rfq_id] = record
                self._make_live(record, now)
            answer = record
            if refusal is not None:
                self._answers.keep_refusal(record, refusal)
                answer = refusal
            self.rfq_to_quote.record(now - began_ns)
        for reply in replies:
            reply(answer)
        halted = self.gate.state.trading.state is TradingState.HALTED
        if halted and record.state is RfqState.QUOTED:  # the halt came while the quotes were being written
            self._withdraw(record, self.gate.state.trading.reason)

    def cancel_rfq(self, caller: Caller, rfq_id: str, reply: RfqReply) -> None:
        """Give a quoted request up; its quotes can no longer be traded."""
        try:
            require_scope(caller, "quote")
            record = self.rfq(caller, rfq_id)
            if record.state is RfqState.CANCELLED:
                reply(record)
                return
            if record.state is not RfqState.QUOTED:
                raise Rejected("rfq_not_open", f"the RFQ is {record.state}", details={"state": record.state.value})
        except ApiFault as fault:
            reply(fault)
            return
        self._close(record, RfqState.CANCELLED, "cancelled by the client")
        self.ledger.save_rfq_state(
            record,
            lambda error: reply(record if error is None else Failed("not_durable", "the cancel could not be recorded")),
            quotes_voided=[quote.quote_id for quote in record.quotes],
        )

    # ---- accepts ------------------------------------------------------------------------------------------------------

    def accept(self, caller: Caller, quote_id: str, request: AcceptRequest, reply: TradeReply) -> None:
        """Trade on a quote exactly once; the answer comes when the trade is durable."""
        now = self.clock.timestamp_ns()
        key = (caller.client_id, request.client_order_id)
        try:
            require_scope(caller, "trade")
            if (waiting := self._waiting_trade.get(key)) is not None:
                waiting.append(reply)
                return
            if (known := self._answers.trade(key)) is not None:
                reply(known)
                return
            quote = self._tradable(caller, quote_id, now)
            instrument = self.settings.instrument(quote.symbol)
            quantity = accepted_quantity(quote, request, instrument)
        except ApiFault as fault:
            reply(fault)
            return
        if (refusal := self._ask_gate(Stage.TRADE, quote, quantity, now)) is not None:
            reply(refusal)
            return
        trade = trade_of(
            quote,
            quantity,
            trade_id=self.ids.new("t"),
            client_order_id=request.client_order_id,
            instrument=instrument,
            now_ns=now,
        )
        record = self.live.get(quote.rfq_id) or streamed_rfq(quote, now)
        advance(record, RfqState.ACCEPTED, now)
        self._publish_rfq(record)
        self._waiting_trade[key] = [reply]
        self._answers.take(quote_id, key)
        voided = [other.quote_id for other in record.quotes if other.quote_id != quote_id]
        self.ledger.save_trade(
            trade, filled(record, trade, now), voided, lambda error: self._traded(record, trade, key, error)
        )

    def _tradable(self, caller: Caller, quote_id: str, now: int) -> QuoteRecord:
        quote = self.quotes.get(quote_id)
        if quote is not None and quote.client_id != caller.client_id:
            quote = None  # an operator sees everything, but a trade is between the desk and the client who asked
        taker = self._answers.taker(quote_id)
        if taker is not None and taker[0] == caller.client_id:
            raise Rejected(
                "quote_already_accepted", "this quote has been traded", details={"quote_id": quote_id, "by": taker[1]}
            )
        if quote is None:
            raise self._why_not_tradable(caller, quote_id, now)
        if now > quote.valid_until_ns:
            raise expired(quote.valid_until_ns, now)
        if quote.rfq_id and (record := self.live.get(quote.rfq_id)) is not None and record.state is not RfqState.QUOTED:
            raise Rejected(
                "quote_already_accepted" if record.state is RfqState.ACCEPTED else "quote_not_open",
                f"the RFQ is {record.state}",
                details={"state": record.state.value},
            )
        return quote

    def _why_not_tradable(self, caller: Caller, quote_id: str, now: int) -> ApiFault:
        """Say what became of a quote that is no longer (or never was) tradable."""
        if (streamed := self._fates.why(quote_id, caller.client_id, now)) is not None:
            return streamed
        found = self.ledger.quote(quote_id)
        if found is None or found.client_id != caller.client_id:
            return Invalid("unknown_quote", "no such quote", status=404, details={"quote_id": quote_id})
        return why_not_tradable(found, self.ledger.rfq(found.rfq_id), now)

    def _traded(self, record: RfqRecord, trade: TradeRecord, key: tuple[str, str], error: Exception | None) -> None:
        """The trade is durable, or it never happened."""
        replies = self._waiting_trade.pop(key, [])
        now = self.clock.timestamp_ns()
        if isinstance(error, DuplicateTrade):
            self._alert("critical", f"a duplicate trade was stopped by the ledger: {error}")
        if error is not None:
            self._answers.give_back(trade.quote_id)
            self.gate.release(trade.quote_id, stage=Stage.TRADE)
            self._alert("critical", f"ledger refuses trades: {error}")
            advance(record, RfqState.QUOTED, now)
            if record.rfq_id in self.live:
                self._make_live(record, now)  # its timer may have gone off meanwhile
            answer: TradeRecord | ApiFault = Failed("not_durable", "the trade could not be recorded; nothing happened")
        else:
            advance(record, RfqState.FILLED, now)
            record.trade_id = trade.trade_id
            self._forget_quotes(record)
            self.quotes.pop(trade.quote_id, None)
            self.live.pop(record.rfq_id, None)
            self._answers.keep_trade(trade)
            self._answers.keep_rfq(record)
            self._publish_rfq(record)
            self._bus.publish(topics.CLIENT_TRADE, trade)
            self.events.trade(trade)
            self.gate.fill(trade.quote_id, trade.quantity, stage=Stage.TRADE)
            answer = trade
        for reply in replies:
            reply(answer)
        if error is None:
            self.hedger.check(trade.symbol)

    # ---- streaming quotes -----------------------------------------------------------------------------------------------

    def stream_ladder(self, caller: Caller, symbol: str, quantities: Sequence[Decimal]) -> list[QuoteRecord]:
        """Executable two-way quotes, one pair a size. They live in memory until taken or expired; a trade on one is durable."""
        require_scope(caller, "quote")
        instrument = instrument_for(self.settings, caller, symbol)
        now = self.clock.timestamp_ns()
        if self.gate.state.trading.state is not TradingState.ACTIVE:
            raise Rejected("halted", "the desk is not quoting")
        for quantity in quantities:
            require_size(instrument, quantity)
        quotes = self.pricer.ladder(
            instrument, quantities, client_id=caller.client_id, ttl_ms=STREAM_TTL_MS, tier=caller.tier, now_ns=now
        )
        if not quotes:
            raise Rejected("no_price", f"no live book to price {symbol} from")
        for quote in quotes:
            self.quotes[quote.quote_id] = quote
        return quotes

    # ---- the operator ---------------------------------------------------------------------------------------------------

    def state(self) -> DeskState:
        """Everything an operator sees at a glance."""
        return self._view(self)

    def trading(self) -> Trading:
        """What the desk may do now."""
        now = self.gate.state.trading
        return Trading(trading=now.state.value, halt_reason=now.reason)

    def halt(self, caller: Caller, reason: str, reply: TradingReply) -> None:
        """Stop quoting and sending, withdraw every open quote: at once, and over a restart once answered. Cancels go on."""
        require_scope(caller, "operate")
        reason = reason or "operator"
        self._stop_trading(reason)
        for record in list(self.live.values()):
            if record.state is RfqState.QUOTED:
                self._withdraw(record, reason)
        self._fates.remember(self.quotes.values(), withdrawn=True)
        self.quotes.clear()
        failed = Failed("not_durable", "the desk is halted, but a restart would forget it: send it again")
        self.ledger.set_halt(
            reason,
            self.clock.timestamp_ns(),
            then=lambda error: reply(self.trading() if error is None else failed),
        )

    def resume(self, caller: Caller, reason: str, reply: TradingReply) -> None:
        """Quote and hedge again, once that is durable."""
        require_scope(caller, "operate")

        def durable(error: Exception | None) -> None:
            if error is not None:
                reply(Failed("not_durable", "the resume could not be recorded; the desk is still halted"))
                return
            self.gate.state.set_trading(TradingState.ACTIVE, "")
            self.hedger.paused = False
            self._alert("warning", f"trading resumed by {caller.client_id}: {reason}")
            for instrument in self.settings.instruments:
                self.hedger.check(instrument.symbol)
            reply(self.trading())

        self.ledger.set_halt("", self.clock.timestamp_ns(), then=durable)

    def _withdraw(self, record: RfqRecord, reason: str) -> None:
        self._close(record, RfqState.WITHDRAWN, f"desk halted: {reason}")
        self.ledger.save_rfq_state(record, quotes_voided=[quote.quote_id for quote in record.quotes])

    def _stop_trading(self, reason: str) -> None:
        self.gate.state.set_trading(TradingState.HALTED, reason)
        self.hedger.paused = True
        self._bus.send(topics.ROUTER_HALT, reason)
        self._alert("critical", f"trading halted: {reason}")

    # ---- what happens by itself -----------------------------------------------------------------------------------------

    def on_parent(self, parent: ParentOrder) -> None:
        """A hedge moved on."""
        self.hedger.on_parent(parent)

    def on_child(self, child: ChildOrder) -> None:
        """An order of a hedge moved on."""
        self.hedger.on_child(child)

    def _send_parent(self, request: ParentRequest) -> None:
        self._bus.send(topics.ROUTER_PARENT, request)

    def _check_later(self, delay_ms: int, symbol: str) -> None:
        at = self.clock.timestamp_ns() + max(delay_ms, 1) * 1_000_000
        self.at_ns(f"hedge-{symbol}", at, lambda _: self.hedger.check(symbol))

    def _expire(self, record: RfqRecord) -> None:
        if record.state is RfqState.QUOTED:
            self._close(record, RfqState.EXPIRED, "not accepted in time")
            self.ledger.save_rfq_state(record)

    def _sweep(self, _event: object) -> None:
        """Forget streamed quotes that have run out, and look at inventory even when nothing else happens."""
        now = self.clock.timestamp_ns()
        gone = [quote for quote in self.quotes.values() if quote.streamed and now > quote.valid_until_ns + _SECOND_NS]
        self._fates.remember(gone)
        for quote in gone:
            del self.quotes[quote.quote_id]
        marks = self.market.marks(self.settings.base_currency, now)
        self.gate.state.set_pnl(self.settings.base_currency, self.ledger.pnl(marks).total)
        if not self.ledger.waiting:
            for currency, position in self.ledger.positions().items():
                self.gate.state.set_position(currency, position)
        for instrument in self.settings.instruments:
            self.hedger.check(instrument.symbol)

    def _close(self, record: RfqRecord, state: RfqState, reason: str) -> None:
        advance(record, state, self.clock.timestamp_ns(), reason)
        self._forget_quotes(record)
        self.live.pop(record.rfq_id, None)
        self._publish_rfq(record)

    def _forget_quotes(self, record: RfqRecord) -> None:
        for quote in record.quotes:
            self.quotes.pop(quote.quote_id, None)
            self.gate.release(quote.quote_id, stage=Stage.QUOTE)

    def _publish_rfq(self, record: RfqRecord) -> None:
        self.recent[record.rfq_id] = record
        self.recent.move_to_end(record.rfq_id)
        bound(self.recent, MAX_RECENT)
        told = copy(record)  # listeners may keep it; the original goes on changing
        self._bus.publish(topics.RFQ, told)
        self.events.rfq(told)

    def _ask_gate(self, stage: Stage, quote: QuoteRecord, quantity: Decimal, now: int) -> ApiFault | None:
        decision = self.gate.decide(
            Intent(
                stage=stage,
                intent_id=quote.quote_id,
                quote_id=quote.quote_id,
                valid_until_ns=quote.valid_until_ns,
                symbol=quote.symbol,
                side=quote.side,
                quantity=quantity,
                price=quote.price,
                now_ns=now,
                client_id=quote.client_id,
            )
        )
        self._bus.publish(topics.RISK, decision)
        if isinstance(decision, Refused):
            return Rejected(
                refusal_code(decision),
                decision.message,
                details={"limit": decision.check, "value": decision.value, "max": decision.limit},
            )
        return None
