"""The consolidated book on a recorded feed: equal to a dictionary replay all along, and quoting from it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.ladder import Priced, price_quote
from pricing.parameters import PricingParameters
from pricing.scale import Scale
from tests.recorded_data import DATA

TAPE = DATA / "tapes" / "spot_btcusdt_20240808.gz"
PRICE, SIZE = Decimal(100), Decimal(100_000)


def frames(limit: int) -> Iterator[tuple[int, dict[str, Any]]]:
    with gzip.open(TAPE, "rt") as lines:
        for i, line in enumerate(lines):
            if i == limit:
                return
            ts, _, text = line.partition(" ")
            yield int(ts), json.loads(text)


def rows(side: int, levels: list[list[str]]) -> list[tuple[int, int, int]]:
    return [(side, int(Decimal(price) * PRICE), int(Decimal(size) * SIZE)) for price, size in levels]


@pytest.mark.skipif(not TAPE.exists(), reason="recorded tapes are not here")
def test_a_recorded_feed_keeps_the_book_whole_and_quotable() -> None:
    terms = VenueTerms(
        venue="BINANCE",
        taker_fee_bps=Decimal("1"),
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        price_decimals=2,
        size_decimals=5,
        max_age_ns=5 * 10**9,
    )
    book = ConsolidatedBook("BTC/USDT", Scale("BTC/USDT", 2, 8), [terms], depth=4096)
    plain: dict[int, dict[int, int]] = {1: {}, -1: {}}
    last_update = 0
    compared = quoted = tops = 0
    for ts, frame in frames(8_000):
        data = frame.get("data", frame)
        if "lastUpdateId" in data:
            changes = rows(1, data["bids"]) + rows(-1, data["asks"])
            plain = {1: {}, -1: {}}
            last_update = data["lastUpdateId"]
            book.apply("BINANCE", np.array(changes, dtype=np.int64), True, ts)
        elif data.get("e") == "depthUpdate" and last_update and data["u"] > last_update:
            changes = rows(1, data["b"]) + rows(-1, data["a"])
            assert book.apply("BINANCE", np.array(changes, dtype=np.int64), False, ts) is BookStatus.LIVE
        elif frame.get("stream", "").endswith("bookTicker") and last_update:
            bid, ask = (int(Decimal(data[key]) * PRICE) for key in ("b", "a"))
            book.mark_top("BINANCE", bid, int(Decimal(data["B"]) * SIZE), ask, int(Decimal(data["A"]) * SIZE), ts)
            best = book.best("BINANCE")
            assert best is not None and best[0] <= Decimal(data["b"]) and best[1] >= Decimal(data["a"])
            for side, better in ((1, lambda p, top=bid: p > top), (-1, lambda p, top=ask: p < top)):
                for price in [p for p in plain[side] if better(p)]:
                    del plain[side][price]
            for side, price, key in ((1, bid, "B"), (-1, ask, "A")):
                if price in plain[side]:
                    plain[side][price] = min(plain[side][price], int(Decimal(data[key]) * SIZE))
            tops += 1
            continue
        else:
            continue
        for side, price, size in changes:
            if size:
                plain[side][price] = size
            else:
                plain[side].pop(price, None)
        if len(changes) and compared % 20 == 0:
            for side, index, sign in ((1, 0, -1), (-1, 1, 1)):
                best_first = sorted(plain[side].items(), key=lambda level, sign=sign: sign * level[0])[:200]
                assert book.side_levels("BINANCE", index, 200) == [(p, q * 1000) for p, q in best_first]
            buy, sell = (
                price_quote(
                    book,
                    side=side,
                    quantity=Decimal("0.7"),
                    now_ns=ts,
                    ttl_ms=2000,
                    inventory=Decimal(0),
                    band=Decimal(10),
                    volatility=2e-5,
                    tier="gold",
                    parameters=PricingParameters(),
                    tick=Decimal("0.01"),
                )
                for side in ("buy", "sell")
            )
            assert isinstance(buy, Priced) and isinstance(sell, Priced) and sell.price < buy.fair < buy.price
            quoted += 1
        compared += 1
    assert compared > 300 and quoted > 15 and tops > 500
