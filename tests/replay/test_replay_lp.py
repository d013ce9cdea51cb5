"""The LP of a replay: quotes, fills at the quoted price after its hold time, and says no for a reason."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.events import OrderFilled, OrderRejected
from nautilus_trader.model.identifiers import ClientId, InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq
from adapters.nautilus.safe import Alarm, LoopSafe, Safe
from sim.lp_model import LpParams
from sim.replay.data import generated
from sim.replay.venues import SimVenues, add_market_actors, build_engine

MS = 1_000_000
LP = InstrumentId.from_str("BTC/USDT.FALCONX")
SURE = LpParams(no_quote_rate=0.0, reject_rate=0.0, tolerance_bps=50.0)


class Asker(Safe, LoopSafe, Strategy):
    """Asks for a two-way quote and accepts it in all the ways there are."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="ASKER", order_id_tag="001"))
        self.quotes: list[LpQuote] = []
        self.refused: list[LpNoQuote] = []
        self.ladders: list[LpLadder] = []
        self.outcomes: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.asked_ns = 0

    def on_start(self) -> None:
        self.bind_loop()
        self.bus = Bus(self)
        self.bus.subscribe(topics.LP_LADDER, self.ladders.append)
        self.at_ns("ask", self.clock.timestamp_ns() + 2_000 * MS, self._ask)

    def _ask(self, _: Alarm) -> None:
        self.asked_ns = self.clock.timestamp_ns()
        for quantity, reply in (("0.5", self._accept), ("1000", self.refused.append)):
            rfq = LpRfq(rfq_id="R", symbol="BTC/USDT", side="two_way", quantity=Decimal(quantity), reply=reply)
            assert self.bus.send(topics.lp_rfq("FALCONX"), rfq)

    def _accept(self, quote: LpQuote) -> None:
        self.quotes.append(quote)
        assert quote.ask is not None
        self._order("beyond", quote, quote.ask - 1)
        self._order("part", quote, quote.ask, Decimal("0.25"))
        self._order("unknown", quote, quote.ask, quote_id="nobody's")
        self._order("good", quote, quote.ask + 5)
        self._order("again", quote, quote.ask)
        self.at_ns("late", quote.valid_until_ns + 1, lambda _: self._order("late", quote, quote.ask))

    def _order(
        self, name: str, quote: LpQuote, price: Decimal, quantity: Decimal | None = None, quote_id: str = ""
    ) -> None:
        order = self.order_factory.limit(
            LP,
            OrderSide.BUY,
            Quantity(quantity or quote.quantity, 8),
            Price(price, 2),
            time_in_force=TimeInForce.FOK,
        )
        self.names[order.client_order_id.value] = name
        self.submit_order(order, client_id=ClientId("FALCONX"), params={"quote_id": quote_id or quote.quote_id})

    def on_order_event(self, event: Any) -> None:
        if isinstance(event, OrderFilled | OrderRejected):
            self.outcomes[self.names[event.client_order_id.value]] = event


def test_a_quote_is_filled_once_at_its_price_and_refused_in_every_other_way() -> None:
    data = generated("BTC/USDT", 3, 6.0)
    venues = SimVenues(lps=(SURE,))
    engine, lps = build_engine(data, 3, venues)
    add_market_actors(engine, data, venues, lps)
    asker = Asker()
    engine.add_strategy(asker)
    engine.run()
    assert asker.fault_count() == 0, list(asker.last_faults)
    (quote,) = asker.quotes
    assert quote.ts_ns - asker.asked_ns >= SURE.latency_ns[0]
    assert quote.valid_until_ns > quote.ts_ns
    assert quote.bid is not None
    assert quote.ask is not None
    assert quote.bid < quote.ask
    (no,) = asker.refused
    assert "SIZE_LIMIT" in no.reason
    filled = asker.outcomes.pop("good")
    assert isinstance(filled, OrderFilled)
    assert filled.last_px.as_decimal() == quote.ask  # not the worse limit
    assert filled.last_qty.as_decimal() == Decimal("0.5")
    assert filled.trade_id.value == quote.quote_id
    assert filled.ts_event - quote.ts_ns >= SURE.hold_ns[0]
    reasons = {name: event.reason for name, event in asker.outcomes.items()}
    assert set(reasons) == {"beyond", "part", "unknown", "again", "late"}
    assert "beyond the limit" in reasons["beyond"]
    assert "all or none" in reasons["part"]
    assert "unknown quote" in reasons["unknown"]
    assert "was executed by order" in reasons["again"]
    assert "executed" in reasons["late"] or "expired" in reasons["late"]
    account = engine.cache.account_for_venue(LP.venue)
    assert {str(money.currency): money.as_decimal() for money in account.balances_total().values()} == {
        "BTC": Decimal("0.5"),
        "USDT": -(quote.ask * Decimal("0.5")),
    }
    assert len(asker.ladders) > 5
    assert all(rung.bid < rung.ask for ladder in asker.ladders for rung in ladder.rungs)
    engine.dispose()
