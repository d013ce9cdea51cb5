"""Puts the desk together: the same parts whether the engine is live on sockets or replaying a tape.

Everything here is given its clock, its ids and its ledger; nothing knows which of the two it runs in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from math import sqrt
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.trading.strategy import Strategy

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.external import ExternalOrders
from adapters.nautilus.safe import Fault, Safe
from adapters.nautilus.standing import AccountStanding
from desk.alerts import Alerts
from desk.api.desk_messages import HedgeCounts, RfqCounts, VenueHedges
from desk.api.events import Events
from desk.config.model import ContractSection, DeskConfig, InstrumentSection
from desk.errors import ConfigFault
from desk.hedging.board import HedgeBoard
from desk.hedging.internaliser import Internaliser
from desk.ids import IdSource
from desk.ledger import Ledger
from desk.ledger.records import LedgerCounts
from desk.market import BookChanged, Market, MarketActor
from desk.orders.actor import OrderDesk
from desk.references import BookReferences
from desk.repricing import Repricer
from desk.rfq.actor import Desk
from desk.rfq.records import RfqRecord
from desk.tca.actor import TcaActor
from desk.tca.memory import TcaMemory
from desk.view import StateView, text
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.cross import CrossBook
from pricing.scale import Scale
from risk.gate import Gate
from risk.state import RiskState
from router.algos.profile import VolumeProfile
from router.costs.decay import Decayed
from router.experience import Experience
from router.slippage.predictor import Predictor, model_of
from router.slippage.trees import ModelFault
from router.sor import SmartOrderRouter

SYNTHETIC_DECIMALS = 2  # of a synthetic book's prices beyond those of the instrument's tick


@dataclass(slots=True)
class DeskParts:
    """The desk, ready to be given to an engine: actors start in this order, the router is the one strategy."""

    market: Market
    market_actor: MarketActor
    desk: Desk
    orders: OrderDesk
    router: SmartOrderRouter
    ledger: Ledger
    gate: Gate
    board: HedgeBoard
    alerts: Alerts
    events: Events
    tca: TcaMemory
    volumes: dict[str, VolumeProfile]  # by symbol; filled in when the archive has been asked
    extra: list[Actor]

    @property
    def actors(self) -> list[Actor]:
        """Every actor of the desk."""
        return [self.market_actor, *self.extra, self.desk, self.orders]

    @property
    def strategies(self) -> list[Strategy]:
        """The one submitter."""
        return [self.router]


def build_desk(
    config: DeskConfig,
    *,
    ledger: Ledger,
    epoch: str,
    now_ns: Callable[[], int],
    archive: Callable[[], Mapping[str, Any]] = dict,
    extra: list[Actor] | None = None,
    tiers: Callable[[str], str] = lambda client_id: "standard",
    headline_prices: bool = True,
    accounts: Callable[[], list[AccountStanding]] = list,
) -> DeskParts:
    """Compose the desk. `epoch` must be new for this ledger (live) or come from the seed (replay); `extra` actors see every topic.

    `headline_prices`: keep prices at hand for screens and measure a tick's way to them; where there is no screen and time stands still
    between ticks (replay), neither is of use.
    """
    venues = [venue for venue in config.venues if venue.enabled]
    lps = [lp.lp for lp in config.lps if lp.enabled]
    market = _market(config)
    ids = IdSource(epoch)
    gate = Gate(config.risk, RiskState(), BookReferences(market), seed_id=f"d-{epoch}")
    alerts = Alerts(now_ns)
    board = HedgeBoard()
    rfqs = RfqCounts()
    events = Events()
    tca = TcaMemory(config.tca)
    safe: list[Safe] = []
    repricer = Repricer(config, market, ledger.position, {item.symbol: _headline(item) for item in config.instruments})
    market_actor = MarketActor(
        market,
        [(symbol, venue.venue) for venue in venues for symbol in config.venue_symbols(venue)],
        reprice=repricer.reprice if headline_prices else None,
        own_fees=frozenset(venue.venue for venue in venues if venue.taker_fee_bps is None and config.mode == "live"),
    )
    view = StateView(
        config,
        epoch=epoch,
        now_ns=now_ns,
        market=market,
        market_actor=market_actor,
        repricer=repricer,
        ledger=ledger,
        gate=gate,
        board=board,
        rfqs=rfqs,
        alerts=alerts,
        archive=archive,
        faults=lambda: sum(part.fault_count() for part in safe),
        tiers=tiers,
        tca=tca,
        accounts=accounts,
    )
    desk = Desk(
        config, market=market, ledger=ledger, gate=gate, ids=ids, events=events, view=view.state, alert=alerts.raise_
    )
    desk.pricer.markouts = tca.clients
    desk.pricer.filled = repricer.filled = lambda venue: _filled(tca.scorecards.card(venue).filled)
    orders = OrderDesk(config, desk=desk, market=market, ledger=ledger, gate=gate, ids=ids, events=events)
    internaliser = Internaliser(
        {item.symbol: item for item in config.instruments},
        position=ledger.position,
        fair=lambda symbol: market.fair(symbol, now_ns()),
        hedging=desk.hedger.hedging,
    )
    volumes: dict[str, VolumeProfile] = {}
    router = SmartOrderRouter(
        config.router,
        books=market.books,
        gate=gate,
        journal=ledger,
        lps=lps,
        epoch=epoch,
        seed=config.seed,
        profiles=volumes,
        volatility=lambda symbol: _sigma(market, symbol),
        own_shown=config.stage == "live",
        crossing=internaliser if config.orders.internalise else None,
        slippage=_slippage(config, market, alerts),
        experience=Experience(
            tca.scorecards,
            lambda symbol: market.volatility[symbol].sigma,
            config.router.slippage_latency_ms * 1_000_000,
        ),
    )
    alerts.listeners.append(events.alert)
    watcher = Bookkeeper(board, rfqs, alerts, ledger, market)
    costs = TcaActor(tca, market, ledger)
    safe += [
        part for part in (market_actor, watcher, costs, *(extra or []), desk, orders, router) if isinstance(part, Safe)
    ]
    return DeskParts(
        market=market,
        market_actor=market_actor,
        desk=desk,
        orders=orders,
        router=router,
        ledger=ledger,
        gate=gate,
        board=board,
        alerts=alerts,
        events=events,
        tca=tca,
        volumes=volumes,
        extra=[watcher, costs, *(extra or [])],
    )


def _sigma(market: Market, symbol: str) -> float | None:
    """What an algo may know of an instrument's volatility: nothing before there is a sample."""
    found = market.volatility.get(symbol)
    return found.sigma if found is not None and found.samples else None


def _slippage(config: DeskConfig, market: Market, alerts: Alerts) -> Predictor | None:
    """What the split expects to pay beyond the books, if the configuration wants it. Raises ConfigFault for a model that cannot be used."""
    section = config.router
    if not section.slippage_model:
        return None
    try:
        model = model_of(section.slippage_model)
    except ModelFault as fault:
        raise ConfigFault(f"router.slippage_model: {fault}") from fault
    return Predictor(
        model,
        latency_s=section.slippage_latency_ms / 1000,
        impact=float(section.slippage_impact),
        daily_volume=section.daily_volume,
        sigma=lambda symbol: market.volatility[symbol].sigma,
        say=lambda sentence: alerts.raise_("warning", sentence, "slippage"),
    )


def _filled(share: Decayed) -> tuple[float, float]:
    return share.mean, share.weight


class Bookkeeper(Safe, Actor):
    """Keeps the counts that the operator and the report see, and turns faults and lost books into alerts."""

    def __init__(self, board: HedgeBoard, rfqs: RfqCounts, alerts: Alerts, ledger: Ledger, market: Market) -> None:
        super().__init__()
        self._board = board
        self._rfqs = rfqs
        self._alerts = alerts
        self._ledger = ledger
        self._market = market
        self._standings: dict[str, AccountStanding] = {}  # by venue, as last told

    def on_start(self) -> None:
        """Continue the counts of earlier runs."""
        snapshot = self._ledger.load(self.clock.timestamp_ns())
        counts = snapshot.counts
        for state, number in counts.rfqs.items():
            setattr(self._rfqs, state, number)
        self._board.start(_hedges(counts), snapshot.open_parents)
        self._bus = Bus(self)
        self._bus.subscribe(topics.RFQ, self.on_rfq)
        self._bus.subscribe(topics.PARENT, self._board.on_parent)
        self._bus.subscribe(topics.CHILD, self._board.on_child)
        self._bus.subscribe(topics.FILL, self._board.on_fill)
        self._bus.subscribe(topics.FAULT, self.on_fault)
        self._bus.subscribe(topics.EXTERNAL, self.on_external)
        self._bus.subscribe(topics.STANDING, self.on_standing)
        self._market.on_lost.append(self.on_lost)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def on_rfq(self, record: RfqRecord) -> None:
        """Count each state once, as it is reached."""
        state = record.state.value
        if not (state == "quoted" and record.reason):
            setattr(self._rfqs, state, getattr(self._rfqs, state) + 1)

    def on_fault(self, fault: Fault) -> None:
        """A handler raised: a bug, contained."""
        self._alerts.raise_("critical", f"{fault.component}.{fault.handler}: {fault.error}", "fault")

    def on_external(self, message: ExternalOrders) -> None:
        """Somebody else trades on an account of ours."""
        for order in message.orders:
            price = "at market" if order.price is None else f"at {text(order.price)}"
            quantity = "" if order.quantity is None else f"{text(order.quantity)} "
            self._alerts.raise_(
                "warning",
                f"{order.venue}: order {order.venue_order_id} is not the desk's: {order.side} {quantity}{order.symbol} {price}",
                "external",
            )

    def on_standing(self, standing: AccountStanding) -> None:
        """An account was lost, takes no orders, or somebody else traded on it: said once, when it becomes so."""
        venue, before = standing.venue, self._standings.get(standing.venue)
        self._standings[venue] = standing
        if (more := standing.external_fills - (0 if before is None else before.external_fills)) > 0:
            what = "an execution" if more == 1 else f"{more} executions"
            self._alerts.raise_(
                "warning", f"{venue}: {what} on its account of orders that are not the desk's", "external"
            )
        if standing.refusing and (before is None or not before.refusing):
            self._alerts.raise_("critical", f"{venue} takes no orders of ours: {standing.refusing}", "account")
        elif before is not None and before.connected and not standing.connected:
            self._alerts.raise_("warning", f"{venue} account lost: {standing.reason}", "account")

    def on_lost(self, change: BookChanged) -> None:
        """A venue book was lost: say so, and why."""
        self._alerts.raise_("warning", f"{change.venue} {change.symbol} out of pricing: {change.reason}", "book")


def _market(config: DeskConfig) -> Market:
    """Every instrument's and contract's book, in the configuration's order; synthetic ones read those they are made of."""
    plain = {item.symbol: _book(config, item) for item in config.instruments if not item.synthetic}
    sigma: dict[str, Callable[[], float]] = {}
    books = [plain.get(item.symbol) or _cross_book(config, item, plain, sigma) for item in config.instruments]
    books += [_book(config, item) for item in config.contracts]
    market = Market(books, max_rate_age_ns=config.routes.max_rate_age_ms * 1_000_000, pegs=config.routes.pegs)
    sigma.update({symbol: partial(getattr, market.volatility[symbol], "sigma") for symbol in market.books})
    return market


def _book(config: DeskConfig, item: InstrumentSection | ContractSection) -> ConsolidatedBook:
    price_decimals = _decimals(item.price_tick)
    scale = Scale(item.symbol, price_decimals, item.book_size_decimals)
    return ConsolidatedBook(item.symbol, scale, _terms(config, item, scale))


def _cross_book(
    config: DeskConfig,
    item: InstrumentSection,
    plain: Mapping[str, ConsolidatedBook],
    sigma: Mapping[str, Callable[[], float]],
) -> CrossBook:
    """A synthetic instrument's book: prices finer than its tick, sizes those of its first leg."""
    first, second = (plain[leg] for leg in item.synthetic)
    scale = Scale(item.symbol, _decimals(item.price_tick) + SYNTHETIC_DECIMALS, first.scale.size_decimals)
    risk = config.routes.leg_risk_multiplier * sqrt(config.routes.leg_latency_ms / 1000)
    venues = _terms(config, item, Scale(item.symbol, _decimals(item.price_tick), item.book_size_decimals))
    return CrossBook(
        item.symbol, scale, venues, (first, second), load=lambda: risk * sigma[second.symbol]() if sigma else 0.0
    )


def _terms(config: DeskConfig, item: InstrumentSection | ContractSection, scale: Scale) -> list[VenueTerms]:
    """What the venues that list the instrument take, until they say so themselves."""
    return [
        VenueTerms(
            venue=venue.venue,
            taker_fee_bps=venue.assumed_fee_bps,
            tick=item.price_tick,
            lot=scale.size(1),
            min_quantity=scale.size(1),
            min_notional=Decimal(0),
            price_decimals=scale.price_decimals,
            size_decimals=scale.size_decimals,
            max_age_ns=venue.max_age_ms * 1_000_000,
            maker_fee_bps=venue.maker_fee_bps,
        )
        for venue in config.venues
        if venue.enabled and item.symbol in config.venue_symbols(venue)
    ]


def _decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _headline(item: InstrumentSection) -> list[Decimal]:
    """Sizes that are priced on every tick: from the smallest to a tenth of the largest that a client may ask for."""
    top = item.max_quantity / 10
    return [max(item.min_quantity, top * share / 100) for share in (1, 5, 20, 50, 100)]


def _hedges(counts: LedgerCounts) -> HedgeCounts:
    return HedgeCounts(
        parents=counts.parents,
        children=counts.children,
        fills=counts.fills,
        by_venue={
            venue: VenueHedges(
                children=item.children,
                fills=item.fills,
                rejects=item.rejects,
                quantity={currency: text(amount) for currency, amount in item.quantity.items()},
            )
            for venue, item in counts.by_venue.items()
        },
    )
