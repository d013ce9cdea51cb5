"""Does the desk keep up with eight busy streams at their real speed, and at what price? Beside raw ccxt.pro on the same frames at once.

A loopback server plays the busiest seconds of two recorded markets over four venues' sockets (eight streams: a market at a venue each) to
the desk's node and to plain ccxt.pro loops, each a process of its own, at the same time. Latencies are from the time a frame was due (they
hold the server's lateness too, which is told) and from its receipt; pricing and everything else after the book is not in them.
"""

from __future__ import annotations

import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from adapters.process import as_child
from benchmarks.load_client import Heard
from benchmarks.load_server import SYMBOLS, Played
from benchmarks.row import Row
from benchmarks.targets import CCXT

VENUES = 4
SECONDS = 24.0
LEAD_S = 4.0
STREAMS = 3  # book, trades, best prices


class About(msgspec.Struct, frozen=True):
    """What the server is going to play."""

    rest: str
    ws: str
    frames: int
    most_in_1s: int
    most_in_10ms: int


class Measured(msgspec.Struct, frozen=True):
    """One run."""

    about: About
    played: Played
    desk: Heard
    ccxt: Heard


def _spawn(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=as_child())


def _line(process: subprocess.Popen[str], beside: Sequence[subprocess.Popen[str]] = ()) -> str:
    """Its next line; raises RuntimeError when it, or one that it cannot do without, ended instead."""
    assert process.stdout is not None
    while not select.select([process.stdout], [], [], 0.2)[0]:
        for other in beside:
            if other.poll() is not None:
                raise RuntimeError(f"{other.args} ended with {other.returncode}")
    if line := process.stdout.readline():
        return line
    raise RuntimeError(f"{process.args} ended with {process.wait()}")


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def measure(
    venues: int = VENUES, seconds: float = SECONDS, lead_s: float = LEAD_S, *, busiest: bool = True
) -> Measured:
    """Play once, to both ends at once."""
    subscriptions = 2 * venues * len(SYMBOLS) * STREAMS
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.json"
        options = [f"--seconds={seconds}", f"--lead={lead_s}", f"--subscriptions={subscriptions}", f"--frames={frames}"]
        server = _spawn("load_server", *options, *(() if busiest else ("--first",)))
        options = [f"--frames={frames}", f"--venues={venues}", f"--lead={lead_s}"]
        ends = [_spawn("load_client", end, *options) for end in ("desk", "ccxt")]
        try:
            said = _line(server, ends)
            about = msgspec.json.decode(said, type=About)
            for end in ends:
                _tell(end, said)
            played = msgspec.json.decode(_line(server, ends), type=Played)
            for end in ends:
                _tell(end, f"{played.start_ns}\n")
            heard = [msgspec.json.decode(_line(end), type=Heard) for end in ends]
        finally:
            for process in (*ends, server):
                process.terminate()
                process.wait()
    return Measured(about, played, *heard)


def load() -> list[Row]:
    """Latency from receipt, latency from when it was due, and CPU a frame."""
    run = measure()
    return rows_of(run)


def rows_of(run: Measured) -> list[Row]:
    """The rows of a run."""
    desk, ccxt, backlog = run.desk, run.ccxt, run.desk.backlog
    peak = f"peak {VENUES * run.about.most_in_1s} frames/s, {VENUES * run.about.most_in_10ms} in 10 ms"
    waited = f"most that waited: {backlog.frames} frames, {backlog.messages} messages, {backlog.socket_bytes} bytes; left {backlog.left}"
    third = ", ".join(f"{late / 1e6:.2f}" for late in desk.to_book)
    return [
        Row(
            name="load.receive", question="eight streams at real speed: from a frame's receipt to the desk's book", p50_ns=desk.receive_p50,
            p99_ns=desk.receive_p99, n=desk.frames, note=f"{peak}; missed {desk.missed}, resyncs {desk.resyncs}; {waited}",
        ),
        Row(
            name="load.due", question="the same from the time the frame was due", p50_ns=desk.due_p50, p99_ns=desk.due_p99, n=desk.frames,
            worst_ns=desk.due_most,
            note=f"by thirds of the run p50 {third} ms; the server itself was late by p50 {run.played.late_ns_p50 / 1e6:.2f} ms, "
            f"p99 {run.played.late_ns_p99 / 1e6:.2f} ms, most {run.played.late_ns_most / 1e6:.2f} ms",
        ),
        Row(
            name="load.cpu", question="CPU a frame, of the whole process: socket, link, engine, the desk's books",
            p50_ns=desk.cpu_ns // max(1, desk.frames), p99_ns=desk.cpu_ns // max(1, desk.frames), n=desk.frames, peer=CCXT,
            peer_p50_ns=ccxt.cpu_ns // max(1, ccxt.frames), ratio=round(_share(ccxt) / _share(desk), 2),
            note=f"a mean, not percentiles; ccxt.pro only parses and wakes a loop; it missed {ccxt.missed}",
        ),
    ]  # fmt: skip


def _share(heard: Heard) -> float:
    return heard.cpu_ns / max(1, heard.frames)
