"""Keys at rest: encrypted, private to the owner, changed atomically, seen by a running desk."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from desk.clients import store as store_module
from desk.clients.cli import keys as keys_command
from desk.clients.store import KeyStore
from desk.errors import ConfigFault


def test_a_secret_is_not_in_any_file_and_comes_back_after_a_restart(tmp_path: Path) -> None:
    made = KeyStore(tmp_path, {}).new("alice", ["quote"], tier="gold", instruments=["BTC/USDT"])
    for path in tmp_path.iterdir():
        assert made.secret.encode() not in path.read_bytes(), path
        assert path.stat().st_mode & 0o777 == 0o600, path
    again = KeyStore(tmp_path, {})
    assert again.secret(made.key.key_id) == made.secret
    assert again.get(made.key.key_id) == made.key


def test_another_master_key_does_not_open_it(tmp_path: Path) -> None:
    made = KeyStore(tmp_path, {}).new("alice", ["quote"])
    other = KeyStore(tmp_path, {"KERB_MASTER_KEY": base64.b64encode(b"x" * 32).decode()})
    with pytest.raises(ConfigFault, match="does not decrypt"):
        other.secret(made.key.key_id)


def test_a_sealed_secret_moved_to_another_key_does_not_open(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path, {})
    first, second = keys.new("alice", ["quote"]).key.key_id, keys.new("bob", ["operate"]).key.key_id
    path = tmp_path / "keys.json"
    file = json.loads(path.read_text())
    file["keys"][1]["sealed"] = file["keys"][0]["sealed"]
    path.write_text(json.dumps(file))
    again = KeyStore(tmp_path, {})
    assert again.secret(first)
    with pytest.raises(ConfigFault):
        again.secret(second)


def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    KeyStore(tmp_path, {})
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(ConfigFault, match="chmod 600"):
        KeyStore(tmp_path, {})


def test_a_running_desk_sees_what_another_process_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOOK_AGAIN_S", 0.0)
    desk, command = KeyStore(tmp_path, {}), KeyStore(tmp_path, {})
    made = command.new("alice", ["quote"])
    assert desk.get(made.key.key_id) == made.key and desk.secret(made.key.key_id) == made.secret
    mine = desk.new("bob", ["read"])
    command.revoke(made.key.key_id)
    revoked = desk.get(made.key.key_id)
    assert revoked is not None and not revoked.active
    known = command.keys()
    assert [key.key_id for key in known] == [made.key.key_id, mine.key.key_id], "neither writer lost a key"


def test_a_broken_file_is_one_clear_fault(tmp_path: Path) -> None:
    KeyStore(tmp_path, {})
    (tmp_path / "keys.json").write_text('{"version":1,"keys":[{"nonsense')
    with pytest.raises(ConfigFault, match=r"keys\.json"):
        KeyStore(tmp_path, {})


def test_the_command_makes_lists_and_revokes(tmp_path: Path) -> None:
    runner, state = CliRunner(), str(tmp_path / "desk")
    made = json.loads(
        runner.invoke(
            keys_command, ["new", "--state", state, "--client", "alice", "--json"], catch_exceptions=False
        ).stdout
    )
    assert KeyStore(Path(state)).secret(made["key"]) == made["secret"]
    listed = runner.invoke(keys_command, ["list", "--state", state, "--json"], catch_exceptions=False).stdout
    assert made["secret"] not in listed and json.loads(listed)["items"][0]["client_id"] == "alice"
    runner.invoke(keys_command, ["revoke", "--state", state, made["key"]], catch_exceptions=False)
    key = KeyStore(Path(state)).get(made["key"])
    assert key is not None and not key.active


@pytest.mark.parametrize(
    "arguments", [["--scopes", "fly"], ["--scopes", ""], ["--scheme", "ed25519", "--public-key", "zz"]]
)
def test_the_command_refuses_what_is_no_key(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(ConfigFault):
        CliRunner().invoke(
            keys_command, ["new", "--state", str(tmp_path), "--client", "a", *arguments], catch_exceptions=False
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scopes", "quote,bogus"], "there is no scope bogus; there are quote, trade, read, operate"),
        (["--addresses", "10.0.0.0/8,nowhere"], "'nowhere' is neither an IP address nor a network"),
        (["--instruments", "BTCUSDT"], "'BTCUSDT' is not an instrument such as BTC/USDT"),
        (["--public-key", "00" * 32], "a public key belongs to the scheme ed25519"),
    ],
)
def test_a_key_that_could_never_be_used_is_not_made(tmp_path: Path, options: list[str], words: str) -> None:
    said = CliRunner().invoke(keys_command, ["new", "--state", str(tmp_path), "--client", "a", *options])
    assert isinstance(said.exception, ConfigFault)
    assert words in str(said.exception)
    assert KeyStore(tmp_path, {}).keys() == []


@pytest.mark.parametrize("command", [["list"], ["revoke", "K1"]])
def test_looking_for_keys_makes_no_state_folder(tmp_path: Path, command: list[str]) -> None:
    said = CliRunner().invoke(keys_command, [*command, "--state", str(tmp_path / "none")])
    assert isinstance(said.exception, ConfigFault)
    assert not (tmp_path / "none").exists()
