"""Small live clients that the seam's tests drive by hand: no network, every answer is given by the test."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.live.config import LiveDataClientConfig, LiveExecClientConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.enums import AccountType, LiquiditySide, OmsType, OrderType
from nautilus_trader.model.identifiers import AccountId, ClientId, InstrumentId, Symbol, TradeId, Venue, VenueOrderId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity


def btc_usdt(venue: str) -> CurrencyPair:
    """BTC/USDT as `venue` trades it, with no fees."""
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol("BTC/USDT"), Venue(venue)),
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=2,
        size_precision=5,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.00001"),
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
        ts_event=0,
        ts_init=0,
    )


class HandData(LiveMarketDataClient):
    """Connects as its class says, then gives the engine what the test feeds."""

    made: ClassVar[dict[str, HandData]] = {}

    def __init__(self, loop: Any, venue: str, how: str, msgbus: Any, cache: Any, clock: Any) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(venue),
            venue=Venue(venue),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            instrument_provider=InstrumentProvider(),
        )
        self.how = how
        self.gate = asyncio.Event()
        self.made[venue] = self

    async def _connect(self) -> None:
        if self.how == "fails":
            raise ConnectionError("the venue is away")
        if self.how == "hangs":
            await self.gate.wait()
        self._handle_data(btc_usdt(str(self.venue)))

    async def _disconnect(self) -> None: ...

    async def _subscribe_quote_ticks(self, command: Any) -> None: ...

    def feed(self, data: Any) -> None:
        """Give one message to the engine."""
        self._handle_data(data)


class HandExec(LiveExecutionClient):
    """Accepts every order and fills it when the test says so."""

    made: ClassVar[dict[str, HandExec]] = {}

    def __init__(self, loop: Any, venue: str, how: str, msgbus: Any, cache: Any, clock: Any) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(venue),
            venue=Venue(venue),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=None,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(AccountId(f"{venue}-master"))
        self.how = how
        self.gate = asyncio.Event()
        self.orders: list[Any] = []
        self.reports_asked = 0
        self.made[venue] = self

    async def _connect(self) -> None:
        if self.how == "fails":
            raise ConnectionError("the venue is away")
        if self.how == "hangs":
            await self.gate.wait()
        balances = [
            AccountBalance(Money(1_000_000, USDT), Money(0, USDT), Money(1_000_000, USDT)),
            AccountBalance(Money(100, BTC), Money(0, BTC), Money(100, BTC)),
        ]
        self.generate_account_state(balances, [], reported=True, ts_event=self._clock.timestamp_ns())
        await self._await_account_registered()

    async def _disconnect(self) -> None: ...

    async def _submit_order(self, command: Any) -> None:
        order = command.order
        self.orders.append(order)
        self.generate_order_submitted(
            order.strategy_id, order.instrument_id, order.client_order_id, self._clock.timestamp_ns()
        )

    def fill(self, order: Any, price: str) -> None:
        """The venue reports that all of `order` was executed at `price`."""
        self.generate_order_filled(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            VenueOrderId("V-1"),
            None,
            TradeId("T-1"),
            order.side,
            OrderType.LIMIT,
            order.quantity,
            Price.from_str(price),
            USDT,
            Money(0, USDT),
            LiquiditySide.TAKER,
            self._clock.timestamp_ns(),
        )

    async def generate_order_status_report(self, command: Any) -> None:
        self.reports_asked += 1

    async def generate_order_status_reports(self, command: Any) -> list[Any]:
        self.reports_asked += 1
        return []

    async def generate_fill_reports(self, command: Any) -> list[Any]:
        return []

    async def generate_position_status_reports(self, command: Any) -> list[Any]:
        return []


class HandDataConfig(LiveDataClientConfig, frozen=True, kw_only=True):
    """`how`: "connects", "fails" or "hangs" (until the client's gate is opened)."""

    venue: str
    how: str = "connects"


class HandExecConfig(LiveExecClientConfig, frozen=True, kw_only=True):
    """As `HandDataConfig`."""

    venue: str
    how: str = "connects"


class HandDataFactory(LiveDataClientFactory):
    """Makes `HandData`."""

    @staticmethod
    def create(loop: Any, name: str, config: HandDataConfig, msgbus: Any, cache: Any, clock: Any) -> HandData:
        return HandData(loop, config.venue, config.how, msgbus, cache, clock)


class HandExecFactory(LiveExecClientFactory):
    """Makes `HandExec`."""

    @staticmethod
    def create(loop: Any, name: str, config: HandExecConfig, msgbus: Any, cache: Any, clock: Any) -> HandExec:
        return HandExec(loop, config.venue, config.how, msgbus, cache, clock)
