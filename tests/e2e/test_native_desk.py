"""A desk on paper whose exchanges are followed through the engine's own adapters prices and quotes as any other does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import uvloop

from adapters.native.catalogue import EXCHANGES
from desk.config.load import load
from desk.node import LiveDesk
from pricing.consolidated import BookStatus
from sim.servers.venues import start_venues
from tests.conformance.ccxt_venue import SYMBOL, eventually

VENUES = tuple(exchange.upper() for exchange in EXCHANGES)


def written(path: Path, venues: dict[str, tuple[str, str]]) -> Path:
    rows = [f'mode = "paper"\nstate_dir = "{path.parent}"\n[api]\nport = 0\n[[instruments]]\nsymbol = "{SYMBOL}"']
    rows += [
        f'[[venues]]\nvenue = "{name}"\nexchange = "{name.lower()}"\nkind = "nautilus"\nrest_url = "{rest}"\nws_url = "{ws}"\n'
        for name, (rest, ws) in venues.items()
    ]
    path.write_text("\n".join(rows))
    return path


@pytest.mark.skipif(not os.environ.get("KERB_LONG_TESTS"), reason="a whole desk: KERB_LONG_TESTS=1")
def test_a_paper_desk_prices_from_native_venues(tmp_path: Path) -> None:
    async def main() -> None:
        running = await start_venues(seed=7, venues=VENUES, symbols=(SYMBOL,))
        urls = {name: (running.urls[name].rest, running.urls[name].ws) for name in VENUES}
        desk = LiveDesk(load(written(tmp_path / "desk.toml", urls), {}).config, tmp_path, {})
        try:
            await desk.start(lambda _: None)
            book = desk.parts.market.books[SYMBOL]
            live = lambda: [v for v in VENUES if book.status(v, desk.node.clock.timestamp_ns()) is BookStatus.LIVE]  # noqa: E731
            await eventually(lambda: len(live()) == len(VENUES), "four live books", 20.0)
            tops = {venue: book.best(venue) for venue in VENUES}
            bids, asks = [top[0] for top in tops.values()], [top[1] for top in tops.values()]
            assert max(bids) / min(asks) < 1.01 and max(asks) / min(bids) < 1.01  # one market, four dialects of it
            await eventually(lambda: desk.parts.market.last_quote.keys() >= {(SYMBOL, v) for v in VENUES}, "quotes")
            assert desk.parts.market.fair(SYMBOL, desk.node.clock.timestamp_ns()) is not None
        finally:
            await desk.stop()
            await running.stop()

    uvloop.run(main())
