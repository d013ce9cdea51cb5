"""The ledger: what the desk has promised, traded and hedged, durable before anybody hears of it, and its books.

`Ledger` is the door; `LedgerSnapshot` what a restart goes on from; `DuplicateTrade` the answer to a second accept.
"""

from desk.ledger.ledger import Ledger, LedgerBroken
from desk.ledger.pnl import Pnl, PnlSplit
from desk.ledger.records import GLOBAL, DuplicateTrade, Halt, LedgerCounts, LedgerSnapshot, VenueCounts

__all__ = [
    "GLOBAL",
    "DuplicateTrade",
    "Halt",
    "Ledger",
    "LedgerBroken",
    "LedgerCounts",
    "LedgerSnapshot",
    "Pnl",
    "PnlSplit",
    "VenueCounts",
]
