"""Studies and slippage examples on a tape: the same orders for every policy, the same features live and relived, a market that answers."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick
from nautilus_trader.model.objects import FIXED_PRECISION

from adapters.nautilus.book import BookDeltas, levels_of
from desk.market import Market
from router.orders import ChildOrder, ChildState
from router.slippage.features import FEATURES
from router.slippage.trees import load
from sim.learn.cli import learn
from sim.learn.examples import Watcher, collected
from sim.learn.relive import Listing, Lived, Message, Top, relive
from sim.replay.command import Replay, prepare
from sim.replay.fade import FadeParams
from sim.studies.cli import study
from sim.studies.parents import Outcome, ScriptedParent, run_parents, script_parents, sizes_of, wide
from tests.replay.tape_maker import tape_lines, write_tape

REAL = Path(os.environ.get("KERB_REAL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RECORDED = REAL / "tapes" / "spot_btcusdt_20240808.gz"
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tape(tmp_path_factory.mktemp("tapes") / "tape.gz", tape_lines(seconds=40))


@pytest.fixture(scope="module")
def job(tape: Path) -> Replay:
    return prepare(tape, seed=3)


def run(
    job: Replay, parents: list[ScriptedParent], *, policy: str = "exact", fade: FadeParams | None = None, **more: Any
) -> list[Outcome]:
    config = wide(job.config)
    config = msgspec.structs.replace(config, router=msgspec.structs.replace(config.router, policy=policy))
    outcomes, _ = run_parents(job.data, config, parents, 3, fade=fade, lps=False, **more)
    return outcomes


def parents_of(job: Replay, every_s: float = 1.0) -> list[ScriptedParent]:
    return script_parents(5, sizes_of(job.config), duration_s=38.0, every_s=every_s)


def test_every_policy_works_the_same_orders_and_the_exact_split_costs_least(job: Replay) -> None:
    parents = parents_of(job)
    found = {policy: run(job, parents, policy=policy) for policy in ("exact", "best_venue", "pro_rata")}
    costs = {}
    for policy, outcomes in found.items():
        assert [(one.side, one.quantity) for one in outcomes] == [(one.side, one.quantity) for one in parents]
        assert all(float(one.filled) >= 0.999 * float(one.quantity) for one in outcomes), policy
        assert all(one.cost_bps > one.fee_bps - 3 for one in outcomes)
        costs[policy] = float(np.mean([one.cost_bps for one in outcomes]))
    assert costs["exact"] < costs["best_venue"] and costs["exact"] < costs["pro_rata"]
    assert found["exact"] == run(job, parents)  # a function of tape, configuration and seed
    by_children = {policy: sum(one.children for one in outcomes) for policy, outcomes in found.items()}
    assert by_children["pro_rata"] > by_children["exact"] >= by_children["best_venue"]


def test_a_market_that_answers_costs_more_and_most_right_after_an_order(job: Replay) -> None:
    big = Decimal(6)
    apart = [ScriptedParent(at_ns=t * SECOND_NS, symbol="BTC/USDT", side="buy", quantity=big) for t in (5, 25)]
    close = [
        ScriptedParent(at_ns=25 * SECOND_NS - 500_000_000, symbol="BTC/USDT", side="buy", quantity=big),
        apart[1],
    ]
    still = FadeParams(fade=0.0, crowd=0.0, impact_bps=0.0, refill_s=0.05)
    calm = run(job, apart, fade=still)
    faded = run(job, apart, fade=FadeParams(fade=0.4, crowd=0.0, impact_bps=0.0, refill_s=0.05))
    assert sum(one.cost_bps for one in faded) > sum(one.cost_bps for one in calm)
    answering = FadeParams(fade=0.0, crowd=0.0, impact_bps=0.2, refill_s=5.0)
    assert run(job, close, fade=answering)[1].cost_bps > run(job, apart, fade=answering)[1].cost_bps + 0.01
    assert run(job, apart, fade=answering) == run(job, apart, fade=answering)


class Remembering(Watcher):
    """A watcher that keeps the orders as well, as an archive would."""

    def __init__(self, market: Market, latency_s: float) -> None:
        super().__init__(market, latency_s)
        self.first: dict[str, ChildOrder] = {}
        self.last: dict[str, ChildOrder] = {}

    def on_child(self, child: ChildOrder) -> None:
        super().on_child(child)
        if child.state is ChildState.NEW:
            self.first[child.child_id] = child
        elif child.state.terminal:
            self.last.setdefault(child.child_id, child)


def events_of(job: Replay) -> list[Message | Top]:
    """The engine's data as an archive has it."""
    listings = {f"{one.symbol}.{one.venue}": one for one in job.data.listings}
    found: list[Message | Top] = []
    for data in (*job.data.first, *job.data.events):
        if isinstance(data, OrderBookDeltas):
            listing = listings[data.instrument_id.value]
            if isinstance(data, BookDeltas):
                levels, kind = data.levels, data.kind
            else:
                levels, kind = levels_of(data, listing.price_decimals, listing.size_decimals)
            found.append(Message(data.ts_init, listing.venue, kind.value, [tuple(row) for row in levels.tolist()]))
        elif isinstance(data, QuoteTick):
            listing = listings[data.instrument_id.value]
            price, size = (
                10 ** (FIXED_PRECISION - listing.price_decimals),
                10 ** (FIXED_PRECISION - listing.size_decimals),
            )
            top = (
                data.bid_price.raw // price,
                data.bid_size.raw // size,
                data.ask_price.raw // price,
                data.ask_size.raw // size,
            )
            found.append(Top(data.ts_init, listing.venue, *top))
    return sorted(found, key=lambda event: event.ts_ns)


def test_orders_lived_again_have_the_features_and_costs_they_had(job: Replay) -> None:
    config = wide(job.config)
    parents = parents_of(job, every_s=0.4)
    _, watcher = run_parents(
        job.data, config, parents, 3, fade=None, lps=False, watch=lambda market: Remembering(market, 0.02)
    )
    assert isinstance(watcher, Remembering)
    listings = [Listing(one.venue, one.price_decimals, one.size_decimals) for one in job.data.listings]
    orders = [Lived(watcher.first[name], last) for name, last in watcher.last.items()]
    bench = relive("BTC/USDT", listings, events_of(job), orders, 0.02)
    live = collected(watcher.bench.examples, "live", watcher.bench.left_out)
    again = collected(bench.examples, "archive", bench.left_out)
    assert len(live.y) > 60 and not live.left_out and not again.left_out
    assert again.at_ns.tolist() == live.at_ns.tolist()
    np.testing.assert_allclose(again.x, live.x, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(again.y, live.y, rtol=1e-6, atol=1e-6)
    assert live.x[:, FEATURES.index("sweep_bps")].min() >= 0


def test_commands_from_outside(tape: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    out = tmp_path / "study.json"
    options = ["--tape", str(tape), "--seeds", "2", "--workers", "1", "--window", "36s", "--json", str(out)]
    told = runner.invoke(study, ["router", *options], catch_exceptions=False)
    assert told.exit_code == 0 and "wins" in told.output and "losses" in told.output
    figures = json.loads(out.read_text())
    assert [arm["name"] for arm in figures["arms"]] == ["exact", "best_venue", "pro_rata"]
    assert {one["against"] for one in figures["differences"]} == {"best_venue", "pro_rata"}
    told = runner.invoke(study, ["skew", *options], catch_exceptions=False)
    assert told.exit_code == 0 and "neither" in told.output
    arms = {arm["name"]: arm["values"] for arm in json.loads(out.read_text())["arms"]}
    assert len(set(arms["neither"]["pnl"])) == 2 and min(arms["neither"]["trades"]) > 3
    refused = runner.invoke(study, ["skew", *options, "--soft", "2"])
    assert refused.exit_code == 2 and "between 0 and 1" in refused.output
    refused = runner.invoke(learn, ["slippage", "--out", str(tmp_path / "m.json")])
    assert refused.exit_code == 2 and "one of --tape, --state and --dsn" in refused.output


@pytest.mark.skipif(not RECORDED.exists(), reason="no recorded tapes")
def test_a_model_of_the_recorded_tape_beats_theory_and_the_walk_of_the_book(tmp_path: Path) -> None:
    pytest.importorskip("xgboost", reason="training is the extra ml")
    path = tmp_path / "model.json"
    options = ["--tape", str(RECORDED), "--to", "+130", "--seeds", "3", "--workers", "1", "--out", str(path), "--json"]
    told = CliRunner().invoke(learn, ["slippage", *options], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    model = load(path)
    found = model.file.metrics
    assert model.file.trained_on["orders"] > 800 and "modelled fade" in model.file.trained_on["source"]
    for quantile in range(2):
        losses = [found[name]["pinball_bps"][quantile] for name in ("model", "theory", "book_walk")]
        assert losses == sorted(losses) and losses[0] < 0.9 * losses[1]
    p50, p90 = found["model"]["coverage"]
    # two minutes of one market: the whole tape and more seeds are needed for 3 % (docs/slippage.md)
    assert p50 == pytest.approx(0.5, abs=0.12) and p90 == pytest.approx(0.9, abs=0.08)
