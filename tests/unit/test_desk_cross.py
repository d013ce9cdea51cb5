"""A pair that no venue lists: configured, priced through its legs, skewed and limited by both currencies, hedged by two legs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from desk.compose import _market
from desk.config.model import Band, DeskConfig, HedgingSection, InstrumentSection, RoutesSection, VenueSection
from desk.hedging.choice import LiveRoutes
from desk.hedging.exposure import pair_inventory
from desk.hedging.hedger import Hedger, homes
from desk.ids import IdSource
from desk.market import Market
from desk.rfq.pricer import Pricer
from pricing.ladder import NoPrice, NoPriceReason, Priced
from risk.decision import Approved, Intent, Refused, Stage
from risk.gate import Gate
from risk.limits import RiskLimits
from risk.state import RiskState
from router.messages import ParentRequest
from router.orders import ParentOrder, ParentState
from router.routes.choice import RouteChoice, RouteKind

NOW = 5_000_000_000
BANDS = {"ETH": Band(soft=Decimal(5), hard=Decimal(100)), "BTC": Band(soft=Decimal("0.3"), hard=Decimal(5))}
BTC = InstrumentSection(symbol="BTC/USDT")
ETH = InstrumentSection(symbol="ETH/USDT")
CROSS = InstrumentSection(
    symbol="ETH/BTC",
    price_tick=Decimal("0.000001"),
    synthetic=("ETH/USDT", "BTC/USDT"),
    direct=False,
    quote_precision=8,
)


def config(*instruments: InstrumentSection, **more: Any) -> DeskConfig:
    return DeskConfig(
        instruments=instruments or (CROSS, BTC, ETH),
        venues=(VenueSection(venue="BINANCE", exchange="binance", taker_fee_bps=Decimal(2)),),
        hedging=HedgingSection(bands=BANDS),
        **more,
    )


def fill_books(market: Market, tops: dict[str, tuple[str, str]], lots: int = 10**10) -> None:
    for symbol, (bid, ask) in tops.items():
        book = market.books[symbol]
        unit = 10**book.scale.price_decimals
        rows = [[1, int(Decimal(bid) * unit), lots], [-1, int(Decimal(ask) * unit), lots]]
        book.apply("BINANCE", np.array(rows, dtype=np.int64), True, NOW)


TOPS = {"BTC/USDT": ("60000.00", "60000.01"), "ETH/USDT": ("2600.00", "2600.01")}


# ---- configuration -------------------------------------------------------------------------------------------------------


def test_venues_and_lps_do_not_list_what_is_only_synthetic() -> None:
    made = config()
    assert made.direct_symbols == ("BTC/USDT", "ETH/USDT")
    assert made.venue_symbols(made.venues[0]) == ("BTC/USDT", "ETH/USDT")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"synthetic": ("ETH/USDT",)}, "takes two"),
        ({"synthetic": ()}, "neither venues"),
        ({"synthetic": ("BTC/USDT", "ETH/USDT")}, "do not make"),
        ({"synthetic": ("ETH/USDC", "BTC/USDC")}, "must be an instrument"),
    ],
)
def test_legs_that_cannot_make_the_pair_are_a_fault_of_the_file(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        config(BTC, ETH, msgspec.structs.replace(CROSS, **change))


def test_a_venue_cannot_list_what_is_not_direct_and_a_peg_needs_a_book() -> None:
    venue = VenueSection(venue="BINANCE", exchange="binance", symbols=("ETH/BTC",))
    with pytest.raises(ValueError, match="ETH/BTC is traded at a venue or LP, but not direct"):
        DeskConfig(instruments=(CROSS, BTC, ETH), venues=(venue,))
    with pytest.raises(ValueError, match="USDC/USDT, a peg"):
        config(routes=RoutesSection(pegs={"USDC/USDT": Decimal(30)}))


# ---- price ---------------------------------------------------------------------------------------------------------------


def _price(
    made: DeskConfig, market: Market, side: str, positions: dict[str, Decimal] | None = None
) -> Priced | NoPrice:
    pricer = Pricer(made, market, IdSource("e"), lambda currency: (positions or {}).get(currency, Decimal(0)))
    return pricer.price(CROSS, side, base=Decimal(10), ttl_ms=2_000, tier="standard", now_ns=NOW)


def test_a_cross_is_priced_from_its_legs_and_says_so() -> None:
    made = config()
    market = _market(made)
    assert isinstance(_price(made, market, "buy"), NoPrice)  # no book yet
    fill_books(market, TOPS)
    ask, bid = _price(made, market, "buy"), _price(made, market, "sell")
    assert isinstance(ask, Priced) and isinstance(bid, Priced)
    assert ask.sources == bid.sources == ("ETH/USDT+BTC/USDT",)
    fair = Decimal("2600.005") / Decimal("60000.005")
    assert abs(ask.fair / fair - 1) < Decimal("1e-5")
    sweep = dict(ask.waterfall)["sweep"] / ask.fair * 10_000
    assert Decimal("4.0") < sweep < Decimal("4.1")  # two fees of 2 bps and hardly any spread
    assert ask.fair + sum(amount for _, amount in ask.waterfall) == ask.price
    assert bid.price < fair < ask.price
    assert market.marks("USDT", NOW)["ETH"] == Decimal("2600.005")  # not its price in BTC


def test_the_skew_of_a_cross_counts_both_currencies() -> None:
    made = config()
    market = _market(made)
    fill_books(market, TOPS)

    def skew(positions: dict[str, Decimal]) -> Decimal:
        priced = _price(made, market, "buy", positions)
        assert isinstance(priced, Priced)
        return dict(priced.waterfall)["skew"]

    assert skew({}) == 0
    assert skew({"ETH": Decimal(50)}) < 0 < skew({"BTC": Decimal("2.5")})  # long BTC: ETH/BTC bids BTC away
    assert skew({"ETH": Decimal(50), "BTC": Decimal("2.5")}) == 0
    assert pair_inventory(ETH, BANDS, lambda _: Decimal(7)) == 7  # USDT has no band


def test_a_coin_off_its_peg_stops_the_pairs_priced_through_it() -> None:
    peg = InstrumentSection(symbol="USDC/USDT", price_tick=Decimal("0.0001"))
    made = config(CROSS, BTC, ETH, peg, routes=RoutesSection(pegs={"USDC/USDT": Decimal(30)}))
    market = _market(made)
    fill_books(market, TOPS | {"USDC/USDT": ("0.9990", "0.9992")})
    assert isinstance(_price(made, market, "buy"), Priced)
    fill_books(market, {"USDC/USDT": ("0.9500", "0.9502")})
    refused = _price(made, market, "buy")
    assert isinstance(refused, NoPrice) and refused.reason is NoPriceReason.DEPEG


# ---- limits --------------------------------------------------------------------------------------------------------------


class _References:
    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        return Decimal("0.05")

    def book_age_ns(self, symbol: str, venue: str, now_ns: int) -> int | None:
        return 0


def _quote(gate: Gate, name: str, side: str, quantity: str) -> Approved | Refused:
    return gate.decide(
        Intent(
            stage=Stage.QUOTE,
            intent_id=name,
            quote_id=name,
            valid_until_ns=NOW + 10**10,
            symbol="ETH/BTC",
            side=side,
            quantity=Decimal(quantity),
            price=Decimal("0.05"),
            now_ns=NOW,
            client_id="alpha",
        )
    )


def test_the_quote_currency_of_a_cross_keeps_to_its_own_position_limit() -> None:
    limits = RiskLimits(max_position={"ETH": Decimal(1_000), "BTC": Decimal(2)})
    gate = Gate(limits, RiskState(), _References(), seed_id="d")
    gate.state.set_position("BTC", Decimal("1.2"))
    assert isinstance(_quote(gate, "a", "buy", "10"), Approved)  # +0.5 BTC for the desk
    refused = _quote(gate, "b", "buy", "10")
    assert isinstance(refused, Refused) and refused.check == "position" and "2.20 BTC" in refused.message
    assert isinstance(_quote(gate, "c", "sell", "10"), Approved)
    gate.release("a", stage=Stage.QUOTE)
    assert isinstance(_quote(gate, "d", "buy", "10"), Approved)


# ---- hedge ---------------------------------------------------------------------------------------------------------------


class Bench:
    """A hedger whose surroundings are tables."""

    def __init__(
        self, choice: RouteChoice | None = None, instruments: tuple[InstrumentSection, ...] = (CROSS, BTC, ETH)
    ) -> None:
        self.positions: dict[str, Decimal] = {}
        self.fairs = {"BTC/USDT": Decimal(60_000), "ETH/USDT": Decimal(2_600), "ETH/BTC": Decimal("0.0433")}
        self.sent: list[ParentRequest] = []
        self.later: list[tuple[int, str]] = []
        self.asked: list[tuple[str, str, Decimal]] = []
        self.choice = choice
        self.filled: dict[str, Decimal] = {}
        self.hedger = Hedger(
            HedgingSection(bands=BANDS),
            list(instruments),
            IdSource("e"),
            position=lambda currency: self.positions.get(currency, Decimal(0)),
            fair=self.fairs.get,
            send=self.sent.append,
            later=lambda delay, symbol: self.later.append((delay, symbol)),
            now_ns=lambda: NOW,
            alert=lambda severity, message: None,
            routes=self.choose,
        )

    def choose(self, symbol: str, side: str, quantity: Decimal) -> RouteChoice | None:
        self.asked.append((symbol, side, quantity))
        return self.choice

    def report(
        self, request: ParentRequest, filled: Decimal, price: Decimal, state: ParentState = ParentState.DONE
    ) -> None:
        """A parent's report: `filled` in all, at `price`; the ledger has booked it."""
        sign = 1 if request.side == "buy" else -1
        new = sign * (filled - self.filled.get(request.parent_id, Decimal(0)))
        self.filled[request.parent_id] = filled
        base, quote = request.symbol.split("/")
        self.positions[base] = self.positions.get(base, Decimal(0)) + new
        self.positions[quote] = self.positions.get(quote, Decimal(0)) - new * price
        self.hedger.on_parent(
            ParentOrder(
                parent_id=request.parent_id,
                symbol=request.symbol,
                side=request.side,
                quantity=request.quantity,
                limit_price=request.limit_price,
                deadline_ns=request.deadline_ns,
                reason=request.reason,
                route_id=request.route_id,
                route_reason=request.route_reason,
                state=state,
                filled=filled,
                notional=filled * price,
            )
        )


def test_each_currency_is_hedged_at_home_against_the_report_currency() -> None:
    assert homes([CROSS, ETH, BTC], "USDT") == {"ETH": "ETH/USDT", "BTC": "BTC/USDT"}
    listed = msgspec.structs.replace(CROSS, direct=True)
    assert homes([listed, ETH], "USDT")["ETH"] == "ETH/USDT"
    assert homes([listed], "USDT")["ETH"] == "ETH/BTC"


def test_a_trade_in_a_cross_is_hedged_by_two_legs_of_one_route() -> None:
    bench = Bench()
    bench.positions = {"ETH": Decimal(-20), "BTC": Decimal("0.87")}
    bench.hedger.check("ETH/BTC")
    bench.hedger.check("ETH/BTC")
    assert [(item.symbol, item.side, item.quantity) for item in bench.sent] == [
        ("ETH/USDT", "buy", Decimal("17.5")),
        ("BTC/USDT", "sell", Decimal("0.72")),
    ]
    assert len({item.route_id for item in bench.sent}) == 1 and bench.sent[0].route_id
    assert bench.sent[0].route_reason == "ETH/USDT and BTC/USDT: the two legs of ETH/BTC"
    for item in list(bench.sent):
        bench.report(item, item.quantity, bench.fairs[item.symbol])
    bench.hedger.check("ETH/BTC")
    assert len(bench.sent) == 2 and bench.positions["ETH"] == Decimal("-2.5")


def test_one_currency_out_of_its_band_is_one_leg_without_a_route() -> None:
    bench = Bench()
    bench.positions = {"ETH": Decimal(-20), "BTC": Decimal("0.1")}
    bench.hedger.check("ETH/BTC")
    assert [(item.symbol, item.route_id) for item in bench.sent] == [("ETH/USDT", "")]


def _choice(market: Market, made: DeskConfig, quantity: str) -> RouteChoice:
    choice = LiveRoutes(made, market, lambda: NOW).choose("ETH/USDT", "buy", Decimal(quantity))
    assert choice is not None
    return choice


LISTED = InstrumentSection(symbol="ETH/BTC", price_tick=Decimal("0.000001"))


def test_the_second_leg_follows_for_exactly_what_the_first_one_moved() -> None:
    made = config(BTC, ETH, LISTED)
    market = _market(made)
    fill_books(
        market, {"BTC/USDT": TOPS["BTC/USDT"], "ETH/USDT": ("2600.00", "2610.00"), "ETH/BTC": ("0.043330", "0.043331")}
    )
    choice = _choice(market, made, "17.5")
    assert choice.chosen is not None and choice.chosen.kind is RouteKind.SYNTHETIC
    bench = Bench(choice, (BTC, ETH, LISTED))
    bench.positions = {"ETH": Decimal(-20)}
    bench.hedger.check("ETH/USDT")
    first = bench.sent[0]
    assert (first.symbol, first.side, first.quantity) == ("ETH/BTC", "buy", Decimal("17.5"))
    assert first.route_reason == choice.reason and "less than direct ETH/USDT" in first.route_reason
    bench.report(first, Decimal(10), Decimal("0.04333"), ParentState.WORKING)
    bench.hedger.check("BTC/USDT")  # BTC is short 0.43, beyond its band, but a leg that gives it back is to come
    assert len(bench.sent) == 1
    bench.report(first, Decimal(15), Decimal("0.04333"))  # not all of it: the second leg is smaller, not wrong
    second = bench.sent[1]
    assert (second.symbol, second.side, second.quantity) == ("BTC/USDT", "buy", Decimal("0.64995000"))
    assert second.route_id == first.route_id != ""
    bench.report(second, second.quantity, Decimal(60_000))
    assert bench.positions["BTC"] == 0
    assert bench.later[-1] == (0, "BTC/USDT")


def test_home_is_left_only_for_what_a_second_leg_is_worth() -> None:
    made = config(BTC, ETH, LISTED)
    market = _market(made)
    fill_books(
        market, {"BTC/USDT": TOPS["BTC/USDT"], "ETH/USDT": ("2600.00", "2601.40"), "ETH/BTC": ("0.043346", "0.043347")}
    )
    kept = _choice(market, made, "5")
    assert kept.chosen is not None and kept.chosen.kind is RouteKind.DIRECT
    assert "would save 0.2" in kept.reason and "less than the 0.5 a second leg must be worth" in kept.reason
    free = _choice(market, msgspec.structs.replace(made, routes=RoutesSection(min_saving_bps=Decimal(0))), "5")
    assert free.chosen is not None and free.chosen.kind is RouteKind.SYNTHETIC


def test_without_a_triangle_there_is_nothing_to_choose() -> None:
    made = config()
    assert LiveRoutes(made, _market(made), lambda: NOW).choose("ETH/USDT", "buy", Decimal(1)) is None
    bench = Bench(None)
    bench.positions = {"BTC": Decimal(3)}
    bench.hedger.check("BTC/USDT")
    assert bench.asked and bench.sent[0].symbol == "BTC/USDT" and bench.sent[0].route_id == ""


def test_two_hedges_found_working_after_a_restart_are_both_remembered() -> None:
    bench = Bench()
    for number, (symbol, side) in enumerate((("BTC/USDT", "sell"), ("BTC/USDT", "buy"))):
        bench.hedger.adopt(
            ParentOrder(
                parent_id=f"p{number}",
                symbol=symbol,
                side=side,
                quantity=Decimal(number + 1),
                limit_price=None,
                deadline_ns=0,
                reason="hedge",
            )
        )
    assert bench.hedger.pending("BTC") == 1
    bench.positions = {"BTC": Decimal(3)}
    bench.hedger.check("BTC/USDT")
    assert bench.sent == []
