"""The account channels, for operators: the desk's own orders, executions and balances at one venue, as ccxt writes them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from desk.api import ccxt_views
from desk.api.convert import currencies
from desk.api.frames import Mode
from desk.api.subscriptions import Conflated, Reliable
from desk.service import Caller

if TYPE_CHECKING:
    from adapters.nautilus.outcome import VenueFill
    from desk.accounts import VenueAccounts, VenueOrder
    from desk.api.context import Api

BALANCE_CHECK_S = 0.25

_Venue = Annotated[str, Meta(min_length=1, max_length=32)]
_Symbol = Annotated[str, Meta(min_length=1, max_length=64)]


class AccountParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of `watch_orders` and `watch_my_trades`; without `symbol` all of the account."""

    venue: _Venue
    symbol: _Symbol | None = None


class AccountSymbolsParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of the `…_for_symbols` forms: `symbols`, or one `symbol`; without either all of the account."""

    venue: _Venue
    symbol: _Symbol | None = None
    symbols: Annotated[list[_Symbol], Meta(max_length=100)] = []


class BalanceParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of `watch_balance`; with `symbol` its two currencies only."""

    venue: _Venue
    symbol: _Symbol | None = None


class AccountEventsFeed(Reliable):
    """What happens to an account at one venue, in some symbols (none: all): what is known first, then each event once."""

    def __init__(
        self, number: int, channel: str, mode: Mode, caller: Caller, api: Api, venue: str, symbols: list[str]
    ) -> None:
        super().__init__(number, channel, mode, caller, api.clock_ns)
        assert api.accounts is not None
        self._accounts: VenueAccounts = api.accounts
        self._venue = venue
        self._symbols = frozenset(symbols)

    @abstractmethod
    def known(self) -> Iterable[Any]:
        """The venue's events that are kept, of every symbol."""

    @abstractmethod
    def source(self) -> list[Callable[[Any], None]]:
        """Who is told of the events of all venues."""

    @abstractmethod
    def view(self, event: Any) -> dict[str, Any]:
        """An event as ccxt writes it."""

    def place(self, event: Any) -> tuple[str, str]:
        """Venue and symbol of an event."""
        return event.venue, event.symbol

    def snapshot(self) -> Any:
        return [self.view(event) for event in self.known() if self._wanted(event)]

    def attach(self) -> None:
        self.source().append(self._heard)

    def stop(self) -> None:
        self.outbox = None
        if self._heard in self.source():
            self.source().remove(self._heard)

    def _wanted(self, event: Any) -> bool:
        venue, symbol = self.place(event)
        return venue == self._venue and (not self._symbols or symbol in self._symbols)

    def _heard(self, event: Any) -> None:
        if self._wanted(event):
            self.publish([self.view(event)])


class VenueOrdersFeed(AccountEventsFeed):
    """`watch_orders`: open orders first, then every change of every order, also those that are over."""

    def known(self) -> Iterable[VenueOrder]:
        return self._accounts.orders(self._venue)

    def source(self) -> list[Callable[[VenueOrder], None]]:
        return self._accounts.on_order

    def view(self, event: VenueOrder) -> dict[str, Any]:
        return ccxt_views.order(event)

    def place(self, event: VenueOrder) -> tuple[str, str]:
        return event.child.venue, event.child.symbol


class MyTradesFeed(AccountEventsFeed):
    """`watch_my_trades`: the last executions first, then each once, with the venue's own trade id and fee."""

    def known(self) -> Iterable[VenueFill]:
        return self._accounts.fills(self._venue)

    def source(self) -> list[Callable[[VenueFill], None]]:
        return self._accounts.on_fill

    def view(self, event: VenueFill) -> dict[str, Any]:
        return ccxt_views.my_trade(event)


class BalanceFeed(Conflated):
    """`watch_balance`: the whole account whenever it is another."""

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, api: Api, params: BalanceParams) -> None:
        super().__init__(number, channel, mode, caller, api.clock_ns, 0.0)
        assert api.accounts is not None
        self._accounts: VenueAccounts = api.accounts
        self._venue = params.venue
        self._currencies = currencies(params.symbol) if params.symbol else ()
        self._told: object = None
        self._timer: Any = None

    def attach(self) -> None:
        self._told = None
        self._tick()

    def detach(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = self._loop.call_later(BALANCE_CHECK_S, self._tick)
        if self._balances() != self._told:
            self.changed()

    def _balances(self) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
        found = self._accounts.balances(self._venue) or {}
        return {code: row for code, row in found.items() if not self._currencies or code in self._currencies}

    def lost(self) -> int:
        return 0  # nobody counts what happened between two looks

    def render(self) -> dict[str, Any]:
        self._told = found = self._balances()
        return ccxt_views.balance(found, self._clock_ns())
