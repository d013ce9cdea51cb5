"""Importing the package registers every card, in the order a reader wants them: `stand.EXECUTION` and `stand.DATA` have them all."""

# isort: off
from tests.conformance.cards import orders, outcomes, changes, account, books, streams
# isort: on

__all__ = ["account", "books", "changes", "orders", "outcomes", "streams"]
