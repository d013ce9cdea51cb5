"""Which two instruments make a third: A/B from A/X and B/X (divide), or from A/X and X/B (multiply)."""

from __future__ import annotations

from enum import IntEnum


class Form(IntEnum):
    """How the second leg is quoted."""

    DIVIDE = 0  # B/X: the cross price is leg 1 / leg 2
    MULTIPLY = 1  # X/B: leg 1 × leg 2


def form_of(symbol: str, first: str, second: str) -> Form:
    """How `first` and `second` make `symbol`; ValueError when they do not."""
    base, quote = symbol.split("/")
    (one, through), (left, right) = first.split("/"), second.split("/")
    if one == base and through not in (base, quote):
        if (left, right) == (quote, through):
            return Form.DIVIDE
        if (left, right) == (through, quote):
            return Form.MULTIPLY
    raise ValueError(f"{first} and {second} do not make {symbol}: that takes {base}/X and {quote}/X, or X/{quote}")
