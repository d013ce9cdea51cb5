"""The channels of perpetuals: funding rates and liquidations of a venue; for operators the desk's own positions, their funding, and what
the venue closed of them by force."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from desk.api import perpetual_views as views
from desk.api.account_feeds import AccountEventsFeed
from desk.api.frames import Mode
from desk.api.market_feeds import (
    DEFAULT_HZ,
    MAX_WAITING_TRADES,
    Listener,
    MarketFeed,
    MarketHub,
    Pair,
    Params,
)
from desk.api.subscriptions import Conflated
from desk.service import Caller

if TYPE_CHECKING:
    from adapters.nautilus.perpetual import FundingPaid, Liquidation, VenuePositions
    from desk.accounts import VenueAccounts
    from desk.api.context import Api
    from desk.market import Funding

_Venue = Annotated[str, Meta(min_length=1, max_length=32)]
_Symbol = Annotated[str, Meta(min_length=1, max_length=64)]


class PositionParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of `watch_position` and `watch_funding_rate_for_my_position`."""

    venue: _Venue
    symbol: _Symbol


class FundingFeed(MarketFeed):
    """`watch_funding_rate`: one structure; `watch_funding_rates` and `…_for_symbols`: those that changed, by symbol."""

    def watch(self, pair: Pair, listener: Listener) -> None:
        self.hub.watch_funding(pair, listener)

    def render(self) -> dict[str, Any] | None:
        known = self.hub.market.funding
        rows = {pair[0]: views.funding_rate(known[pair]) for pair in self._changed if pair in known}
        self._changed.clear()
        if self.channel != "watch_funding_rate":
            return rows if rows or self.fresh else None
        return next(iter(rows.values()), None)


class LiquidationsFeed(MarketFeed):
    """`watch_liquidations` and `…_for_symbols`: those since the last frame. The snapshot has the recent ones."""

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: Params) -> None:
        super().__init__(number, channel, mode, caller, hub, params)
        self._waiting: deque[Liquidation] = deque()
        self._dropped = 0

    def attach(self) -> None:
        self._waiting.clear()
        self._dropped = 0
        super().attach()

    def watch(self, pair: Pair, listener: Listener) -> None:
        self.hub.watch_liquidations(pair, self._closed)

    def detach(self) -> None:
        self.hub.forget(self._closed)
        super().detach()

    def _closed(self, closed: Liquidation) -> None:
        if len(self._waiting) >= MAX_WAITING_TRADES:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(closed)
        self.changed()

    def lost(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def render(self) -> list[dict[str, Any]] | None:
        rows = list(self._waiting)
        if self.fresh:
            rows = [closed for pair in self.pairs for closed in self.hub.closed(pair)]
            rows.sort(key=lambda closed: closed.ts_ns)
        self._waiting.clear()
        return [views.liquidation(closed) for closed in rows] if rows or self.fresh else None


class PositionsFeed(Conflated):
    """`watch_position`: one structure; `watch_positions` and `…_for_symbols`: a list. All of them in every frame, flat ones as well."""

    def __init__(
        self, number: int, channel: str, mode: Mode, caller: Caller, api: Api, venue: str, symbols: list[str]
    ) -> None:
        super().__init__(number, channel, mode, caller, api.clock_ns, 1.0 / DEFAULT_HZ)
        assert api.accounts is not None
        self._accounts: VenueAccounts = api.accounts
        self._venue = venue
        self._symbols = frozenset(symbols)

    def attach(self) -> None:
        self._accounts.on_positions.append(self._heard)

    def detach(self) -> None:
        if self._heard in self._accounts.on_positions:
            self._accounts.on_positions.remove(self._heard)

    def _heard(self, held: VenuePositions) -> None:
        if held.venue == self._venue:
            self.changed()

    def render(self) -> Any:
        rows = [
            views.position(held, self._venue)
            for held in self._accounts.positions(self._venue)
            if not self._symbols or held.symbol in self._symbols
        ]
        if self.channel == "watch_position":
            return rows[0] if rows else None
        return rows


class MyLiquidationsFeed(AccountEventsFeed):
    """`watch_my_liquidations` and `…_for_symbols`: the last executions by which the venue closed positions of ours, then each once."""

    def known(self) -> Iterable[Liquidation]:
        return self._accounts.liquidations(self._venue)

    def source(self) -> list[Callable[[Liquidation], None]]:
        return self._accounts.on_liquidation

    def view(self, event: Liquidation) -> dict[str, Any]:
        return views.liquidation(event)


class MyFundingFeed(Conflated):
    """`watch_funding_rate_for_my_position`: the rate, what it means for our position, the last payments; nothing before a rate is known."""

    def __init__(
        self, number: int, mode: Mode, caller: Caller, api: Api, hub: MarketHub, params: PositionParams
    ) -> None:
        super().__init__(number, "watch_funding_rate_for_my_position", mode, caller, api.clock_ns, 1.0 / DEFAULT_HZ)
        assert api.accounts is not None
        self._accounts: VenueAccounts = api.accounts
        self._hub = hub
        self._pair = (params.symbol, params.venue)
        self._listener: Listener = lambda _: self.changed()

    def attach(self) -> None:
        self._hub.watch_funding(self._pair, self._listener)
        self._accounts.on_positions.append(self._held)
        self._accounts.on_funding_paid.append(self._paid)

    def detach(self) -> None:
        self._hub.forget(self._listener)
        if self._held in self._accounts.on_positions:
            self._accounts.on_positions.remove(self._held)
            self._accounts.on_funding_paid.remove(self._paid)

    def _held(self, held: VenuePositions) -> None:
        if held.venue == self._pair[1]:
            self.changed()

    def _paid(self, paid: FundingPaid) -> None:
        if (paid.symbol, paid.venue) == self._pair:
            self.changed()

    def render(self) -> dict[str, Any] | None:
        symbol, venue = self._pair
        funding: Funding | None = self._hub.market.funding.get(self._pair)
        if funding is None:
            return None
        held = next((one for one in self._accounts.positions(venue) if one.symbol == symbol), None)
        return views.funding_of_position(funding, held, self._accounts.funding(venue, symbol)[-20:])
