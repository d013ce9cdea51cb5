"""The tables of the cards are what the committed results make of them."""

import json
import tomllib

from tests.conformance.cards import table as made


def test_the_pages_equal_their_generation_from_the_results():
    results = json.loads(made.RESULTS.read_text())
    words = tomllib.loads(made.WORDS.read_text())
    told = "edit adapters/ccxt/venues.toml, then run: python -m tests.conformance.cards.table"
    assert made.with_table(made.README.read_text(), made.summary(results, words)) == made.README.read_text(), told
    assert made.page(results) == made.PAGE.read_text(), told


def test_the_words_name_every_exchange_and_subjects_that_have_cards():
    words = tomllib.loads(made.WORDS.read_text())
    results = json.loads(made.RESULTS.read_text())
    assert set(words["venues"]) == set(results)
    for row in words["row"]:
        assert set(row) - {"way"} == {"name", "subject", *words["venues"]}
        assert row["subject"] in made.SUBJECTS | {""}


def test_every_card_has_a_result_at_every_exchange_and_there_are_enough():
    from tests.conformance.ccxt_venue import VENUES

    results = json.loads(made.RESULTS.read_text())
    assert set(results) == set(VENUES)
    assert all(set(results[venue]) == set(made.CARDS) for venue in results)
    assert len(made.EXECUTION) >= 36
    assert len(made.DATA) >= 24
    said = [word for venue in results.values() for ways in venue.values() for word in ways.values()]
    assert set(said) <= {"passed", "refused", "none"}
    assert said.count("passed") > 0.9 * len(said)


def test_a_cell_is_proven_by_its_cards_and_by_the_way_they_were_played():
    cards = [card for card in made.CARDS.values() if card.subject == "orders"]
    both = {"X": {card.name: {"rest": "passed"} | ({"ws": "passed"} if card.ways else {}) for card in cards}}
    one = {"X": {card.name: {"rest": "passed"} for card in cards}}
    assert made.proven(both, "X", "orders")
    assert made.proven(both, "X", "orders", "ws")
    assert made.proven(one, "X", "orders")
    assert not made.proven(one, "X", "orders", "ws")
    one["X"][cards[0].name]["rest"] = "failed"
    assert not made.proven(one, "X", "orders")
    assert not made.proven({"X": {}}, "X", "orders")
    assert not made.proven(both, "X", "")
