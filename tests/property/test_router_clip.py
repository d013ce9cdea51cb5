"""The least value of a child, in the live split: the same answer as of venues that ask for it themselves, whatever came before."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from router.exact.result import SplitResult
from router.live.split import split_book
from tests.property.test_router_live import NOW, Case


def split(case: Case, least: Decimal = Decimal(0)) -> SplitResult:
    return split_book(
        case.book,
        side=case.side,
        quantity=case.quantity,
        limit_price=case.limit,
        quotes=case.quotes,
        balances=case.balances,
        max_children=case.children,
        now_ns=NOW,
        min_notional=least,
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_least_value_is_that_of_every_venue(seed: int) -> None:
    asked, own = Case(seed), Case(seed)
    plain = split(asked)
    for least in (
        Decimal(500),
        Decimal(20_000),
        Decimal(500),
        Decimal(0),
    ):  # the splitter's words are those of the last order
        for venue in own.book.venues:
            terms = Case(seed).book.terms(venue)
            changed = msgspec.structs.replace(terms, min_notional=max(terms.min_notional, least))
            own.book.set_terms(changed)
        found, wanted = split(asked, least), split(own)
        assert (found.filled, found.cost, found.children) == (wanted.filled, wanted.cost, wanted.children)
        for child in found.children:
            bound = child.quantity * child.limit_price  # the worst level: a buy has paid at most this
            assert child.lp or asked.side == "sell" or bound >= least
    assert msgspec.structs.asdict(split(asked)) == msgspec.structs.asdict(plain)
