"""What a venue's requests cost, and what its answers say of it: one class a venue, in its own folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from adapters.ccxt.account.outcomes import NotSent
from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.limits.budget import Budget, Kind, Limit, Spending

RETRY_S = 1.0


Command = OrderRequest | AmendRequest | CancelRequest


class Tariff(ABC):
    """One venue's. Stateless but for what its rules need to remember."""

    orders: ClassVar[frozenset[str]] = frozenset()  # paths of REST requests that place or amend
    cancels: ClassVar[frozenset[str]] = frozenset()  # paths of those that cancel, and of the dead-man switch

    @abstractmethod
    def limit(self, name: str) -> Limit:
        """A limit that is met for the first time; its name is as `rest` and `socket` gave it."""

    @abstractmethod
    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """What a REST request takes. `cost`: of ccxt's table."""

    def socket(self, request: Command, sent: str) -> Spending:
        """What a request over the private socket takes; `sent`: our order id as the venue has it. Not sent where none takes orders."""
        raise NotSent("this venue takes no orders over a socket")

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """What an answer says of the limits."""

    def kind(self, api: str, method: str, path: str) -> Kind:
        """What a REST request is for."""
        if path in self.cancels or (method == "DELETE" and path in self.orders):
            return Kind.CANCEL
        if path in self.orders and method != "GET":
            return Kind.ORDER
        return Kind.DATA if api.lower().endswith("public") else Kind.QUERY


def kind_of(request: Command) -> Kind:
    return Kind.CANCEL if isinstance(request, CancelRequest) else Kind.ORDER
