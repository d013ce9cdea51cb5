"""Exact decimal arithmetic for limits: products and sums are never rounded, so "just beyond" is always beyond.

An intent's numbers have at most 21 digits before and 18 after the point (`risk.checks.finite` refuses others), so a
product has at most 78 digits; the context holds 96.
"""

from __future__ import annotations

from decimal import Context, Decimal

EXACT = Context(prec=96)
ZERO = Decimal(0)
WHOLE_DIGITS = 21
FRACTION_DIGITS = 18
BPS = Decimal("0.0001")


add = EXACT.add  # a + b, exact; bound once, because the gate calls it twenty times a decision
times = EXACT.multiply  # a × b, exact


def plain(value: Decimal) -> str:
    """The number as text without an exponent, for messages and records."""
    return format(value, "f")


def measurable(value: object) -> bool:
    """Whether `value` is a finite Decimal within the digits that limits can be held against."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -FRACTION_DIGITS and value.adjusted() < WHOLE_DIGITS
