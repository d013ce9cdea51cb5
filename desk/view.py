"""Builds `DeskState`, the operator's view, from the parts of the desk. Reads only; called at the feed's rate, not per tick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from adapters.nautilus.standing import AccountStanding
from desk.alerts import Alerts
from desk.api.desk_messages import (
    AccountView,
    ArchiveView,
    BlotterRow,
    BookView,
    DepthView,
    DeskState,
    FlowView,
    HeadlineRung,
    InventoryView,
    LadderLevel,
    LadderView,
    Latency,
    LedgerView,
    LpView,
    PnlView,
    RfqCounts,
    RiskView,
)
from desk.config.model import DeskConfig
from desk.hedging.board import HedgeBoard
from desk.latency import Histogram
from desk.ledger import Ledger
from desk.market import Market, MarketActor
from desk.repricing import Repricer
from desk.rfq.records import RfqRecord
from desk.tca.memory import TcaMemory
from desk.tca.view import client_markouts, costs, scorecards
from pricing.cross import CrossBook
from pricing.skew import inventory_share, skew
from risk.gate import Gate

if TYPE_CHECKING:
    from desk.rfq.actor import Desk

LADDER_DEPTH = 12
IMBALANCE_LEVELS = 20
_BPS = Decimal(10_000)
_CENT_BP = Decimal("0.01")
_MS = 1_000_000


class StateView:
    """`state(desk)` is the whole picture at this moment."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        epoch: str,
        now_ns: Callable[[], int],
        market: Market,
        market_actor: MarketActor,
        repricer: Repricer,
        ledger: Ledger,
        gate: Gate,
        board: HedgeBoard,
        rfqs: RfqCounts,
        alerts: Alerts,
        archive: Callable[[], Mapping[str, Any]],
        faults: Callable[[], int],
        tiers: Callable[[str], str],
        tca: TcaMemory,
        accounts: Callable[[], list[AccountStanding]],
    ) -> None:
        self._config = config
        self._epoch = epoch
        self._now_ns = now_ns
        self._market = market
        self._market_actor = market_actor
        self._repricer = repricer
        self._ledger = ledger
        self._gate = gate
        self._board = board
        self._rfqs = rfqs
        self._alerts = alerts
        self._archive = archive
        self._faults = faults
        self._tca = tca
        self._tiers = tiers
        self._accounts = accounts

    def state(self, desk: Desk) -> DeskState:
        """Assemble the view."""
        now = self._now_ns()
        gate = self._gate
        return DeskState(
            epoch=self._epoch,
            mode=self._config.stage,
            ts_ns=now,
            trading=gate.state.trading.state.value,
            halt_reason=gate.state.trading.reason,
            books=self._books(now),
            lps=self._lps(now),
            rfqs=self._rfqs,
            trades=self._ledger.counts().trades,
            hedges=self._board.view(),
            ledger=LedgerView(imbalance={k: text(v) for k, v in sorted(self._ledger.imbalance().items())}),
            inventory=self._inventory(now),
            pnl=self._pnl(now),
            archive=ArchiveView(**self._archive()),
            latency_ns={
                "tick_to_price": _latency(self._market_actor.tick_to_price),
                "rfq_to_quote": _latency(desk.rfq_to_quote),
            },
            risk=RiskView(approved=gate.approved, refused=dict(sorted(gate.refused.items()))),
            faults=self._faults(),
            alerts=self._alerts.newest(30),
            ladders=[self._ladder(item.symbol, now) for item in self._config.instruments],
            blotter=[self._row(record) for record in list(reversed(desk.recent.values()))[:100]],
            parents=self._board.newest(25),
            scorecards=scorecards(self._tca, now),
            costs=costs(self._tca),
            client_markouts=client_markouts(self._tca),
            accounts=[AccountView(**msgspec.structs.asdict(account)) for account in self._accounts()],
        )

    def _books(self, now: int) -> list[BookView]:
        views = []
        for symbol, book in self._market.books.items():
            for part in book.explain_fair(now).venues:
                venue, best = part.venue, book.best(part.venue)
                views.append(
                    BookView(
                        venue=venue,
                        instrument=symbol,
                        status=book.status(venue, now).value,
                        reason=book.reason(venue),
                        age_ms=book.age_ns(venue, now) // _MS,
                        updates=book.updates(venue),
                        resyncs=book.resyncs(venue),
                        bid=text(best[0]) if best else None,
                        ask=text(best[1]) if best else None,
                        fair_weight=text(part.weight),
                        fair_verdict=part.verdict.name.lower(),
                        flow=self._flow(symbol, venue, now),
                        bids=self._depth(symbol, venue, 0),
                        asks=self._depth(symbol, venue, 1),
                    )
                )
        return views

    def _flow(self, symbol: str, venue: str, now: int) -> FlowView:
        reading = self._market.signals[(symbol, venue)].read(now)
        return FlowView(
            order_flow=f"{reading.order_flow:z.3f}",
            queue_imbalance=f"{reading.queue_imbalance:z.3f}",
            depth_imbalance=f"{self._market.books[symbol].depth_imbalance(venue, IMBALANCE_LEVELS):z.3f}",
            trade_flow=f"{reading.trade_flow:z.3f}",
            trade_concentration=f"{reading.trade_concentration:z.3f}",
            drift_bps=f"{reading.drift_bps:z.3f}",
            tick_volatility_bps_per_sqrt_s=f"{reading.sigma * 1e4:z.3f}",
        )

    def _depth(self, symbol: str, venue: str, side: int) -> DepthView:
        reading = self._market.concentration[symbol].read(venue, side)
        scale = self._market.books[symbol].scale
        return DepthView(
            hhi=f"{reading.hhi:.4f}",
            top_share=f"{reading.top_share:.3f}",
            wall=f"{reading.wall:.1f}",
            verdict=reading.verdict.name.lower(),
            wall_price=text(scale.price(reading.wall_ticks)) if reading.wall_ticks else None,
            haircut_ppm=reading.haircut_ppm,
        )

    def _lps(self, now: int) -> list[LpView]:
        views = []
        for section in self._config.lps:
            hedges = self._board.counts.by_venue.get(section.lp)
            for symbol in self._config.lp_symbols(section):
                ladder = self._market.ladders.get((symbol, section.lp))
                live = ladder is not None and bool(ladder.rungs)
                views.append(
                    LpView(
                        lp=section.lp,
                        instrument=symbol,
                        status="live" if live else "down",
                        age_ms=(now - ladder.ts_ns) // _MS if ladder else -1,
                        rungs=len(ladder.rungs) if ladder else 0,
                        quotes=hedges.children if hedges else 0,
                        fills=hedges.fills if hedges else 0,
                        rejects=hedges.rejects if hedges else 0,
                    )
                )
        return views

    def _inventory(self, now: int) -> dict[str, InventoryView]:
        positions = self._ledger.positions()
        views = {}
        for instrument in self._config.instruments:
            band = self._config.hedging.bands.get(instrument.base)
            position = positions.get(instrument.base, Decimal(0))
            hard = band.hard if band else Decimal(0)
            shift = skew(
                self._config.pricing,
                share=inventory_share(position, hard),
                sigma=self._market.volatility[instrument.symbol].sigma,
                tier="standard",
            )
            views[instrument.base] = InventoryView(
                position=text(position),
                soft_band=text(band.soft if band else Decimal(0)),
                band=text(hard),
                skew_bps=text(Decimal(shift.centre).quantize(_CENT_BP)),
            )
        return views

    def _pnl(self, now: int) -> PnlView:
        parts = self._ledger.pnl(self._market.marks(self._config.base_currency, now))
        cent = Decimal("0.0001")
        return PnlView(
            currency=self._config.base_currency,
            total=text(parts.total.quantize(cent)),
            spread=text(parts.spread.quantize(cent)),
            skew=text(parts.skew.quantize(cent)),
            hedge=text(parts.hedge.quantize(cent)),
            inventory=text(parts.inventory.quantize(cent)),
            fees=text(parts.fees.quantize(cent)),
        )

    def _ladder(self, symbol: str, now: int) -> LadderView:
        book = self._market.books[symbol]
        if isinstance(book, CrossBook):  # its legs' ticks do not reprice it
            self._repricer.reprice(symbol, now)
        bids, asks = book.ladder(LADDER_DEPTH, now)
        fair, volatility = book.fair(now), self._market.volatility[symbol]
        return LadderView(
            instrument=symbol,
            fair=text(fair) if fair is not None else None,
            volatility_bps_per_sqrt_s=f"{volatility.sigma * 1e4:.3f}",
            noise_bps=f"{volatility.noise_bps:.3f}",
            jump_share=f"{volatility.jump_share:.3f}",
            bids=[_level("bid", row) for row in bids],
            asks=[_level("ask", row) for row in asks],
            headline=[
                HeadlineRung(
                    quantity=text(size),
                    bid=None if bid is None else text(bid),
                    ask=None if ask is None else text(ask),
                )
                for size, bid, ask in self._repricer.headline(symbol)
            ],
        )

    def _row(self, record: RfqRecord) -> BlotterRow:
        by_side = {quote.side: quote for quote in record.quotes}
        ask, bid = by_side.get("buy"), by_side.get("sell")
        one = ask or bid
        edge = skew = None
        if one is not None and one.fair:
            sign = 1 if one.side == "buy" else -1
            edge = text(((one.price - one.fair) * sign / one.fair * _BPS).quantize(_CENT_BP))
            step = next((item.amount for item in one.waterfall if item.step == "skew"), Decimal(0))
            skew = text((step / one.fair * _BPS).quantize(_CENT_BP))
        return BlotterRow(
            rfq_id=record.rfq_id,
            client_id=record.client_id,
            tier=self._tiers(record.client_id),
            instrument=record.symbol,
            side=record.side,
            quantity=text(record.quantity),
            currency=record.currency,
            state=record.state.value,
            bid=text(bid.price) if bid else None,
            ask=text(ask.price) if ask else None,
            fair=text(one.fair) if one else None,
            edge_bps=edge,
            skew_bps=skew,
            valid_until_ns=max((quote.valid_until_ns for quote in record.quotes), default=0),
            created_ns=record.created_ns,
            updated_ns=record.updated_ns,
            reason=record.reason,
        )


def text(value: Decimal) -> str:
    """A decimal as the API writes it: no exponent, no trailing zeros, no minus before zero."""
    plain = f"{value.normalize():f}"
    return "0" if plain in ("-0", "") else plain


def _latency(histogram: Histogram) -> Latency:
    return Latency(p50=histogram.percentile(0.5), p99=histogram.percentile(0.99), n=histogram.n)


def _level(side: str, row: Any) -> LadderLevel:
    return LadderLevel(
        side=side,  # type: ignore[arg-type]
        price=text(row.price),
        all_in=text(row.all_in),
        quantity=text(row.size),
        venue=row.venue,
    )
