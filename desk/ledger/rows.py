"""Structs to rows and back: the one place that knows how a record lies in the ledger's tables."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from adapters.nautilus.outcome import VenueFill
from desk.ledger.book import INVENTORY, Posting, commission_of, to_limbs
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, TradeRecord
from router.orders import ChildOrder, ParentOrder

_encoder = msgspec.json.Encoder(decimal_format="string")

rfq_from = msgspec.json.Decoder(RfqRecord).decode
quote_from = msgspec.json.Decoder(QuoteRecord).decode
trade_from = msgspec.json.Decoder(TradeRecord).decode
order_from = msgspec.json.Decoder(OrderRecord).decode
parent_from = msgspec.json.Decoder(ParentOrder).decode
child_from = msgspec.json.Decoder(ChildOrder).decode
fill_from = msgspec.json.Decoder(VenueFill).decode

# Bit of each state in rfqs.reached. Appended to, never reordered: old ledgers are read by it.
STATE_BITS = {state: 1 << position for position, state in enumerate(RfqState)}
_ACCEPTED = STATE_BITS[RfqState.QUOTED] | STATE_BITS[RfqState.ACCEPTED]


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose fills a parent's are, and what they are measured against."""

    parent_id: str
    arrival: Decimal | None = None
    account: str = INVENTORY
    commission_bps: Decimal = Decimal(0)

    def commission(self, fill: VenueFill) -> Decimal:
        """What a fill earns the desk, in quote currency."""
        return commission_of(fill, self.commission_bps)


def owner_of(parent: ParentOrder) -> Owner:
    """Whose fills those of `parent` are."""
    return Owner(
        parent_id=parent.parent_id,
        arrival=parent.arrival_mid,
        account=parent.account or INVENTORY,
        commission_bps=parent.commission_bps,
    )


def body(record: msgspec.Struct) -> str:
    """The record as JSON text, decimals as strings."""
    return _encoder.encode(record).decode()


def reached(state: RfqState) -> int:
    """States a request in `state` has been in for certain."""
    bits = STATE_BITS[RfqState.RECEIVED] | STATE_BITS[state]
    return bits | _ACCEPTED if state in (RfqState.ACCEPTED, RfqState.FILLED) else bits


def rfq_row(rfq: RfqRecord, text: str, bits: int) -> dict[str, object]:
    return {
        "rfq_id": rfq.rfq_id,
        "client_id": rfq.client_id,
        "client_rfq_id": rfq.client_rfq_id,
        "state": rfq.state.value,
        "reached": bits,
        "created_ns": rfq.created_ns,
        "updated_ns": rfq.updated_ns,
        "body": text,
    }


def quote_row(quote: QuoteRecord) -> dict[str, object]:
    return {
        "quote_id": quote.quote_id,
        "rfq_id": quote.rfq_id,
        "client_id": quote.client_id,
        "state": "live",
        "valid_until_ns": quote.valid_until_ns,
        "created_ns": quote.created_ns,
        "body": body(quote),
    }


def trade_row(trade: TradeRecord, text: str) -> dict[str, object]:
    return {
        "trade_id": trade.trade_id,
        "client_id": trade.client_id,
        "client_order_id": trade.client_order_id,
        "quote_id": trade.quote_id,
        "rfq_id": trade.rfq_id,
        "traded_ns": trade.traded_ns,
        "body": text,
    }


def order_row(order: OrderRecord, text: str) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "client_id": order.client_id,
        "client_order_id": order.client_order_id,
        "state": order.state.value,
        "created_ns": order.created_ns,
        "body": text,
    }


def parent_row(parent: ParentOrder, text: str) -> dict[str, object]:
    return {
        "parent_id": parent.parent_id,
        "state": parent.state.value,
        "created_ns": parent.created_ns,
        "body": text,
    }


def child_row(child: ChildOrder, text: str) -> dict[str, object]:
    return {
        "child_id": child.child_id,
        "parent_id": child.parent_id,
        "venue": child.venue,
        "state": child.state.value,
        "created_ns": child.created_ns,
        "body": text,
    }


def fill_row(fill: VenueFill, owner: Owner, text: str) -> dict[str, object]:
    return {
        "venue": fill.venue,
        "symbol": fill.symbol,
        "trade_id": fill.trade_id,
        "child_id": fill.client_order_id,
        "parent_id": owner.parent_id,
        "ts_ns": fill.ts_ns,
        "arrival": None if owner.arrival is None else format(owner.arrival, "f"),
        "account": None if owner.account == INVENTORY else owner.account,
        "commission": format(commission, "f") if (commission := owner.commission(fill)) else None,
        "body": text,
    }


def fill_ref(fill: VenueFill) -> str:
    """The name of an execution in journal and postings."""
    return f"{fill.venue}|{fill.symbol}|{fill.trade_id}"


def posting_rows(kind: str, ref: str, ts_ns: int, lines: list[Posting]) -> list[dict[str, object]]:
    rows = []
    for line in lines:
        units, nano, atto = to_limbs(line.atto)
        rows.append(
            {
                "kind": kind,
                "ref": ref,
                "account": line.account,
                "currency": line.currency,
                "units": units,
                "nano": nano,
                "atto": atto,
                "ts_ns": ts_ns,
            }
        )
    return rows


def event_row(kind: str, ref: str, ts_ns: int, text: str) -> dict[str, object]:
    return {"kind": kind, "ref": ref, "ts_ns": ts_ns, "body": text}
