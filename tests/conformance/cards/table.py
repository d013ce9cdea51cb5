"""The tables of the exchanges: `python -m tests.conformance.cards.table` brings both pages up to date.

`adapters/ccxt/venues.toml` has the words of each cell and what they rest on beside our servers; `adapters/ccxt/cards.json`, written by
`just cards`, what became of each card: exchange → card → way → "passed", "failed", "refused" (before it is sent, because it is not
offered) or "none" (there is no such thing there). A cell is L when every card of its subject did what it should at that exchange.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.conformance.cards.stand import DATA, EXECUTION, Card

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "adapters/ccxt/cards.json"
WORDS = ROOT / "adapters/ccxt/venues.toml"
README = ROOT / "adapters/ccxt/README.md"
PAGE = ROOT / "docs/cards.md"
BEGIN, END = "<!-- made by `just cards` of venues.toml and cards.json -->", "<!-- end -->"
CARDS: dict[str, Card] = EXECUTION | DATA
SUBJECTS = frozenset(card.subject for card in CARDS.values())
MARKS = {"passed": "●", "failed": "✗", "refused": "○", "none": "–"}
Results = dict[str, dict[str, dict[str, str]]]


def outcome(ways: dict[str, str]) -> str:
    """One word for all ways."""
    said = set(ways.values())
    assert len(said) == 1, f"the ways differ: {ways}"
    return said.pop()


def proven(results: Results, venue: str, subject: str, way: str = "") -> bool:
    """Whether every card of a subject did what it should at an exchange; `way`: of those that are played in several, and that one too."""
    of_it = [card for card in CARDS.values() if card.subject == subject and (card.ways or not way)]
    played = [results[venue].get(card.name, {}) for card in of_it]
    return bool(played) and all(ways and "failed" not in ways.values() and way in (*ways, "") for ways in played)


def summary(results: Results, words: dict[str, Any]) -> str:
    """The table of the README."""
    venues = list(words["venues"])
    lines = [f"| | {' | '.join(words['venues'].values())} |", "|---" * (len(venues) + 1) + "|"]
    for row in words["row"]:
        cells = []
        for venue in venues:
            text, letters = row[venue]
            shown = [letter for letter in ["L", "R", "E", "D", "S"] if letter in letters.split()]
            if proven(results, venue, row["subject"], row.get("way", "")):
                shown = list(dict.fromkeys(["L", *shown]))
            cells.append(f"{text} — {' '.join(shown)}" if shown else text)
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    counts = [[outcome(ways) for ways in results[venue].values()] for venue in venues]
    told = [
        f"{said.count('passed')} of {len(CARDS)}; {len(said) - said.count('passed')} not offered" for said in counts
    ]
    lines.append(f"| cards passed (`docs/cards.md`) | {' | '.join(told)} |")
    return "\n".join(lines)


def page(results: Results) -> str:
    """Every card by its sentence."""
    venues = sorted(results)
    lines = [
        "# Cards",
        "",
        "*Made by `just cards` from what the cards did; a test keeps it true.*",
        "",
        "What each exchange does, shown against its loopback server (`tests/conformance/cards/`): ● does it · ○ is refused before",
        "it is sent, because the exchange does not offer it · – there is no such thing there. Orders run by REST and, where there is",
        "one, over the private socket.",
        "",
    ]
    for title, cards in (("Execution", EXECUTION), ("Market data", DATA)):
        lines += [f"## {title}", "", f"| card | {' | '.join(venues)} |", "|---" * (len(venues) + 1) + "|"]
        for card in cards.values():
            marks = " | ".join(MARKS[outcome(results[venue][card.name])] for venue in venues)
            lines.append(f"| {card.says} | {marks} |")
        lines.append("")
    return "\n".join(lines)


def with_table(readme: str, table: str) -> str:
    """The README with this table between its marks."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write both pages."""
    results = json.loads(RESULTS.read_text())
    missing = [f"{venue}: {name}" for venue in results for name in CARDS if name not in results[venue]]
    if missing:
        sys.exit(f"cards without a result: {', '.join(missing)}")
    words = tomllib.loads(WORDS.read_text())
    README.write_text(with_table(README.read_text(), summary(results, words)))
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
