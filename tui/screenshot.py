"""`python -m tui.screenshot STATE FILE`: a picture (SVG) of the blotter on a running desk, for the documentation.

The blotter runs without a terminal, 180 by 46 cells; the picture is taken once the desk's feed is live and the tables have rows.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from desk.client import DeskState
from tui.access import from_state
from tui.app import BlotterApp
from tui.session import DeskSession

COLUMNS, LINES = 180, 46
RFQS = 25  # on screen before the picture is taken
DEADLINE_S = 90.0


async def picture(state: Path, file: Path) -> None:
    """Write the picture. Raises TimeoutError when the desk shows nothing worth it within `DEADLINE_S`."""
    access = from_state(state)
    session = DeskSession(access.url, access.operator.key, access.operator.secret)
    app = BlotterApp(session)
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        until = time.monotonic() + DEADLINE_S
        while not (session.feed().live and session.state is not None and _worth_it(session.state)):
            if time.monotonic() > until:
                raise TimeoutError(f"no live desk with trades and hedges at {access.url}")
            await pilot.pause(0.2)
        await pilot.pause(0.5)  # the timer that paints has shown this state
        file.write_text(app.export_screenshot(title="kerb tui"), encoding="utf-8")


def _worth_it(state: DeskState) -> bool:
    return (
        state.rfqs.received >= RFQS and state.hedges.fills > 0 and any(row.state == "quoted" for row in state.blotter)
    )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tui.screenshot", description="A picture of the blotter.")
    parser.add_argument("state", type=Path, help="state folder of a running desk")
    parser.add_argument("file", type=Path, help="SVG file to write")
    options = parser.parse_args()
    asyncio.run(picture(options.state, options.file))


if __name__ == "__main__":
    main()
