"""Token buckets: child orders per venue or LP, quotes per client, on the engine's clock.

A bucket is one number, the time at which it is full again (generic cell rate algorithm): exact in integers, nothing
to refill. Only approvals take a token.
"""

from __future__ import annotations

from risk.checks.base import Breach, Check, Look
from risk.decision import Intent, Stage
from risk.limits import Rate, RiskLimits


def bucket_of(intent: Intent, limits: RiskLimits) -> tuple[tuple[Stage, str], Rate]:
    """Which bucket an intent draws from, and its rate."""
    if intent.stage is Stage.CHILD:
        return (intent.stage, intent.venue), limits.rate_of(intent.venue)
    return (intent.stage, intent.client_id), limits.quote_rate


def full_again_ns(look: Look) -> int:
    """When the bucket would be full again after this intent took its token."""
    key, rate = bucket_of(look.intent, look.limits)
    return max(look.buckets.get(key, 0), look.intent.now_ns) + rate.interval_ns


def run(look: Look) -> str | Breach:
    """Refuses when the bucket is empty."""
    (_, owner), rate = bucket_of(look.intent, look.limits)
    limit = f"{rate.per_s}/s, burst {rate.burst}"
    debt = full_again_ns(look) - look.intent.now_ns
    if debt > rate.burst * rate.interval_ns:
        tokens = -(-debt // rate.interval_ns)
        return Breach(f"{tokens} at once", limit, f"too many {look.intent.stage} intents for {owner}: over {limit}")
    return limit


CHECK = Check(
    "rate",
    (Stage.QUOTE, Stage.CHILD),
    "4 Order throttle",
    "R6 15(1)(d), FIA",
    "child_rate, venue_rates, quote_rate",
    run,
)
