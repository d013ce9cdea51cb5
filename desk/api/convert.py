"""From the desk's records to wire messages. Decimals become plain text: no exponent, no trailing zeros, no negative
zero.
"""

from __future__ import annotations

from decimal import Decimal

from desk.api.desk_messages import PriceSource, PriceStep, QuoteBuild, RfqBuild
from desk.api.messages import DeskOrder, DeskRfq, DeskTrade, Leg, Order, Quote, Rfq, Settlement, Trade
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, TradeRecord

_AVERAGE = Decimal("0.00000001")
_BPS = Decimal("0.001")  # of a step of a price


def text(number: Decimal) -> str:
    """`number` as the API writes it; the same value always gives the same text."""
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


def currencies(symbol: str) -> tuple[str, str]:
    """Base and quote currency of a unified symbol (`BTC/USDT`, `BTC/USDT:USDT`)."""
    base, _, rest = symbol.partition("/")
    return base, rest.partition(":")[0]


def quote_of(record: QuoteRecord) -> Quote:
    """A firm price as the client sees it: without fair value and waterfall."""
    return Quote(
        quote_id=record.quote_id,
        side="buy" if record.side == "buy" else "sell",
        price=text(record.price),
        quantity=text(record.quantity),
        amount=text(record.amount),
        firm=True,
        valid_until_ns=record.valid_until_ns,
    )


def _rfq_fields(record: RfqRecord) -> dict[str, object]:
    return {
        "rfq_id": record.rfq_id,
        "client_rfq_id": record.client_rfq_id,
        "state": record.state.value,
        "instrument": record.symbol,
        "side": record.side,
        "quantity": text(record.quantity),
        "currency": record.currency,
        "quotes": [quote_of(quote) for quote in record.quotes],
        "created_ns": record.created_ns,
        "updated_ns": record.updated_ns,
        "reason": record.reason,
        "trade_id": record.trade_id or None,
    }


def rfq_of(record: RfqRecord) -> Rfq:
    """A request as its client sees it."""
    return Rfq(**_rfq_fields(record))  # type: ignore[arg-type]


def desk_rfq_of(record: RfqRecord) -> DeskRfq:
    """A request as an operator sees it."""
    return DeskRfq(**_rfq_fields(record), client_id=record.client_id)  # type: ignore[arg-type]


def build_of(record: RfqRecord) -> RfqBuild:
    """How the prices of a request were made, as an operator sees it."""
    return RfqBuild(
        rfq_id=record.rfq_id,
        client_id=record.client_id,
        instrument=record.symbol,
        quotes=[
            QuoteBuild(
                quote_id=quote.quote_id,
                side="buy" if quote.side == "buy" else "sell",
                quantity=text(quote.quantity),
                fair=text(quote.fair),
                steps=[
                    PriceStep(
                        step=step.step,
                        amount=text(step.amount),
                        bps=text((step.amount / quote.fair * 10_000).quantize(_BPS)),
                        inputs=step.inputs,
                    )
                    for step in quote.waterfall
                ],
                price=text(quote.price),
                sources=[
                    PriceSource(name=source.name, status=source.status, age_ms=source.age_ns // 1_000_000)
                    for source in quote.sources
                ],
            )
            for quote in record.quotes
        ],
    )


def settlement_of(record: TradeRecord) -> Settlement:
    """What changes hands, signed for the client: a buy receives base and pays quote currency."""
    base, quote = currencies(record.symbol)
    sign = 1 if record.side == "buy" else -1
    return Settlement(
        due_ns=record.settle_due_ns,
        legs=[
            Leg(currency=base, amount=text(sign * record.quantity)),
            Leg(currency=quote, amount=text(-sign * record.amount)),
        ],
    )


def _trade_fields(record: TradeRecord) -> dict[str, object]:
    return {
        "trade_id": record.trade_id,
        "quote_id": record.quote_id,
        "rfq_id": record.rfq_id,
        "client_order_id": record.client_order_id,
        "state": "filled",
        "instrument": record.symbol,
        "side": record.side,
        "price": text(record.price),
        "quantity": text(record.quantity),
        "amount": text(record.amount),
        "traded_ns": record.traded_ns,
        "settlement": settlement_of(record),
    }


def trade_of(record: TradeRecord) -> Trade:
    """A trade as its client sees it."""
    return Trade(**_trade_fields(record))  # type: ignore[arg-type]


def desk_trade_of(record: TradeRecord) -> DeskTrade:
    """A trade as an operator sees it."""
    return DeskTrade(**_trade_fields(record), client_id=record.client_id)  # type: ignore[arg-type]


def _order_fields(record: OrderRecord) -> dict[str, object]:
    average = (record.notional / record.filled).quantize(_AVERAGE) if record.filled else None
    return {
        "order_id": record.order_id,
        "client_order_id": record.client_order_id,
        "instrument": record.symbol,
        "side": record.side,
        "type": record.type,
        "time_in_force": record.time_in_force,
        "capacity": record.capacity.value,
        "quantity": text(record.quantity),
        "limit_price": None if record.limit_price is None else text(record.limit_price),
        "state": record.state.value,
        "filled": text(record.filled),
        "average_price": None if average is None else text(average),
        "commission": text((record.notional * record.commission_bps / 10_000).quantize(_AVERAGE)),
        "trade_id": record.trade_id or None,
        "reason": record.reason,
        "end_ns": record.end_ns,
        "created_ns": record.created_ns,
        "updated_ns": record.updated_ns,
    }


def order_of(record: OrderRecord) -> Order:
    """An order as its client sees it."""
    return Order(**_order_fields(record))  # type: ignore[arg-type]


def desk_order_of(record: OrderRecord) -> DeskOrder:
    """An order as an operator sees it."""
    return DeskOrder(**_order_fields(record), client_id=record.client_id)  # type: ignore[arg-type]
