"""`python -m tests.unit.recorded`: write the tables anew; the reasons in them stay.

A new file that says nothing gets "- ?", which fails the census until somebody has written why. Look at what git shows of it: each line is a
promise of the adapter.
"""

from __future__ import annotations

import asyncio

from tests.unit.recorded.questions import decode
from tests.unit.recorded.venues import VENUES
from tests.unit.test_ccxt_census import DATA, TABLES, table


async def write() -> None:
    """Every table."""
    for exchange, venue in VENUES.items():
        before, out = table(exchange), []
        for name in venue.files(DATA):
            said = await decode(venue, name, DATA)
            reasons = [text for text in before.get(name, []) if text.startswith("- ")]
            out += [name, *(f"    {text}" for text in said or reasons or ["- ?"])]
        (TABLES / f"{exchange}.txt").write_text("\n".join(out) + "\n")
        await venue.close()


if __name__ == "__main__":
    asyncio.run(write())
