"""Funding rates, liquidations, positions and funding payments in ccxt's unified structures, with decimals as text.

Fields a venue's streams do not tell are null, never invented. Quantities are contracts; values and gains are in the settlement currency.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from adapters.ccxt.contracts import Contract
from desk.api.ccxt_views import iso
from desk.api.convert import text

if TYPE_CHECKING:
    from adapters.nautilus.perpetual import FundingPaid, Liquidation, VenuePosition
    from desk.market import Funding

_MS = 1_000_000
_CENT_8 = Decimal("0.00000001")


def _text(value: Decimal | None) -> str | None:
    return None if value is None else text(value)


def _times(ts_ns: int) -> dict[str, Any]:
    return {"timestamp": ts_ns // _MS or None, "datetime": iso(ts_ns) if ts_ns else None}


def funding_rate(funding: Funding) -> dict[str, Any]:
    """One perpetual's. `fundingRate` is that of the settlement at `fundingTimestamp`, as it stands now."""
    next_ns = funding.next_ns
    return {
        "symbol": funding.symbol,
        "markPrice": _text(funding.mark),
        "indexPrice": _text(funding.index),
        "interestRate": None,
        "estimatedSettlePrice": None,
        **_times(funding.ts_ns),
        "fundingRate": text(funding.rate),
        "fundingTimestamp": next_ns // _MS or None,
        "fundingDatetime": iso(next_ns) if next_ns else None,
        "nextFundingRate": None,
        "nextFundingTimestamp": None,
        "nextFundingDatetime": None,
        "previousFundingRate": None,
        "previousFundingTimestamp": None,
        "previousFundingDatetime": None,
        "interval": None,
        "info": {"venue": funding.venue},
    }


def liquidation(closed: Liquidation) -> dict[str, Any]:
    """One position that was closed by force; of ours, one execution of it, and `info.order` is the venue's order."""
    info = {"venue": closed.venue} | ({"order": closed.order_id} if closed.order_id else {})
    return {
        "symbol": closed.symbol,
        "contracts": text(closed.quantity),
        "contractSize": None,
        "price": text(closed.price),
        "side": closed.side,
        "baseValue": None,
        "quoteValue": None,
        **_times(closed.ts_ns),
        "info": info,
    }


def position(held: VenuePosition, venue: str) -> dict[str, Any]:
    """One position, flat as well: then `side` is null and `contracts` 0."""
    contract = Contract(settle=held.settle, size=held.contract_size, inverse=held.inverse)
    worth = None
    if held.mark and held.quantity:
        worth = abs(contract.value(held.mark, held.quantity)).quantize(_CENT_8, ROUND_HALF_EVEN)
    return {
        "id": None,
        "symbol": held.symbol,
        "contracts": text(abs(held.quantity)),
        "contractSize": text(held.contract_size),
        "side": None if not held.quantity else "long" if held.quantity > 0 else "short",
        "hedged": False,
        "marginMode": held.margin_mode,
        "entryPrice": text(held.entry) if held.quantity else None,
        "markPrice": _text(held.mark),
        "liquidationPrice": _text(held.liquidation),
        "notional": _text(worth),
        "unrealizedPnl": _text(held.unrealised),
        "realizedPnl": None,
        "initialMargin": _text(held.initial_margin),
        "initialMarginPercentage": None,
        "maintenanceMargin": _text(held.maintenance_margin),
        "maintenanceMarginPercentage": None,
        "collateral": None,
        "leverage": _text(held.leverage),
        "marginRatio": None,
        "percentage": None,
        "stopLossPrice": None,
        "takeProfitPrice": None,
        "lastPrice": None,
        "lastUpdateTimestamp": held.ts_ns // _MS or None,
        **_times(held.ts_ns),
        "info": {"venue": venue, "settle": held.settle},
    }


def funding_payment(paid: FundingPaid) -> dict[str, Any]:
    """One payment (ccxt's funding history structure); a negative amount was paid by us."""
    return {
        "id": paid.payment_id,
        "symbol": paid.symbol,
        "code": paid.currency,
        "amount": text(paid.amount),
        **_times(paid.ts_ns),
        "info": {"venue": paid.venue},
    }


def funding_of_position(funding: Funding, held: VenuePosition | None, payments: list[FundingPaid]) -> dict[str, Any]:
    """The funding rate, and in `info` what it will bring our position if it stays (negative: cost), and what has been paid so far."""
    expected = None
    if held is not None and held.quantity and funding.mark is not None:
        contract = Contract(settle=held.settle, size=held.contract_size, inverse=held.inverse)
        expected = contract.funding(funding.mark, held.quantity, funding.rate).quantize(_CENT_8, ROUND_HALF_EVEN)
    row = funding_rate(funding)
    row["info"] |= {
        "contracts": None if held is None else text(held.quantity),
        "expected": _text(expected),
        "currency": None if held is None else held.settle,
        "payments": [funding_payment(paid) for paid in payments],
    }
    return row
