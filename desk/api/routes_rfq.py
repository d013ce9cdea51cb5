"""Requests, quotes and trades (CONTRACT 3.2). Idempotency and exactly-once live in the desk; these handlers only translate."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from desk.api.context import Api, ask
from desk.api.convert import rfq_of, trade_of
from desk.api.messages import AcceptRequest, Rfq, RfqPage, RfqRequest, State, Trade, TradePage
from desk.api.routing import Call, Route

Limit = Annotated[int, Meta(ge=1, le=500)]
Cursor = Annotated[str, Meta(min_length=1, max_length=256)]
Token = Annotated[str, Meta(min_length=1, max_length=64)]


class RfqQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests to list."""

    client_rfq_id: Token | None = None
    state: State | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class TradeQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which trades to list."""

    client_order_id: Token | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


async def request_quote(api: Api, call: Call) -> Rfq:
    return await ask(
        lambda reply: api.service.request_quote(call.caller, call.body, reply), rfq_of, api.reply_timeout_s
    )


async def get_rfq(api: Api, call: Call) -> Rfq:
    return rfq_of(api.service.rfq(call.caller, call.path["rfq_id"]))


async def list_rfqs(api: Api, call: Call) -> RfqPage:
    query: RfqQuery = call.query
    page = api.service.rfqs(
        call.caller, client_rfq_id=query.client_rfq_id, state=query.state, limit=query.limit, cursor=query.cursor
    )
    return RfqPage(items=[rfq_of(record) for record in page.items], next_cursor=page.next_cursor)


async def cancel_rfq(api: Api, call: Call) -> Rfq:
    rfq_id = call.path["rfq_id"]
    return await ask(lambda reply: api.service.cancel_rfq(call.caller, rfq_id, reply), rfq_of, api.reply_timeout_s)


async def accept_quote(api: Api, call: Call) -> Trade:
    quote_id = call.path["quote_id"]
    return await ask(
        lambda reply: api.service.accept(call.caller, quote_id, call.body, reply), trade_of, api.reply_timeout_s
    )


async def get_trade(api: Api, call: Call) -> Trade:
    return trade_of(api.service.trade(call.caller, call.path["trade_id"]))


async def list_trades(api: Api, call: Call) -> TradePage:
    query: TradeQuery = call.query
    page = api.service.trades(
        call.caller, client_order_id=query.client_order_id, limit=query.limit, cursor=query.cursor
    )
    return TradePage(items=[trade_of(record) for record in page.items], next_cursor=page.next_cursor)


_LOOK = ("read", "quote", "trade")

ROUTES = (
    Route(
        "POST",
        "/v1/rfqs",
        "requestQuote",
        "Ask for a firm price. The same client_rfq_id returns the first answer again.",
        Rfq,
        request_quote,
        scopes=("quote",),
        body=RfqRequest,
        status=201,
        errors=(409, 504),
        examples={
            "two_way": {"client_rfq_id": "c-1", "instrument": "BTC/USDT", "side": "two_way", "quantity": "1.5"},
            "buy_for_an_amount": {
                "client_rfq_id": "c-2",
                "instrument": "BTC/USDT",
                "side": "buy",
                "quantity": "90000",
                "currency": "USDT",
                "ttl_ms": 2000,
            },
        },
    ),
    Route("GET", "/v1/rfqs", "listRfqs", "Requests, newest first.", RfqPage, list_rfqs, scopes=_LOOK, query=RfqQuery),
    Route("GET", "/v1/rfqs/{rfq_id}", "getRfq", "One request.", Rfq, get_rfq, scopes=_LOOK, errors=(404,)),
    Route(
        "DELETE",
        "/v1/rfqs/{rfq_id}",
        "cancelRfq",
        "Withdraw a request; its quotes can no longer be accepted.",
        Rfq,
        cancel_rfq,
        scopes=("quote",),
        errors=(404, 409, 504),
    ),
    Route(
        "POST",
        "/v1/quotes/{quote_id}/accept",
        "acceptQuote",
        "Trade on a quote, exactly once: the same client_order_id returns the same trade. The trade is durable when it is answered.",
        Trade,
        accept_quote,
        scopes=("trade",),
        body=AcceptRequest,
        errors=(404, 409, 504),
        examples={
            "whole": {"client_order_id": "o-1"},
            "partial": {"client_order_id": "o-2", "quantity": "0.75"},
        },
    ),
    Route(
        "GET",
        "/v1/trades",
        "listTrades",
        "Trades, newest first.",
        TradePage,
        list_trades,
        scopes=_LOOK,
        query=TradeQuery,
    ),
    Route("GET", "/v1/trades/{trade_id}", "getTrade", "One trade.", Trade, get_trade, scopes=_LOOK, errors=(404,)),
)
