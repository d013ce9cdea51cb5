"""The records of an accept, made from the quote it takes. Pure: nothing is decided, sent or written here."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from desk.api.messages import AcceptRequest
from desk.config.model import InstrumentSection
from desk.errors import ApiFault, Invalid, Rejected
from desk.rfq.checks import require_step
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, TradeRecord
from pricing.scale import EXACT
from pricing.waterfall import round_against

STREAM_TTL_MS = 1_500
SETTLE_AFTER_NS = 24 * 3600 * 1_000_000_000


def accepted_quantity(quote: QuoteRecord, request: AcceptRequest, instrument: InstrumentSection | None) -> Decimal:
    """What is taken of a quote: all of it, or the part asked for. Raises `ApiFault`."""
    if request.quantity is None:
        return quote.quantity
    quantity = Decimal(request.quantity)
    if quantity <= 0:
        raise Invalid("bad_quantity", "quantity must be above zero", details={"quantity": request.quantity})
    if quantity > quote.quantity:
        raise Rejected(
            "quantity_over_quote",
            f"the quote is for {quote.quantity:f}",
            status=422,
            details={"quantity": request.quantity, "max": f"{quote.quantity:f}"},
        )
    if instrument is not None:
        require_step(quantity, instrument.quantity_step)
    return quantity


def trade_of(
    quote: QuoteRecord,
    quantity: Decimal,
    *,
    trade_id: str,
    client_order_id: str,
    instrument: InstrumentSection | None,
    now_ns: int,
) -> TradeRecord:
    """The trade that an accept of `quantity` makes."""
    precision = instrument.quote_precision if instrument else 8
    if quantity == quote.quantity:
        amount = quote.amount
    else:
        amount = round_against(EXACT.multiply(quote.price, quantity), Decimal(1).scaleb(-precision), quote.side)
    return TradeRecord(
        trade_id=trade_id,
        quote_id=quote.quote_id,
        rfq_id=quote.rfq_id or _rfq_id_of(quote),
        client_id=quote.client_id,
        client_order_id=client_order_id,
        symbol=quote.symbol,
        side=quote.side,
        price=quote.price,
        quantity=quantity,
        amount=amount,
        fair=quote.fair,
        skew=next((step.amount for step in quote.waterfall if step.step == "skew"), Decimal(0)),
        traded_ns=now_ns,
        settle_due_ns=now_ns + SETTLE_AFTER_NS,
    )


def streamed_rfq(quote: QuoteRecord, now_ns: int) -> RfqRecord:
    """A streamed quote that is taken becomes a request like any other, so that every trade has one."""
    return RfqRecord(
        rfq_id=_rfq_id_of(quote),
        client_id=quote.client_id,
        client_rfq_id=f"rfs:{quote.quote_id}",
        symbol=quote.symbol,
        side=quote.side,
        quantity=quote.quantity,
        currency=quote.symbol.split("/")[0],
        ttl_ms=STREAM_TTL_MS,
        state=RfqState.QUOTED,
        created_ns=quote.created_ns,
        updated_ns=now_ns,
        quotes=(quote,),
    )


def filled(record: RfqRecord, trade: TradeRecord, now_ns: int) -> RfqRecord:
    """The record as it will stand when the trade is durable: what the ledger writes in the trade's own transaction."""
    return msgspec.structs.replace(record, state=RfqState.FILLED, updated_ns=now_ns, trade_id=trade.trade_id)


def expired(valid_until_ns: int, now_ns: int) -> Rejected:
    """The refusal of an accept that came too late."""
    return Rejected(
        "quote_expired",
        "the quote was good until an earlier moment",
        details={"valid_until_ns": valid_until_ns, "now_ns": now_ns},
    )


def why_not_tradable(found: QuoteRecord, record: RfqRecord | None, now_ns: int) -> ApiFault:
    """What became of a quote that can no longer be traded. `record`: its request."""
    state = record.state if record is not None else RfqState.EXPIRED
    match state:
        case RfqState.FILLED | RfqState.ACCEPTED:
            return Rejected("quote_already_accepted", "this request has been traded", details={"rfq_id": found.rfq_id})
        case RfqState.CANCELLED | RfqState.WITHDRAWN:
            return Rejected(f"quote_{state}", f"the quote was {state}", details={"rfq_id": found.rfq_id})
        case _:
            return expired(found.valid_until_ns, now_ns)


def _rfq_id_of(quote: QuoteRecord) -> str:
    return f"r{quote.quote_id[1:]}"
