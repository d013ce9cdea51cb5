"""The value of everything unexecuted: open child orders, and firm quotes that clients could still accept."""

from __future__ import annotations

from risk.checks.base import Breach, Check, Look
from risk.decision import Stage
from risk.exact import add, plain, times


def run(look: Look) -> str | Breach:
    """Refuses when open children pass `max_open_notional`, or open quotes `max_quoted_notional`, in one quote
    currency.
    """
    intent, state, quote = look.intent, look.state, look.pair.quote
    if intent.stage is Stage.CHILD:
        already, most, what = state.open_notional.gross(quote), look.limits.max_open_notional, "open orders"
    else:
        already, most, what = state.quoted_notional.gross(quote), look.limits.max_quoted_notional, "open quotes"
    total = add(already, times(intent.quantity, intent.price))
    if total > most:
        value, limit = plain(total), plain(most)
        return Breach(value, limit, f"{what} would be worth {value}, over {limit} {quote}")
    return plain(most)


CHECK = Check(
    "open_notional",
    (Stage.QUOTE, Stage.CHILD),
    "8 Value of unexecuted orders, 21 max quoted exposure",
    "UMIR 7.1, R6 15(2)",
    "max_open_notional, max_quoted_notional",
    run,
)
