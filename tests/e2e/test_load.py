"""The load in its short form: what was sent is in the desk's books, all of it, nothing waits at the end, and both ends were measured."""

from benchmarks.load import LEAD_S, measure, rows_of
from benchmarks.targets import judged


def test_what_a_venue_sends_is_in_the_desks_books() -> None:
    run = measure(venues=1, seconds=4.0, lead_s=LEAD_S / 2, busiest=False)
    desk, ccxt = run.desk, run.ccxt
    assert desk.frames == ccxt.frames > 100
    assert (desk.missed, ccxt.missed, desk.resyncs) == (0, 0, 0)
    assert desk.told == desk.frames  # each of them became a change of a book, a best price or a trade
    assert desk.backlog.left == 0
    assert desk.backlog.samples > 20
    assert 0 < desk.receive_p50 <= desk.receive_p99
    assert 0 < desk.due_p50 <= desk.due_p99 <= desk.due_most
    cpu = judged(rows_of(run))[-1]
    assert (cpu.peer, cpu.target) == ("ccxt.pro", "≤ 1.5 × ccxt.pro")
    assert cpu.ratio > 0
