"""From a request to firm prices: the desk's books, LP ladders, inventory, volatility, tier and what is known of the client go
into `pricing.ladder.price_quote`.

What the desk learns while it runs is read when a price is made: client markouts (`pricing.adverse.Markouts`), venues' fill
ratios, clients' use of their credit, room to the hard band. Without a source each falls back on the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from desk.config.model import DeskConfig, InstrumentSection
from desk.errors import ConfigFault
from desk.hedging.exposure import pair_inventory
from desk.ids import IdSource
from desk.market import Market
from desk.rfq.records import QuoteRecord, Source, Step
from pricing.adverse import UNKNOWN, Markouts
from pricing.haircut import Depth
from pricing.ladder import NoPrice, NoPriceReason, Priced, price_quote
from pricing.waterfall import round_against
from pricing.winning import WinModel, loads
from risk.limits import RiskLimits
from risk.state import RiskState

LADDER_MAX_AGE_NS = 2_000_000_000
_FLAT = Decimal(0)

Filled = Callable[[str], tuple[float, float]]  # venue → (filled share of what was displayed, orders)


class CreditUse:
    """How much of its line a client uses, and how much of the hard band is left, as the gate sees both."""

    def __init__(self, limits: RiskLimits, state: RiskState) -> None:
        self._limits, self._state = limits, state

    def utilisation(self, client_id: str, currency: str) -> float:
        """Net unsettled trades and open quotes, the larger way, over the client's limit: 0 to 1."""
        key, ahead = (client_id, currency), self._state.client_notional.ahead
        net = self._state.exposure.get(key, _FLAT)
        worst = max(abs(net + ahead(key, Decimal(1))), abs(net - ahead(key, Decimal(-1))))
        return min(1.0, float(worst / self._limits.of_client(client_id)))

    def room(self, currency: str, side: str) -> Decimal:
        """Base a client may still buy (sell) before the gate refuses for `max_position`, promises and open quotes included."""
        state, move = self._state, Decimal(-1 if side == "buy" else 1)  # the desk's inventory
        ahead = state.firm.ahead(currency, move) + state.quoted.ahead(currency, move)
        return self._limits.max_position.get(currency, _FLAT) - move * state.position(currency) - ahead


class Pricer:
    """Prices one side of one request. `position(currency)` is the desk's inventory in units of that currency."""

    def __init__(
        self,
        config: DeskConfig,
        market: Market,
        ids: IdSource,
        position: Callable[[str], Decimal],
        credit: CreditUse | None = None,
    ) -> None:
        self._config = config
        self._market = market
        self._ids = ids
        self._position = position
        self._credit = credit
        self._win = win_model(config)
        self.markouts: Markouts | None = None
        self.filled: Filled | None = None

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
        client_id: str = "",
        room: Decimal | None = None,
        bound: Decimal | None = None,
    ) -> Priced | NoPrice:
        """All-in price for `base` units, or for a quote-currency `amount`; `side` is the client's. `room`: no price for more;
        `bound`: no better per unit than a smaller size (`Priced.bare`)."""
        book = self._market.books[instrument.symbol]
        currencies = {instrument.base, instrument.quote, *self._market.through(instrument.symbol)}
        if (broken := self._market.rates.broken_peg(currencies, now_ns)) is not None:
            return NoPrice(NoPriceReason.DEPEG, f"{instrument.symbol}: {broken.message}")
        band = self._config.hedging.bands.get(instrument.base)
        return price_quote(
            book,
            side=side,
            quantity=base,
            quote_amount=amount,
            now_ns=now_ns,
            ttl_ms=ttl_ms,
            inventory=pair_inventory(instrument, self._config.hedging.bands, self._position),
            band=band.hard if band else _FLAT,
            volatility=self._market.volatility[instrument.symbol].sigma,
            tier=tier,
            parameters=self._config.pricing,
            tick=instrument.price_tick,
            rungs=self._market.rungs(instrument.symbol, now_ns, LADDER_MAX_AGE_NS),
            markout=self.markouts.estimate(client_id, instrument.symbol) if self.markouts else UNKNOWN,
            utilisation=self._credit.utilisation(client_id, instrument.quote) if self._credit else 0.0,
            fill_ratios=depth_known(self._market, instrument.symbol, 1 if side == "buy" else 0, self.filled),
            win=self._win,
            room=room,
            bound=bound,
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
        """Streamed quotes for both sides of each size, from the smallest on and none better per unit than a smaller one; without
        those that cannot be priced now or that the gate would refuse for the hard band."""
        quotes: list[QuoteRecord] = []
        bounds: dict[str, Decimal] = {}
        for quantity in sorted(quantities):
            for side in ("buy", "sell"):
                priced = self.price(
                    instrument,
                    side,
                    base=quantity,
                    ttl_ms=ttl_ms,
                    tier=tier,
                    now_ns=now_ns,
                    client_id=client_id,
                    room=self._credit.room(instrument.base, side) if self._credit else None,
                    bound=bounds.get(side),
                )
                if isinstance(priced, Priced):
                    bounds[side] = priced.bare
                    quotes.append(
                        self.record(
                            priced,
                            instrument=instrument,
                            rfq_id="",
                            client_id=client_id,
                            ttl_ms=ttl_ms,
                            now_ns=now_ns,
                            streamed=True,
                            tier=tier,
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
        tier: str = "",
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
            amount=round_against(priced.amount, Decimal(1).scaleb(-instrument.quote_precision), priced.side),
            fair=priced.fair,
            waterfall=tuple(Step(*step, inputs) for step, inputs in zip(priced.waterfall, priced.inputs, strict=True)),
            valid_until_ns=now_ns + ttl_ms * 1_000_000,
            created_ns=now_ns,
            streamed=streamed,
            tier=tier,
            sigma_bps=priced.sigma_bps,
            sources=tuple(self._source(instrument.symbol, name, now_ns) for name in priced.sources),
        )

    def _source(self, symbol: str, name: str, now_ns: int) -> Source:
        """A venue, or an LP by its ladder, as it stands."""
        book = self._market.books[symbol]
        if name in book.venues:
            return Source(name, book.status(name, now_ns).value, book.age_ns(name, now_ns))
        return Source(name, "streamed", now_ns - self._market.ladders[symbol, name].ts_ns)


def depth_known(market: Market, symbol: str, side: int, filled: Filled | None) -> dict[str, Depth]:
    """What is known of each venue's depth on a side (0 bids, 1 asks): what filled of it, and how its book looks now."""
    look = market.concentration[symbol].haircut_ppm
    return {
        venue: Depth(*(filled(venue) if filled else (0.0, 0.0)), look(venue, side))
        for venue in market.books[symbol].venues
    }


def win_model(config: DeskConfig) -> WinModel | None:
    """The fitted win probabilities that the configuration names; `ConfigFault` when they cannot be used."""
    if not config.pricing.win_model:
        return None
    try:
        return loads(Path(config.pricing.win_model).read_bytes())
    except (OSError, msgspec.DecodeError) as fault:
        raise ConfigFault(f"pricing.win_model: {fault}") from fault
