"""`python -m sim.servers` as a process: ready line, clean stop, death with its parent, the same truth after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.conformance.venue_probe import make_tape

COMMAND = [sys.executable, "-m", "sim.servers", "--venues", "BINANCE,KRAKEN", "--seed", "7"]


def start(*arguments: str) -> tuple[subprocess.Popen[str], dict]:
    """The process and its ready line."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def order(ready: dict, client_id: str) -> dict:
    """A signed market order on Binance."""
    import hashlib
    import hmac

    query = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newClientOrderId={client_id}&timestamp={time.time_ns() // 1_000_000}"
    key = ready["credentials"]["BINANCE"]
    signature = hmac.new(key["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
    url = f"{ready['BINANCE']['rest']}/api/v3/order?{query}&signature={signature}"
    request = urllib.request.Request(url, method="POST", headers={"X-MBX-APIKEY": key["key"]})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def test_kill_9_loses_no_confirmed_fill_and_sigterm_is_clean(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    process, ready = start("--tape", str(make_tape(tmp_path)), "--state", state)
    try:
        filled, deadline = [], time.monotonic() + 10
        while len(filled) < 5 and time.monotonic() < deadline:
            answer = order(ready, f"k{len(filled)}")
            if answer["status"] == "FILLED":  # the book is live after the tape's first lines
                filled.append(answer)
        assert len(filled) == 5
        process.send_signal(signal.SIGKILL)
        process.wait(5)
        process, again = start("--tape", str(tmp_path / "tape.txt"), "--state", state)
        assert {key: again[key] for key in ("BINANCE", "KRAKEN", "credentials")} == {
            key: ready[key] for key in ("BINANCE", "KRAKEN", "credentials")
        }
        records = [json.loads(line) for line in Path(state, "binance.jsonl").read_text().splitlines()]
        known = {record["client_id"] for record in records if record["k"] == "order"}
        assert {answer["clientOrderId"] for answer in filled} <= known
        trades = [record["trade_id"] for record in records if record["k"] == "fill"]
        assert len(trades) == len(set(trades)) >= 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.communicate()


def test_what_is_no_tape_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing of the kind\n" * 100)
    done = subprocess.run([*COMMAND, "--tape", str(path)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert "is not a tape" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_the_venues_die_with_their_parent(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen({COMMAND!r}, stdout=subprocess.PIPE, text=True)\n"
        "p.stdout.readline()\nprint(p.pid, flush=True)\nsys.stdin.readline()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
