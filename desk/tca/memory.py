"""What transaction cost analysis knows at this moment: client markouts, scorecards and the sums of costs.

Made from cost lines, rounds of asking LPs and markouts, live or read back from the archive; the same object is what
pricing asks about clients and the router about venues. Loop thread.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from risk.exact import ZERO, add, times
from router.costs.markouts import ClientMarkouts, Markout
from router.costs.scorecards import Scorecards, TcaParameters
from router.costs.shortfall import PARTS, CostLine, LineKind, Parts
from router.panel import LpRound


class CostSum(msgspec.Struct, kw_only=True):
    """Costs of the parents of one symbol since the desk was started, quote currency."""

    orders: int = 0
    basis: Decimal = ZERO
    parts: Parts = Parts()
    saved: Decimal = ZERO


class TcaMemory:
    """`clients.estimate(client_id, symbol)`, `scorecards.fade(venue)` and so on; `costs` by symbol."""

    def __init__(self, parameters: TcaParameters) -> None:
        self.parameters = parameters
        self.clients = ClientMarkouts(parameters.halflife_h * 3600.0, parameters.prior_n, parameters.markout_horizon_ms)
        self.scorecards = Scorecards(parameters)
        self.costs: dict[str, CostSum] = {}
        self.skipped = 0  # trades that were not followed: there were too many
        self.restored = 0  # rows of earlier runs

    def line(self, line: CostLine, before: CostLine | None = None) -> None:
        """Count a cost line; `before` is the one it corrects."""
        if line.kind is not LineKind.PARENT:
            self.scorecards.child(line)
            return
        sums = self.costs.setdefault(line.symbol, CostSum())
        sums.orders += before is None
        for counted, sign in ((line, Decimal(1)), (before, Decimal(-1))):
            if counted is not None:
                sums.basis = add(sums.basis, times(sign, counted.basis))
                sums.saved = add(sums.saved, times(sign, counted.saved))
                sums.parts = _plus(sums.parts, counted.parts, sign)

    def asked(self, told: LpRound) -> None:
        """Count a round of asking LPs."""
        self.scorecards.asked(told)

    def markout(self, markout: Markout) -> None:
        """Count a markout."""
        if markout.source == "client":
            self.clients.add(markout)
        else:
            self.scorecards.markout(markout)

    def merge(self, older: TcaMemory) -> None:
        """Take in what earlier runs knew of clients, venues and LPs; costs are of this run."""
        self.clients.merge(older.clients)
        self.scorecards.merge(older.scorecards)
        self.restored += older.restored


def _plus(sums: Parts, parts: Parts, sign: Decimal) -> Parts:
    return Parts(**{name: add(getattr(sums, name), times(sign, getattr(parts, name))) for name in PARTS})
