"""How the desk's own accounts are watched at an exchange whose account the adapter cannot follow."""

from types import SimpleNamespace
from typing import Any

import pytest

from desk.api.capabilities import mode_of

OWN = ("watch_orders", "watch_my_trades", "watch_balance")


def api(*, paper: bool) -> Any:
    return SimpleNamespace(
        market=SimpleNamespace(books=["BTC/USDT"], venues=lambda symbol: ["GATE"]),
        accounts=SimpleNamespace(margin={}),
        venues=SimpleNamespace(exchanges={"GATE": "gate"}, paper=paper),
    )


@pytest.mark.parametrize(("paper", "mode"), [(True, "derived"), (False, "unsupported")])
def test_an_imagined_account_is_watched_anywhere(paper: bool, mode: str) -> None:
    assert {mode_of(api(paper=paper), channel, "GATE") for channel in OWN} == {mode}
    assert mode_of(api(paper=paper), "watch_positions", "GATE") == "unsupported"
    assert mode_of(api(paper=paper), "watch_order_book", "GATE") == "native"
