"""Costs of a whole run, worked out again from the archive's rows by other means; and a report made of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters.clickhouse.config import ArchiveConfig
from adapters.clickhouse.spool import pending
from adapters.clickhouse.tap import ArchiveTap
from desk.api.desk_messages import DeskState
from desk.tca.history import recall
from desk.tca.view import client_markouts, scorecards
from router.costs.markouts import HORIZONS_MS
from router.costs.scorecards import TcaParameters
from router.costs.shortfall import PARTS
from sim.replay.command import prepare_generated, replay
from sim.replay.run import run_desk
from tests.oracles.tca_shortfall import Costs, books_at, child_costs, traded_between

ROOT = Path(__file__).resolve().parents[2]
Rows = dict[str, list[dict[str, Any]]]
TABLES = (
    "md_deltas", "md_quotes", "md_trades", "order_events", "fills", "order_costs", "markouts", "lp_answers", "client_trades",
)  # fmt: skip


def rows_of(spool: Path) -> Rows:
    found: Rows = {}
    for table in TABLES:
        found[table] = []
        for one in pending(spool, table):
            with pa.ipc.open_file(str(one.path)) as reader:
                whole = reader.read_all()
            for name in whole.schema.names:
                if pa.types.is_timestamp(whole.schema.field(name).type):
                    place = whole.schema.get_field_index(name)
                    whole = whole.set_column(place, name, whole.column(name).cast(pa.int64()))
            found[table] += whole.to_pylist()
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, DeskState]:
    spool = tmp_path_factory.mktemp("run") / "spool"
    job = prepare_generated(75.0, seed=3)
    config = ArchiveConfig(dsn="chdb:///nowhere", spool_dir=str(spool), max_buffer_rows=3_000_000)
    tap = ArchiveTap(config, [(listing.symbol, listing.venue) for listing in job.data.listings])
    result = run_desk(job.data, job.config, job.requests, job.seed, tap=tap)
    assert result.state.faults == result.sim_faults == 0
    assert tap.close()
    assert tap.view()["dropped"] == 0
    return rows_of(spool), result.state


@pytest.fixture(scope="module")
def run(ran: tuple[Rows, DeskState]) -> Rows:
    return ran[0]


def last_by(rows: list[dict[str, Any]], *names: str) -> dict[Any, dict[str, Any]]:
    """The last row of each key, by time of change."""
    found = {}
    for row in sorted(rows, key=lambda row: row["updated"]):
        found[tuple(row[name] for name in names) if len(names) > 1 else row[names[0]]] = row
    return found


def lines(run: Rows, kind: str) -> dict[str, dict[str, Any]]:
    key = "parent_id" if kind == "parent" else "child_id"
    found = {row[key]: row for row in run["order_costs"] if row["kind"] == kind}
    assert len(found) == sum(row["kind"] == kind for row in run["order_costs"])  # one line each: nothing came late
    return found


def total(row: dict[str, Any]) -> Fraction:
    return sum((Fraction(row[name]) for name in PARTS), Fraction(0))


def test_every_order_that_ended_has_one_line(run: Rows) -> None:
    ended = {"filled", "cancelled", "rejected", "expired"}
    children = last_by([row for row in run["order_events"] if row["kind"] == "child"], "child_id")
    parents = last_by([row for row in run["order_events"] if row["kind"] == "parent"], "parent_id")
    assert set(lines(run, "child")) == {key for key, row in children.items() if row["state"] in ended}
    assert set(lines(run, "parent")) == {key for key, row in parents.items() if row["state"] == "done"}
    assert len(lines(run, "parent")) > 8
    assert {row["lp"] for row in lines(run, "child").values()} == {True, False}


def test_children_cost_what_the_plain_rows_say(run: Rows) -> None:
    children = last_by([row for row in run["order_events"] if row["kind"] == "child"], "child_id")
    parents = last_by([row for row in run["order_events"] if row["kind"] == "parent"], "parent_id")
    fills = defaultdict(list)
    for fill in run["fills"]:
        fills[fill["client_order_id"]].append(fill)
    quoted = {row["quote_id"]: Fraction(row["price"]) for row in run["lp_answers"] if row["price"] is not None}
    known = lines(run, "child")
    venues = {key: row for key, row in known.items() if not row["lp"]}
    moments = {key: (f"{row['symbol']}.{row['venue']}", row["created"]) for key, row in venues.items()}
    books = books_at(moments, run["md_deltas"], run["md_quotes"])
    for key, line in known.items():
        child, arrival = children[key], Fraction(parents[line["parent_id"]]["arrival_mid"])
        sign = 1 if line["side"] == "buy" else -1
        price = quoted[line["quote_id"]] if line["lp"] else None
        seen = books.get(key, [None])
        possible = [child_costs(child, fills[key], book, price) for book in seen]
        mid = Fraction(line["mid"])
        filled = Fraction(line["filled"])

        def agrees(costs: Costs, line: dict[str, Any] = line, mid: Fraction = mid, filled: Fraction = filled) -> bool:
            walked = Fraction(line["spread"]) + Fraction(line["impact"]) + Fraction(line["mark"])
            sign = 1 if line["side"] == "buy" else -1
            return (
                (costs.filled, costs.notional, costs.fees)
                == (filled, Fraction(line["notional"]), Fraction(line["fees"]))
                and costs.touch == (None if line["touch"] is None else Fraction(line["touch"]))
                and walked == sign * (costs.plan - mid * filled)
                and Fraction(line["fade"]) == sign * (costs.notional - costs.plan)
            )

        assert any(agrees(costs) for costs in possible), (line, possible)
        assert Fraction(line["arrival"]) == arrival
        assert Fraction(line["timing"]) == sign * (mid - arrival) * filled
        shortfall = (
            sign * (Fraction(line["notional"]) - arrival * filled) + Fraction(line["fees"]) + Fraction(line["fixed"])
        )
        assert total(line) == shortfall


def test_parents_are_their_children_and_what_they_missed(run: Rows) -> None:
    parents = last_by([row for row in run["order_events"] if row["kind"] == "parent"], "parent_id")
    of = defaultdict(list)
    for line in lines(run, "child").values():
        of[line["parent_id"]].append(line)
    for key, line in lines(run, "parent").items():
        row, sign = parents[key], 1 if line["side"] == "buy" else -1
        arrival, end = Fraction(row["arrival_mid"]), Fraction(line["end_price"])
        assert (line["filled"], line["notional"]) == (row["filled"], row["notional"])
        missed = sign * (end - arrival) * (Fraction(row["quantity"]) - Fraction(row["filled"]))
        assert Fraction(line["opportunity"]) == missed
        for name in PARTS[:-1]:
            assert Fraction(line[name]) == sum((Fraction(child[name]) for child in of[key]), Fraction(0)), name
        fees = sum((Fraction(child["fees"]) for child in of[key]), Fraction(0))
        assert total(line) == sign * (Fraction(row["notional"]) - arrival * Fraction(row["filled"])) + fees + missed
        assert Fraction(line["basis"]) == arrival * Fraction(row["quantity"])
        sums = {
            traded_between(run["md_trades"], line["symbol"], line["created"] - early, line["ended"] - before)
            for early in (0, 1)
            for before in (0, 1)
        }  # a trade of the very nanosecond may fall on either side
        assert (Fraction(line["market_quantity"]), Fraction(line["market_notional"])) in sums
    assert any(Fraction(line["market_quantity"]) for line in lines(run, "parent").values())


def test_costs_are_what_the_ledger_lost_on_hedges_and_fees(ran: tuple[Rows, DeskState]) -> None:
    """Two rooms that share no arithmetic: the split of profit and loss, and the cost lines."""
    run, state = ran
    cost = sum((total(row) for row in lines(run, "child").values()), Fraction(0))
    assert abs(cost + Fraction(state.pnl.hedge) + Fraction(state.pnl.fees)) <= Fraction(
        1, 10_000
    )  # each is shown to 0.0001


def test_every_trade_has_its_markouts_as_far_as_the_run_goes(run: Rows) -> None:
    end_ns = max(row["ts_init"] for row in run["md_quotes"])
    refs = {f"{row['venue']}|{row['symbol']}|{row['trade_id']}" for row in run["fills"]}
    refs |= {row["trade_id"] for row in run["client_trades"]}
    taken = defaultdict(set)
    for row in run["markouts"]:
        assert 0 <= row["taken"] - row["ts"] - row["horizon_ms"] * 1_000_000 <= 5_000_000
        taken[row["ref"]].add(row["horizon_ms"])
        if row["source"] != "reject":
            assert row["ref"] in refs
    starts = {row["ref"]: row["ts"] for row in run["markouts"]}
    for ref in refs & set(starts):
        due = {h for h in HORIZONS_MS if starts[ref] + h * 1_000_000 + 5_000_000 < end_ns}
        assert due <= taken[ref]
    assert len(set(starts) & refs) >= 0.95 * len(refs)  # the last ones of the run are not due yet
    side = {row["trade_id"]: row["side"] for row in run["client_trades"]}
    assert all(row["side"] != side[row["ref"]] for row in run["markouts"] if row["source"] == "client")


def kerb(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "desk.cli", "report", "tca", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_a_replay_keeps_an_archive_that_can_be_reported(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    found = replay(prepare_generated(30.0, seed=2), archive=folder)
    assert found["faults"] == 0
    assert found["archive"]["dropped"] == 0
    assert found["archive"]["rows"]["order_costs"] > 4
    done = kerb("--state", str(folder), "--by", "venue", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert rows
    for row in rows:
        assert Decimal(row["total"]) == sum(Decimal(row[name]) for name in PARTS)
    with pytest.raises(Exception, match="holds an archive already"):
        replay(prepare_generated(5.0, seed=2), archive=folder)


def test_what_is_read_back_is_what_was_learnt(ran: tuple[Rows, DeskState]) -> None:
    """The memory made of archived rows is the memory of the run."""
    run, state = ran

    def query(sql: str) -> str:
        table = next(name for name in ("order_costs", "markouts", "lp_answers") if f"FROM {name} " in sql)
        rows = run[table] if table != "order_costs" else [row for row in run[table] if row["kind"] == "child"]
        moment = {"order_costs": "ended", "markouts": "taken", "lp_answers": "asked"}[table]
        newest_first = sorted(rows, key=lambda row: -row[moment])
        return "\n".join(json.dumps(told(row), default=str) for row in newest_first)

    def told(row: dict[str, Any]) -> dict[str, Any]:
        times = {f"{name}_ns": row[name] for name in ("created", "ended", "ts", "taken", "asked") if name in row}
        maps = {name: dict(row[name]) for name in ("unpriced", "benchmark") if name in row}
        return {**row, **times, **maps}

    memory = recall(query, TcaParameters(), 2**62)
    assert memory.restored == len(lines(run, "child")) + len(run["markouts"]) + len(run["lp_answers"])
    assert len(state.scorecards) == 3
    for kept, learnt in zip(scorecards(memory, state.ts_ns), state.scorecards, strict=True):
        for name in learnt.__struct_fields__:
            value = getattr(learnt, name)
            close = pytest.approx(value, rel=1e-9) if isinstance(value, float | dict) else value
            assert getattr(kept, name) == close, (learnt.name, name)
    assert len(state.client_markouts) == 3
    for kept, learnt in zip(client_markouts(memory), state.client_markouts, strict=True):
        assert (kept.client_id, kept.n, kept.mean_bps) == (
            learnt.client_id,
            pytest.approx(learnt.n),
            pytest.approx(learnt.mean_bps),
        )


def test_the_state_sums_the_costs_of_the_parents(ran: tuple[Rows, DeskState]) -> None:
    run, state = ran
    parents = lines(run, "parent").values()
    (shown,) = state.costs
    assert shown.orders == len(parents)
    money = sum((total(row) for row in parents), Fraction(0))
    assert abs(Fraction(shown.amount) - money) <= Fraction(1, 200)
    assert Decimal(shown.total_bps) == sum(Decimal(part) for part in shown.parts_bps.values())
    basis = sum((Fraction(row["basis"]) for row in parents), Fraction(0))
    assert abs(Fraction(shown.total_bps) - money / basis * 10_000) < Fraction(1, 10**5)
