"""Stopping and refusing to start: exit codes, clear sentences, nothing left behind, whatever the demo was doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.process import PARENT
from sim.demo.supervisor import _lock
from tests.crash.demo_run import Demo, alive, command, family

STOP_S = 5.0


@pytest.fixture
def running() -> Iterator[list[Demo]]:
    """Demos to be ended whatever happens."""
    demos: list[Demo] = []
    yield demos
    for demo in demos:
        if demo.process.poll() is None:
            demo.kill_all()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("phase", "how"),
    [
        ("state folder:", signal.SIGINT),  # the venues start
        ("desk: http", signal.SIGTERM),  # the desk process loads
        ("warming kernels", signal.SIGINT),
        ("connecting to venues", signal.SIGTERM),  # ledger and archiver are open
    ],
    ids=["venues start", "desk loads", "kernels warm", "venues connect"],
)
def test_a_signal_before_the_desk_is_up_ends_everything_with_exit_0(
    tmp_path: Path, running: list[Demo], phase: str, how: signal.Signals
) -> None:
    demo = Demo(tmp_path / "state")
    running.append(demo)
    demo.says(phase)
    started = family(demo.process.pid)
    began = time.monotonic()
    demo.process.send_signal(how)
    assert demo.process.wait(20) == 0, demo.tail()
    assert time.monotonic() - began < STOP_S
    assert "Traceback" not in demo.tail()
    until = time.monotonic() + STOP_S  # an archiver that was just being started ends by itself
    while left := [command(pid) for pid in started if alive(pid)] + _naming(tmp_path):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_a_child_whose_parent_died_before_it_could_ask_ends_at_once() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    program = "from adapters.process import die_with_parent; die_with_parent(); print('still here')"
    environment = {**os.environ, PARENT: str(gone.pid)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "desk.cli", "demo", "--headless", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_state_folder_that_cannot_be_made_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _demo("--state", str(tmp_path / "file" / "state"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "cannot be used" in done.stderr


def test_a_state_folder_in_use_is_exit_3(tmp_path: Path) -> None:
    lock = _lock(tmp_path)
    try:
        done = _demo("--state", str(tmp_path))
    finally:
        lock.close()
    assert done.returncode == 3
    assert "another demo is running on" in done.stderr


def test_a_report_that_could_not_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = _demo("--state", str(tmp_path / "state"), "--report", str(tmp_path / "none" / "r.json"))
    assert done.returncode == 2
    assert "there is no folder" in done.stderr and not (tmp_path / "state").exists()


def _naming(path: Path) -> list[str]:
    """Processes that have `path` in their command line."""
    found = (command(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return [line for line in found if str(path) in line]
