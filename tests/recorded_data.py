"""Where recorded ticks and venue messages are: in `KERB_REAL_DATA`, by default `../shared/data`. Tests on them skip without."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("KERB_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
TAPES = DATA / "tapes"
MESSAGES = DATA / "venues"
