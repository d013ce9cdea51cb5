"""`kerb report tca` on an archive that a running archiver holds: every dimension, every format, every wrong option."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal as D
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from adapters.clickhouse.place import ask_archiver
from adapters.clickhouse.rows import CONVERT, lp_answer_rows
from adapters.clickhouse.spool import SpoolWriter, read_status
from desk.cli import main
from desk.tca.history import recall
from desk.tca.memory import TcaMemory
from router.costs.markouts import HORIZONS_MS, MS, Traced, look
from router.costs.scorecards import TcaParameters
from router.costs.shortfall import PARTS, CostLine, LineKind, Parts
from router.panel import LpAnswer, LpRound
from tests.oracles import ledger_records as make

S = 10**9
T0 = 1_700_000_000 * S
DEADLINE_S = 60


def line(n: int, kind: LineKind = LineKind.CHILD, *, at_s: int = 0, **more: Any) -> CostLine:
    known = {
        "parent_id": f"p{n}", "child_id": "" if kind is LineKind.PARENT else f"c{n}", "symbol": "BTC/USDT", "side": "buy",
        "state": "filled", "algo": "sweep", "quantity": D(2), "filled": D(2), "notional": D(202), "arrival": D(100), "mid": D(100),
        "basis": D(200), "parts": Parts(timing=D("0.5"), spread=D("-0.1"), impact=D("1.5"), fade=D("0.1"), fees=D("0.2")),
        "expected": D("1.6"), "created_ns": T0 + at_s * S, "ended_ns": T0 + at_s * S + 7, "latency_ns": 3 * MS, "hold_ns": 9 * MS,
    } | more  # fmt: skip
    return CostLine(kind=kind, **known)  # type: ignore[arg-type]


PARENT = LineKind.PARENT
LINES = [
    line(1, venue="BINANCE"),
    line(1, PARENT, market_quantity=D(10), market_notional=D(1_005)),
    line(2, venue="KRAKEN", at_s=60, filled=D(0), notional=D(0), basis=D(0), parts=Parts(), state="rejected"),
    line(3, venue="BINANCE", at_s=60, revision=0, filled=D(1), notional=D(101), basis=D(100), parts=Parts(fade=D(9))),
    line(3, venue="BINANCE", at_s=60, revision=1, parts=Parts(fade=D(1))),
    line(4, LineKind.INTERNAL, venue="INTERNAL", at_s=70, parts=Parts(), saved=D("1.25")),
    line(5, venue="LP", lp=True, quote_id="q1", at_s=80, parts=Parts(mark=D("0.75"))),
    line(
        6, PARENT, at_s=90, algo="twap", account="client:acme", benchmark={"schedule_bps": -1.5, "tracking_rms": 0.125}
    ),
    line(7, PARENT, at_s=95, symbol="ETH/BTC", unpriced={"BNB": D("0.01")}, state="done", reason="hedge <&>"),
    line(8, venue="KRAKEN", at_s=96, filled=D(0), state="rejected", reason="not sent: halted", parts=Parts()),
]
ASKED = T0 + 79 * S
ROUND = LpRound(
    parent_id="p5",
    symbol="BTC/USDT",
    side="buy",
    mid=D(100),
    answers=(
        LpAnswer(
            lp="LP",
            rfq_id="r1",
            quantity=D(2),
            quote_id="q1",
            price=D("100.05"),
            asked_ns=ASKED,
            answered_ns=ASKED + 40 * MS,
        ),
        LpAnswer(lp="LP", rfq_id="r2", quantity=D(1), reason="too small", asked_ns=ASKED, answered_ns=ASKED + 9),
    ),
)


def marks() -> list[Any]:
    found = []
    for source, party, side, moved in (
        ("fill", "BINANCE", "buy", "100.02"),
        ("client", "acme", "sell", "100.05"),
        ("reject", "LP", "buy", "100.1"),
    ):
        for n in range(2):
            trade = Traced(
                source=source,
                ref=f"{source}{n}",
                party=party,
                symbol="BTC/USDT",
                side=side,
                price=D(101),
                quantity=D(1),
                fair=D(100),
                ts_ns=T0 + n,
            )
            found += [look(trade, h, D(moved), T0 + h * MS + n) for h in HORIZONS_MS]
        found.append(look(trade, 100, None, T0 + 999 * S))
    return found  # fmt: skip


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("report") / "state"
    writer = SpoolWriter(state / "spool")
    writer.write("order_costs", CONVERT["order_costs"](LINES))
    writer.write("markouts", CONVERT["markouts"](marks()))
    writer.write("lp_answers", CONVERT["lp_answers"](lp_answer_rows(ROUND)))
    writer.write(
        "client_trades", CONVERT["client_trades"]([make.trade(1, client="acme"), make.trade(2, client="acme")])
    )
    writer.close()
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "adapters.clickhouse.archiver", "--every-ms", "50"),
            *("--dsn", f"chdb://{state / 'archive'}"),
            *("--spool", str(state / "spool")),
            *("--socket", str(state / "archive.sock")),
        ]
    )
    deadline = time.monotonic() + DEADLINE_S
    while read_status(state / "spool").get("rows", {}).get("lp_answers", 0) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    yield state
    process.kill()
    process.wait()


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def kerb(*arguments: str) -> Done:
    """The command as it is called, without a process of its own: the database is another's either way."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        patch.setattr(sys, "argv", ["kerb", "report", "tca", *arguments])
        main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def rows(state: Path, *arguments: str) -> list[dict[str, Any]]:
    done = kerb("--state", str(state), "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["rows"][0]) == {column["name"] for column in told["columns"]}
    return list(told["rows"])


def test_parents_with_their_parts(state: Path) -> None:
    found = {row["parent_id"]: row for row in rows(state)}
    assert list(found) == ["p7", "p6", "p1"]  # newest first
    one = found["p1"]
    assert (one["total"], one["total_bps"], one["impact_bps"], one["spread_bps"]) == ("2.2", "110", "75", "-5")
    assert (one["expected_bps"], one["realised_bps"]) == ("80", "85")
    assert one["vwap_bps"] == "49.751244"  # 202 paid, 2 × 100.5 at VWAP
    assert one["average"] == "101"
    assert (found["p6"]["schedule_bps"], found["p6"]["tracking_rms"], found["p6"]["account"]) == (
        -1.5,
        0.125,
        "client:acme",
    )
    assert (found["p7"]["unpriced"], found["p7"]["currency"]) == ("0.01 BNB", "BTC")
    for row in found.values():
        assert D(row["total"]) == sum(D(row[name]) for name in PARTS)
        assert D(row["total_bps"]) == sum(D(row[f"{name}_bps"]) for name in PARTS)


def test_venues_count_the_last_revision_and_what_left(state: Path) -> None:
    found = {row["venue"]: row for row in rows(state, "--by", "venue")}
    assert set(found) == {"BINANCE", "KRAKEN", "INTERNAL"}
    binance = found["BINANCE"]
    assert (binance["orders"], binance["notional"], binance["total"]) == (2, "404", "3.2")
    assert binance["total_bps"] == "80"
    assert (binance["hold_ms_p50"], binance["markout_1000_bps"]) == (9.0, pytest.approx(2.0))
    assert (found["KRAKEN"]["orders"], found["KRAKEN"]["rejected"], found["KRAKEN"]["total_bps"]) == (1, 1, None)
    assert found["INTERNAL"]["saved"] == "1.25"


def test_lps_clients_and_algorithms(state: Path) -> None:
    (lp,) = rows(state, "--by", "lp")
    assert (lp["lp"], lp["asked"], lp["quoted"], lp["win_share"], lp["mark"]) == ("LP", 2, 0.5, 1.0, "0.75")
    assert lp["quote_spread_bps"] == pytest.approx(5.0)
    assert lp["quote_ms_p50"] == 40.0
    assert lp["after_reject_bps"] == pytest.approx(10.0)
    (client,) = rows(state, "--by", "client")
    assert (client["client"], client["trades"], client["orders"], client["total"]) == ("acme", 2, 1, "2.2")
    trades = [make.trade(1), make.trade(2)]
    earned = sum((t.amount - t.fair * t.quantity) * (1 if t.side == "buy" else -1) for t in trades)
    assert D(client["earned"]) == earned
    assert client["markout_10000_bps"] == pytest.approx(-5.0)
    algos = {(row["algo"], row["currency"]): row for row in rows(state, "--by", "algo")}
    assert set(algos) == {("sweep", "USDT"), ("sweep", "BTC"), ("twap", "USDT")}
    assert algos["twap", "USDT"]["schedule_bps"] == -1.5


def test_only_what_ended_in_time(state: Path) -> None:
    (one,) = rows(state, "--by", "parent", "--from", str(T0), "--to", "2023-11-14T22:13:30")
    assert one["parent_id"] == "p1"
    done = kerb("--state", str(state), "--to", "1970-01-02")
    assert (done.returncode, done.stdout.strip()) == (0, "")
    assert "nothing by parent" in done.stderr


def test_a_table_for_the_terminal_and_csv_for_a_spreadsheet(state: Path, tmp_path: Path) -> None:
    done = kerb("--state", str(state), "--by", "venue")
    head, rule, *lines = done.stdout.rstrip().splitlines()
    assert head.split()[:2] == ["venue", "in"]
    assert set(rule) == {"─", " "}
    assert [text.split()[0] for text in lines] == ["BINANCE", "INTERNAL", "KRAKEN"]
    assert "80.000" in lines[0]
    file = tmp_path / "venues.csv"
    assert kerb("--state", str(state), "--by", "venue", "--out", str(file)).returncode == 0
    table = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert [(row["venue"], row["total"], row["total_bps"]) for row in table] == [
        ("BINANCE", "3.2", "80"),
        ("INTERNAL", "0", "0"),
        ("KRAKEN", "0", ""),
    ]


class Page(HTMLParser):
    """Open tags must close, and nothing may be fetched."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}
        assert tag not in ("script", "link", "iframe", "img")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_one_page_that_needs_no_network(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "costs.html"
    done = kerb("--state", str(state), "--by", "algo", "--out", str(file))
    assert done.returncode == 0, done.stderr
    html = file.read_text(encoding="utf-8")
    assert "http" not in html and "url(" not in html and "@import" not in html
    page = Page()
    page.feed(html)
    assert page.open == []
    assert page.seen.count("table") == 5
    assert page.seen.count("h2") == 5
    assert "hedge <&>" in page.text  # shown as written, not as markup
    assert page.seen.count("rect") >= len(PARTS)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--from", "yesterday"], 2, "--from yesterday: give an ISO time"),
        (["--to", "1" + "0" * 30], 2, "give an ISO time"),
        (["--from", "20", "--to", "10"], 2, "is not before"),
        (["--by", "moon"], 2, "'moon' is not one of"),
        (["--out", "/nowhere/at/all.csv"], 2, "cannot write /nowhere/at/all.csv"),
    ],
)
def test_a_wrong_option_is_one_line(state: Path, arguments: list[str], code: int, sentence: str) -> None:
    done = kerb("--state", str(state), *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_archive_is_one_line(tmp_path: Path) -> None:
    for arguments, code in (
        (["--state", str(tmp_path)], 1),
        (["--dsn", f"chdb://{tmp_path}/none"], 1),
        (["--state", "/no/such"], 2),
    ):
        done = kerb(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_a_starting_desk_recalls_it_through_the_archiver(state: Path) -> None:
    parameters = TcaParameters()
    expected = TcaMemory(parameters)
    for one in LINES:
        if one.kind is LineKind.CHILD:
            expected.line(one)
    for one in sorted(marks(), key=lambda one: one.taken_ns):
        expected.markout(one)
    expected.asked(ROUND)

    def ask(sql: str) -> str:
        return ask_archiver(str(state / "archive.sock"), "/query", {"sql": sql, "format": "JSONEachRow"})

    found = recall(ask, parameters, T0 + 1_000 * S)
    now = T0 + 1_000 * S
    assert found.restored == 6 + len(marks()) + 2
    for score, wanted in zip(found.scorecards.scores(now), expected.scorecards.scores(now), strict=True):
        for name in wanted.__struct_fields__:
            value = getattr(wanted, name)
            assert getattr(score, name) == (pytest.approx(value) if isinstance(value, float | dict) else value), name
    assert found.clients.estimate("acme", "BTC/USDT") == pytest.approx(expected.clients.estimate("acme", "BTC/USDT"))
    assert recall(ask, parameters, T0).restored == 0  # nothing from before
