"""Every channel name of CONTRACT 4: who may subscribe, with what parameters, and what serves it.

A name that is known but not served yet (at all, or by that venue) is refused with `unsupported`; an unknown name with
`unknown_channel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from desk.api import capabilities
from desk.api.context import Api
from desk.api.decoding import convert_fields
from desk.api.desk_feeds import (
    AlertsFeed,
    DeskFeed,
    DeskParams,
    NoParams,
    OrdersFeed,
    RfqsFeed,
    RfsFeed,
    RfsParams,
    StateSource,
    TradesOfClientFeed,
)
from desk.api.frames import Mode, RfsLadder
from desk.api.market_feeds import MarketHub, MarketParams, OrderBookFeed, TopFeed, TradesFeed
from desk.api.messages import AlertView, DeskState, Order, Rfq, Trade
from desk.api.routing import require
from desk.api.subscriptions import Subscription
from desk.errors import ApiFault, Invalid
from desk.service import Caller

_READ = ("read", "quote", "trade")
_OPERATE = ("operate",)


@dataclass(frozen=True, slots=True)
class Feeds:
    """What channels are made of."""

    api: Api
    hub: MarketHub
    states: StateSource


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. `make` None: known, not served. `data`: what a frame carries; None: ccxt's unified structure."""

    name: str
    summary: str
    scopes: tuple[str, ...]
    params: type[msgspec.Struct] = NoParams
    make: Callable[[Feeds, int, Caller, Any], Subscription] | None = None
    data: type | None = None


def _market(feed: type) -> Callable[[Feeds, int, Caller, Any], Subscription]:
    def make(feeds: Feeds, number: int, caller: Caller, params: Any) -> Subscription:
        name, params = params
        return feed(number, name, _venue_mode(feeds.api, name, params), caller, feeds.hub, params)

    return make


def _venue_mode(api: Api, name: str, params: MarketParams) -> Mode:
    known = capabilities.exchanges_of(api) + capabilities.lps_of(api)
    if params.venue not in known:
        raise Invalid("unknown_venue", f"no venue {params.venue!r}", status=404, details={"venues": sorted(set(known))})
    mode = capabilities.mode_of(api, name, params.venue)
    if mode == "unsupported":
        raise unsupported(name, params.venue)
    if params.symbol not in capabilities.symbols_of(api, params.venue):
        raise Invalid(
            "unknown_instrument",
            f"{params.venue} has no {params.symbol!r} here",
            status=404,
            details={"instruments": capabilities.symbols_of(api, params.venue)},
        )
    return mode


def unsupported(channel: str, venue: str = "") -> Invalid:
    """The typed refusal of a channel nobody serves yet."""
    at = f" at {venue}" if venue else ""
    return Invalid("unsupported", f"{channel} is not served{at}", details={"channel": channel, "mode": "unsupported"})


def _rfs(feeds: Feeds, number: int, caller: Caller, params: RfsParams) -> Subscription:
    if caller.instruments is not None and params.instrument not in caller.instruments:
        raise Invalid("not_entitled", f"this key may not trade {params.instrument}", status=403)
    feed = RfsFeed(number, caller, feeds.api, feeds.hub, params)
    try:
        feeds.api.service.stream_ladder(caller, params.instrument, feed.quantities)
    except ApiFault as fault:
        if fault.status in (400, 401, 403, 404, 422):  # the request is wrong and stays wrong; anything else may pass
            raise
    return feed


def _desk(feeds: Feeds, number: int, caller: Caller, params: DeskParams) -> Subscription:
    return DeskFeed(number, caller, feeds.api, feeds.states, params.hz)


_SERVED = (
    Channel(
        "rfs", "Streaming two-way prices, each executable by its quote_id.", ("quote",), RfsParams, _rfs, RfsLadder
    ),
    Channel(
        "rfqs",
        "Every transition of your requests.",
        _READ,
        make=lambda feeds, number, caller, _: RfqsFeed(number, caller, feeds.api),
        data=Rfq,
    ),
    Channel(
        "trades",
        "Every trade of yours.",
        _READ,
        make=lambda feeds, number, caller, _: TradesOfClientFeed(number, caller, feeds.api),
        data=Trade,
    ),
    Channel(
        "orders",
        "Every transition and fill of your orders.",
        _READ,
        make=lambda feeds, number, caller, _: OrdersFeed(number, caller, feeds.api),
        data=Order,
    ),
    Channel("watch_order_book", "One venue's order book.", _READ, MarketParams, _market(OrderBookFeed)),
    Channel("watch_trades", "One venue's public trades.", _READ, MarketParams, _market(TradesFeed)),
    Channel("watch_bids_asks", "One venue's best bid and ask.", _READ, MarketParams, _market(TopFeed)),
    Channel("watch_ticker", "One venue's best bid and ask and last price.", _READ, MarketParams, _market(TopFeed)),
    Channel("desk", "Everything an operator sees.", _OPERATE, DeskParams, _desk, DeskState),
    Channel(
        "alerts",
        "What the operator should know.",
        _OPERATE,
        make=lambda feeds, number, caller, _: AlertsFeed(number, caller, feeds.api),
        data=AlertView,
    ),
)
_NOT_SERVED = (
    *(Channel(name, "Not served yet.", _READ) for name in ("balances", "settlements")),
    *(Channel(name, "Not served yet.", _READ) for name in capabilities.MARKET_CHANNELS),
    *(Channel(name, "Not served yet.", _OPERATE) for name in (*capabilities.ACCOUNT_CHANNELS, "audit")),
)
CHANNELS: Mapping[str, Channel] = {channel.name: channel for channel in (*_NOT_SERVED, *_SERVED)}


def open_channel(feeds: Feeds, name: object, params: object, number: int, caller: Caller) -> Subscription:
    """A subscription of the named channel, not started yet; raises `Invalid`."""
    channel = CHANNELS.get(name) if isinstance(name, str) else None
    if channel is None:
        raise Invalid("unknown_channel", f"no channel {name!r}", status=404, details={"channels": list(CHANNELS)})
    require(caller, channel.scopes)
    if channel.make is None:
        raise unsupported(channel.name)
    if not isinstance(params, Mapping):
        raise Invalid("invalid_field", "params is an object", details={"field": "params"})
    decoded: Any = convert_fields(params, channel.params)
    if channel.params is MarketParams:
        decoded = (channel.name, decoded)
    return channel.make(feeds, number, caller, decoded)
