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
from desk.api.account_feeds import (
    AccountParams,
    AccountSymbolsParams,
    BalanceFeed,
    BalanceParams,
    MyTradesFeed,
    VenueOrdersFeed,
)
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
from desk.api.desk_messages import AlertView, DeskState
from desk.api.frames import Mode, RfsLadder
from desk.api.market_feeds import (
    CandleParams,
    CandlesFeed,
    CandlesParams,
    MarketFeed,
    MarketHub,
    MarketParams,
    OrderBookFeed,
    Params,
    SymbolsParams,
    TopFeed,
    TradesFeed,
)
from desk.api.messages import Order, Rfq, Trade
from desk.api.perpetual_feeds import (
    FundingFeed,
    LiquidationsFeed,
    MyFundingFeed,
    MyLiquidationsFeed,
    PositionParams,
    PositionsFeed,
)
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


def _market(name: str, feed: type[MarketFeed]) -> Callable[[Feeds, int, Caller, Any], Subscription]:
    def make(feeds: Feeds, number: int, caller: Caller, params: Params) -> Subscription:
        mode = _venue_mode(feeds.api, name, params.venue)
        listed = capabilities.symbols_of(feeds.api, params.venue)
        wanted = _wanted(params.venue, params, listed)
        if isinstance(params, SymbolsParams | CandlesParams):
            params = msgspec.structs.replace(params, symbols=wanted or listed)
        return feed(number, name, mode, caller, feeds.hub, params)

    return make


def _account(
    name: str, feed: type[VenueOrdersFeed | MyTradesFeed | PositionsFeed | MyLiquidationsFeed]
) -> Callable[[Feeds, int, Caller, Any], Subscription]:
    def make(
        feeds: Feeds, number: int, caller: Caller, params: AccountParams | AccountSymbolsParams | PositionParams
    ) -> Subscription:
        mode = _venue_mode(feeds.api, name, params.venue)
        wanted = _wanted(params.venue, params, _listed(feeds.api, params.venue))
        return feed(number, name, mode, caller, feeds.api, params.venue, wanted)

    return make


def _balance(feeds: Feeds, number: int, caller: Caller, params: BalanceParams) -> Subscription:
    mode = _venue_mode(feeds.api, "watch_balance", params.venue)
    _wanted(params.venue, params, _listed(feeds.api, params.venue))
    return BalanceFeed(number, "watch_balance", mode, caller, feeds.api, params)


def _my_funding(feeds: Feeds, number: int, caller: Caller, params: PositionParams) -> Subscription:
    mode = _venue_mode(feeds.api, "watch_funding_rate_for_my_position", params.venue)
    _wanted(params.venue, params, capabilities.symbols_of(feeds.api, params.venue))
    return MyFundingFeed(number, mode, caller, feeds.api, feeds.hub, params)


def _listed(api: Api, venue: str) -> list[str]:
    """What an account may be asked about: the venue's perpetuals, or the desk's instruments."""
    return capabilities.perpetuals_of(api, venue) or [item.symbol for item in api.service.instruments()]


def _wanted(venue: str, params: Any, listed: list[str]) -> list[str]:
    """The symbols that are asked for, each once; raises `Invalid` for one that is not listed."""
    wanted = list(dict.fromkeys([*([params.symbol] if params.symbol else ()), *getattr(params, "symbols", ())]))
    for symbol in wanted:
        if symbol not in listed:
            raise Invalid(
                "unknown_instrument", f"{venue} has no {symbol!r} here", status=404, details={"instruments": listed}
            )
    return wanted


def _venue_mode(api: Api, name: str, venue: str) -> Mode:
    """How a channel works at a venue; raises `Invalid` when it does not, or there is no such venue."""
    known = capabilities.exchanges_of(api) + capabilities.lps_of(api)
    if venue not in known:
        raise Invalid("unknown_venue", f"no venue {venue!r}", status=404, details={"venues": sorted(set(known))})
    mode = capabilities.mode_of(api, name, venue)
    if mode == "unsupported":
        raise unsupported(name, venue)
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
    *(
        Channel(name, summary, _READ, params, _market(name, feed))
        for name, summary, params, feed in (
            ("watch_order_book", "One venue's order book.", MarketParams, OrderBookFeed),
            ("watch_order_book_for_symbols", "A venue's order books, one in each frame.", SymbolsParams, OrderBookFeed),
            ("watch_trades", "One venue's public trades.", MarketParams, TradesFeed),
            ("watch_trades_for_symbols", "A venue's public trades of several symbols.", SymbolsParams, TradesFeed),
            ("watch_bids_asks", "One venue's best bid and ask.", MarketParams, TopFeed),
            ("watch_ticker", "One venue's best bid and ask and last price.", MarketParams, TopFeed),
            ("watch_tickers", "A venue's tickers that changed, by symbol.", SymbolsParams, TopFeed),
            ("watch_ohlcv", "Candles, made from the venue's public trades.", CandleParams, CandlesFeed),
            ("watch_ohlcv_for_symbols", "Candles by symbol and timeframe.", CandlesParams, CandlesFeed),
            ("watch_funding_rate", "A perpetual's funding rate and mark price.", MarketParams, FundingFeed),
            ("watch_funding_rates", "A venue's funding rates that changed, by symbol.", SymbolsParams, FundingFeed),
            ("watch_funding_rates_for_symbols", "Some of them, by symbol.", SymbolsParams, FundingFeed),
            ("watch_liquidations", "Positions in a perpetual closed by force.", MarketParams, LiquidationsFeed),
            ("watch_liquidations_for_symbols", "The same of several.", SymbolsParams, LiquidationsFeed),
        )
    ),
    *(
        Channel(name, summary, _OPERATE, params, _account(name, feed))
        for name, summary, params, feed in (
            ("watch_orders", "The desk's own orders at one venue.", AccountParams, VenueOrdersFeed),
            ("watch_orders_for_symbols", "Its orders in some symbols.", AccountSymbolsParams, VenueOrdersFeed),
            ("watch_my_trades", "The desk's own executions at one venue.", AccountParams, MyTradesFeed),
            ("watch_my_trades_for_symbols", "Its executions in some symbols.", AccountSymbolsParams, MyTradesFeed),
            ("watch_position", "The desk's own position in a perpetual.", PositionParams, PositionsFeed),
            ("watch_positions", "Its positions at one venue.", AccountSymbolsParams, PositionsFeed),
            ("watch_position_for_symbols", "Its positions in some symbols.", AccountSymbolsParams, PositionsFeed),
            ("watch_my_liquidations", "What the venue closed of them by force.", AccountParams, MyLiquidationsFeed),
            (
                "watch_my_liquidations_for_symbols",
                "The same in some symbols.",
                AccountSymbolsParams,
                MyLiquidationsFeed,
            ),
        )
    ),
    Channel(
        "watch_funding_rate_for_my_position",
        "A funding rate, what it means for the desk's position, and what was paid.",
        _OPERATE,
        PositionParams,
        _my_funding,
    ),
    Channel("watch_balance", "The desk's own balances at one venue.", _OPERATE, BalanceParams, _balance),
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
    return channel.make(feeds, number, caller, decoded)
