"""Double-entry book-keeping: what a trade and a fill post, and the running totals. Pure and exact.

A posting says that an account holds more (positive) or less (negative) of a currency. Every entry posts as much as
it takes, so Σ over all accounts is zero in each currency, always. Amounts are integers of 10⁻¹⁸ ("atto"); a product
finer than that is rounded half-even once, and the same number is posted to both sides.

    client trade (client buys)   client:<id> +base −quote · desk:inventory −base +quote
    hedge fill (we buy)          desk:inventory +base −quote · venue:<V> −base +quote · desk:fees −fee · venue:<V> +fee
    fill of an order worked for  <account> +base −quote −fee · venue:<V> −base +quote +fee
      a client or another book     <account> −commission · desk:commission +commission
    internal cross               the same with desk:inventory in place of the venue

The desk's position in a currency is desk:inventory + desk:fees + desk:commission: what it is long or short against
flat. A client's and another book's fills never touch it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import NamedTuple

import msgspec

from adapters.nautilus.outcome import VenueFill
from desk.rfq.records import TradeRecord
from router.orders import INTERNAL

INVENTORY = "desk:inventory"
FEES = "desk:fees"
COMMISSION = "desk:commission"
HOUSE = (INVENTORY, FEES, COMMISSION)

EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)  # wide enough for any product of two 39-digit numbers
_NANO = 10**9
_ATTO = 10**18


class Posting(NamedTuple):
    """One line of an entry: `atto` in units of 10⁻¹⁸ of `currency`, signed."""

    account: str
    currency: str
    atto: int


def currencies(symbol: str) -> tuple[str, str]:
    """Base and quote currency of a unified symbol: `BTC/USDT` or `BTC/USDT:USDT`."""
    base, quote = symbol.partition(":")[0].split("/")
    return base, quote


def to_atto(amount: Decimal) -> int:
    """`amount` in units of 10⁻¹⁸, half-even. Raises ValueError for what is not a finite number."""
    if not amount.is_finite():
        raise ValueError(f"{amount} cannot be booked")
    return int(amount.scaleb(18, EXACT).to_integral_value(ROUND_HALF_EVEN, EXACT))


def from_atto(atto: int) -> Decimal:
    """The exact decimal of `atto`·10⁻¹⁸, without trailing zeros."""
    if atto == 0:
        return Decimal(0)
    sign = "-" if atto < 0 else ""
    units, rest = divmod(abs(atto), _ATTO)
    fraction = f"{rest:018d}".rstrip("0")
    return Decimal(f"{sign}{units}.{fraction}" if fraction else f"{sign}{units}")


def to_limbs(atto: int) -> tuple[int, int, int]:
    """(units, nano, atto) as the schema stores an amount; only `units` carries the sign."""
    rest, low = divmod(atto, _NANO)
    units, middle = divmod(rest, _NANO)
    return units, middle, low


def from_limbs(units: int, nano: int, atto: int) -> int:
    """Back from limbs, or from sums of limbs."""
    return int(units) * _ATTO + int(nano) * _NANO + int(atto)


def trade_postings(trade: TradeRecord) -> list[Posting]:
    """What a client trade posts. The desk stands on the other side of every leg."""
    base, quote = currencies(trade.symbol)
    sign = 1 if trade.side == "buy" else -1
    quantity, amount = sign * to_atto(trade.quantity), sign * to_atto(trade.amount)
    client = f"client:{trade.client_id}"
    return [
        Posting(client, base, quantity),
        Posting(INVENTORY, base, -quantity),
        Posting(client, quote, -amount),
        Posting(INVENTORY, quote, amount),
    ]


def fill_postings(fill: VenueFill, account: str = INVENTORY, commission: Decimal = Decimal(0)) -> list[Posting]:
    """What an execution for `account` posts; its fee apart when it is the desk's own (a negative fee is a rebate).

    `commission`: quote currency, from `account` to the desk.
    """
    base, quote = currencies(fill.symbol)
    sign = 1 if fill.side == "buy" else -1
    quantity = sign * to_atto(fill.quantity)
    amount = sign * to_atto(EXACT.multiply(fill.price, fill.quantity))
    other = INVENTORY if fill.venue == INTERNAL else f"venue:{fill.venue}"
    lines = [
        Posting(account, base, quantity),
        Posting(other, base, -quantity),
        Posting(account, quote, -amount),
        Posting(other, quote, amount),
    ]
    if fee := to_atto(fill.fee):
        payer = FEES if account == INVENTORY else account
        lines += [Posting(payer, fill.fee_currency, -fee), Posting(other, fill.fee_currency, fee)]
    if income := to_atto(commission):
        lines += [Posting(account, quote, -income), Posting(COMMISSION, quote, income)]
    return lines


def commission_of(fill: VenueFill, bps: Decimal) -> Decimal:
    """The commission of a fill in quote currency, as exact as the books keep it."""
    if not bps:
        return Decimal(0)
    with localcontext(EXACT):
        return from_atto(to_atto(fill.price * fill.quantity * bps / 10_000))


def desk_part(fill: VenueFill, account: str) -> VenueFill | None:
    """What a fill is to the desk's own inventory: itself, the other side of a cross, or nothing."""
    if account == INVENTORY:
        return fill
    if fill.venue != INTERNAL:
        return None
    return msgspec.structs.replace(fill, side="sell" if fill.side == "buy" else "buy", fee=Decimal(0))


class Totals:
    """Running totals by (account, currency). Not thread-safe: one thread applies and reads."""

    def __init__(self) -> None:
        self._atto: dict[tuple[str, str], int] = {}

    def apply(self, lines: Iterable[Posting]) -> None:
        """Add the lines of one entry."""
        totals = self._atto
        for account, currency, atto in lines:
            key = (account, currency)
            totals[key] = totals.get(key, 0) + atto

    def raw(self) -> dict[tuple[str, str], int]:
        """All totals that are not zero, in atto."""
        return {key: atto for key, atto in self._atto.items() if atto}

    def imbalance(self) -> dict[str, Decimal]:
        """Σ over all accounts in each currency ever posted: zero, or the ledger is broken."""
        sums: dict[str, int] = {}
        for (_, currency), atto in self._atto.items():
            sums[currency] = sums.get(currency, 0) + atto
        return {currency: from_atto(atto) for currency, atto in sorted(sums.items())}

    def positions(self) -> dict[str, Decimal]:
        """What the desk is long (+) or short (−) of each currency: inventory, fees, commission."""
        sums: dict[str, int] = {}
        for (account, currency), atto in self._atto.items():
            if account in HOUSE:
                sums[currency] = sums.get(currency, 0) + atto
        return {currency: from_atto(atto) for currency, atto in sorted(sums.items())}

    def position(self, currency: str) -> Decimal:
        """What the desk is long (+) or short (−) of one currency."""
        return from_atto(sum(self._atto.get((account, currency), 0) for account in HOUSE))

    def balance(self, account: str, currency: str) -> Decimal:
        """What an account holds of a currency."""
        return from_atto(self._atto.get((account, currency), 0))

    def balances(self) -> dict[str, dict[str, Decimal]]:
        """account → currency → amount."""
        book: dict[str, dict[str, Decimal]] = {}
        for (account, currency), atto in sorted(self._atto.items()):
            book.setdefault(account, {})[currency] = from_atto(atto)
        return book
