"""Clients' orders on the real ledger, gate and router: taken once, worked, crossed inside, commanded, taken up after a restart."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.nautilus.outcome import VenueFill
from desk.api.events import Events
from desk.api.messages import AmendRequest, OrderRequest
from desk.config.model import Band, DeskConfig, HedgingSection, InstrumentSection, OrdersSection
from desk.errors import ApiFault, Invalid, Rejected
from desk.hedging.internaliser import Internaliser
from desk.ids import IdSource
from desk.ledger import Ledger
from desk.orders.actor import OrderDesk
from desk.orders.records import OrderRecord, OrderState
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, TradeRecord
from desk.service import Caller
from risk.limits import RiskLimits
from router.messages import CommandKind
from router.orders import INTERNAL, ChildOrder, ParentOrder
from tests.conformance.router_rig import MS, START, SYMBOL, D, MemoryJournal, Rig
from tests.oracles import ledger_records as make

DEEP = ([("59999.00", "50")], [("60000.00", "50")])
ACME = Caller(client_id="acme", key_id="k", scopes=frozenset({"quote", "trade", "read"}), tier="gold")
EVE = Caller(client_id="eve", key_id="e", scopes=frozenset({"quote", "trade", "read"}))
INSTRUMENT = InstrumentSection(symbol=SYMBOL, quantity_step=D("0.00001"), min_quantity=D("0.001"))


class OnLedger(MemoryJournal):
    """What the rig checks, and the desk's own ledger behind it."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger.open_parents())
        self.ledger = ledger

    def parent(self, parent: ParentOrder, then: Callable[[], None] | None = None) -> None:
        self.ledger.parent(parent)
        super().parent(parent, then)

    def child(self, child: ChildOrder, then: Callable[[], None] | None = None) -> None:
        self.ledger.child(child)
        super().child(child, then)

    def fill(self, fill: VenueFill, parent_id: str) -> bool:
        return super().fill(fill, parent_id) and self.ledger.fill(fill, parent_id)

    def cross(self, fill: VenueFill, parent: ParentOrder, child: ChildOrder) -> bool:
        MemoryJournal.parent(self, parent)
        MemoryJournal.child(self, child)
        return MemoryJournal.fill(self, fill, parent.parent_id) and self.ledger.cross(fill, parent, child)


class QuotingDesk:
    """The desk's door for principal orders: one price, every accept trades."""

    def __init__(self, ledger: Ledger, price: str) -> None:
        self.ledger, self.price = ledger, D(price)
        self.cancelled: list[str] = []

    def request_quote(self, caller: Caller, request: Any, reply: Callable[[Any], None]) -> None:
        quantity = D(request.quantity)
        quote = QuoteRecord(
            quote_id=f"q-{request.client_rfq_id}",
            rfq_id="r-1",
            client_id=caller.client_id,
            symbol=request.instrument,
            side=request.side,
            price=self.price,
            quantity=quantity,
            amount=self.price * quantity,
            fair=self.price,
            waterfall=(),
            valid_until_ns=START + 10**12,
            created_ns=START,
        )
        self.quote = quote
        reply(
            RfqRecord(
                rfq_id="r-1",
                client_id=caller.client_id,
                client_rfq_id=request.client_rfq_id,
                symbol=request.instrument,
                side=request.side,
                quantity=quantity,
                currency="BTC",
                ttl_ms=2000,
                state=RfqState.QUOTED,
                created_ns=START,
                updated_ns=START,
                quotes=(quote,),
            )
        )

    def accept(self, caller: Caller, quote_id: str, request: Any, reply: Callable[[Any], None]) -> None:
        trade = TradeRecord(
            trade_id=f"t-{request.client_order_id}",
            quote_id=quote_id,
            rfq_id="r-1",
            client_id=caller.client_id,
            client_order_id=request.client_order_id,
            symbol=SYMBOL,
            side=self.quote.side,
            price=self.price,
            quantity=self.quote.quantity,
            amount=self.quote.amount,
            fair=self.price,
            skew=D(0),
            traded_ns=START,
            settle_due_ns=START,
        )
        self.ledger.save_trade(trade, None, (), lambda error: reply(trade))

    def cancel_rfq(self, caller: Caller, rfq_id: str, reply: Callable[[Any], None]) -> None:
        self.cancelled.append(rfq_id)


class OneBook:
    """`Market.fair` over the rig's book."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        return self._rig.book.fair(now_ns)


class House:
    """A rig with an order desk, on one ledger file."""

    def __init__(
        self,
        url: str,
        *,
        price: str = "60010",
        limits: RiskLimits | None = None,
        epoch: str = "e1",
        internal: bool = True,
        orders: OrdersSection | None = None,
        **options: Any,
    ) -> None:
        self.ledger = Ledger(url, inline=True)
        self.answers: list[OrderRecord | ApiFault] = []
        self.told: list[tuple[str, str]] = []
        events = Events()
        events.on_order.append(lambda order: self.told.append((order.order_id, order.state.value)))
        internaliser = Internaliser(
            {SYMBOL: INSTRUMENT},
            position=self.ledger.position,
            fair=lambda symbol: self.rig.book.fair(self.rig.driver.clock.timestamp_ns()),
            hedging=lambda symbol: D(0),
        )
        self.rig = Rig(
            {"BINANCE": DEEP},
            journal=OnLedger(self.ledger),
            limits=limits,
            epoch=epoch,
            crossing=internaliser if internal else None,
            **options,
        )
        config = DeskConfig(
            instruments=(INSTRUMENT,),
            hedging=HedgingSection(bands={"BTC": Band(soft=D(1), hard=D(10))}),
            orders=orders or OrdersSection(commission_bps={"standard": D(2), "gold": D(1)}),
        )
        self.desk = QuotingDesk(self.ledger, price)
        self.orders = OrderDesk(
            config,
            desk=self.desk,  # type: ignore[arg-type]
            market=OneBook(self.rig),  # type: ignore[arg-type]
            ledger=self.ledger,
            gate=self.rig.gate,
            ids=IdSource(epoch),
            events=events,
        )
        self.rig.engine.add_actor(self.orders)

    def place(self, at_ms: int = 500, caller: Caller = ACME, **fields: Any) -> None:
        wanted = {"client_order_id": "w-1", "instrument": SYMBOL, "side": "buy", "type": "market", "quantity": "2"}
        request = OrderRequest(**(wanted | fields))
        self.rig.at(at_ms, lambda: self.orders.place(caller, request, self.answers.append))

    def run(self, for_ms: int = 30_000) -> House:
        self.rig.run(for_ms)
        assert self.orders.fault_count() == 0
        assert set(self.ledger.imbalance().values()) <= {D(0)}
        assert not any(self.ledger.verify().values())
        return self

    def order(self) -> OrderRecord:
        order = self.ledger.order_by_token("acme", "w-1")
        assert order is not None
        return order

    def refusal(self) -> ApiFault:
        [answer] = self.answers
        assert isinstance(answer, ApiFault)
        return answer


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def test_a_market_order_is_the_clients_own_at_the_price_it_was_made(url: str) -> None:
    house = House(url)
    house.place()
    house.place(501)  # the answer got lost: the same order again
    house.place(5_000)
    house.run()
    order = house.order()
    assert (order.state, order.filled, order.notional) == (OrderState.FILLED, D(2), D(120_000))
    assert [isinstance(answer, OrderRecord) for answer in house.answers] == [True, True, True]
    assert {answer.order_id for answer in house.answers if isinstance(answer, OrderRecord)} == {order.order_id}
    assert len(house.rig.children_at("BINANCE")) == 1
    assert house.ledger.position("BTC") == 0
    fees = sum((fill.fee for fill, _ in house.rig.journal.fills.values()), D(0))
    assert (
        house.ledger.balance("client:acme", "USDT") == -120_000 - 12 - fees
    )  # one bp of commission, the venue's own fee
    assert house.ledger.position("USDT") == 12
    assert house.rig.state.exposure[("acme", "USDT")] == 120_012 + fees
    assert not house.rig.state.reservations
    assert [state for _, state in house.told][-1] == "filled"


def test_the_desks_own_inventory_comes_before_any_venue(url: str) -> None:
    house = House(url)
    house.ledger.save_trade(make.trade(1, of=make.quote(1, side="sell")), None)  # a client sold the desk a quarter
    assert house.ledger.position("BTC") == D("0.25")
    house.place(quantity="1")
    house.run()
    inside, outside = house.rig.children_at(INTERNAL), house.rig.children_at("BINANCE")
    assert [child.filled for child in inside] == [D("0.25")]
    assert inside[0].limit_price == D("59999.50")  # the middle
    assert sum(child.filled for child in outside) == D("0.75")
    assert house.ledger.position("BTC") == 0
    assert house.ledger.balance("client:acme", "BTC") == D("1") - D("0.25")  # the trade above was acme's as well
    assert house.order().state is OrderState.FILLED
    assert house.rig.state.position("BTC") == D(
        "-0.25"
    )  # told of the cross; the desk's sweep sets the whole from the ledger


@pytest.mark.parametrize(
    ("held", "limit", "why"),
    [
        ("buy", None, "the desk is short as well"),
        ("sell", "59999.00", "the middle is beyond the limit"),
    ],
)
def test_no_cross_when(url: str, held: str, limit: str | None, why: str) -> None:
    house = House(url)
    house.ledger.save_trade(make.trade(1, of=make.quote(1, side=held)), None)
    fields: dict[str, Any] = {"type": "limit", "limit_price": limit, "time_in_force": "ioc"} if limit else {}
    house.place(quantity="0.2", **fields)
    house.run()
    assert not house.rig.children_at(INTERNAL), why


def test_an_order_over_the_clients_limit_is_refused_and_holds_nothing(url: str) -> None:
    house = House(url, limits=RiskLimits(client_notional=D(100_000)))
    house.place()
    house.run()
    refusal = house.refusal()
    assert isinstance(refusal, Rejected)
    assert refusal.code == "limit_exceeded"
    assert house.ledger.order_by_token("acme", "w-1") is None
    assert not house.rig.state.reservations
    assert not house.rig.journal.parents


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "limit"}, "limit_price"),
        ({"type": "twap"}, "duration_ms"),
        ({"type": "pov", "duration_ms": 5_000}, "participation"),
        ({"type": "pov", "duration_ms": 5_000, "participation": "1.5"}, "pov"),
        ({"type": "market", "duration_ms": 5_000}, "duration_ms"),
        ({"type": "market", "limit_price": "60000"}, "limit_price"),
        ({"type": "limit", "limit_price": "60000.001"}, "limit_price"),
        ({"type": "limit", "limit_price": "0"}, "limit_price"),
        ({"type": "market", "time_in_force": "gtc"}, "time_in_force"),
        ({"type": "limit", "limit_price": "60000", "time_in_force": "gtd"}, "expire_ns"),
        ({"type": "limit", "limit_price": "60000", "expire_ns": 5}, "expire_ns"),
        ({"type": "twap", "duration_ms": 5_000, "capacity": "principal"}, "capacity"),
        ({"type": "market", "time_in_force": "fok", "capacity": "agency"}, "time_in_force"),
        ({"type": "iceberg", "limit_price": "60000", "display_quantity": "0"}, "iceberg"),
        ({"quantity": "0.000001"}, None),
    ],
)
def test_what_makes_no_sense_is_told_by_field(url: str, fields: dict[str, Any], field: str | None) -> None:
    house = House(url)
    house.place(**fields)
    house.run(2_000)
    refusal = house.refusal()
    assert isinstance(refusal, Invalid)
    if field is not None:
        assert refusal.details["field"] == field
    assert not house.rig.journal.parents


def test_whom_the_client_faces_is_the_desks_to_allow(url: str) -> None:
    house = House(url, orders=OrdersSection(capacities={"eve": ("principal",)}))
    house.place(caller=EVE, type="twap", duration_ms=5_000, capacity="agency")
    house.run(2_000)
    assert house.refusal().status == 403


def test_a_principal_order_is_dealt_at_once_or_not_at_all(url: str) -> None:
    house = House(url)
    house.place(time_in_force="fok")
    house.place(600, client_order_id="w-2", type="limit", limit_price="60009", time_in_force="fok")
    house.run(2_000)
    dealt, missed = (house.ledger.order_by_token("acme", token) for token in ("w-1", "w-2"))
    assert dealt is not None and missed is not None
    assert (dealt.state, dealt.filled, dealt.trade_id) == (OrderState.FILLED, D(2), "t-w-1")
    assert (missed.state, missed.filled) == (OrderState.EXPIRED, D(0))
    assert "beyond the limit" in missed.reason
    assert house.desk.cancelled == ["r-1"]
    assert house.ledger.position("BTC") == -2
    assert [answer.state for answer in house.answers if isinstance(answer, OrderRecord)] == [
        OrderState.FILLED,
        OrderState.EXPIRED,
    ]


def test_pause_amend_and_cancel_a_schedule(url: str) -> None:
    house = House(url)
    house.place(type="twap", quantity="4", duration_ms=20_000)
    seen: dict[str, Any] = {}

    def command(kind: CommandKind) -> Callable[[], None]:
        return lambda: house.orders.command(ACME, house.order().order_id, kind, house.answers.append)

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.update({name: house.orders.order(ACME, house.order().order_id).filled})

    house.rig.at(8_000, command(CommandKind.PAUSE))
    house.rig.at(9_000, note("paused"))
    house.rig.at(13_000, note("still"))
    house.rig.at(13_001, command(CommandKind.RESUME))
    amend = AmendRequest(quantity="3")
    house.rig.at(14_000, lambda: house.orders.amend(ACME, house.order().order_id, amend, house.answers.append))
    less = AmendRequest(quantity="0.001")
    house.rig.at(18_000, lambda: house.orders.amend(ACME, house.order().order_id, less, house.answers.append))
    house.rig.at(18_500, command(CommandKind.CANCEL))
    house.rig.at(19_500, command(CommandKind.CANCEL))
    house.run()
    order = house.order()
    assert order.state is OrderState.CANCELLED
    assert 0 < seen["paused"] == seen["still"] < order.filled < 3
    assert order.quantity == 3
    refused = [answer for answer in house.answers if isinstance(answer, ApiFault)]
    assert [fault.code for fault in refused] == ["bad_order", "order_not_open"]
    assert house.ledger.balance("client:acme", "BTC") == order.filled
    assert not house.rig.state.reservations
    states = [state for _, state in house.told]
    assert "paused" in states and states[-1] == "cancelled"


def test_nobody_sees_or_stops_anothers_order(url: str) -> None:
    house = House(url)
    house.place(type="twap", quantity="4", duration_ms=20_000)
    faults: list[Any] = []

    def snoop() -> None:
        order_id = house.order().order_id
        with pytest.raises(Invalid) as refused:
            house.orders.order(EVE, order_id)
        faults.append(refused.value.status)
        house.orders.command(EVE, order_id, CommandKind.CANCEL, lambda answer: faults.append(answer.status))  # type: ignore[union-attr]

    house.rig.at(3_000, snoop)
    house.run()
    assert faults == [404, 404]
    assert house.orders.orders(EVE).items == []
    assert house.order().state is OrderState.FILLED


def test_a_restart_takes_an_order_up_where_it_stood(url: str) -> None:
    first = House(url)
    first.place(type="twap", quantity="4", duration_ms=25_000)
    first.run(10_000)
    before = first.order()
    assert before.state is OrderState.WORKING
    filled = first.ledger.balance("client:acme", "BTC")
    assert 0 < filled < 4
    first.ledger.close()

    second = House(url, epoch="e2")
    adopted: list[Any] = []
    second.rig.at(100, lambda: adopted.extend(second.rig.state.reservations.values()))
    second.place(200, type="twap", quantity="4", duration_ms=25_000)  # the client asks again: the same order
    second.run(29_000)
    order = second.order()
    assert (order.order_id, order.state, order.filled) == (before.order_id, OrderState.FILLED, D(4))
    assert second.ledger.balance("client:acme", "BTC") == 4
    assert any(held.intent.intent_id == before.order_id for held in adopted)
    assert not second.rig.state.reservations


def test_an_order_whose_parent_was_never_written_is_not_sent_after_a_restart(url: str) -> None:
    ledger = Ledger(url, inline=True)
    house = House("sqlite://")
    house.place(type="twap", quantity="4", duration_ms=25_000)
    house.run(600)
    ledger.save_order(house.order())
    ledger.close()
    again = House(url, epoch="e2")
    again.run(2_000)
    assert again.order().state is OrderState.REJECTED
    assert not again.rig.journal.parents


def test_a_halt_ends_orders_and_takes_no_new_ones(url: str) -> None:
    from adapters.nautilus import topics
    from risk.state import TradingState

    house = House(url)
    house.place(type="twap", quantity="4", duration_ms=25_000)

    def halt() -> None:
        house.rig.state.set_trading(TradingState.HALTED, "fat finger")
        house.rig.driver.bus.send(topics.ROUTER_HALT, "fat finger")

    house.rig.at(5_000, halt)
    house.place(6_000, client_order_id="w-2")
    house.run(10_000)
    order = house.order()
    assert order.state is OrderState.CANCELLED
    assert "halted" in order.reason
    assert 0 < order.filled < 4
    assert isinstance(house.answers[-1], Rejected)
    assert house.answers[-1].code == "halted"


def test_what_could_not_be_had_in_time_is_given_back(url: str) -> None:
    house = House(url)
    house.place(type="limit", limit_price="59000", time_in_force="ioc")
    house.run(15_000)
    order = house.order()
    assert (order.state, order.filled) == (OrderState.EXPIRED, D(0))
    assert "no liquidity within the limits" in order.reason
    assert order.updated_ns <= START + 500 * MS + 1_000 * MS  # at once: it waits for no deadline
