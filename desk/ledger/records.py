"""What the ledger answers with."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from desk.errors import KerbError
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, TradeRecord
from router.orders import ChildOrder, ParentOrder

GLOBAL = "global"


class DuplicateTrade(KerbError):
    """The order id or the quote has its trade already: `trade` is it, and nothing new was written."""

    def __init__(self, trade: TradeRecord) -> None:
        super().__init__(f"already traded as {trade.trade_id}")
        self.trade = trade


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """Trading is stopped in `scope` (`global`, `venue:BINANCE`, `client:…`) since `since_ns`."""

    scope: str
    reason: str
    since_ns: int


class VenueCounts(msgspec.Struct, kw_only=True):
    """What the router did at one venue or LP; `quantity`: base currency → filled."""

    children: int = 0
    fills: int = 0
    rejects: int = 0
    quantity: dict[str, Decimal] = msgspec.field(default_factory=dict)


class LedgerCounts(msgspec.Struct, kw_only=True):
    """Counts since the desk's first day. `rfqs`: state → requests that have ever been in it (`received` is all of
    them).
    """

    rfqs: dict[str, int] = msgspec.field(default_factory=dict)
    trades: int = 0
    parents: int = 0
    children: int = 0
    fills: int = 0
    open: int = 0  # child orders not known to be finished, the unknown ones among them
    unknown: int = 0
    by_venue: dict[str, VenueCounts] = msgspec.field(default_factory=dict)


class LedgerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk needs to go on where the last one stopped."""

    open_rfqs: list[RfqRecord]  # received, quoted, accepted or unknown
    live_quotes: list[QuoteRecord]  # neither voided nor traded, and not expired at `now_ns`
    trades_by_order: dict[tuple[str, str], TradeRecord]  # (client_id, client_order_id), the last 24 hours
    rfqs_by_token: dict[tuple[str, str], RfqRecord]  # (client_id, client_rfq_id), the last 24 hours
    open_orders: list[OrderRecord]  # clients' orders that are not done
    open_parents: list[tuple[ParentOrder, list[ChildOrder]]]
    counts: LedgerCounts
    balances: dict[str, dict[str, Decimal]]  # account → currency → amount
    positions: dict[str, Decimal]
    imbalance: dict[str, Decimal]
    halts: dict[str, Halt]
