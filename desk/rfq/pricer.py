"""From a request to firm prices: the desk's books, LP ladders, inventory, volatility and tier go into `pricing.ladder.price_quote`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from desk.config.model import DeskConfig, InstrumentSection
from desk.ids import IdSource
from desk.market import Market
from desk.rfq.records import QuoteRecord, Step
from pricing.ladder import NoPrice, Priced, price_quote

LADDER_MAX_AGE_NS = 2_000_000_000
_FLAT = Decimal(0)


class Pricer:
    """Prices one side of one request. `position(currency)` is the desk's inventory in units of that currency."""

    def __init__(self, config: DeskConfig, market: Market, ids: IdSource, position: Callable[[str], Decimal]) -> None:
        self._config = config
        self._market = market
        self._ids = ids
        self._position = position

    def price(
        self,
        instrument: InstrumentSection,
        side: str,
        *,
        base: Decimal | None = None,
        amount: Decimal | None = None,
        ttl_ms: int,
        tier: str,
        now_ns: int,
    ) -> Priced | NoPrice:
        """All-in price for `base` units, or for a quote-currency `amount`; `side` is the client's."""
        book = self._market.books[instrument.symbol]
        band = self._config.hedging.bands.get(instrument.base)
        return price_quote(
            book,
            side=side,
            quantity=base,
            quote_amount=amount,
            now_ns=now_ns,
            ttl_ms=ttl_ms,
            inventory=self._position(instrument.base),
            band=band.hard if band else _FLAT,
            volatility=self._market.volatility[instrument.symbol].sigma,
            tier=tier,
            parameters=self._config.pricing,
            tick=instrument.price_tick,
            rungs=self._market.rungs(instrument.symbol, now_ns, LADDER_MAX_AGE_NS),
        )

    def ladder(
        self,
        instrument: InstrumentSection,
        quantities: Sequence[Decimal],
        *,
        client_id: str,
        ttl_ms: int,
        tier: str,
        now_ns: int,
    ) -> list[QuoteRecord]:
        """Streamed quotes for both sides of each size, without those that cannot be priced now."""
        quotes: list[QuoteRecord] = []
        for quantity in quantities:
            for side in ("buy", "sell"):
                priced = self.price(instrument, side, base=quantity, ttl_ms=ttl_ms, tier=tier, now_ns=now_ns)
                if isinstance(priced, Priced):
                    quotes.append(
                        self.record(
                            priced,
                            instrument=instrument,
                            rfq_id="",
                            client_id=client_id,
                            ttl_ms=ttl_ms,
                            now_ns=now_ns,
                            streamed=True,
                        )
                    )
        return quotes

    def record(
        self,
        priced: Priced,
        *,
        instrument: InstrumentSection,
        rfq_id: str,
        client_id: str,
        ttl_ms: int,
        now_ns: int,
        streamed: bool = False,
    ) -> QuoteRecord:
        """A price made firm: with an id, a deadline and its whole build-up."""
        return QuoteRecord(
            quote_id=self._ids.new("q"),
            rfq_id=rfq_id,
            client_id=client_id,
            symbol=instrument.symbol,
            side=priced.side,
            price=priced.price,
            quantity=priced.quantity,
            amount=priced.amount.quantize(Decimal(1).scaleb(-instrument.quote_precision), rounding=ROUND_HALF_EVEN),
            fair=priced.fair,
            waterfall=tuple(Step(step, amount) for step, amount in priced.waterfall),
            valid_until_ns=now_ns + ttl_ms * 1_000_000,
            created_ns=now_ns,
            streamed=streamed,
        )
