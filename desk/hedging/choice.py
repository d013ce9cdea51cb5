"""The hedger's choice of a route, from the desk's live books: the home instrument, or two others that make it.

Only where the configuration lists a triangle around a home instrument is there anything to choose. The home instrument is
left only to save at least `routes.min_saving_bps`: a second leg is one more thing that can go wrong. Venue books alone are
compared; LPs are asked when the legs are worked, and can only make them cheaper.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from desk.config.model import DeskConfig
from desk.market import Market
from pricing.triangle import form_of
from router.routes.book import RouteBook, from_live
from router.routes.choice import RouteChoice, RouteKind, RouteRequest, choose

LEVELS = 60  # a venue: what a hedge reaches, and what the event loop has time for
NODES = 60


class LiveRoutes:
    """`choose(symbol, side, quantity)` for the hedger."""

    def __init__(self, config: DeskConfig, market: Market, now_ns: Callable[[], int]) -> None:
        self._config = config
        self._market = market
        self._now_ns = now_ns
        listed = [item.symbol for item in config.instruments if item.direct]
        self._around = {symbol: _triangles(symbol, listed) for symbol in listed}

    def choose(self, symbol: str, side: str, quantity: Decimal) -> RouteChoice | None:
        """The choice for our `side` of a home instrument; None when there is only one way."""
        around = self._around.get(symbol, ())
        if not around:
            return None
        books = {leg: book for leg in (symbol, *around) if (book := self._book(leg)) is not None}
        base, terms = symbol.split("/")
        routes = self._config.routes
        request = RouteRequest(
            base=base,
            terms=terms,
            side=side,
            quantity=quantity,
            leg_risk_multiplier=routes.leg_risk_multiplier,
            leg_latency_s=routes.leg_latency_ms / 1000,
        )
        return worth_it(choose(request, books, node_limit=NODES), routes.min_saving_bps)

    def _book(self, symbol: str) -> RouteBook | None:
        """The live book; None without one, and while one of its currencies is off its peg."""
        now = self._now_ns()
        if self._market.rates.broken_peg(symbol.split("/"), now) is not None:
            return None
        sigma = self._market.volatility[symbol].sigma
        return from_live(self._market.books[symbol], sigma=sigma, now_ns=now, depth=LEVELS)


def worth_it(choice: RouteChoice, saving_bps: Decimal) -> RouteChoice:
    """The same choice, but direct unless something else saves `saving_bps`."""
    direct = next(
        (item for item in choice.alternatives if item.kind is RouteKind.DIRECT and item.price is not None), None
    )
    if choice.chosen is None or choice.chosen.kind is RouteKind.DIRECT or direct is None:
        return choice
    saving = direct.cost.total - choice.chosen.cost.total
    if saving >= saving_bps:
        return choice
    reason = (
        f"direct {direct.name} at {direct.cost.total:.2f} bps: {choice.chosen.kind} {choice.chosen.name} would save "
        f"{saving:.2f} bps, less than the {saving_bps:f} a second leg must be worth"
    )
    return msgspec.structs.replace(choice, chosen=direct, reason=reason)


def _triangles(symbol: str, listed: list[str]) -> tuple[str, ...]:
    """Listed instruments that are a leg of some triangle that makes `symbol`."""
    legs: list[str] = []
    for first in listed:
        for second in listed:
            try:
                form_of(symbol, first, second)
            except ValueError:
                continue
            legs += [first, second]
    return tuple(dict.fromkeys(legs))
