"""`kerb price` and the desk: the same books and parameters, the same prices and waterfalls; and what the desk streams is a ladder."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.clickhouse.rows import quote_row
from adapters.nautilus.lp import LpLadder, LpRung
from desk.api.convert import build_of
from desk.compose import _market
from desk.config.model import Band, DeskConfig, HedgingSection, InstrumentSection, VenueSection
from desk.ids import IdSource
from desk.ledger import Ledger
from desk.repricing import Repricer
from desk.rfq.booking import trade_of
from desk.rfq.pricer import CreditUse, Pricer
from pricing.cli import price
from pricing.ladder import NoPrice, Priced
from pricing.parameters import PricingParameters, SizeBucket
from pricing.waterfall import STEPS
from pricing.winning import WinCurve, WinModel
from risk.limits import RiskLimits
from risk.state import RiskState
from tests.oracles import ledger_records as make

NOW = 5_000_000_000
D = Decimal
ITEM = InstrumentSection(symbol="BTC/USDT")
TTL_MS = 1_500


class Desk:
    """A market drawn by chance, the desk's own pricer over it, and the request that says the same to `kerb price`."""

    def __init__(self, r: Random) -> None:
        venues = ("BINANCE", "KRAKEN", "THIRD")[: r.randint(1, 3)]
        self.config = DeskConfig(
            instruments=(ITEM,),
            venues=tuple(
                VenueSection(
                    venue=venue,
                    exchange="kraken" if venue == "KRAKEN" else "binance",
                    taker_fee_bps=Decimal(r.randint(-50, 1000)) / 100,
                )
                for venue in venues
            ),
            hedging=HedgingSection(bands={"BTC": Band(soft=Decimal(1), hard=Decimal(10))}),
            pricing=PricingParameters(
                fill_ratio=r.choice((1.0, 0.9, 0.4)),
                impact_bps=Decimal(r.randint(0, 40)) / 10,
                skew_model=r.choice(("linear", "glft", "bbg")),
                min_spread_bps=Decimal(r.randint(0, 100)) / 10,
                min_ticket=Decimal(r.choice((0, 0, 5))),
                size_buckets=r.choice(((), (SizeBucket(notional=Decimal(90_000), multiplier=Decimal("0.4")),))),
                settlement_days=r.choice((0.0, 1.0)),
                max_deviation_bps=Decimal(r.choice((1500, 20))),
            ),
        )
        self.market, self.position = _market(self.config), Decimal(r.randint(-120, 120)) / 10
        self.tier = r.choice(("standard", "gold", "nobody"))
        book = self.market.books[ITEM.symbol]
        self.wires: list[dict[str, Any]] = []
        for venue in self.config.venues:
            mid, wire, rows = 6_000_000 + r.randint(-900, 900), {"asks": [], "bids": []}, []
            for side, name in ((1, "bids"), (-1, "asks")):
                at = mid - side * r.randint(1, 300)
                for _ in range(r.randint(1, 12)):
                    size = r.choice((r.randint(1, 10**9), 10**8))
                    rows.append((side, at, size))
                    wire[name].append([f"{Decimal(at).scaleb(-2):f}", f"{Decimal(size).scaleb(-8):f}"])
                    at -= side * r.randint(1, 400)
            book.apply(venue.venue, np.array(rows, dtype=np.int64), True, NOW)
            self.wires.append({"venue": venue.venue, "taker_fee_bps": f"{venue.taker_fee_bps:f}", **wire})
        self.quotes: list[dict[str, Any]] = []
        for lp in "XY"[: r.randint(0, 2)]:
            rungs = tuple(
                LpRung(Decimal(size) / 2, *(Decimal(6_000_000 - s * r.randint(0, 900)).scaleb(-2) for s in (1, -1)))
                for size in r.sample(range(1, 20), 2)
            )
            self.market.ladders[(ITEM.symbol, lp)] = LpLadder(lp=lp, symbol=ITEM.symbol, rungs=rungs, ts_ns=NOW)
            for rung in rungs:
                for side, told in (("buy", rung.ask), ("sell", rung.bid)):
                    self.quotes.append(
                        {"lp": lp, "quote_id": f"{side} {rung.quantity}", "side": side}
                        | {"price": f"{told:f}", "quantity": f"{rung.quantity:f}"}
                    )
        for i in range(r.choice((0, 80))):  # a market that moved, or one just opened
            self.market.volatility[ITEM.symbol].update(NOW + i * 10**8, 60_000 + r.uniform(-9, 9))
        credit = CreditUse(RiskLimits(), RiskState())
        self.pricer = Pricer(self.config, self.market, IdSource("e"), self.held, credit)

    def held(self, currency: str) -> Decimal:
        return self.position if currency == "BTC" else Decimal(0)

    def told(self, sizes: list[Decimal], currency: str) -> dict[str, Any]:
        """What `kerb price` answers."""
        request = {
            "instrument": ITEM.symbol,
            "tick": f"{ITEM.price_tick:f}",
            "side": "two_way",
            "quantities": [f"{size:f}" for size in sizes],
            "currency": currency,
            "ttl_ms": TTL_MS,
            "volatility_per_sqrt_s": f"{self.market.volatility[ITEM.symbol].sigma:.18f}",
            "inventory": f"{self.position:f}",
            "band": "10",
            "client": {"tier": self.tier},
            "venues": self.wires,
            "quotes": self.quotes,
        }
        result = CliRunner().invoke(
            price, ["--request", "-"], input=json.dumps(request), obj=lambda *_: self.config.pricing
        )
        assert result.exit_code == 0, result.stderr
        return dict(json.loads(result.stdout))

    def asked(
        self, side: str, size: Decimal, currency: str, bound: Decimal | None, room: Decimal | None = None
    ) -> Priced | NoPrice:
        """What the desk's pricer answers."""
        return self.pricer.price(
            ITEM,
            side,
            base=size if currency == "BTC" else None,
            amount=size if currency == "USDT" else None,
            ttl_ms=TTL_MS,
            tier=self.tier,
            now_ns=NOW,
            bound=bound,
            room=room,
        )


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_a_quote_names_the_books_it_counts_on_and_how_they_stood(seed: int) -> None:
    desk = Desk(Random(seed))
    later = NOW + 3_000_000_000
    desk.market.books[ITEM.symbol].touch("BINANCE", later - 7_000_000)  # the others are three seconds old
    for size in (D("0.1"), D(4)):
        priced = desk.asked("buy", size, "BTC", None)
        if isinstance(priced, NoPrice):
            continue
        quote = desk.pricer.record(
            priced, instrument=ITEM, rfq_id="r", client_id="c", ttl_ms=TTL_MS, now_ns=later, tier=desk.tier
        )
        assert tuple(source.name for source in quote.sources) == priced.sources
        for source in quote.sources:
            of_lp = source.name in "XY"
            assert source.status == ("streamed" if of_lp else "live")
            assert source.age_ns == (7_000_000 if source.name == "BINANCE" else 3_000_000_000)
    desk.market.books[ITEM.symbol].clear("BINANCE", "gap", later)
    priced = desk.asked("sell", D("0.1"), "BTC", None)
    assert isinstance(priced, NoPrice) or "BINANCE" not in priced.sources


def test_the_steps_are_kept_and_shown_wherever_a_quote_goes(tmp_path: Path) -> None:
    """Ledger, archive and the operator's view: all eight, in the contract's order, to the last digit, with their inputs."""
    contract = Path(__file__).parents[2] / "docs" / "contract.md"
    listed = re.search(r"zero when it does not apply: `([^`]*)`", contract.read_text())
    assert listed is not None and tuple(listed[1].split(", ")) == STEPS
    desk = Desk(Random(11))
    quotes = desk.pricer.ladder(ITEM, [D("0.3"), D(2)], client_id="c", ttl_ms=TTL_MS, tier="gold", now_ns=NOW)
    assert quotes
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    request = msgspec.structs.replace(make.rfq(1, quotes=tuple(quotes)), symbol=ITEM.symbol)
    ledger.save_quotes(request, quotes)
    ledger.save_rfq(request)
    assert ledger.flush()
    kept = ledger.rfq(request.rfq_id)
    assert kept is not None and ledger.close()
    build = build_of(kept)
    for quote, again, told in zip(quotes, kept.quotes, build.quotes, strict=True):
        assert again.sources == quote.sources != ()
        assert [(seen.name, seen.status) for seen in told.sources] == [(one.name, one.status) for one in quote.sources]
        assert again.waterfall == quote.waterfall and [step.step for step in again.waterfall] == list(STEPS)
        assert [(step.step, D(step.amount), step.inputs) for step in told.steps] == [
            (step.step, step.amount, step.inputs) for step in quote.waterfall
        ]
        assert D(told.fair) + sum(D(step.amount) for step in told.steps) == D(told.price) == quote.price
        row = quote_row(quote)
        assert row[9] == list(STEPS) and D(row[8]) + sum(D(amount) for amount in row[10]) == D(row[5])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_headline_is_what_a_standard_client_would_be_quoted_on_books_alone(seed: int) -> None:
    r = Random(seed)
    with TemporaryDirectory() as folder:
        curve = WinCurve(tier="standard", intercept=1.0, distance=-r.uniform(0.05, 2), size=-0.1, n=90, won=40)
        file = Path(folder) / "win.json"
        file.write_bytes(msgspec.json.encode(WinModel(curves=(curve,))))
        desk = Desk(r)
        desk.market.ladders.clear()
        pricing = {"tune_markup": r.random() < 0.7, "win_model": str(file), "ttl_ms": TTL_MS}
        desk.config = msgspec.structs.replace(
            desk.config, pricing=msgspec.structs.replace(desk.config.pricing, **pricing)
        )
        sizes = drawn(r)
        repricer = Repricer(desk.config, desk.market, desk.held, {ITEM.symbol: sizes})
        desk.pricer, desk.tier = Pricer(desk.config, desk.market, IdSource("e"), desk.held), "standard"
    repricer.reprice(ITEM.symbol, NOW)
    most = desk.config.risk.max_position["BTC"]
    for side, at, room in (("sell", 1, most - desk.position), ("buy", 2, most + desk.position)):
        bound = None
        for size, row in zip(sizes, repricer.headline(ITEM.symbol), strict=True):
            priced = desk.asked(side, size, "BTC", bound, max(room, D(0)))
            assert row[at] == (priced.price if isinstance(priced, Priced) else None), (side, size)
            bound = priced.bare if isinstance(priced, Priced) else bound


def drawn(r: Random) -> list[Decimal]:
    return [Decimal(unit).scaleb(-4) for unit in sorted(r.sample(range(1, 200_000), r.randint(1, 6)))]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), currency=st.sampled_from(("BTC", "USDT")))
def test_the_command_and_the_desk_make_the_same_prices(seed: int, currency: str) -> None:
    r = Random(seed)
    desk = Desk(r)
    sizes = [size if currency == "BTC" else (size * 50_000).quantize(Decimal("0.01")) for size in drawn(r)]
    told = desk.told(sizes, currency)
    for side, name in (("buy", "ask"), ("sell", "bid")):
        bound = None
        for size, rung in zip(sizes, told["rungs"], strict=True):
            priced = desk.asked(side, size, currency, bound)
            if isinstance(priced, NoPrice):
                assert rung[name] is None and rung["reasons"][name] == priced.message
                continue
            bound = priced.bare
            assert Decimal(rung[name]) == priced.price and Decimal(told["fair"]) == priced.fair
            steps = [(step["step"], Decimal(step["amount"])) for step in rung["waterfall"][name]]
            assert steps == list(priced.waterfall) and [step for step, _ in steps] == list(STEPS)
            if currency == "USDT":
                assert Decimal(rung["base"][name]) == priced.quantity


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_the_desk_streams_is_a_ladder_and_adds_up(seed: int) -> None:
    """Whatever order the sizes are asked in and whatever LPs offer: monotone, uncrossed, inside collar and hard band, amounts against
    the client."""
    r = Random(seed)
    desk = Desk(r)
    desk.config = msgspec.structs.replace(
        desk.config, pricing=msgspec.structs.replace(desk.config.pricing, min_ticket=Decimal(0))
    )
    desk.pricer = Pricer(desk.config, desk.market, IdSource("e"), desk.held, CreditUse(RiskLimits(), RiskState()))
    sizes = drawn(r)
    r.shuffle(sizes)
    item = msgspec.structs.replace(ITEM, quote_precision=2)
    quotes = desk.pricer.ladder(item, sizes, client_id="c", ttl_ms=TTL_MS, tier=desk.tier, now_ns=NOW)
    unit = D("0.01")
    for quote in quotes:
        sign = 1 if quote.side == "buy" else -1
        assert [step.step for step in quote.waterfall] == list(STEPS) and all(step.inputs for step in quote.waterfall)
        assert quote.fair + sum(step.amount for step in quote.waterfall) == quote.price
        assert 0 <= sign * (quote.amount - quote.price * quote.quantity) < unit and not quote.amount % unit
        part = (quote.quantity * D("0.37")).quantize(D("0.00000001"))
        taken = trade_of(quote, part, trade_id="t", client_order_id="o", instrument=item, now_ns=NOW)
        assert 0 <= sign * (taken.amount - quote.price * part) < unit and not taken.amount % unit
        assert abs(quote.price - quote.fair) <= quote.fair * desk.config.pricing.max_deviation_bps / 10_000
    prices = {
        side: [quote.price for quote in sorted(quotes, key=lambda q: q.quantity) if quote.side == side]
        for side in ("buy", "sell")
    }
    assert prices["buy"] == sorted(prices["buy"]) and prices["sell"] == sorted(prices["sell"], reverse=True)
    if prices["buy"] and prices["sell"]:
        least = quotes[0].fair * desk.config.pricing.min_spread_bps / 10_000
        assert prices["buy"][0] - prices["sell"][0] >= max(least - Decimal("1e-8"), Decimal(0))
        assert prices["buy"][0] > prices["sell"][0] or not least
