"""The load in its short form: what was sent is in the desk's books, all of it, nothing waits at the end, and both ends were measured."""

from benchmarks.load import LEAD_S, VENUES, measure, rows_of
from benchmarks.targets import judged


def test_what_six_venues_send_is_in_the_desks_books() -> None:
    run = measure(seconds=4.0, lead_s=LEAD_S / 2, busiest=False)
    desk, ccxt = run.desk, run.ccxt
    assert set(desk.venues) == set(VENUES)
    for venue, ours in desk.venues.items():
        theirs = ccxt.venues[venue]
        assert ours.frames == theirs.frames == ours.told > 0, (
            venue
        )  # each of them became a change of a book, a best price or a trade
        assert ours.missed == theirs.missed == 0, venue
        assert 0 < ours.receive_p50 <= ours.receive_p99, venue
        assert 0 < ours.cpu_ns < desk.cpu_ns and 0 < theirs.cpu_ns < ccxt.cpu_ns, venue
    assert desk.frames == ccxt.frames > 100 * len(VENUES) / 2
    assert desk.resyncs == desk.backlog.left == 0
    assert desk.backlog.samples > 20
    assert 0 < desk.due_p50 <= desk.due_p99 <= desk.due_most
    rows = {row.name: row for row in judged(rows_of(run))}
    cpu = rows["load.cpu"]
    assert (cpu.peer, cpu.target) == ("ccxt.pro", "≤ 1.5 × ccxt.pro")
    assert cpu.ratio > 0
    assert {f"load.{what} {venue}" for what in ("receive", "cpu") for venue in VENUES} < set(rows)
