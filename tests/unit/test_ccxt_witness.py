"""What the venue's own best prices say of a book: when a difference is a suspicion, when it is a verdict, and when it is nothing."""

from adapters.ccxt.events import QuoteEvent
from adapters.ccxt.market.witness import APART_QUOTES, APART_S, STUCK_S, Witness


def quote(bid: int, ask: int) -> QuoteEvent:
    return QuoteEvent(symbol="BTC/USDT", bid=bid, bid_size=1, ask=ask, ask_size=1, ts_event_ns=0)


def test_a_side_that_lags_without_crossing_is_stuck_when_it_is_told_so_often_enough():
    witness, now = Witness(), 100.0
    assert witness.quoted(quote(100, 110), 100, 110, now)
    for step in range(APART_QUOTES):
        now += APART_S / APART_QUOTES
        assert not witness.quoted(quote(104, 110), 100, 110, now)  # the bid went up there, not here
        assert witness.verdict(now) == "" or step == APART_QUOTES - 1
    assert witness.verdict(now + 1.1) == f"stuck: its best bid has not been the venue's for {APART_S:g} s"


def test_one_moment_of_agreement_ends_it():
    witness = Witness()
    for step in range(40):
        now = step * 0.4
        witness.quoted(quote(104 + step, 110 + step), 100 + step, 110 + step, now)  # the batch is behind,
        if step % 10 == 9:
            witness.changed(104 + step, 110 + step, now)  # and catches up now and then
        assert witness.verdict(now) == ""


def test_best_prices_that_fell_silent_are_no_evidence():
    witness = Witness()
    witness.quoted(quote(100, 110), 100, 110, 0.0)
    for step in range(100):  # the book goes on, and nobody says anything about it
        witness.changed(101, 111, step * 1.0)
    assert witness.verdict(100.0) == ""
    assert witness.doubts


def test_a_book_through_the_venues_best_price_is_stuck_and_a_new_book_is_not_suspected():
    witness = Witness()
    witness.quoted(quote(112, 115), 100, 110, 0.0)
    assert witness.verdict(STUCK_S) == ""
    assert witness.verdict(STUCK_S + 0.1).startswith("stuck: contradicts")
    witness.forget()
    assert witness.verdict(STUCK_S + 0.1) == ""
    assert not witness.doubts


def test_an_empty_side_is_no_contradiction():
    witness = Witness()
    assert not witness.quoted(quote(100, 110), None, None, 0.0)
    assert not witness.doubts
