"""The configuration: every fault at once, with file, key and line; the environment over the file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("text", ["name = ", "[api\nport=1", "\x00"])
def test_broken_toml_is_one_clear_fault(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigFault, match=r"desk\.toml"):
        load(write(tmp_path, text), {})


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="cannot read"):
        load(tmp_path / "none.toml", {})


def test_credentials_come_whole_or_not_at_all_and_never_print() -> None:
    assert credentials("KRAKEN", {"KRAKEN_API_KEY": "k"}) is None
    found = credentials("KRAKEN", {"KRAKEN_API_KEY": "key-123456", "KRAKEN_API_SECRET": "topsecret"})
    assert found is not None
    assert "topsecret" not in repr(found)
    assert "key-123456" not in repr(found)
