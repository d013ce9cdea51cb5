"""Every recorded listing: the engine's instrument has exactly the venue's increments, limits and terms, read here from the raw rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.ccxt.instruments import QUANTITY_MAX, instrument_of
from adapters.ccxt.symbols import Market, market_of
from tests.recorded_data import MESSAGES
from tests.unit.recorded import questions
from tests.unit.recorded.venues import VENUES
from tests.unit.test_ccxt_census import recorded

Terms = dict[str, Decimal | bool | None]


def number(text: Any) -> Decimal | None:
    """Of a field that may be empty."""
    return Decimal(str(text)) if text not in (None, "", "0") else None


def okx(row: dict[str, Any]) -> Terms:
    size = {} if row["instType"] == "SPOT" else {"size": Decimal(row["ctVal"]) * Decimal(row["ctMult"])}
    limits = {"least": number(row["minSz"]), "most": number(row["maxLmtSz"]), "notional": None}
    return {
        "tick": number(row["tickSz"]),
        "lot": number(row["lotSz"]),
        **limits,
        **size,
        "inverse": row["ctType"] == "inverse",
    }


def bybit(row: dict[str, Any]) -> Terms:
    lots, spot = row["lotSizeFilter"], "contractType" not in row
    most = lots.get("maxLimitOrderQty") or lots["maxOrderQty"] if spot else lots["maxOrderQty"]
    return {
        "tick": number(row["priceFilter"]["tickSize"]),
        "lot": number(lots["basePrecision"] if spot else lots["qtyStep"]),
        "least": number(lots["minOrderQty"]),
        "most": number(most),
        "notional": number(lots.get("minOrderAmt") if spot else lots.get("minNotionalValue")),
        "inverse": not spot and row["contractType"].startswith("Inverse"),
    }


def coinbase(row: dict[str, Any]) -> Terms:
    names = {"tick": "price_increment", "lot": "base_increment", "least": "base_min_size", "most": "base_max_size"}
    return {ours: number(row[theirs]) for ours, theirs in (names | {"notional": "quote_min_size"}).items()}


def kraken(row: dict[str, Any]) -> Terms:
    lot = Decimal(1).scaleb(-int(row["lot_decimals"]))
    return {
        "tick": number(row["tick_size"]),
        "lot": lot,
        "least": number(row["ordermin"]),
        "most": None,
        "notional": number(row["costmin"]),
    }


def krakenfutures(row: dict[str, Any]) -> Terms:
    lot = Decimal(1).scaleb(-int(row["contractValueTradePrecision"]))
    limits = {"least": None, "most": None, "notional": None}
    size = {"size": number(row["contractSize"]), "inverse": row["type"] == "futures_inverse"}
    return {"tick": number(row["tickSize"]), "lot": lot, **limits, **size}


READ: dict[str, tuple[Callable[[Any], Any], str, Callable[[dict[str, Any]], Terms]]] = {
    "okx": (lambda body: body["data"], "instId", okx),
    "bybit": (lambda body: body["result"]["list"], "symbol", bybit),
    "coinbase": (lambda body: body.get("products", [body]), "product_id", coinbase),
    "kraken": (lambda body: body["result"].values(), "altname", kraken),
    "krakenfutures": (lambda body: body["instruments"], "symbol", krakenfutures),
}
LISTINGS = [  # not Bybit's other inverse ones, whose least notional ccxt leaves out: none of them is carried
    *(("okx", f"http_get_instruments_{kind}") for kind in ("spot", "swap")),
    *(
        ("bybit", f"http_get_instruments_{kind}")
        for kind in ("linear", "linear_symbol_type", "inverse", "spot", "spot_xstocks")
    ),
    *(("coinbase", name) for name in ("http_product", "http_products")),
    *(("kraken", f"http_asset_pairs{kind}") for kind in ("", "_tokenized")),
    *(("krakenfutures", f"http_futures_{name}") for name in ("instruments", "instrument_no_fee_schedule")),
]


def markets(monkeypatch: pytest.MonkeyPatch, exchange: str, name: str) -> dict[str, Market]:
    """The markets that the adapter reads in a listing, by the venue's id."""
    found: dict[str, Market] = {}

    def kept(listed: dict[str, Any]) -> list[str]:
        found[listed["id"]] = market_of(listed)
        return []

    monkeypatch.setattr(questions, "_terms", kept)
    asyncio.run(questions.decode(VENUES[exchange], f"{name}.json", MESSAGES))
    return found


@recorded
@pytest.mark.parametrize(("exchange", "name"), LISTINGS)
def test_an_instrument_has_exactly_the_terms_of_its_listing(
    monkeypatch: pytest.MonkeyPatch, exchange: str, name: str
) -> None:
    rows, key, terms = READ[exchange]
    body = json.loads((MESSAGES / VENUES[exchange].folder / f"{name}.json").read_text(), parse_float=str)
    listed, compared = markets(monkeypatch, exchange, name), 0
    for row in rows(body):
        if row[key] not in listed:  # a contract that expires
            continue
        expected, market = terms(row), listed[row[key]]
        made = instrument_of(market, "VENUE", 0)
        assert made.price_increment.as_decimal() == market.tick == expected["tick"], row[key]
        assert made.size_increment.as_decimal() == market.lot == expected["lot"], row[key]
        assert (market.min_quantity, market.max_quantity, market.min_notional) == (
            expected["least"],
            expected["most"],
            expected["notional"],
        )
        told = [
            None if limit is None else limit.as_decimal()
            for limit in (made.min_quantity, made.max_quantity, made.min_notional)
        ]
        beyond = expected["most"] is not None and expected["most"] >= QUANTITY_MAX
        assert told == [expected["least"], None if beyond else expected["most"], expected["notional"]]
        if market.contract is not None:
            assert made.is_inverse is market.contract.inverse is expected["inverse"]
            assert made.multiplier.as_decimal() == market.contract.size == expected.get("size", market.contract.size)
            assert (
                made.settlement_currency.code
                == market.contract.settle
                == (market.base if made.is_inverse else market.quote)
            )
        compared += 1
    assert compared == len(listed) > 0
