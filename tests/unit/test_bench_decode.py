"""The suite of frames measures every kind of message of every venue, and both sides have followed them."""

from benchmarks.decode import SYMBOL, VENUES, decode
from benchmarks.frames import topics_of
from benchmarks.targets import judged


def test_every_kind_of_every_venue_is_measured_beside_ccxt() -> None:
    rows = judged(decode(400))
    assert {row.name for row in rows} == {
        f"decode.{kind} {venue}" for venue in VENUES for kind in topics_of(venue, SYMBOL)
    }
    assert all(row.n > 0 and row.peer == "ccxt.pro" and row.target for row in rows)
