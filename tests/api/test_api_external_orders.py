"""`GET /v1/desk/external_orders`: what somebody else has open on the desk's accounts, by venue, as the venues last said."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

from adapters.nautilus.external import ExternalOrder, ExternalOrders
from desk.accounts import VenueAccounts
from desk.api.routes_desk import ROUTES


def order(venue: str, number: int, price: str | None = "60000.50") -> ExternalOrder:
    return ExternalOrder(
        venue=venue,
        symbol="BTC/USDT",
        venue_order_id=f"{venue}-{number}",
        client_order_id="",
        side="sell",
        price=None if price is None else Decimal(price),
        quantity=Decimal("0.2500"),
        filled=Decimal(0),
        ts_ns=7,
    )


def listed(accounts: VenueAccounts | None) -> list:
    route = next(route for route in ROUTES if route.path == "/v1/desk/external_orders")
    assert route.scopes == ("operate",)
    return asyncio.run(route.handle(SimpleNamespace(accounts=accounts), None)).items


def test_the_latest_word_of_each_venue_is_shown_with_plain_decimals():
    accounts = VenueAccounts()
    accounts._others(ExternalOrders(venue="OKX", orders=(order("OKX", 1), order("OKX", 2, None))))
    accounts._others(ExternalOrders(venue="KRAKEN", orders=(order("KRAKEN", 1),)))
    rows = [(row.venue, row.venue_order_id, row.price, row.quantity) for row in listed(accounts)]
    assert rows == [
        ("KRAKEN", "KRAKEN-1", "60000.5", "0.25"),
        ("OKX", "OKX-1", "60000.5", "0.25"),
        ("OKX", "OKX-2", None, "0.25"),
    ]
    accounts._others(ExternalOrders(venue="OKX", orders=()))
    assert [row.venue for row in listed(accounts)] == ["KRAKEN"]


def test_a_desk_without_accounts_has_none():
    assert listed(None) == []
