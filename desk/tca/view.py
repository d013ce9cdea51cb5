"""What an operator sees of transaction cost analysis: scorecards, costs by instrument, markouts by client."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from desk.api.desk_messages import ClientMarkoutView, CostView, ScoreView
from desk.reports.table import plain
from desk.tca.memory import CostSum, TcaMemory
from risk.exact import ZERO
from router.costs.shortfall import PARTS, bps

_CENT = Decimal("0.01")
MOST_CLIENTS = 50


def scorecards(memory: TcaMemory, now_ns: int) -> list[ScoreView]:
    """Venues and LPs by name."""
    return [ScoreView(**msgspec.structs.asdict(score)) for score in memory.scorecards.scores(now_ns)]


def costs(memory: TcaMemory) -> list[CostView]:
    """Costs by instrument."""
    return [_cost(symbol, memory.costs[symbol]) for symbol in sorted(memory.costs)]


def client_markouts(memory: TcaMemory) -> list[ClientMarkoutView]:
    """The clients that tell most, by name."""
    found = []
    for client_id, symbol in memory.clients.pairs:
        mean, n = memory.clients.estimate(client_id, symbol)
        shrunk = memory.clients.shrunk(client_id, symbol)
        found.append(ClientMarkoutView(client_id=client_id, instrument=symbol, n=n, mean_bps=mean, shrunk_bps=shrunk))
    return sorted(
        sorted(found, key=lambda view: -view.n)[:MOST_CLIENTS], key=lambda view: (view.client_id, view.instrument)
    )


def _cost(symbol: str, sums: CostSum) -> CostView:
    parts = {name: bps(getattr(sums.parts, name), sums.basis) or ZERO for name in PARTS}
    return CostView(
        instrument=symbol,
        orders=sums.orders,
        basis=plain(sums.basis.quantize(_CENT)),
        amount=plain(sums.parts.total.quantize(_CENT)),
        saved=plain(sums.saved.quantize(_CENT)),
        total_bps=plain(sum(parts.values(), ZERO)),
        parts_bps={name: plain(value) for name, value in parts.items()},
    )
