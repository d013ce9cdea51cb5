"""Contracts, linear and inverse: a position's gain is the sum of its executions', however it was built, closed and turned round."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from adapters.ccxt.contracts import Contract, Holding

LINEAR = Contract(settle="USDT", size=Decimal("0.01"))
INVERSE = Contract(settle="BTC", size=Decimal(100), inverse=True)

contracts = st.sampled_from([LINEAR, INVERSE])
prices = st.integers(100_000, 900_000).map(lambda ticks: Decimal(ticks) / 10)
quantities = st.integers(-500, 500).filter(bool).map(Decimal)
executions = st.lists(st.tuples(prices, quantities), min_size=1, max_size=30)


def cash(contract: Contract, price: Decimal, quantity: Decimal) -> Fraction:
    """What an execution moves, as a pure trade: paid for what is bought, exactly. Of inverse contracts what is bought is 1 ÷ price."""
    amount = Fraction(contract.size) * Fraction(quantity)
    return amount / Fraction(price) if contract.inverse else -amount * Fraction(price)


@given(contracts, executions, prices)
def test_realised_and_unrealised_are_the_cash_of_all_executions_and_of_closing_at_the_mark(contract, made, mark):
    held, realised, paid = Holding(), Decimal(0), Fraction(0)
    for price, quantity in made:
        held, gained = held.after(contract, price, quantity)
        realised += gained
        paid += cash(contract, price, quantity)
    unrealised = contract.profit(held.entry, mark, held.quantity) if held.quantity else Decimal(0)
    exact = paid + cash(contract, mark, -held.quantity)
    # an entry is kept to eight decimals: each opening or adding may be off by half of the last, on the whole position
    largest = sum((abs(quantity) for _, quantity in made), Decimal(0))
    off = Fraction(1, 10**8) * len(made) * Fraction(largest) * Fraction(contract.size)
    if contract.inverse:
        off /= Fraction(10_000) ** 2
    assert abs(Fraction(realised + unrealised) - exact) <= off + Fraction(1, 10**18)
    assert held.quantity == sum((quantity for _, quantity in made), Decimal(0))


@given(contracts, prices, prices, st.integers(1, 400), st.integers(1, 400))
def test_closing_in_parts_realises_what_closing_at_once_does(contract, entry, exit_, first, rest):
    whole, _ = Holding().after(contract, entry, Decimal(first + rest))
    at_once = whole.after(contract, exit_, Decimal(-first - rest))
    half, one = whole.after(contract, exit_, Decimal(-first))
    flat, other = half.after(contract, exit_, Decimal(-rest))
    assert at_once[0] == flat == Holding()
    assert half.entry == entry
    assert abs(at_once[1] - one - other) < Decimal("1e-18")


@given(contracts, prices, prices, st.integers(1, 400), st.integers(1, 400))
def test_turning_round_closes_all_and_opens_the_rest_at_the_price(contract, entry, exit_, held, more):
    long, _ = Holding().after(contract, entry, Decimal(held))
    short, gained = long.after(contract, exit_, Decimal(-held - more))
    assert (short.quantity, short.entry) == (Decimal(-more), exit_)
    assert gained == contract.profit(entry, exit_, Decimal(held))
    assert (gained > 0) == (exit_ > entry)


@given(contracts, prices, quantities, st.integers(-100, 100))
def test_funding_is_paid_by_longs_while_the_rate_is_positive(contract, mark, held, rate):
    paid = contract.funding(mark, held, Decimal(rate).scaleb(-5))
    assert paid == -contract.value(mark, held) * Decimal(rate).scaleb(-5)
    if rate:
        assert (paid < 0) == ((held > 0) == (rate > 0))


def test_a_contract_of_each_kind_is_worth_what_the_venues_say():
    assert LINEAR.value(Decimal(60_000), Decimal(10)) == 6_000  # ten of 0.01 BTC
    assert INVERSE.value(Decimal(60_000), Decimal(10)).quantize(Decimal("1e-8")) == Decimal("0.01666667")
    assert INVERSE.profit(Decimal(50_000), Decimal(100_000), Decimal(1)) == Decimal(
        "0.001"
    )  # 100 USD: 0.002 BTC → 0.001 BTC
    assert INVERSE.average(Decimal(50_000), Decimal(1), Decimal(100_000), Decimal(1)) == Decimal("66666.66666667")
