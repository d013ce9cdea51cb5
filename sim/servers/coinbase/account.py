"""Coinbase's private answers about one portfolio: placing, editing, cancelling and listing orders, fills, accounts, fees.

Queries are multidicts as they came over the wire, bodies decoded JSON; what the venue says no to is raised as `CoinbaseError`, or as
`OrderFailure` when it is an order. A client order id that an order ever had is answered with that order, as the venue documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import dropwhile, islice

from multidict import MultiMapping

from sim.servers.coinbase import wire
from sim.servers.coinbase.wire import CoinbaseError, OrderFailure
from sim.servers.faults import Fault, Faults
from sim.servers.matching import MatchingCore, OrderRequest, Refusal, Tif, VenueOrder

Query = MultiMapping[str]

_KINDS = {
    "market_market_ioc": Tif.IOC,
    "sor_limit_ioc": Tif.IOC,
    "limit_limit_fok": Tif.FOK,
    "limit_limit_gtc": Tif.GTC,
    "limit_limit_gtd": Tif.GTD,
}
_STATUSES = ("PENDING", "OPEN", "FILLED", "CANCELLED", "EXPIRED", "FAILED")


class CoinbaseAccount:
    """The portfolio of one loopback Coinbase, spot only."""

    def __init__(self, core: MatchingCore, faults: Faults) -> None:
        self.core = core
        self.faults = faults
        self.products = {wire.product_id(symbol): symbol for symbol in core.instruments}
        self._edits: dict[int, list[dict]] = {}  # by order: its edits, and beneath them the terms it was placed with

    # --- orders ------------------------------------------------------------------------------------------------------------------------

    def place(self, body: dict) -> dict:
        """`POST orders`."""
        client_id = body.get("client_order_id")
        if not isinstance(client_id, str) or not client_id:
            raise CoinbaseError(400, "INVALID_ARGUMENT", "client_order_id is required")
        configuration = body.get("order_configuration")
        try:
            order = self.core.by_client.get(client_id) or self._placed(body, client_id, configuration)
        except OrderFailure as failed:
            return failed.body(configuration)
        return {
            "success": True,
            "failure_reason": "UNKNOWN_FAILURE_REASON",
            "order_id": wire.order_uuid(order.order_id),
            "success_response": {
                "order_id": wire.order_uuid(order.order_id),
                "product_id": wire.product_id(order.symbol),
                "side": "BUY" if order.side > 0 else "SELL",
                "client_order_id": order.client_id,
                "attached_order_id": "",
            },
            "order_configuration": configuration,
        }

    def _placed(self, body: dict, client_id: str, configuration: object) -> VenueOrder:
        symbol = self.products.get(str(body.get("product_id")))
        if symbol is None:
            raise OrderFailure("INVALID_PRODUCT_ID", "Invalid product_id")
        if body.get("side") not in ("BUY", "SELL"):
            raise OrderFailure("INVALID_SIDE", "Invalid side")
        if not isinstance(configuration, dict) or len(configuration) != 1 or next(iter(configuration)) not in _KINDS:
            raise OrderFailure("UNSUPPORTED_ORDER_CONFIGURATION", "Unsupported order configuration")
        ((kind, terms),) = configuration.items()
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise OrderFailure(
                "INSUFFICIENT_FUND", "Insufficient balance in source account", "PREVIEW_INSUFFICIENT_FUND"
            )
        market = kind == "market_market_ioc"
        if market and body["side"] == "BUY" and "base_size" in terms:
            raise OrderFailure("UNSUPPORTED_ORDER_CONFIGURATION", "quote_size is required for market buy orders")
        try:
            return self.core.place(
                OrderRequest(
                    symbol=symbol,
                    side=1 if body["side"] == "BUY" else -1,
                    quantity=Decimal(str(terms.get("base_size", ""))),
                    price=None if market else Decimal(str(terms.get("limit_price", ""))),
                    tif=_KINDS[kind],
                    client_id=client_id,
                    post_only=bool(terms.get("post_only")),
                    expires_ns=_ns(terms["end_time"]) if "end_time" in terms else 0,
                )
            )
        except InvalidOperation:
            raise OrderFailure("INVALID_REQUEST", "Invalid size or price") from None
        except Refusal as refusal:
            raise wire.failure(refusal) from None

    def edit(self, body: dict) -> dict:
        """`POST orders/edit`: price and size of an open GTC limit order."""
        order = self.core.resting.get(wire.number_of(str(body.get("order_id"))))
        if order is None or order.tif is not Tif.GTC:
            reason = "ORDER_NOT_FOUND" if order is None else "ONLY_OPEN_ORDERS_CAN_BE_EDITED"
            return {"success": False, "errors": [{"edit_failure_reason": reason}]}
        placed = wire.configuration(order, self.core.instruments[order.symbol])
        try:
            terms = {
                name: Decimal(str(body[field]))
                for name, field in (("price", "price"), ("quantity", "size"))
                if body.get(field)
            }
            self.core.amend(order.order_id, **terms)
        except (InvalidOperation, Refusal):
            return {"success": False, "errors": [{"edit_failure_reason": "INVALID_EDIT_REQUEST"}]}
        edit = {"price": str(body["price"]), "size": str(body["size"])}
        moment = wire.moment(self.core.clock_ns())
        self._edits.setdefault(order.order_id, [placed]).append({**edit, "replace_accept_timestamp": moment})
        return {"success": True, "errors": []}

    def _row(self, order: VenueOrder) -> dict:
        """An order as queries tell it: its terms are those of the first day, its edits beside them."""
        row = wire.order_row(order, self.core.instruments[order.symbol])
        placed, *edits = self._edits.get(order.order_id) or [row["order_configuration"]]
        return row | {"order_configuration": placed, "edit_history": edits}

    def cancel(self, body: dict) -> dict:
        """`POST orders/batch_cancel`."""
        results = []
        for order_id in body.get("order_ids") or []:
            try:
                self.core.cancel(wire.number_of(str(order_id)))
                reason = ""
            except Refusal:
                known = self.core.orders.get(wire.number_of(str(order_id)))
                filled = known is not None and known.filled == known.quantity
                reason = "ORDER_IS_FULLY_FILLED" if filled else "UNKNOWN_CANCEL_ORDER"
            said = reason or "UNKNOWN_CANCEL_FAILURE_REASON"
            results.append({"success": not reason, "failure_reason": said, "order_id": str(order_id)})
        return {"results": results}

    def order(self, order_id: str) -> dict:
        """`GET orders/historical/{order_id}`."""
        order = self.core.orders.get(wire.number_of(order_id))
        if order is None:
            raise CoinbaseError(404, "NOT_FOUND", "order with this orderID was not found")
        return {"order": self._row(order)}

    def orders(self, query: Query) -> dict:
        """`GET orders/historical/batch`, newest first. Open orders are asked for by themselves."""
        statuses = _many(query, "order_status")
        if strangers := [status for status in statuses if status not in _STATUSES]:
            raise CoinbaseError(400, "INVALID_ARGUMENT", f"unknown order_status {', '.join(strangers)}")
        if "OPEN" in statuses and len(statuses) > 1:
            raise CoinbaseError(400, "INVALID_ARGUMENT", "OPEN cannot be combined with other statuses")
        first, last = (_ns(query[name]) if name in query else None for name in ("start_date", "end_date"))
        products = _many(query, "product_ids") or _many(query, "product_id")

        def wanted(order: VenueOrder) -> bool:
            return (
                (not products or wire.product_id(order.symbol) in products)
                and (not statuses or wire.status_of(order) in statuses)
                and (first is None or order.created_ns >= first)
                and (last is None or order.created_ns < last)
            )

        found = (order for order in reversed(self.core.orders.values()) if wanted(order))
        page, following = _page(query, found, lambda order: wire.order_uuid(order.order_id))
        rows = [self._row(order) for order in page]
        return {"orders": rows, "sequence": "0", "has_next": bool(following), "cursor": following}

    def fills(self, query: Query) -> dict:
        """`GET orders/historical/fills`, newest first."""
        orders, trades = _many(query, "order_ids") or _many(query, "order_id"), _many(query, "trade_ids")
        products = _many(query, "product_ids") or _many(query, "product_id")
        first, last = (
            _ns(query[name]) if name in query else None
            for name in ("start_sequence_timestamp", "end_sequence_timestamp")
        )
        found = (
            fill
            for fill in reversed(self.core.fills)
            if (not orders or wire.order_uuid(fill.order_id) in orders)
            and (not trades or wire.order_uuid(fill.trade_id) in trades)
            and (not products or wire.product_id(fill.symbol) in products)
            and (first is None or fill.ts_ns >= first)
            and (last is None or fill.ts_ns < last)
        )
        page, following = _page(query, found, lambda fill: wire.order_uuid(fill.trade_id))
        rows = [wire.fill_row(fill, self.core.instruments[fill.symbol]) for fill in page]
        return {"fills": rows, "cursor": following}

    # --- accounts ----------------------------------------------------------------------------------------------------------------------

    def accounts(self, query: Query) -> dict:
        """`GET accounts`."""
        held = self.core.locked()
        page, following = _page(query, sorted(self.core.balances), str)
        rows = [wire.account_row(name, self.core.balances[name], held.get(name, Decimal(0))) for name in page]
        return {"accounts": rows, "has_next": bool(following), "cursor": following, "size": len(rows)}

    def summary(self, query: Query) -> dict:
        """`GET transaction_summary`."""
        instrument = next(iter(self.core.instruments.values()))
        return wire.transaction_summary(instrument.taker_fee_bps, instrument.maker_fee_bps)


def _many(query: Query, name: str) -> list[str]:
    return query.getall(name, [])


def _ns(text: str) -> int:
    try:
        return int(datetime.fromisoformat(str(text)).astimezone(UTC).timestamp() * 1e6) * 1_000
    except ValueError:
        raise CoinbaseError(400, "INVALID_ARGUMENT", f"{text!r} is no RFC 3339 time") from None


def _page[Row](query: Query, rows: Iterator[Row] | list[Row], named: Callable[[Row], str]) -> tuple[list[Row], str]:
    """A page of rows, from behind the one that the cursor names, and the cursor of the next page ("": there is none)."""
    limit = str(query.get("limit", "100"))
    if not limit.isdigit() or not 1 <= int(limit) <= 1_000:
        raise CoinbaseError(400, "INVALID_ARGUMENT", "limit must be between 1 and 1000")
    following = iter(rows)
    if cursor := query.get("cursor"):
        following = islice(dropwhile(lambda row: named(row) != cursor, following), 1, None)
    page = list(islice(following, int(limit)))
    more = next(following, None) is not None
    return page, named(page[-1]) if more else ""
