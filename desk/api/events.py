"""What the desk tells its feeds: RFQ transitions, trades, orders, alerts. The desk calls; sockets listen.

Calls are synchronous on the loop thread and come after the record is durable. A listener must be quick; one that
raises is logged and the others still hear.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from desk.api.desk_messages import AlertView
from desk.orders.records import OrderRecord
from desk.rfq.records import RfqRecord, TradeRecord

_log = logging.getLogger(__name__)


class Events:
    """Lists of listeners. A record must not be kept: RFQ records change; listeners convert them at once."""

    def __init__(self) -> None:
        self.on_rfq: list[Callable[[RfqRecord], None]] = []
        self.on_trade: list[Callable[[TradeRecord], None]] = []
        self.on_order: list[Callable[[OrderRecord], None]] = []
        self.on_alert: list[Callable[[AlertView], None]] = []

    def rfq(self, record: RfqRecord) -> None:
        """An RFQ was received or changed its state."""
        _tell(self.on_rfq, record)

    def trade(self, record: TradeRecord) -> None:
        """A client traded."""
        _tell(self.on_trade, record)

    def order(self, record: OrderRecord) -> None:
        """A client's order is new or has moved on."""
        _tell(self.on_order, record)

    def alert(self, view: AlertView) -> None:
        """Something the operator should know happened, or happened again."""
        _tell(self.on_alert, view)


def _tell[T](listeners: list[Callable[[T], None]], record: T) -> None:
    for listener in listeners:
        try:
            listener(record)
        except Exception:
            _log.exception("a listener of the desk's events failed")
