"""The engine with the simulated venues on it: exchanges that match against the tape's books, and the LP.

What a venue is here: L2 books from the tape; our orders consume the liquidity they take until the tape changes that level (or, with `fade`,
meet a modelled answer of the market, `sim.replay.fade`); one latency for insert, update and cancel, and none back (the engine knows no
return path, so `VenueLatency` covers both ways); taker and maker fees in basis points, charged in quote currency and rounded up; a cash
account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal

import msgspec
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import FeeModel, FillModel, LatencyModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.enums import AccountType, BookType, LiquiditySide, OmsType
from nautilus_trader.model.identifiers import TraderId, Venue
from nautilus_trader.model.objects import Money

from adapters.nautilus.pump import Pump
from sim.instruments import BINANCE, KRAKEN, VenueInstrument, opening_balances
from sim.lp_model import LpModel, LpParams
from sim.replay.data import TapeData
from sim.replay.fade import FadeBooks, FadeParams, FadingFills, Footprint
from sim.replay.listing import lp_instrument
from sim.replay.lp import SimLp, SimLpActor, SimLpExecClient
from sim.replay.outcomes import SimOutcomes

BPS = Decimal("0.0001")
MS = 1_000_000


class SimVenues(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulated venues are like. `latency_ns`: from our decision to the answer in our hands, per exchange. `queue`: what rests
    waits until what lay there before it has been traded or has gone (it would fill at the first touch otherwise)."""

    latency_ns: Mapping[str, int] = msgspec.field(default_factory=lambda: {BINANCE: 9 * MS, KRAKEN: 24 * MS})
    lps: Sequence[LpParams] = (LpParams(),)
    fade: FadeParams | None = None
    queue: bool = False
    log_level: str = "ERROR"
    trader_id: str = "KERB-001"


class BpsFee(FeeModel):
    """Fees in basis points of the notional, in quote currency, rounded up to its smallest unit."""

    def __init__(self, listings: Sequence[VenueInstrument]) -> None:
        super().__init__()
        self._fees = {item.symbol: (item.maker_fee_bps * BPS, item.taker_fee_bps * BPS) for item in listings}

    def get_commission(self, order: object, fill_qty: object, fill_px: object, instrument: object) -> Money:
        """The fee of one fill."""
        maker, taker = self._fees[instrument.id.symbol.value]
        rate = maker if order.liquidity_side == LiquiditySide.MAKER else taker
        currency: Currency = instrument.quote_currency
        fee = (fill_qty.as_decimal() * fill_px.as_decimal() * rate).quantize(
            Decimal(1).scaleb(-currency.precision), ROUND_CEILING
        )
        return Money(fee, currency)


def build_engine(
    data: TapeData, seed: int, venues: SimVenues, *, loaded: bool = True
) -> tuple[BacktestEngine, list[SimLp]]:
    """An engine with venues, instruments and the tape on it, ready for actors. `loaded` False: without the tape's events."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId(venues.trader_id),
            logging=LoggingConfig(log_level=venues.log_level, print_config=False),
            risk_engine=RiskEngineConfig(
                max_order_submit_rate="10000/00:00:01", max_order_modify_rate="10000/00:00:01"
            ),
            run_analysis=False,
        )
    )
    by_venue: dict[str, list[VenueInstrument]] = {}
    for listing in data.listings:
        by_venue.setdefault(listing.venue, []).append(listing)
    symbols = sorted({listing.symbol for listing in data.listings})
    footprint = Footprint(venues.fade, seed) if venues.fade is not None else None
    fading: list[FadingFills] = []
    for name, listings in sorted(by_venue.items()):
        if footprint is not None:
            fading.append(FadingFills(footprint))
        engine.add_venue(
            venue=Venue(name),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=None,
            starting_balances=[
                Money(amount, Currency.from_str(code)) for code, amount in opening_balances(symbols).items()
            ],
            book_type=BookType.L2_MBP,
            fill_model=fading[-1] if fading else FillModel(random_seed=seed & 0xFFFFFFFF),
            fee_model=BpsFee(listings),
            latency_model=LatencyModel(base_latency_nanos=venues.latency_ns[name]),
            queue_position=venues.queue,
            liquidity_consumption=True,  # the fade model keeps its own; the engine then only ends what it leaves empty
        )
    if fading:
        engine.add_actor(FadeBooks([instrument.id for instrument in data.instruments], fading))
    for instrument in data.instruments:
        engine.add_instrument(instrument)
    lps = [_add_lp(engine, params, symbols, seed) for params in venues.lps]
    if loaded:
        for message in data.first:
            engine.add_data([message], sort=False)
        if data.events:
            engine.add_data(data.events, validate=False, sort=False)
        engine.sort_data()
    return engine, lps


def add_market_actors(engine: BacktestEngine, data: TapeData, venues: SimVenues, lps: Sequence[SimLp]) -> None:
    """Everything of the market's side that is an actor: the pump, the LPs' quoting sides, the venues' order queries."""
    engine.add_actor(Pump(venues.latency_ns))
    without_tops = not any(type(event).__name__ == "QuoteTick" for event in data.events)
    for lp in lps:
        engine.add_actor(SimLpActor(lp, books=without_tops))
    exchanges = sorted({listing.venue for listing in data.listings})
    engine.add_actor(SimOutcomes([*exchanges, *(lp.name for lp in lps)]))


def _add_lp(engine: BacktestEngine, params: LpParams, symbols: Sequence[str], seed: int) -> SimLp:
    traded = [symbol for symbol in symbols if symbol in params.rungs]
    lp = SimLp(LpModel(seed, params), traded, reference=BINANCE)
    kernel = engine.kernel
    for symbol in traded:
        kernel.cache.add_instrument(lp_instrument(symbol, params))
    kernel.exec_engine.register_client(SimLpExecClient(lp, kernel.msgbus, kernel.cache, kernel.clock))
    return lp
