"""Orders that the desk works for a client (CONTRACT 3.3). Idempotency lives in the desk; these handlers only translate."""

from __future__ import annotations

from typing import Literal

import msgspec

from desk.api.context import Api, ask
from desk.api.convert import order_of
from desk.api.messages import AmendRequest, Order, OrderPage, OrderRequest
from desk.api.routes_rfq import Cursor, Limit, Token
from desk.api.routing import Call, Route
from router.messages import CommandKind


class OrderQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which orders to list."""

    client_order_id: Token | None = None
    state: Literal["working", "paused", "filled", "cancelled", "expired", "rejected"] | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


async def place_order(api: Api, call: Call) -> Order:
    return await ask(lambda reply: api.orders.place(call.caller, call.body, reply), order_of, api.reply_timeout_s)


async def get_order(api: Api, call: Call) -> Order:
    return order_of(api.orders.order(call.caller, call.path["order_id"]))


async def list_orders(api: Api, call: Call) -> OrderPage:
    query: OrderQuery = call.query
    page = api.orders.orders(
        call.caller, client_order_id=query.client_order_id, state=query.state, limit=query.limit, cursor=query.cursor
    )
    return OrderPage(items=[order_of(record) for record in page.items], next_cursor=page.next_cursor)


async def _command(api: Api, call: Call, kind: CommandKind) -> Order:
    order_id = call.path["order_id"]
    return await ask(
        lambda reply: api.orders.command(call.caller, order_id, kind, reply), order_of, api.reply_timeout_s
    )


async def cancel_order(api: Api, call: Call) -> Order:
    return await _command(api, call, CommandKind.CANCEL)


async def amend_order(api: Api, call: Call) -> Order:
    order_id = call.path["order_id"]
    return await ask(
        lambda reply: api.orders.amend(call.caller, order_id, call.body, reply), order_of, api.reply_timeout_s
    )


async def pause_order(api: Api, call: Call) -> Order:
    return await _command(api, call, CommandKind.PAUSE)


async def resume_order(api: Api, call: Call) -> Order:
    return await _command(api, call, CommandKind.RESUME)


_LOOK = ("read", "quote", "trade")

ROUTES = (
    Route(
        "POST",
        "/v1/orders",
        "placeOrder",
        "Give the desk an order to work. The same client_order_id returns the order as it stands.",
        Order,
        place_order,
        scopes=("trade",),
        body=OrderRequest,
        status=201,
        errors=(403, 409, 504),
        examples={
            "market": {
                "client_order_id": "w-1",
                "instrument": "BTC/USDT",
                "side": "buy",
                "type": "market",
                "quantity": "0.5",
            },
            "twap": {
                "client_order_id": "w-2",
                "instrument": "BTC/USDT",
                "side": "sell",
                "type": "twap",
                "quantity": "4",
                "duration_ms": 600000,
                "limit_price": "59000",
            },
            "at_once_or_not_at_all": {
                "client_order_id": "w-3",
                "instrument": "BTC/USDT",
                "side": "buy",
                "type": "limit",
                "quantity": "1",
                "limit_price": "60100",
                "time_in_force": "fok",
            },
        },
    ),
    Route(
        "GET",
        "/v1/orders",
        "listOrders",
        "Orders, newest first.",
        OrderPage,
        list_orders,
        scopes=_LOOK,
        query=OrderQuery,
    ),
    Route("GET", "/v1/orders/{order_id}", "getOrder", "One order.", Order, get_order, scopes=_LOOK, errors=(404,)),
    Route(
        "DELETE",
        "/v1/orders/{order_id}",
        "cancelOrder",
        "Stop working an order. What has filled stands; what is on the wire may still fill before it is cancelled.",
        Order,
        cancel_order,
        scopes=("trade",),
        errors=(404, 409, 504),
    ),
    Route(
        "POST",
        "/v1/orders/{order_id}/amend",
        "amendOrder",
        "Change quantity, limit or end of a working order. What has filled or is on the wire stands.",
        Order,
        amend_order,
        scopes=("trade",),
        body=AmendRequest,
        errors=(404, 409, 504),
        examples={"less": {"quantity": "2"}},
    ),
    Route(
        "POST",
        "/v1/orders/{order_id}/pause",
        "pauseOrder",
        "Send nothing more for an order until it is resumed.",
        Order,
        pause_order,
        scopes=("trade",),
        errors=(404, 409, 504),
    ),
    Route(
        "POST",
        "/v1/orders/{order_id}/resume",
        "resumeOrder",
        "Go on with a paused order.",
        Order,
        resume_order,
        scopes=("trade",),
        errors=(404, 409, 504),
    ),
)
