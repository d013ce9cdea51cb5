"""The command line from outside: help that answers at once, one clear line for each mistake, and the exit codes of the contract."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from desk import cli
from desk.errors import TemporaryFault

COMMANDS = ("archive", "bench", "config", "demo", "doctor", "keys", "price", "replay", "run", "serve", "split", "tui")
REQUEST = {"side": "buy", "quantity": "1", "venues": [{"venue": "A", "asks": [["100", "2"]], "bids": []}]}


class Ran:
    """What a command said and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Kerb:
    """`kerb …` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["kerb", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = self._capsys.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)


@pytest.fixture
def kerb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kerb:
    return Kerb(monkeypatch, capsys)


@pytest.fixture
def request_file(tmp_path: Path) -> str:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(REQUEST))
    return str(file)


def test_help_lists_every_command_with_one_line(kerb: Kerb) -> None:
    ran = kerb("--help")
    assert ran.code == 0
    rows = {
        line.split()[0]: line.split()[1:] for line in ran.out.partition("Commands:")[2].splitlines() if line.strip()
    }
    assert set(COMMANDS) <= set(rows)
    assert all(rows.values()), "every command says what it does"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(kerb: Kerb, command: str) -> None:
    ran = kerb(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: kerb {command}")


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom desk.cli import cli\n"
        "for words in (['--help'], *([name, '--help'] for name in sys.argv[1:])):\n"
        "    cli.main(words, standalone_mode=False)\n"
        "heavy = {'nautilus_trader', 'ccxt', 'numba', 'numpy', 'textual', 'chdb', 'sqlalchemy', 'aiohttp', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program, *COMMANDS], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-command"],
        ["demo", "--no-such-option"],
        ["demo", "--for", "soon"],
        ["demo", "--for", "0s"],
        ["demo", "--port", "70000"],
        ["demo", "--headless", "--tape", "/no/such/tape"],
        ["demo", "--headless", "--report", "/no/such/folder/r.json"],
        ["replay"],
        ["replay", "--tape", "/no/such/tape"],
        ["serve", "--speed", "0"],
        ["serve", "--speed", "nan"],
        ["serve", "--symbols", "FOO"],
        ["serve", "--state", "/proc/no/such"],
        ["serve", "nowhere"],
        ["run", "--config", "/no/such/desk.toml"],
        ["config", "check", "--config", "/no/such/desk.toml"],
        ["split", "--request", "/no/such/request.json"],
        ["bench", "no-such-suite"],
        ["keys", "new"],
        ["tui"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_clear_line_and_exit_2(
    kerb: Kerb, words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = kerb(*words)
    assert ran.code == 2
    problems = [line for line in ran.err.splitlines() if not line.startswith("kerb: reading ")]
    assert len(problems) == 1 and problems[0].startswith("kerb: "), ran.err
    assert ran.out == "", "data goes to stdout, complaints do not"


@pytest.mark.parametrize(
    ("name", "content"),
    [("noise", bytes(range(256)) * 20), ("empty", b""), ("text", b"dear diary\n" * 100)],
)
def test_what_is_no_tape_is_refused_with_exit_2(kerb: Kerb, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    ran = kerb("replay", "--tape", str(tmp_path / name))
    assert ran.code == 2
    assert str(tmp_path / name) in ran.err.splitlines()[-1]


def test_a_faulty_configuration_lists_its_faults_and_exits_2(kerb: Kerb, tmp_path: Path) -> None:
    file = tmp_path / "desk.toml"
    file.write_text('mode = "dead"\n[api]\nprot = 1\n')
    ran = kerb("config", "check", "--config", str(file))
    assert ran.code == 2
    assert f"{file}:1" in ran.err and f"{file}:3" in ran.err and "port" in ran.err


def test_config_init_never_overwrites(kerb: Kerb, tmp_path: Path) -> None:
    file = tmp_path / "desk.toml"
    assert kerb("config", "init", str(file)).code == 0
    written = file.read_text()
    assert kerb("config", "check", "--config", str(file)).code == 0
    assert kerb("config", "init", str(file)).code == 2
    assert file.read_text() == written


def test_a_result_goes_to_stdout_and_exits_0(kerb: Kerb, request_file: str) -> None:
    ran = kerb("split", "--request", request_file)
    assert (ran.code, json.loads(ran.out)["filled"], ran.err) == (0, "1", "")


def test_a_request_that_is_not_json_exits_2(kerb: Kerb, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"side":"buy"')
    ran = kerb("split", "--request", str(tmp_path / "r.json"))
    assert ran.code == 2 and ran.out == "" and len(ran.err.splitlines()) == 1


def test_an_interrupt_exits_130(kerb: Kerb, request_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("router.exact.split.split", interrupted)
    assert kerb("split", "--request", request_file).code == 130


def test_a_fault_that_passes_exits_3(kerb: Kerb, request_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise TemporaryFault("the archive is held by another process")

    monkeypatch.setattr("router.exact.split.split", busy)
    ran = kerb("split", "--request", request_file)
    assert ran.code == 3 and "held by another process" in ran.err


def test_a_taken_port_is_replaced_and_said() -> None:
    from sim.demo.supervisor import _free_port

    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        said: list[str] = []
        found = _free_port(wanted, said.append)
    assert found != wanted and said == [f"port {wanted} is taken: using {found}"]
