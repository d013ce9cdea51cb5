"""Kraken's lookup: which requests a question costs, and that "not there" is said of whole lists only."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from adapters.ccxt.venues.kraken.lookup import BACK_S, KrakenLookup

T_NS = 1_700_000_000_000_000_000
PAGE = 50


class Venue:
    """The account's orders: `open` and `closed` (the newest first) by our ids; `asked`: every request."""

    def __init__(self, open_: list[str] = (), closed: list[str] = ()) -> None:
        self.open, self.closed = list(open_), list(closed)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.exchange = SimpleNamespace(
            safe_symbol=lambda pair: pair,
            private_post_openorders=self._open,
            private_post_closedorders=self._closed,
            private_post_queryorders=self._query,
        )

    def _row(self, cid: str, status: str) -> dict[str, Any]:
        descr = {"pair": "BTC/USDT", "type": "buy", "ordertype": "limit", "price": "1.0"}
        return {"cl_ord_id": cid, "status": status, "opentm": 1.5, "vol": "1", "vol_exec": "0", "descr": descr}

    async def _open(self, params: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(("open", params))
        return {"result": {"open": {f"O-{cid}": self._row(cid, "open") for cid in self.open}}}

    async def _closed(self, params: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(("closed", params))
        wanted = [cid for cid in self.closed if params.get("cl_ord_id") in (None, cid)]
        page = wanted[params.get("ofs", 0) :][:PAGE]
        rows = {f"O-{cid}": self._row(cid, "canceled") for cid in page}
        return {"result": {"closed": rows, "count": len(wanted)}}

    async def _query(self, params: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(("query", params))
        found = {txid: self._row(txid[2:], "open") for txid in params["txid"].split(",") if txid[2:] in self.open}
        if not found:
            raise ccxt.OrderNotFound("EOrder:Unknown order")
        return {"result": found}

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


def look(lookup: KrakenLookup, venue: Venue, *cids: str) -> list[str | None]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(lookup.order(venue.exchange, cid) for cid in cids))

    return [order and order.state.value for order in asyncio.run(all_of_them())]


def test_many_orders_cost_what_one_does():
    lookup, venue = KrakenLookup(), Venue(["a", "b"], ["c", "d"])
    lookup.heard(T_NS)
    for cid in "abcdef":
        lookup.sends(cid)
    assert look(lookup, venue, *"abcdef") == ["open", "open", "canceled", "canceled", None, None]
    assert venue.names() == ["open", "closed"]
    assert float(venue.asked[1][1]["start"]) == T_NS / 1e9 - BACK_S


def test_known_txids_are_asked_for_in_one_request_and_those_it_misses_in_the_lists():
    lookup, venue = KrakenLookup(), Venue(["a", "b"], ["c"])
    lookup.heard(T_NS)
    for cid in "abc":
        lookup.sends(cid)
        lookup.knows(cid, f"O-{cid}")
    assert look(lookup, venue, *"ab") == ["open", "open"]
    assert venue.names() == ["query"]
    assert look(lookup, venue, "c") == ["canceled"]
    assert venue.names() == ["query", "query", "open", "closed"]


@pytest.mark.parametrize(("place", "requests"), [(0, 1), (60, 2), (None, 3)])
def test_closed_orders_are_read_to_the_end_before_one_is_said_not_to_be_there(place: int | None, requests: int):
    lookup, closed = KrakenLookup(), [f"other-{n}" for n in range(120)]
    lookup.heard(T_NS)
    lookup.sends("mine")
    if place is not None:
        closed.insert(place, "mine")
    venue = Venue(closed=closed)
    assert look(lookup, venue, "mine") == [None if place is None else "canceled"]
    assert venue.names() == ["open"] + ["closed"] * requests
    assert [params["ofs"] for name, params in venue.asked if name == "closed"] == [PAGE * n for n in range(requests)]


def test_an_order_of_an_earlier_run_is_asked_for_by_itself():
    lookup, venue = KrakenLookup(), Venue(closed=[f"other-{n}" for n in range(200)] + ["old"])
    lookup.sends("early")  # nothing was heard of the venue's time yet
    lookup.heard(T_NS)
    assert look(lookup, venue, "old", "early") == ["canceled", None]
    assert [params for name, params in venue.asked if name == "closed"] == [
        {"cl_ord_id": "old"},
        {"cl_ord_id": "early"},
    ]


def test_the_search_begins_before_the_oldest_of_those_wanted_and_time_never_goes_back():
    lookup, venue = KrakenLookup(), Venue()
    lookup.heard(T_NS)
    lookup.sends("first")
    lookup.heard(T_NS + 60_000_000_000)
    lookup.heard(T_NS)
    lookup.sends("second")
    lookup.sends("first")  # again, under the same id: it may be there from the first time
    look(lookup, venue, "second")
    look(lookup, venue, "second", "first")
    starts = [float(params["start"]) for name, params in venue.asked if name == "closed"]
    assert starts == [T_NS / 1e9 + 60 - BACK_S, T_NS / 1e9 - BACK_S]
