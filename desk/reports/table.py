"""`Table`: named columns with units and rows of plain values; what every format is made from."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

Value = str | int | float | Decimal | None


class Unit(StrEnum):
    """What a column's numbers are, and so how they are written."""

    TEXT = "text"
    COUNT = "count"
    MONEY = "money"  # quote currency of the row
    QUANTITY = "quantity"  # base currency
    PRICE = "price"
    BPS = "bps"
    SHARE = "share"  # 0…1, written in percent for people
    MS = "ms"


class Column(msgspec.Struct, frozen=True):
    """A column. `brief`: shown on a terminal, where there is little room."""

    name: str
    title: str
    unit: Unit
    meaning: str
    brief: bool = True


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by column name; a missing value is one that is not known."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Value], ...]


def shown(value: Value, unit: Unit) -> str:
    """A value for people; a dash for what is not known."""
    if value is None or value == "":
        return "–"
    match unit:
        case Unit.TEXT:
            return str(value)
        case Unit.COUNT:
            return f"{value:,}"
        case Unit.MONEY:
            small = 0 < abs(Decimal(value)) < 1  # such as amounts in BTC
            return f"{value:.6f}" if small else f"{value:,.2f}"
        case Unit.BPS:
            return f"{_positive_zero(float(value), 3):.3f}"
        case Unit.SHARE:
            return f"{float(value) * 100:.1f} %"
        case Unit.MS:
            return f"{value:,.1f}"
        case Unit.QUANTITY | Unit.PRICE:
            return plain(Decimal(value))


def exact(value: Value) -> str | int | float | None:
    """A value for programs: decimals as text without an exponent."""
    return plain(value) if isinstance(value, Decimal) else value


def plain(value: Decimal) -> str:
    """A decimal without exponent, trailing zeros, or a minus before zero."""
    text = f"{value.normalize():f}"
    return "0" if text in ("-0", "") else text


def _positive_zero(value: float, digits: int) -> float:
    return 0.0 if round(value, digits) == 0 else value
