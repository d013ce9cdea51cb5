"""`Lookups`: what a caller may see of requests and trades: its own, and everybody's for an operator."""

from __future__ import annotations

from collections.abc import Mapping

from desk.errors import Invalid
from desk.ledger import Ledger
from desk.rfq.records import RfqRecord, TradeRecord
from desk.service import Caller, Page


class Lookups:
    """Reads from memory what can still change, else from the ledger. `live`, `recent`: requests by id, kept by the desk."""

    ledger: Ledger
    live: Mapping[str, RfqRecord]
    recent: Mapping[str, RfqRecord]

    def rfq(self, caller: Caller, rfq_id: str) -> RfqRecord:
        """One request of the caller's."""
        record = self.live.get(rfq_id) or self.recent.get(rfq_id) or self.ledger.rfq(rfq_id)
        if record is None or (record.client_id != caller.client_id and not caller.operator):
            raise Invalid("unknown_rfq", "no such RFQ", status=404, details={"rfq_id": rfq_id})
        return record

    def rfqs(
        self,
        caller: Caller,
        *,
        client_rfq_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[RfqRecord]:
        """Requests of the caller's (of everybody's, for an operator), newest first."""
        items, following = self.ledger.rfqs(
            None if caller.operator else caller.client_id,
            client_rfq_id=client_rfq_id,
            state=state,
            limit=limit,
            cursor=cursor,
        )
        found = [self.live.get(item.rfq_id, item) for item in items]
        # What is moving on right now is durable in one state and already in the next.
        return Page([item for item in found if state is None or item.state == state], following)

    def trade(self, caller: Caller, trade_id: str) -> TradeRecord:
        """One trade of the caller's."""
        trade = self.ledger.trade(trade_id)
        if trade is None or (trade.client_id != caller.client_id and not caller.operator):
            raise Invalid("unknown_trade", "no such trade", status=404, details={"trade_id": trade_id})
        return trade

    def trades(
        self, caller: Caller, *, client_order_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[TradeRecord]:
        """Trades of the caller's, newest first."""
        return Page(
            *self.ledger.trades(
                None if caller.operator else caller.client_id,
                client_order_id=client_order_id,
                limit=limit,
                cursor=cursor,
            )
        )
