"""How a simulated liquidity provider behaves: spread by size, answer time, size limits, last look. Pure and seeded.

One model serves both the wire-exact loopback server and the LP of a replay, so a desk meets the same LP in both.
What it promises:

1. Everything is a function of (seed, params) and the calls made; no clock, no global randomness. Streams depend on
   time only, so that asking for quotes does not change the ladder.
2. A quote is firm for `ttl_ns` from the moment it is sent, all-or-none, and all-in: `ask` is what the taker pays per
   base, `bid` what it receives, both rounded against the taker.
3. Last look is symmetric: a move of more than `tolerance_bps` since the quote rejects the deal in whichever direction
   it went (FX Global Code, principle 17), besides a small rate of technical rejects.
"""

from __future__ import annotations

import hashlib
import random
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

import msgspec

BPS = Decimal("0.0001")


class LpParams(msgspec.Struct, frozen=True, kw_only=True):
    """The knobs of a simulated LP. Notionals are in quote currency, times in ns, spreads in basis points of the mid.

    The default spread is near the taker fees of the simulated exchanges, because that is what an LP competes with: its
    price is all-in.
    """

    lp: str = "FALCONX"
    half_spread_bps: float = 3.2  # of an infinitely small deal
    size_slope_bps: float = 0.9  # added per √(notional / 100 000)
    lean_bps: float = 1.5  # amplitude of the LP's own slowly moving lean: both prices shift together
    lean_period_ns: int = 15_000_000_000
    ttl_ns: int = 1_000_000_000
    latency_ns: tuple[int, int] = (20_000_000, 90_000_000)  # request to answer, uniform
    hold_ns: tuple[int, int] = (10_000_000, 45_000_000)  # accept to decision, uniform
    tolerance_bps: float = 4.0
    reject_rate: float = 0.02  # technical last-look rejects
    no_quote_rate: float = 0.01
    min_notional: Decimal = Decimal(100)
    max_notional: Decimal = Decimal(1_500_000)
    price_step: Decimal = Decimal("0.01")
    quantity_step: Decimal = Decimal("0.00000001")
    rungs: dict[str, tuple[Decimal, ...]] = msgspec.field(
        default_factory=lambda: {
            "BTC/USDT": (Decimal("0.1"), Decimal("0.5"), Decimal(1), Decimal(2), Decimal(5)),
            "ETH/USDT": (Decimal(1), Decimal(5), Decimal(15), Decimal(40), Decimal(100)),
        }
    )
    ladder_interval_ns: int = 250_000_000


class ModelRung(msgspec.Struct, frozen=True):
    """Price of the whole `quantity` on both sides."""

    quantity: Decimal
    bid: Decimal
    ask: Decimal


class ModelQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A firm quote. The taker hears of it at `sent_ns`; `mid` is the LP's mid then, kept for its last look."""

    quote_id: str  # 32 lower-case hex characters
    symbol: str
    side: str  # "buy" | "sell" | "two_way": the taker's
    quantity: Decimal
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal
    sent_ns: int
    valid_until_ns: int

    def price(self, side: str) -> Decimal | None:
        """What the taker pays ("buy") or receives ("sell") per base; None when that side was not quoted."""
        return self.ask if side == "buy" else self.bid


class ModelNoQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The LP declines to quote; the taker hears of it at `sent_ns`."""

    code: str
    reason: str
    sent_ns: int


class Verdict(StrEnum):
    """What became of an accepted quote."""

    FILLED = "filled"
    REJECTED = "rejected"  # last look
    EXPIRED = "expired"


class ModelDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The LP's answer to an accept; it is given at `ts_ns` (`hold_ns` after the accept came in)."""

    verdict: Verdict
    reason: str
    hold_ns: int


class LpModel:
    """One simulated LP. Its answers depend on the seed, the parameters and the order in which quotes are asked for."""

    def __init__(self, seed: int, params: LpParams | None = None) -> None:
        self.params = params or LpParams()
        self._seed = f"{seed}|{self.params.lp}"
        self._quotes = 0
        self._knots: dict[str, tuple[int, float, float]] = {}  # the lean's knots around the last time asked for

    def ladder(self, symbol: str, mid: Decimal, ts_ns: int) -> tuple[ModelRung, ...]:
        """The indicative two-way ladder at `mid`; sizes outside the notional limits are left out."""
        rungs = []
        for quantity in self.params.rungs.get(symbol, ()):
            if self.params.min_notional <= quantity * mid <= self.params.max_notional:
                bid, ask = self.two_way(symbol, quantity, mid, ts_ns)
                rungs.append(ModelRung(quantity, bid, ask))
        return tuple(rungs)

    def two_way(self, symbol: str, quantity: Decimal, mid: Decimal, ts_ns: int) -> tuple[Decimal, Decimal]:
        """(bid, ask) of the whole `quantity` at `mid`: indicative, firm only when quoted."""
        half = self.half_spread_bps(quantity * mid)
        lean = self._lean_bps(symbol, ts_ns)
        # Six decimals of a basis point: floats may shape the price, but not leave their tail in it.
        below, above = Decimal(f"{half - lean:.6f}"), Decimal(f"{half + lean:.6f}")
        step = self.params.price_step
        bid = (mid * (1 - below * BPS) / step).to_integral_value(ROUND_FLOOR) * step
        ask = (mid * (1 + above * BPS) / step).to_integral_value(ROUND_CEILING) * step
        return bid, ask

    def quote(self, symbol: str, side: str, quantity: Decimal, mid: Decimal, ts_ns: int) -> ModelQuote | ModelNoQuote:
        """Answer a request that came in at `ts_ns` while the LP's mid was `mid`."""
        params = self.params
        self._quotes += 1
        dice = random.Random(f"{self._seed}|quote|{self._quotes}")
        sent_ns = ts_ns + dice.randint(*params.latency_ns)
        notional = quantity * mid
        if symbol not in params.rungs:
            return ModelNoQuote(code="UNKNOWN_PAIR", reason=f"{symbol} is not traded", sent_ns=sent_ns)
        if not params.min_notional <= notional <= params.max_notional:
            reason = f"notional {notional:.2f} outside {params.min_notional} to {params.max_notional}"
            return ModelNoQuote(code="SIZE_LIMIT", reason=reason, sent_ns=sent_ns)
        if dice.random() < params.no_quote_rate:
            return ModelNoQuote(code="NO_LIQUIDITY", reason="no price available, try again", sent_ns=sent_ns)
        bid, ask = self.two_way(symbol, quantity, mid, ts_ns)
        name = f"{self._seed}|{self._quotes}|{symbol}|{ts_ns}".encode()
        return ModelQuote(
            quote_id=hashlib.blake2b(name, digest_size=16).hexdigest(),
            symbol=symbol,
            side=side,
            quantity=quantity,
            bid=None if side == "buy" else bid,
            ask=None if side == "sell" else ask,
            mid=mid,
            sent_ns=sent_ns,
            valid_until_ns=sent_ns + params.ttl_ns,
        )

    def decide(self, quote: ModelQuote, mid_now: Decimal, ts_ns: int) -> ModelDecision:
        """Last look on an accept that came in at `ts_ns`. The same quote always gets the same dice."""
        params = self.params
        dice = random.Random(f"{self._seed}|decide|{quote.quote_id}")
        hold_ns = dice.randint(*params.hold_ns)
        if ts_ns > quote.valid_until_ns:
            return ModelDecision(verdict=Verdict.EXPIRED, reason="quote expired", hold_ns=hold_ns)
        if dice.random() < params.reject_rate:
            return ModelDecision(verdict=Verdict.REJECTED, reason="rejected by last look", hold_ns=hold_ns)
        moved_bps = abs(mid_now - quote.mid) / quote.mid / BPS
        if moved_bps > Decimal(str(params.tolerance_bps)):
            reason = f"price moved {moved_bps:.2f} bps, tolerance {params.tolerance_bps}"
            return ModelDecision(verdict=Verdict.REJECTED, reason=reason, hold_ns=hold_ns)
        return ModelDecision(verdict=Verdict.FILLED, reason="", hold_ns=hold_ns)

    def half_spread_bps(self, notional: Decimal) -> float:
        """Half the spread for a deal of `notional` quote currency, without the lean."""
        return self.params.half_spread_bps + self.params.size_slope_bps * (float(notional) / 100_000.0) ** 0.5

    def _lean_bps(self, symbol: str, ts_ns: int) -> float:
        """A bounded, continuous, seeded wander: uniform knots every `lean_period_ns`, straight lines between them."""
        knot, rest = divmod(ts_ns, self.params.lean_period_ns)
        known = self._knots.get(symbol)
        if known is None or known[0] != knot:
            known = self._knots[symbol] = (knot, self._knot(symbol, knot), self._knot(symbol, knot + 1))
        _, here, there = known
        return self.params.lean_bps * (here + (there - here) * rest / self.params.lean_period_ns)

    def _knot(self, symbol: str, knot: int) -> float:
        return random.Random(f"{self._seed}|lean|{symbol}|{knot}").uniform(-1.0, 1.0)
