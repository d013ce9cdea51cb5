"""`kerb doctor`: what it finds on the machine, and what it says of clocks, keys and permissions."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from desk.commands import doctor
from desk.config.example import EXAMPLE
from desk.config.load import load
from desk.doctor import machine, reach
from desk.doctor.finding import Finding, Grade


def test_disk_sync_is_measured_where_the_state_will_be_and_leaves_nothing(tmp_path: Path) -> None:
    found = machine.disk_sync(tmp_path / "not" / "yet")
    assert "p99" in found.value
    assert str(tmp_path) in found.value
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")  # not even root can make a folder below a file
    assert machine.disk_sync(tmp_path / "file" / "state").grade is Grade.FAIL


@pytest.mark.parametrize(("mode", "grade"), [(0o600, Grade.OK), (0o640, Grade.FAIL), (0o604, Grade.FAIL)])
def test_secrets_that_others_can_read_are_a_failure(tmp_path: Path, mode: int, grade: Grade) -> None:
    key = tmp_path / "master.key"
    key.write_text("x")
    key.chmod(mode)
    (found,) = machine.key_files(tmp_path, None)
    assert found.grade is grade
    assert bool(found.advice) == (grade is Grade.FAIL)


def test_a_configuration_that_others_can_change_is_a_failure(tmp_path: Path) -> None:
    config = tmp_path / "desk.toml"
    config.write_text(EXAMPLE)
    config.chmod(0o666)
    assert [finding.grade for finding in machine.key_files(tmp_path, config)] == [Grade.FAIL]


@pytest.mark.parametrize(
    ("said_ms", "began_ms", "took_ms", "skew_ms"),
    [
        (10_050.0, 10_000.0, 100.0, 0.0),  # between asking and answer
        (12_100.0, 10_000.0, 100.0, -2_000.0),  # the venue is ahead: ours is behind
        (7_999.0, 10_000.0, 100.0, 2_000.0),
        (10_000.0, 10_900.0, 50.0, 0.0),  # whole seconds: anything within that second agrees
        (10_000.0, 12_500.0, 50.0, 1_500.0),
    ],
)
def test_a_clock_is_off_by_no_more_than_what_is_certain(
    said_ms: float, began_ms: float, took_ms: float, skew_ms: float
) -> None:
    assert reach._skew_ms(said_ms, began_ms, took_ms) == skew_ms


def test_paper_asks_for_no_exchange_keys_and_live_for_all(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(EXAMPLE)
    paper = load(path, {}).config
    live = load(path, {"KERB__MODE": "live"}).config
    assert reach.keys_at_hand(paper, {}) == []
    environment = {"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET": "s"}
    grades = {finding.check: finding.grade for finding in reach.keys_at_hand(live, environment)}
    assert grades == {"BINANCE keys": Grade.FAIL, "KRAKEN keys": Grade.OK}


def test_exit_code_and_json_follow_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    well = [Finding(check="a", grade=Grade.OK, value="v"), Finding(check="b", grade=Grade.WARN, value="v", advice="do")]
    ill = [*well, Finding(check="c", grade=Grade.FAIL, value="v", advice="do")]
    for findings, code in ((well, 0), (ill, 1)):
        monkeypatch.setattr("desk.doctor.examine.examine", lambda path, found=findings: found)
        said = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)
        assert said.return_value == code
        assert [item["check"] for item in json.loads(said.output)["items"]] == [item.check for item in findings]


def test_a_venue_that_cannot_be_reached_is_told_within_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(
        '[[instruments]]\nsymbol="BTC/USDT"\n[[venues]]\nvenue="BINANCE"\nexchange="binance"\n'
        'rest_url="http://127.0.0.1:9"\nws_url="ws://127.0.0.1:9"\n'
    )
    began = time.monotonic()
    said = CliRunner().invoke(doctor, ["--config", str(path)], standalone_mode=False)
    assert said.return_value == 1
    assert "FAIL  BINANCE reach" in said.output
    assert time.monotonic() - began < 60
