"""The configuration: every fault at once, with file, key and line; the environment over the file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from desk.commands import config
from desk.config import reference
from desk.config.example import EXAMPLE
from desk.config.load import load
from desk.config.secrets import credentials
from desk.errors import ConfigFault


def write(folder: Path, text: str) -> Path:
    path = folder / "desk.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_example_is_good(tmp_path: Path) -> None:
    config = load(write(tmp_path, EXAMPLE), {}).config
    assert config.mode == "paper"
    assert [venue.venue for venue in config.venues] == ["BINANCE", "KRAKEN"]
    assert config.hedging.bands["BTC"].hard == Decimal(10)


def test_all_faults_are_listed_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'nme = "x"\n[api]\nport = "many"\n[[venues]]\nvenue = "A"\nexchange = "b"\ntaker_fee_bsp = "1"\n[[venues]]\nvenue = "B"\n',
    )
    with pytest.raises(ConfigFault) as caught:
        load(path, {})
    text = str(caught.value)
    assert f"{path}:1: unknown key 'nme'; did you mean 'name'?" in text
    assert f"{path}:3: api.port" in text
    assert f"{path}:7: unknown key 'venues[0].taker_fee_bsp'; did you mean 'taker_fee_bps'?" in text
    assert f"{path}:8: venues[1] lacks 'exchange'" in text


def test_environment_overrides_one_key_and_is_named_as_source(tmp_path: Path) -> None:
    resolved = load(write(tmp_path, EXAMPLE), {"KERB__API__PORT": "7001", "KERB__PRICING__TTL_MS": "900"})
    assert resolved.config.api.port == 7001
    assert resolved.config.pricing.ttl_ms == 900
    assert resolved.sources["api.port"] == "KERB__API__PORT"
    line = EXAMPLE.splitlines().index('host = "127.0.0.1"') + 1
    assert resolved.sources["api.host"].endswith(f":{line}")


def test_environment_faults_name_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match=r"KERB__API__PROT: unknown key 'api.prot'; did you mean 'port'"):
        load(write(tmp_path, EXAMPLE), {"KERB__API__PROT": "7001"})


def test_supported_exchanges_narrows_and_refuses_strangers(tmp_path: Path) -> None:
    path = write(tmp_path, EXAMPLE)
    assert [v.venue for v in load(path, {"SUPPORTED_EXCHANGES": "kraken"}).config.venues] == ["KRAKEN"]
    with pytest.raises(ConfigFault, match="okx; configured exchanges are binance, kraken"):
        load(path, {"SUPPORTED_EXCHANGES": "okx,kraken"})


def test_any_exchange_of_ccxt_serves_a_desk_on_paper_and_none_without_proof_a_live_one(tmp_path: Path) -> None:
    named = EXAMPLE.replace('exchange = "kraken"', 'exchange = "kucoin"')
    assert named != EXAMPLE
    assert [v.exchange for v in load(write(tmp_path, named), {}).config.venues] == ["binance", "kucoin"]
    with pytest.raises(
        ConfigFault, match="KRAKEN: orders at kucoin are not supported, because what became of one could not be proven"
    ):
        load(write(tmp_path, named), {"KERB__MODE": "live"})
    with pytest.raises(
        ConfigFault, match=r"'bitmex' is not supported; there are binance, .*and for market data the others"
    ):
        load(write(tmp_path, named.replace("kucoin", "bitmex")), {})


@pytest.mark.parametrize("text", ["name = ", "[api\nport=1", "\x00"])
def test_broken_toml_is_one_clear_fault(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigFault, match=r"desk\.toml"):
        load(write(tmp_path, text), {})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[pricing]\nttl_ms = -5", 1, "pricing: max_deviation_bps and ttl_ms must be positive"),
        (
            '[[venues]]\nvenue="BITMEX"\nexchange="bitmex"',
            3,
            "exchange: 'bitmex' is not supported; there are binance, ",
        ),
        ('[[venues]]\nvenue="kraken"\nexchange="kraken"', 2, "venue: 'kraken' must be upper case"),
        ('[[venues]]\nvenue="A"\nexchange="kraken"\ndepth=7', 4, "depth: 7 is not offered; there are 10, 25"),
        ('mode = "papr"', 1, "mode: Invalid enum value 'papr'; valid: paper, live"),
        ('[paper.balances]\nUSDT = "-1"', 1, "paper: -1 USDT is no opening balance"),
        ('[risk.default]\nmax_quantity = "0"', 2, "risk.default: max_quantity: must be greater than zero"),
        ('[hedging.bands.BTC]\nsoft = "3"\nhard = "2"', 2, "soft: 3 must lie between 0 and hard, 2"),
        ('[[instruments]]\nsymbol = "BTCUSDT"', 2, "'BTCUSDT' is not a spot symbol such as BTC/USDT"),
        ('[[instruments]]\nsymbol="A/B"\n[[instruments]]\nsymbol="A/B"', 1, "instruments: A/B stands there twice"),
        ('[archive]\ndsn = "x"\nspool_dir = "y"', 2, "dsn: must be chdb:///path or clickhouse://"),
    ],
)
def test_what_a_table_demands_as_a_whole_is_a_fault_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigFault) as caught:
        load(path, {})
    fault = str(caught.value).splitlines()[1].strip()
    assert fault.startswith(f"{path}:{line}: ")
    assert words in fault


def test_config_show_masks_passwords_in_urls(tmp_path: Path) -> None:
    path = write(tmp_path, '[ledger]\nurl = "postgresql://desk:hunter2@db/kerb"\n')
    for options in ([], ["--json"]):
        said = CliRunner().invoke(config, ["show", "--config", str(path), *options])
        assert said.exit_code == 0
        assert "postgresql://desk:***@db/kerb" in said.output
        assert "hunter2" not in said.output


def test_config_init_makes_a_file_that_check_calls_good_and_never_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(config, ["init"]).exit_code == 0
    assert "desk.toml: good" in CliRunner().invoke(config, ["check"]).output
    again = CliRunner().invoke(config, ["init"])
    assert isinstance(again.exception, ConfigFault)
    assert (tmp_path / "desk.toml").read_text() == EXAMPLE


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="cannot read"):
        load(tmp_path / "none.toml", {})


def test_credentials_come_whole_or_not_at_all_and_never_print() -> None:
    assert credentials("KRAKEN", {"KRAKEN_API_KEY": "k"}) is None
    found = credentials("KRAKEN", {"KRAKEN_API_KEY": "key-123456", "KRAKEN_API_SECRET": "topsecret"})
    assert found is not None
    assert "topsecret" not in repr(found)
    assert "key-123456" not in repr(found)


def test_every_key_is_explained_and_the_page_in_the_docs_is_todays() -> None:
    assert reference.unexplained() == []
    written = (Path(reference.__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == reference.page(), "run: python -m desk.config.reference > docs/configuration.md"
