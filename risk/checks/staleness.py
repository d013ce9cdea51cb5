"""No reference, no approval: there must be a fair value, and the book leant on must be live and young enough."""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look


def run(look: Look) -> str | Breach:
    """Refuses without a fair value, without a live book, or with one older than `max_book_age_ms`."""
    most = look.symbol_limits.max_book_age_ms
    limit = f"{most} ms"
    where = look.intent.venue or look.intent.symbol
    age_ns = look.age_ns
    if age_ns is None:
        return Breach("no live book", limit, f"no live book of {look.intent.symbol} to lean on for {where}")
    if age_ns > most * 1_000_000:
        age_ms = -(-age_ns // 1_000_000)
        return Breach(
            f"{age_ms} ms", limit, f"the book of {look.intent.symbol} for {where} is {age_ms} ms old, over {limit}"
        )
    fair = look.fair
    if fair is None or not fair.is_finite() or fair <= 0:
        return Breach(str(fair), "a fair value", f"no fair value of {look.intent.symbol}")
    return limit


CHECK = Check(
    "staleness", ALL_STAGES, "14 Market data staleness", "FIA market data reasonability", "max_book_age_ms", run
)
