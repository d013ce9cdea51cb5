"""What a futures contract is worth, gains and costs: the one place that knows of contract sizes and of inverse contracts.

    linear    settled in the quote currency   one contract is `size` of the base: worth size × price, gain size × (exit − entry)
    inverse   settled in the base currency    one contract is `size` of the quote: worth size ÷ price, gain size × (1 ÷ entry − 1 ÷ exit)

The average entry of a linear position is the mean of its prices by quantity, of an inverse one the harmonic mean: either way the
gain of the whole is the sum of the gains of its parts. One way of holding, no hedge mode: what is long cannot be short as well.

Quantities are contracts, positive long and negative short; money is in the settlement currency. Exact in linear contracts;
a division is carried to 28 digits and left to the caller to round, an entry is kept to `ENTRY_DECIMALS`.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

ENTRY_DECIMALS = 8
_ENTRY = Decimal(1).scaleb(-ENTRY_DECIMALS)
_ZERO = Decimal(0)


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one market's contract."""

    settle: str  # the currency of margin, gains, fees and funding
    size: Decimal = Decimal(1)
    inverse: bool = False

    def value(self, price: Decimal, quantity: Decimal) -> Decimal:
        """Worth of `quantity` contracts at `price`, with the sign of the quantity."""
        return self.size * quantity / price if self.inverse else self.size * quantity * price

    def profit(self, entry: Decimal, exit_: Decimal, quantity: Decimal) -> Decimal:
        """Gain of `quantity` contracts (negative: short) from `entry` to `exit_`."""
        if self.inverse:
            return self.size * quantity * (1 / entry - 1 / exit_)
        return self.size * quantity * (exit_ - entry)

    def average(self, entry: Decimal, held: Decimal, price: Decimal, added: Decimal) -> Decimal:
        """The entry price of `held` contracts at `entry` and `added` ones of the same sign at `price`."""
        if self.inverse:
            mean = (held + added) / (held / entry + added / price)
        else:
            mean = (held * entry + added * price) / (held + added)
        return mean.quantize(_ENTRY, ROUND_HALF_EVEN)

    def funding(self, mark: Decimal, quantity: Decimal, rate: Decimal) -> Decimal:
        """What a position receives (negative: pays) at a settlement: longs pay shorts while the rate is positive."""
        return -self.value(mark, quantity) * rate


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """A position in one market: signed contracts and their average entry (0 while flat)."""

    quantity: Decimal = _ZERO
    entry: Decimal = _ZERO

    def after(self, contract: Contract, price: Decimal, quantity: Decimal) -> tuple[Holding, Decimal]:
        """The holding after an execution of signed `quantity` at `price`, and what it realised.

        What adds moves the entry; what closes realises at the old entry and leaves it; what turns the position round closes it all and
        opens the rest at the price.
        """
        held = self.quantity
        if not held or (held > 0) == (quantity > 0):
            entry = contract.average(self.entry, held, price, quantity) if held else price
            return Holding(quantity=held + quantity, entry=entry), _ZERO
        closed = -held if abs(quantity) > abs(held) else quantity
        realised = contract.profit(self.entry, price, -closed)
        left = held + quantity
        if not left:
            return Holding(), realised
        return Holding(quantity=left, entry=self.entry if (left > 0) == (held > 0) else price), realised
