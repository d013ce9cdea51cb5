"""Coinbase's words (Advanced Trade, v3): frames, products, order and fill rows, accounts and errors, built from the matching core's values.

Sources: the venue's documentation (REST, WebSocket channels, enums), the recorded frames it is tested against, ccxt's source. Numbers are
strings; times RFC 3339. Fields of products and orders that a spot order has no use for have the values of the recorded examples.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import orjson

from sim.instruments import VenueInstrument
from sim.servers.matching import OrderStatus, Refusal, RefusalKind, Tif, VenueFill, VenueOrder

SEQUENCE = "@sequence@"  # stands for a connection's own number until a frame is sent
STABLE = ("USDT", "EURC", "PYUSD", "DAI")  # their USDC pairs are books of their own
EPOCH = "0001-01-01T00:00:00Z"


class CoinbaseError(Exception):
    """An error answer of the gateway."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def body(self) -> dict:
        """As JSON."""
        return {"error": self.code, "error_details": self.message, "message": self.message}


class OrderFailure(Exception):
    """An order that is not taken: HTTP 200 with `success` false. `preview` is the reason of the check before the order, if it was that."""

    def __init__(self, reason: str, message: str, preview: str = "") -> None:
        super().__init__(message)
        self.reason, self.message, self.preview = reason, message, preview

    def body(self, configuration: object) -> dict:
        """As JSON."""
        response = {"error": self.reason, "message": self.message, "error_details": ""}
        if self.preview:
            response["preview_failure_reason"] = self.preview
        else:
            response["new_order_failure_reason"] = self.reason
        return {
            "success": False,
            "failure_reason": "UNKNOWN_FAILURE_REASON",
            "order_id": "",
            "error_response": response,
            "order_configuration": configuration,
        }


def failure(refusal: Refusal) -> OrderFailure:
    """Coinbase's words for a refusal of the matching core."""
    match refusal.kind:
        case RefusalKind.UNKNOWN_SYMBOL:
            return OrderFailure("INVALID_PRODUCT_ID", "Invalid product_id")
        case RefusalKind.PRICE_TICK:
            return OrderFailure("INVALID_PRICE_PRECISION", "Too many decimals in order price")
        case RefusalKind.QUANTITY_LOT:
            return OrderFailure("INVALID_SIZE_PRECISION", "Too many decimals in order amount")
        case RefusalKind.MIN_QUANTITY:
            reason = "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"
            return OrderFailure("UNKNOWN_FAILURE_REASON", "Order size is too small", reason)
        case RefusalKind.MIN_NOTIONAL:
            reason = "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"
            return OrderFailure("UNKNOWN_FAILURE_REASON", "Order value is too small", reason)
        case RefusalKind.INSUFFICIENT_FUNDS:
            reason = "PREVIEW_INSUFFICIENT_FUND"
            return OrderFailure("INSUFFICIENT_FUND", "Insufficient balance in source account", reason)
        case RefusalKind.WOULD_TAKE:
            return OrderFailure("INVALID_LIMIT_PRICE_POST_ONLY", "Post only limit price would take")
    return OrderFailure("INVALID_REQUEST", str(refusal))


def product_id(symbol: str) -> str:
    """`BTC-USDT` of `BTC/USDT`."""
    return symbol.replace("/", "-")


def alias_of(symbol: str, listed: list[str]) -> str:
    """The product under whose name a product's book and trades are told: BTC-USD for BTC-USDC, unless both are books of their own here."""
    base, _, quote = symbol.partition("/")
    shared = quote == "USDC" and base not in STABLE and f"{base}/USD" not in listed
    return product_id(f"{base}/USD") if shared else product_id(symbol)


def order_uuid(number: int) -> str:
    """An id of the core as the venue's."""
    return str(uuid.UUID(int=number))


def number_of(order_uuid: str) -> int:
    """The reverse; 0 for what is none."""
    try:
        return uuid.UUID(order_uuid).int
    except ValueError:
        return 0


def text(units: int, decimals: int) -> str:
    """An integer in units of 10^-decimals."""
    return f"{Decimal(units).scaleb(-decimals):f}"


def amount(value: Decimal) -> str:
    """An amount without needless zeros."""
    return f"{value.normalize():f}" if value else "0"


def moment(ts_ns: int) -> str:
    """RFC 3339 with nanoseconds."""
    whole, fraction = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def envelope(channel: str, events: str, ts_ns: int) -> str:
    """A frame whose connection's number is still to be filled in; `events` is JSON."""
    head = f'{{"channel":"{channel}","client_id":"","timestamp":"{moment(ts_ns)}","sequence_num":{SEQUENCE}'
    return f'{head},"events":{events}}}'


# --- market data -----------------------------------------------------------------------------------------------------------------------


def level2(product: str, kind: str, rows: list[tuple[int, int, int]], instrument: VenueInstrument, ts_ns: int) -> str:
    """`events` of an `l2_data` frame; rows are (side +1 or -1, price, size)."""
    price, size, at = instrument.price_decimals, instrument.size_decimals, moment(ts_ns)
    updates = ",".join(
        f'{{"side":"{"bid" if side > 0 else "offer"}","event_time":"{at}","price_level":"{text(p, price)}",'
        f'"new_quantity":"{text(q, size) if q else "0"}"}}'
        for side, p, q in rows
    )
    return f'[{{"type":"{kind}","product_id":"{product}","updates":[{updates}]}}]'


def market_trade(
    product: str, trade_id: int, price: int, size: int, aggressor: int, ts_ns: int, instrument: VenueInstrument
) -> dict:
    """One trade; its side is the maker's."""
    return {
        "trade_id": str(trade_id),
        "product_id": product,
        "price": text(price, instrument.price_decimals),
        "size": text(size, instrument.size_decimals),
        "side": "SELL" if aggressor > 0 else "BUY",
        "time": moment(ts_ns),
    }


def events(kind: str, name: str, rows: list[dict]) -> str:
    """`events` of one kind with rows under their channel's name."""
    return orjson.dumps([{"type": kind, name: rows}]).decode()


def product(instrument: VenueInstrument, alias: str, last: str, volume: str) -> dict:
    """A product as the product lists have it."""
    own = product_id(instrument.symbol)
    return {
        "product_id": own,
        "price": last,
        "price_percentage_change_24h": "0",
        "volume_24h": volume,
        "volume_percentage_change_24h": "0",
        "base_increment": text(1, instrument.size_decimals),
        "quote_increment": text(1, instrument.price_decimals),
        "quote_min_size": amount(instrument.min_notional),
        "quote_max_size": "150000000",
        "base_min_size": amount(instrument.min_quantity),
        "base_max_size": "9000",
        "base_name": instrument.base,
        "quote_name": instrument.quote,
        **dict.fromkeys(("watched", "is_disabled", "new", "cancel_only", "limit_only", "post_only"), False),
        "status": "online",
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": instrument.quote,
        "base_currency_id": instrument.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "" if alias == own else alias,
        "alias_to": [],
        "base_display_symbol": instrument.base,
        "quote_display_symbol": "USD" if alias != own else instrument.quote,
        "view_only": False,
        "price_increment": text(1, instrument.price_decimals),
        "display_name": own,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": "0",
        "new_at": "2023-01-01T00:00:00Z",
    }


# --- orders ----------------------------------------------------------------------------------------------------------------------------


def status_of(order: VenueOrder) -> str:
    """Coinbase's word for where an order stands."""
    match order.status:
        case OrderStatus.NEW | OrderStatus.PARTIALLY_FILLED:
            return "OPEN"
        case OrderStatus.FILLED:
            return "FILLED"
        case OrderStatus.EXPIRED if order.tif is Tif.GTD:
            return "EXPIRED"
        case _:
            return "CANCELLED"


def tif_of(order: VenueOrder) -> str:
    """Time in force."""
    match order.tif:
        case Tif.IOC:
            return "IMMEDIATE_OR_CANCEL"
        case Tif.FOK:
            return "FILL_OR_KILL"
        case Tif.GTD:
            return "GOOD_UNTIL_DATE_TIME"
        case _:
            return "GOOD_UNTIL_CANCELLED"


def configuration(order: VenueOrder, instrument: VenueInstrument) -> dict:
    """`order_configuration` of an order."""
    size = text(order.quantity, instrument.size_decimals)
    if order.market:
        return {"market_market_ioc": {"base_size": size}}
    terms: dict[str, object] = {"base_size": size, "limit_price": text(order.price, instrument.price_decimals)}
    match order.tif:
        case Tif.IOC:
            return {"sor_limit_ioc": terms}
        case Tif.FOK:
            return {"limit_limit_fok": terms}
        case Tif.GTD:
            end = moment(order.expires_ns)
            return {"limit_limit_gtd": {**terms, "end_time": end, "post_only": order.post_only}}
        case _:
            return {"limit_limit_gtc": {**terms, "post_only": order.post_only}}


def _ended(order: VenueOrder) -> str:
    if order.status is OrderStatus.CANCELED:
        return "User requested cancel"
    return "" if order.status is not OrderStatus.EXPIRED else "Time in force has ended"


def order_row(order: VenueOrder, instrument: VenueInstrument) -> dict:
    """An order as the order queries tell it."""
    filled, fees = instrument.size(order.filled), sum((fill.fee for fill in order.fills), Decimal(0))
    held = (
        order.leaves * instrument.price(order.price) * instrument.size(1)
        if order.open and order.side > 0
        else Decimal(0)
    )
    return {
        "order_id": order_uuid(order.order_id),
        "product_id": product_id(order.symbol),
        "user_id": "loopback",
        "order_configuration": configuration(order, instrument),
        "side": "BUY" if order.side > 0 else "SELL",
        "client_order_id": order.client_id,
        "status": status_of(order),
        "time_in_force": tif_of(order),
        "created_time": moment(order.created_ns),
        "completion_percentage": f"{100 * order.filled / order.quantity:.2f}",
        "filled_size": amount(filled),
        "average_filled_price": amount(_average(order.cost, filled)),
        "fee": "",
        "number_of_fills": str(len(order.fills)),
        "filled_value": amount(order.cost),
        "pending_cancel": False,
        "size_in_quote": False,
        "total_fees": amount(fees),
        "size_inclusive_of_fees": False,
        "total_value_after_fees": amount(order.cost + order.side * fees),
        "trigger_status": "INVALID_ORDER_TYPE",
        "order_type": "MARKET" if order.market else "LIMIT",
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": not order.open,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": _ended(order),
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": amount(held),
        "is_liquidation": False,
        "last_fill_time": moment(order.fills[-1].ts_ns) if order.fills else None,
        **dict.fromkeys(("leverage", "margin_type", "retail_portfolio_id", "originating_order_id"), ""),
        "attached_order_id": "",
    }


def user_row(order: VenueOrder, fills: list[VenueFill], status: str, instrument: VenueInstrument) -> dict:
    """An order as the `user` channel told it after these fills. What it leaves is zero once it has ended."""
    units = sum(fill.size for fill in fills)
    filled, value = instrument.size(units), sum((fill.cost for fill in fills), Decimal(0))
    fees = sum((fill.fee for fill in fills), Decimal(0))
    left = instrument.size(order.quantity - units) if status == "OPEN" else Decimal(0)
    return {
        "order_id": order_uuid(order.order_id),
        "client_order_id": order.client_id,
        "cumulative_quantity": amount(filled),
        "leaves_quantity": amount(left),
        "avg_price": amount(_average(value, filled)),
        "total_fees": amount(fees),
        "status": status,
        "product_id": product_id(order.symbol),
        "creation_time": moment(order.created_ns),
        "order_side": "BUY" if order.side > 0 else "SELL",
        "order_type": "Market" if order.market else "Limit",
        "cancel_reason": _ended(order) if status == "CANCELLED" else "",
        "reject_reason": "",
        "completion_percentage": f"{100 * units / order.quantity:.2f}",
        "filled_value": amount(value),
        "limit_price": "" if order.market else text(order.price, instrument.price_decimals),
        "number_of_fills": str(len(fills)),
        "outstanding_hold_amount": "0",
        "post_only": "true" if order.post_only else "false",
        "stop_price": "",
        "total_value_after_fees": amount(value + order.side * fees),
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "product_type": "SPOT",
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "retail_portfolio_id": "",
        "time_in_force": tif_of(order),
        "trigger_status": "INVALID_ORDER_TYPE",
        "start_time": EPOCH,
        "end_time": moment(order.expires_ns) if order.expires_ns else EPOCH,
    }


def _average(value: Decimal, filled: Decimal) -> Decimal:
    return (value / filled).quantize(Decimal("1e-16")) if filled else Decimal(0)


def fill_row(fill: VenueFill, instrument: VenueInstrument) -> dict:
    """An execution as the fills query tells it."""
    return {
        "entry_id": f"{fill.trade_id:064x}",
        "trade_id": order_uuid(fill.trade_id),
        "order_id": order_uuid(fill.order_id),
        "trade_time": moment(fill.ts_ns),
        "trade_type": "FILL",
        "price": text(fill.price, instrument.price_decimals),
        "size": text(fill.size, instrument.size_decimals),
        "commission": amount(fill.fee),
        "product_id": product_id(fill.symbol),
        "sequence_timestamp": moment(fill.ts_ns),
        "liquidity_indicator": "MAKER" if fill.maker else "TAKER",
        "size_in_quote": False,
        "user_id": "loopback",
        "side": "BUY" if fill.side > 0 else "SELL",
        "retail_portfolio_id": "",
    }


def account_row(currency: str, total: Decimal, held: Decimal) -> dict:
    """One account: what is available, and what orders hold of it."""
    fiat = currency in ("USD", "EUR", "GBP")
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, currency)),
        "name": f"{currency} Wallet",
        "currency": currency,
        "available_balance": {"value": amount(total - held), "currency": currency},
        "default": True,
        "active": True,
        "created_at": "2021-05-31T09:59:59Z",
        "updated_at": "2024-01-15T10:30:00Z",
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_FIAT" if fiat else "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": amount(held), "currency": currency},
        "retail_portfolio_id": "loopback",
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }


def transaction_summary(taker_bps: Decimal, maker_bps: Decimal) -> dict:
    """The account's fee tier; its volumes are not simulated."""
    return {
        "total_volume": 0,
        "total_fees": 0,
        "fee_tier": {
            "pricing_tier": "Advanced 9",
            "usd_from": "400000000",
            "usd_to": "",
            "taker_fee_rate": amount(taker_bps / 10_000),
            "maker_fee_rate": amount(maker_bps / 10_000),
            "aop_from": "",
            "aop_to": "",
        },
        "margin_rate": None,
        "goods_and_services_tax": None,
        "advanced_trade_only_volume": 0,
        "advanced_trade_only_fees": 0,
        "coinbase_pro_volume": 0,
        "coinbase_pro_fees": 0,
        "total_balance": "",
        "has_promo_fee": False,
    }
