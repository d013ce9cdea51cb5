"""What a venue says of perpetuals that the engine has no message for: liquidations, our positions, what funding they paid.

Mark price, index price and funding rate are the engine's own `MarkPriceUpdate`, `IndexPriceUpdate` and `FundingRateUpdate`. Quantities are
contracts, money is in the settlement currency.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Liquidation(msgspec.Struct, frozen=True, kw_only=True):
    """A position that was closed by force. `side`: of the closing order. `order_id`: the venue's, of ours only."""

    venue: str
    symbol: str
    side: str  # "buy" | "sell"
    price: Decimal
    quantity: Decimal
    ts_ns: int
    order_id: str = ""


class VenuePosition(msgspec.Struct, frozen=True, kw_only=True):
    """Our position in one perpetual; `quantity` negative is short. None is what the venue does not say."""

    symbol: str
    quantity: Decimal
    entry: Decimal
    contract_size: Decimal
    settle: str
    inverse: bool
    unrealised: Decimal | None
    mark: Decimal | None
    liquidation: Decimal | None
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None
    leverage: Decimal | None
    margin_mode: str  # "cross" | "isolated"
    ts_ns: int  # 0: the venue gave no time


class VenuePositions(msgspec.Struct, frozen=True, kw_only=True):
    """All our positions at one venue, those that are flat as well."""

    venue: str
    positions: tuple[VenuePosition, ...]


class FundingPaid(msgspec.Struct, frozen=True, kw_only=True):
    """Funding of one of our positions at one settlement, once by the venue's own id; `amount` negative: we paid."""

    venue: str
    symbol: str
    payment_id: str
    amount: Decimal
    currency: str
    ts_ns: int
