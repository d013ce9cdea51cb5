"""What `pricing.synthetic.compose` must answer: the same walk in plain Python integers, and the exact cost in fractions by a
different way: sweep leg 1, then sweep leg 2 for the money that took."""

from __future__ import annotations

from fractions import Fraction

from pricing.triangle import Form

PPM = 1_000_000
MOST = 1 << 52

Level = tuple[int, int, int]  # price in ticks, size in lots, fee in ppm


def merged(levels: list[Level], side: int, extra: int) -> list[tuple[int, int]]:
    """(fee-adjusted key, size), best first; a venue's earlier place wins a tie. `side`: 1 asks, 0 bids."""
    sign = 1 if side == 1 else -1
    keyed = [(price * (PPM + sign * (fee + extra)), size) for price, size, fee in levels]
    return sorted(keyed, key=lambda level: sign * level[0])


def composed(
    one: list[tuple[int, int]],
    two: list[tuple[int, int]],
    form: Form,
    side: int,
    decimals_1: tuple[int, int],
    decimals_2: tuple[int, int],
    price_decimals: int,
    most: int,
) -> list[tuple[int, int]]:
    """(price, lots) best first, by the rounding rules of the module, with integers of any size."""
    if form is Form.DIVIDE:
        price_power = price_decimals - decimals_1[0] + decimals_2[0]
        size_power = sum(decimals_1) - sum(decimals_2)
    else:
        price_power = price_decimals - decimals_1[0] - decimals_2[0] - 12
        size_power = sum(decimals_1) + 6 - decimals_2[1]
    found: list[tuple[int, int]] = []
    i = j = 0
    left_1 = one[0][1] if one else 0
    left_2 = two[0][1] if two else 0
    while i < len(one) and j < len(two):
        key_1, key_2 = one[i][0], two[j][0]
        per = (key_2 if form is Form.DIVIDE else 1) * 10 ** max(size_power, 0)
        cost = key_1 * 10 ** max(-size_power, 0)
        reach = min(left_2 * per // cost, MOST)
        take = min(left_1, reach)
        if take:
            top = key_1 * (key_2 if form is Form.MULTIPLY else 1) * 10 ** max(price_power, 0)
            under = (key_2 if form is Form.DIVIDE else 1) * 10 ** max(-price_power, 0)
            price = -(-top // under) if side == 1 else top // under
            if found and found[-1][0] == price:
                found[-1] = (price, found[-1][1] + take)
            elif len(found) == most:
                break
            else:
                found.append((price, take))
        left_1 -= take
        if left_1 == 0:
            left_2 = left_2 - min(left_2, -(-take * cost // per)) if reach > take else 0
            i += 1
            left_1 = one[i][1] if i < len(one) else 0
        else:
            left_2 = 0
        if left_2 == 0:
            j += 1
            left_2 = two[j][1] if j < len(two) else 0
    return found


def exact_cost(
    one: list[tuple[Fraction, Fraction]], two: list[tuple[Fraction, Fraction]], form: Form, quantity: Fraction
) -> Fraction | None:
    """B for `quantity` of A: (all-in price, size) levels of both legs, best first. None when the legs end before."""
    money = Fraction(0)
    for price, size in one:
        take = min(size, quantity)
        money, quantity = money + price * take, quantity - take
    if quantity > 0:
        return None
    paid = Fraction(0)
    for price, size in two:
        moved = price * size if form is Form.DIVIDE else size  # X that the level moves
        take = min(moved, money)
        paid += take / price if form is Form.DIVIDE else take * price
        money -= take
    return None if money > 0 else paid
