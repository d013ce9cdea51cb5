"""Reconnects leave nothing behind (long: `KERB_LONG_TESTS=1`; by hand `python -m tests.faults.soak`)."""

import asyncio
import os

import pytest

from tests.faults.soak import KINDS, growth, soak


@pytest.mark.skipif(not os.environ.get("KERB_LONG_TESTS"), reason="minutes of reconnects")
@pytest.mark.parametrize("venue", ["BINANCE", "KRAKEN", "OKX"])
def test_reconnects_leave_no_file_task_socket_or_future_behind(venue):
    found = asyncio.run(soak(venue, 200, rounds=10))
    grown = growth(found)
    assert set(grown) == set(KINDS)
    for kind, row in grown.items():
        held = {name: row[name] for name in ("files", "tasks", "clients", "futures")}
        assert all(abs(value) <= 5 for value in held.values()), (kind, held)  # a thousand reconnects
    assert found[-1].reconnects > 300
