"""Who an account link talks to: called synchronously on the loop thread."""

from __future__ import annotations

from typing import Protocol

from adapters.ccxt.account.positions import PositionSink
from adapters.ccxt.events import Balance, FillEvent, OrderEvent


class AccountSink(Protocol):
    """What every account link tells."""

    def on_order(self, event: OrderEvent) -> None:
        """The venue's view of an order; may repeat."""

    def on_fill(self, event: FillEvent) -> None:
        """One execution, once; its client order id is known, or empty when the order is not ours to know."""

    def on_balances(self, balances: list[Balance]) -> None:
        """Every known balance."""

    def on_external(self, orders: list[OrderEvent]) -> None:
        """The open orders of the account that are not ours, when they changed: to be shown, never touched."""

    def on_connected(self) -> None:
        """The private stream is up (again) and the account was reconciled."""


class PerpetualSink(AccountSink, PositionSink, Protocol):
    """What a link to a venue of perpetuals tells as well."""
