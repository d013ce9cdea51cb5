"""The desk's headline prices, kept at hand: repriced on every book change, so that a tick's way to a price is short and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from desk.config.model import DeskConfig, InstrumentSection
from desk.hedging.exposure import pair_inventory
from desk.market import Market
from desk.rfq.pricer import Filled, depth_known, win_model
from pricing.charges import Charges, Client
from pricing.rungs import Ladder

HEADLINE = Client(tier="standard")
_FLAT = Decimal(0)


class Repricer:
    """`reprice(symbol, ts_ns)` prices the headline sizes of an instrument on both sides in one kernel call; `headline` shows them.

    For screens: a firm price is made from exact integers, for its client, when somebody asks (`desk.rfq.pricer`).
    """

    def __init__(
        self,
        config: DeskConfig,
        market: Market,
        position: Callable[[str], Decimal],
        sizes: Mapping[str, Sequence[Decimal]],
    ) -> None:
        self._config = config
        self._market = market
        self._position = position
        self._instruments = {item.symbol: item for item in config.instruments}
        self._ladders = {
            symbol: Ladder(market.books[symbol], sorted(sizes.get(symbol, ()))) for symbol in self._instruments
        }
        self.filled: Filled | None = None
        self._win = win_model(config)
        self._charged: dict[
            str, tuple[Decimal, Decimal, float]
        ] = {}  # inventories and volatility that the charges stand for

    def reprice(self, symbol: str, now_ns: int) -> None:
        """One kernel call over all live books, both sides, every headline size; nothing where nothing can be priced."""
        item = self._instruments.get(symbol)
        if item is None:  # a contract: no client is quoted it
            return
        book, ladder = self._market.books[symbol], self._ladders[symbol]
        fair = book.fair(now_ns)
        if fair is None:
            ladder.clear()
            return
        bands = self._config.hedging.bands
        position, sigma = pair_inventory(item, bands, self._position), self._market.volatility[symbol].sigma
        own = self._position(item.base)
        if self._charged.get(symbol) == (position, own, sigma):
            ladder.set_fair(fair)
        else:
            self._charged[symbol] = (position, own, sigma)
            charges = self._charges(item, fair, position, sigma)
            ladder.set_charges(charges, *(depth_known(self._market, symbol, side, self.filled) for side in (0, 1)))
            most = self._config.risk.max_position.get(item.base, _FLAT)
            ladder.set_room(most + own, most - own)
        ladder.price(now_ns)

    def _charges(self, item: InstrumentSection, fair: Decimal, position: Decimal, sigma: float) -> Charges:
        band = self._config.hedging.bands.get(item.base)
        return Charges(
            self._market.books[item.symbol].scale,
            fair=fair,
            ttl_ms=self._config.pricing.ttl_ms,
            inventory=position,
            band=band.hard if band else _FLAT,
            volatility=sigma,
            client=HEADLINE,
            parameters=self._config.pricing,
            tick=item.price_tick,
            win=self._win,
        )

    def headline(self, symbol: str) -> list[tuple[Decimal, Decimal | None, Decimal | None]]:
        """(size, bid, ask) of the last repricing, sizes ascending; None where there is no price."""
        return self._ladders[symbol].prices()
