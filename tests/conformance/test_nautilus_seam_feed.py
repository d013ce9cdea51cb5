"""`Feed` hears, instrument by instrument, what an actor hears; what its handlers raise is survived; closed, it hears nothing."""

from __future__ import annotations

from typing import Any

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig, LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, BookAction, BookType, OmsType, OrderSide
from nautilus_trader.model.identifiers import TradeId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity

from adapters.nautilus.feed import Feed
from adapters.nautilus.safe import Alarm, LoopSafe, Safe
from tests.conformance.seam_clients import btc_usdt

MS = 1_000_000
CLOSED_NS = 350 * MS
ONE, TWO = btc_usdt("X"), btc_usdt("Y")
SIZE = Quantity.from_str("1.00000")


class Plain(Safe, Actor):
    """Hears as the engine means an actor to."""

    def __init__(self) -> None:
        super().__init__(ActorConfig(component_id="Plain"))
        self.heard: list[tuple[str, Any]] = []

    def on_start(self) -> None:
        for instrument in (ONE, TWO):
            self.subscribe_order_book_deltas(instrument.id, managed=False)
            self.subscribe_quote_ticks(instrument.id)
            self.subscribe_trade_ticks(instrument.id)

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.heard.append((deltas.instrument_id.venue.value, deltas))

    def on_quote_tick(self, tick: Any) -> None:
        self.heard.append((tick.instrument_id.venue.value, tick))

    def on_trade_tick(self, tick: Any) -> None:
        self.heard.append((tick.instrument_id.venue.value, tick))


class Fed(Safe, LoopSafe, Actor):
    """Hears through a `Feed`, which it closes at `CLOSED_NS`; raises at the trades of `Y`."""

    def __init__(self) -> None:
        super().__init__(ActorConfig(component_id="Fed"))
        self.heard: list[tuple[str, Any]] = []

    def on_start(self) -> None:
        self.bind_loop()
        self._feed = Feed(self)
        for instrument in (ONE, TWO):
            venue = instrument.id.venue.value
            hear = self._ear(venue)
            self._feed.open(instrument.id, book=hear, quote=hear, trade=self._raise if venue == "Y" else hear)
        self.at_ns("close", CLOSED_NS, self._close)

    def _ear(self, venue: str) -> Any:
        return lambda message: self.heard.append((venue, message))

    def _raise(self, message: Any) -> None:
        self.heard.append(("Y", message))
        raise KeyError("boom")

    def _close(self, _: Alarm) -> None:
        self._feed.close()

    def on_quote_tick(self, tick: Any) -> None:
        raise AssertionError("a feed takes the actor's place")


def _tape(instrument: Any) -> list[Any]:
    found: list[Any] = []
    for step in range(5):
        ns = (step + 1) * 100 * MS
        order = BookOrder(OrderSide.BUY, Price.from_str(f"{90 + step}.00"), SIZE, step)
        deltas = [OrderBookDelta(instrument.id, BookAction.ADD, order, 0, step, ns, ns)]
        found.append(OrderBookDeltas(instrument.id, deltas))
        found.append(
            QuoteTick(instrument.id, Price.from_str("99.00"), Price.from_str("101.00"), SIZE, SIZE, ns + 1, ns + 1)
        )
        price, buyer = Price.from_str("100.00"), AggressorSide.BUYER
        found.append(TradeTick(instrument.id, price, SIZE, buyer, TradeId(f"t{step}"), ns + 2, ns + 2))
    return found


def test_a_feed_hears_what_an_actor_hears_until_it_is_closed_and_survives_its_handlers() -> None:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(log_level="OFF")))
    for instrument in (ONE, TWO):
        engine.add_venue(
            venue=Venue(instrument.id.venue.value),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            starting_balances=[Money(1_000, USDT), Money(1, BTC)],
            base_currency=None,
            book_type=BookType.L2_MBP,
        )
        engine.add_instrument(instrument)
        tape = _tape(instrument)
        for kind in (OrderBookDeltas, QuoteTick, TradeTick):
            engine.add_data([item for item in tape if isinstance(item, kind)])
    plain, fed = Plain(), Fed()
    engine.add_actor(plain)
    engine.add_actor(fed)
    engine.run()
    assert len(plain.heard) == 30
    assert fed.heard == [(venue, message) for venue, message in plain.heard if message.ts_init < CLOSED_NS]
    assert fed.fault_count() == 3, "a fault for each trade of Y until it was closed, and none of them ended anything"
    assert {fault.handler for fault in fed.last_faults} == {"_raise"}
    engine.dispose()
