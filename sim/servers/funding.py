"""The funding rate of one perpetual: what a settlement will cost, from how far its book is from the index.

    premium    [max(0, impact bid − index) − max(0, index − impact ask)] ÷ index, sampled each second
    rate       P + clamp(interest − P, ±0.05 %), P the samples' average since the last settlement, later ones weighing more;
               then held within ±2 %
    settled    each interval on the clock: 00:00, 08:00 and 16:00 UTC

Impact prices are the average prices at which `IMPACT` of the settlement currency would sell or buy. Interest is 0.01 % an interval.
Source: Binance, "Introduction to Binance Futures Funding Rates"; the sampling there is every five seconds, the cap differs by symbol.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from sim.servers.margin import MarginCore

INTERVAL_S = 8 * 3600
IMPACT = Decimal(25_000)
INTEREST = Decimal("0.0001")
DAMPING = Decimal("0.0005")
CAP = Decimal("0.02")
_RATE = Decimal("0.00000001")
_ZERO = Decimal(0)


class FundingRate:
    """One symbol's. `interval_ns` and `next_ns` may be set, to have a settlement sooner."""

    def __init__(self, now_ns: int, interval_s: float = INTERVAL_S) -> None:
        self.interval_ns = int(interval_s * 1e9)
        self.next_ns = now_ns - now_ns % self.interval_ns + self.interval_ns
        self.rate = INTEREST
        self._weight = self._count = 0
        self._sum = _ZERO

    def sample(self, premium: Decimal) -> None:
        """Take in a premium."""
        self._count += 1
        self._weight += self._count
        self._sum += premium * self._count
        average = self._sum / self._weight
        rate = average + _clamp(INTEREST - average, DAMPING)
        self.rate = _clamp(rate, CAP).quantize(_RATE, ROUND_HALF_EVEN)

    def due(self, now_ns: int) -> Decimal | None:
        """The rate to settle at now, or None; a new interval begins with it."""
        if now_ns < self.next_ns:
            return None
        settled = self.rate
        self.next_ns = (now_ns // self.interval_ns + 1) * self.interval_ns
        self._weight = self._count = 0
        self._sum = _ZERO
        return settled


def premium(core: MarginCore, symbol: str, index: Decimal) -> Decimal | None:
    """How far the book is beyond the index, as a fraction; None while there is no live two-sided book."""
    if not core.books[symbol].live or index <= 0:
        return None
    bid, ask = _impact(core, symbol, 1), _impact(core, symbol, -1)
    if bid is None or ask is None:
        return None
    return (max(_ZERO, bid - index) - max(_ZERO, index - ask)) / index


def _impact(core: MarginCore, symbol: str, side: int) -> Decimal | None:
    """Average price of `IMPACT` on one side; of all there is when it is less, None when there is nothing."""
    instrument, contract = core.instruments[symbol], core.contract(symbol)
    worth = contracts = weighted = _ZERO
    for level, size in core.books[symbol].shown.side(side).top(100):
        price, here = instrument.price(level), instrument.size(size)
        here_worth = contract.value(price, here)
        if worth + here_worth > IMPACT:
            here = here * (IMPACT - worth) / here_worth
            here_worth = IMPACT - worth
        worth, contracts, weighted = worth + here_worth, contracts + here, weighted + price * here
        if worth >= IMPACT:
            break
    return weighted / contracts if contracts else None


def _clamp(value: Decimal, limit: Decimal) -> Decimal:
    return max(-limit, min(limit, value))
