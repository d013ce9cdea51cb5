"""A desk that was killed in the middle of an order: what the ledger has of it is what its costs go on from."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path

from desk.ledger import Ledger
from desk.tca.actor import Records
from desk.tca.tape import TradedVolume
from desk.tca.trail import Trail
from router.orders import ChildState, ParentState
from tests.oracles import ledger_records as make
from tests.unit.test_tca_trail import Sight


def test_executions_of_an_open_order_are_read_from_the_ledger(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    first = Ledger(url, inline=True)
    first.parent(make.parent(1))
    first.child(make.child(1, 1, ChildState.FILLED))
    first.child(make.child(2, 1, ChildState.SENT))
    first.parent(make.parent(9, ParentState.DONE))
    first.child(make.child(9, 9, ChildState.FILLED))
    for n, of in ((1, 1), (2, 1), (9, 9)):
        assert first.fill(make.fill(n), f"p{of}")
    first.close()

    again: Records = Ledger(url, inline=True)
    ((parent, children),) = again.open_parents()
    fills = again.fills_of("p1")
    assert [fill.trade_id for fill in fills] == ["1", "2"]
    assert again.fills_of("nobody") == []
    costs = Trail(Sight(), TradedVolume())
    costs.adopt(parent, children, list(fills), 50)
    (line,) = costs.on_child(make.child(2, 1, ChildState.FILLED), 60)
    assert (line.filled, line.parts.fees) == (D("0.125"), D("1.5"))
    (done,) = costs.on_parent(make.parent(1, ParentState.DONE), 70)
    assert done.filled == D("0.25")
    assert done.parts.total == 2 * (D("60001.25") - 60_000) * D("0.125") + 3
