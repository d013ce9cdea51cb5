"""Which recorded message answers which question, and which markets they are of.

What is named neither here nor by its name as a frame is decoded by nobody; the table says why.
"""

from __future__ import annotations

import json
from typing import Any

from adapters.ccxt.past.told import Span
from adapters.ccxt.venues.kraken.lookup import order_of
from sim.servers.coinbase.auth import p256_credentials
from tests.unit.recorded.questions import (
    Parse,
    Venue,
    account,
    balances,
    cancelled,
    candles,
    clock,
    depth,
    each,
    fees,
    fills,
    framed,
    listing,
    open_orders,
    order,
    placed,
    positions,
    trades,
    whole,
    wrapped,
)
from tests.unit.recorded.telling import answering, past, row


async def _deribit_markets(exchange: Any, body: Any) -> list[dict[str, Any]]:
    exchange.options["fetchAllMarkets"] = True
    found = body["result"] if isinstance(body["result"], list) else [body["result"]]
    return list(await answering(exchange, json.dumps({"result": found})).fetch_markets())


def _binance_markets(exchange: Any, body: Any) -> list[dict[str, Any]]:
    exchange.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
    return [exchange.parse_market(one) for one in body["symbols"]]


async def _closed(dialect: Any, exchange: Any) -> Any:
    """Those of others have no id of ours: each by the venue's."""
    rows = (await exchange.private_post_closedorders({}))["result"]["closed"]
    return [order_of(exchange, order_id, raw) for order_id, raw in rows.items()]


NOTHING_MORE = '{"code":"0","data":[]}'
BYBIT_NONE = '{"retCode":0,"result":{"list":[],"nextPageCursor":""}}'
_PAIR, _LINEAR, _ETH = "BTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"

OKX = Venue(
    "okx", "okx",
    [row("BTC/USD", "BTC-USD", 1, 8), row(_PAIR, "BTC-USDT", 2, 8), row(_LINEAR, "BTC-USDT-SWAP", 1, 2),
     row(_ETH, "ETH-USDT-SWAP", 2, 2)],
    {
        "http_balance_detail_new_fields": wrapped(balances(), within='{"code":"0","data":[{"details":[ROW]}]}'),
        "http_balance_detail_old_fields": wrapped(balances(), within='{"code":"0","data":[{"details":[ROW]}]}'),
        "http_get_account_balance": balances(),
        "http_get_candlesticks": candles("1m", 1625097600000, 1625097660000, NOTHING_MORE),
        "http_get_candlesticks_full": candles("1m", 1747093980000, 1747094040000, NOTHING_MORE),
        "http_get_instruments_spot": listing(each(lambda exchange, body: exchange.parse_markets(body["data"]))),
        "http_get_instruments_swap": listing(each(lambda exchange, body: exchange.parse_markets(body["data"]))),
        "http_get_order_book": depth(_PAIR),
        "http_get_orders_history": order("any", _LINEAR),
        "http_get_orders_pending": open_orders(_PAIR, _LINEAR, _ETH, then=NOTHING_MORE),
        "http_get_orders_pending_with_attached_tp_sl": open_orders(_PAIR, _LINEAR, _ETH, then=NOTHING_MORE),
        "http_get_trade_fee_response": fees(_PAIR),
        "http_get_trades": trades(1747087160000, 1747087170000, NOTHING_MORE),
        "http_place_order_response": wrapped(placed(_PAIR), within='{"code":"0","msg":"","data":[ROW]}'),
        "http_transaction_detail": wrapped(fills(_PAIR, then=NOTHING_MORE), within='{"code":"0","data":[ROW]}'),
        "http_transaction_detail_empty_fee": wrapped(fills(_PAIR, then=NOTHING_MORE), within='{"code":"0","data":[ROW]}'),
    },
    after={"ws_books_update": "ws_books_snapshot"},
)  # fmt: skip


def _bybit_category(category: str) -> Parse:
    async def parse(exchange: Any, body: Any) -> list[dict[str, Any]]:
        body["result"] |= {"category": category}  # some were recorded without it
        answering(exchange, json.dumps(body))
        if category == "spot":
            return list(await exchange.fetch_spot_markets({}))
        return list(await exchange.fetch_future_markets({"category": category}))

    return parse


async def _as_documented(venue: Venue, text: str) -> list[str]:
    """Its rows are the documented ones; its topic (trade.linear.BTCUSDT) is not."""
    return venue.frame(text.replace('"trade.linear.BTCUSDT"', '"publicTrade.BTCUSDT"'), None)


BYBIT = Venue(
    "bybit", "bybit",
    [row(_PAIR, "BTCUSDT", 2, 3), row(_LINEAR, "BTCUSDT", 2, 3), row(_ETH, "ETHUSDT", 2, 3), row("ICP/USDT:USDT", "ICPUSDT", 3, 1),
     row("APEX/USDT:USDT", "APEXUSDT", 4, 1)],
    {
        "http_get_executions": fills(_LINEAR, _ETH, then=BYBIT_NONE),
        "http_get_fee_rate": fees(_PAIR),
        "http_get_instruments_inverse": listing(_bybit_category("inverse")),
        "http_get_instruments_inverse_symbol_type": listing(_bybit_category("inverse")),
        "http_get_instruments_linear": listing(_bybit_category("linear")),
        "http_get_instruments_linear_symbol_type": listing(_bybit_category("linear")),
        "http_get_instruments_spot": listing(_bybit_category("spot")),
        "http_get_instruments_spot_xstocks": listing(_bybit_category("spot")),
        "http_get_klines_linear": candles("1m", 1709891679000, 1709891739000, BYBIT_NONE),
        "http_get_order_partially_filled_rejected": order("O-20251001-164609-APEX-000-49", _LINEAR),
        "http_get_orderbook": depth(_PAIR),
        "http_get_orders_history": order("client-1", _LINEAR, BYBIT_NONE),
        "http_get_orders_history_with_duplicate": order("client-closed-1", _LINEAR, BYBIT_NONE),
        "http_get_orders_realtime": open_orders(_LINEAR, _ETH, then=BYBIT_NONE),
        "http_get_orders_realtime_tp_sl": open_orders(_LINEAR, _ETH, then=BYBIT_NONE),
        "http_get_wallet_balance": balances(),
        "ws_public_trade": _as_documented,
        "http_get_wallet_balance_spot_short": balances(),
        "http_get_wallet_balance_with_spot_borrow": balances(),
    },
    after={"ws_orderbook_delta": "ws_orderbook_snapshot"},
)  # fmt: skip

_COINBASE_KEYS = p256_credentials(bytes(64))
COINBASE = Venue(
    "coinbase", "coinbase",
    [row("BTC/USD", "BTC-USD", 2, 8), row("BTC/USDC", "BTC-USDC", 2, 8, info={"alias": "BTC-USD"}), row("ETH/USD", "ETH-USD", 2, 8)],
    {
        "http_accounts": balances(),
        "http_candles": candles("1h", 1712188800000, 1712192400000, '{"candles":[]}'),
        "http_fills": fills("BTC/USD", "ETH/USD"),
        "http_order": account(lambda dialect, exchange: _coinbase_order(dialect, exchange)),
        "http_orders_list": open_orders("BTC/USD", "ETH/USD"),
        "http_product": listing(each(lambda exchange, body: [exchange.parse_spot_market(body, {})])),
        "http_product_book": depth("BTC/USD"),
        "http_products": listing(
            each(lambda exchange, body: [exchange.parse_spot_market(one, {}) for one in body["products"]])
        ),
        "http_ticker": trades(1775521730000, 1775521740000, '{"trades":[]}'),
    },
    after={"ws_l2_data_update": "ws_l2_data_snapshot"},
    keys=(_COINBASE_KEYS.key, _COINBASE_KEYS.secret),
)  # fmt: skip


async def _coinbase_order(dialect: Any, exchange: Any) -> Any:
    dialect._learn("11111-000000-000000", "0000-000000-000000")
    return await dialect.order(exchange, "11111-000000-000000", "BTC/USD")


_KRAKEN_NONE = '{"error":[],"result":{}}'
KRAKEN = Venue(
    "kraken", "kraken",
    [row(_PAIR, "XBTUSDT", 1, 8, base="BTC", wsId="XBT/USDT", altname="XBTUSDT"),
     row("BTC/USD", "XXBTZUSD", 1, 8, wsId="XBT/USD", altname="XBTUSD"),
     row("ETH/USDT", "ETHUSDT", 2, 8, wsId="ETH/USDT", altname="ETHUSDT")],
    {
        "http_add_order_spot": placed("BTC/USD"),
        "http_asset_pairs": listing(whole),
        "http_asset_pairs_tokenized": listing(whole),
        "http_cancel_order_spot": cancelled("BTC/USD"),
        "http_closed_orders": account(lambda dialect, exchange: _closed(dialect, exchange)),
        "http_ohlc": candles("1m", 1762777020000, 1762777320000, _KRAKEN_NONE),
        "http_open_orders": open_orders(_PAIR, "ETH/USDT"),
        "http_order_book": depth(_PAIR),
        "http_server_time": clock,
        "http_trades": trades(1762795433000, 1762795500000, _KRAKEN_NONE),
        "http_trades_history": fills(_PAIR, "ETH/USDT", then=_KRAKEN_NONE),
    },
    after={"ws_book_update": "ws_book_snapshot"},
    leaves="futures",
    requests="*_request",
)  # fmt: skip


_INVERSE, _FLEX, _FLEX_ETH, _INVERSE_ETH = "BTC/USD:BTC", "BTC/USD:USD", "ETH/USD:USD", "ETH/USD:ETH"


async def _executions(venue: Venue, text: str) -> list[str]:
    """The oldest trade is asked for first; the page is recorded the latest first, as it is not asked for."""
    return await past(venue.exchange, "trades", "", Span(1764206268000, 1764206270369), text, text, '{"elements":[]}')


KRAKENFUTURES = Venue(
    "krakenfutures", "kraken",
    [row(_INVERSE, "PI_XBTUSD", 1, 0), row(_FLEX, "PF_XBTUSD", 0, 4), row(_FLEX_ETH, "PF_ETHUSD", 1, 3),
     row(_INVERSE_ETH, "PI_ETHUSD", 2, 0)],
    {
        "http_cancel_order_futures": cancelled(_INVERSE),
        "http_futures_candles_trade": candles("1h", 1731715200000, 1731722400000, '{"candles":[],"more_candles":false}'),
        "http_futures_fills": fills(_INVERSE, _INVERSE_ETH, then='{"result":"success","logs":[]}'),
        "http_futures_instrument_no_fee_schedule": listing(whole),
        "http_futures_instruments": listing(whole),
        "http_futures_open_orders": open_orders(_INVERSE, _INVERSE_ETH),
        "http_futures_open_positions": positions(_INVERSE, _INVERSE_ETH),
        "http_futures_orderbook": depth(_INVERSE),
        "http_futures_public_executions": _executions,
        "http_send_order_futures": placed(_INVERSE),
        "http_send_order_futures_unknown_trigger": placed(_FLEX),
    },
    after={"ws_futures_book_delta": "ws_futures_book_snapshot"},
    files="*futures*",
    frames="ws_futures_*",
)  # fmt: skip

BINANCE = Venue(
    "binance", "binance/spot",
    [row("ETH/BTC", "ETHBTC", 8, 8), row(_PAIR, "BTCUSDT", 8, 8, info={"orderTypes": ["LIMIT", "MARKET"]}),
     row("ETH/USDT", "ETHUSDT", 8, 8), row("LTC/BTC", "LTCBTC", 8, 8),
     row("BNB/BTC", "BNBBTC", 8, 8)],
    {
        "http_json/account_response": balances(),
        "http_json/account_trades_response": fills("BNB/BTC", then="[]"),
        "http_json/all_orders_response": open_orders("LTC/BTC"),
        "http_json/cancel_order_response": cancelled("LTC/BTC"),
        "http_json/depth_response": depth("LTC/BTC"),
        "http_json/exchange_info_response": listing(
            each(_binance_markets)
        ),
        "http_json/klines_response": candles("1d", 1499040000000, 1499040000000, "[]"),
        "http_json/new_order_full_response": placed(_PAIR, "10", None, "IOC"),
        "http_json/open_orders_response": open_orders("LTC/BTC"),
        "http_json/order_response": order("myOrder1", "LTC/BTC"),
        "http_json/server_time_response": clock,
    },
    frames="user_data_json/*",
)  # fmt: skip

BINANCEUSDM = Venue(
    "binanceusdm", "binance/futures",
    [row(_LINEAR, "BTCUSDT", 8, 3), row("BNB/USDT:USDT", "BNBUSDT", 8, 8)],
    {
        "http_json/account_info_v2": balances(),
        "http_json/order_response": order("testOrder123", _LINEAR),
        "http_json/position_risk": positions(_LINEAR),
    },
    frames="*_data_json/*",
)  # fmt: skip

DERIBIT = Venue(
    "deribit", "deribit",
    [row("BTC/USD:BTC", "BTC-PERPETUAL", 1, 0)],
    {
        "http_get_instruments": listing(_deribit_markets),
        "http_get_instrument": listing(_deribit_markets),
        "http_get_order_book": depth("BTC/USD:BTC"),
    },
    after={"ws_book_delta": "ws_book_snapshot"},
)  # fmt: skip


HYPERLIQUID = Venue(
    "hyperliquid", "hyperliquid",
    [row("BTC/USDC:USDC", "0", 2, 5, base="BTC", baseName="BTC", info={"name": "BTC"})],
    {
        "http_l2_book_btc": depth("BTC/USDC:USDC"),
        "http_l2_book_snapshot": depth("BTC/USDC:USDC"),
        "http_recent_trades_btc": framed('{"channel":"trades","data":ROW}'),
        "ws_book_data": framed('{"channel":"l2Book","data":ROW}'),
    },
)  # fmt: skip

VENUES = {
    one.exchange: one
    for one in (BINANCE, BINANCEUSDM, BYBIT, COINBASE, DERIBIT, HYPERLIQUID, KRAKEN, KRAKENFUTURES, OKX)
}
