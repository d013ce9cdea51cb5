"""`Answers`: what has been told to whom, so that the same question gets the same answer.

One `client_rfq_id` makes one RFQ and one `client_order_id` one trade, however often they are sent; a quote that was taken is
known with the order that took it. The newest are in memory, bounded; the ledger remembers the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from desk.errors import ApiFault, Rejected
from desk.ledger import Ledger
from desk.rfq.records import RfqRecord, RfqState, TradeRecord

MAX_REMEMBERED = 50_000  # of each kind; older ones are looked up in the ledger


class Answers:
    """Keys are (client id, the client's own id)."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rfqs: OrderedDict[tuple[str, str], RfqRecord] = OrderedDict()
        self._trades: OrderedDict[tuple[str, str], TradeRecord] = OrderedDict()
        self._refusals: OrderedDict[str, ApiFault] = OrderedDict()  # RFQ id -> what its client was told
        self._taken: OrderedDict[str, tuple[str, str]] = (
            OrderedDict()
        )  # quote id -> who takes or took it: client, order

    def rfq(self, key: tuple[str, str]) -> RfqRecord | None:
        """The request that was made under this id."""
        known = self._rfqs.get(key)
        if known is None and len(self._rfqs) >= MAX_REMEMBERED:
            known = next(iter(self._ledger.rfqs(key[0], client_rfq_id=key[1], limit=1)[0]), None)
        return known

    def first_answer(self, record: RfqRecord) -> RfqRecord | ApiFault:
        """What the first request was told, whatever became of it since: its quotes, or the refusal."""
        if record.state is RfqState.REJECTED:
            return self._refusals.get(record.rfq_id) or Rejected("rfq_rejected", record.reason)
        return msgspec.structs.replace(
            record, state=RfqState.QUOTED, updated_ns=record.created_ns, reason="", trade_id=""
        )

    def trade(self, key: tuple[str, str]) -> TradeRecord | None:
        """The trade that was made under this id."""
        known = self._trades.get(key)
        if known is None and len(self._trades) >= MAX_REMEMBERED:
            known = self._ledger.trade_by_order(*key)
        return known

    def taker(self, quote_id: str) -> tuple[str, str] | None:
        """Who takes or took a quote: (client id, its order id)."""
        return self._taken.get(quote_id)

    def keep_rfq(self, record: RfqRecord) -> None:
        """Remember a request."""
        self._rfqs[(record.client_id, record.client_rfq_id)] = record
        bound(self._rfqs, MAX_REMEMBERED)

    def keep_refusal(self, record: RfqRecord, refusal: ApiFault) -> None:
        """Remember why a request was refused."""
        self._refusals[record.rfq_id] = refusal
        bound(self._refusals, MAX_REMEMBERED)

    def keep_trade(self, trade: TradeRecord) -> None:
        """Remember a trade, and that its quote is gone."""
        self._trades[(trade.client_id, trade.client_order_id)] = trade
        bound(self._trades, MAX_REMEMBERED)
        self.take(trade.quote_id, (trade.client_id, trade.client_order_id))

    def take(self, quote_id: str, key: tuple[str, str]) -> None:
        """A quote is being traded: nobody else may."""
        self._taken[quote_id] = key
        bound(self._taken, MAX_REMEMBERED)

    def give_back(self, quote_id: str) -> None:
        """The trade did not happen: the quote is open again."""
        self._taken.pop(quote_id, None)


def bound(cache: OrderedDict[Any, Any], most: int) -> None:
    """Forget the oldest beyond `most`."""
    while len(cache) > most:
        cache.popitem(last=False)
