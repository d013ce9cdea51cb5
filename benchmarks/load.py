"""Does the desk keep up with six venues at a busy market's real speed, and at what price? Beside raw ccxt.pro on the same frames at once.

Loopback servers play the busiest seconds of recorded markets, each venue in its own words, their bursts at the same moment, to the desk's
node and to plain ccxt.pro loops, each a process of its own, at the same time. Latencies are from a frame's receipt, when its turn came out
of the socket's buffer, and from the time it was due, which holds the wait before that and the servers' lateness too, which is told; pricing
and everything else after the book is in neither.
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
from benchmarks.load_ear import Heard, VenueHeard
from benchmarks.load_server import About, Played
from benchmarks.row import Row
from benchmarks.targets import CCXT
from sim.instruments import BINANCE, BINANCEUSDM, BYBIT, COINBASE, KRAKEN, OKX

VENUES = (BINANCE, BINANCEUSDM, OKX, BYBIT, KRAKEN, COINBASE)
SECONDS = 24.0
LEAD_S = 4.0


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
    venues: Sequence[str] = VENUES, seconds: float = SECONDS, lead_s: float = LEAD_S, *, busiest: bool = True
) -> Measured:
    """Play once, to both ends at once."""
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.json"
        options = [f"--venues={','.join(venues)}", f"--seconds={seconds}", f"--lead={lead_s}", f"--frames={frames}"]
        server = _spawn("load_server", *options, *(() if busiest else ("--first",)))
        ends = [_spawn("load_client", end, f"--frames={frames}", f"--lead={lead_s}") for end in ("desk", "ccxt")]
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


def load(venues: Sequence[str] = VENUES) -> list[Row]:
    """Latency from receipt, latency from when it was due, and CPU a frame; of all venues, then of each."""
    return rows_of(measure(venues))


def rows_of(run: Measured) -> list[Row]:
    """The rows of a run."""
    desk, ccxt, backlog, about = run.desk, run.ccxt, run.desk.backlog, run.about
    peak = f"peak {about.most_in_1s} frames/s, {about.most_in_10ms} in 10 ms"
    waited = (
        f"most that waited: {backlog.frames} frames, {backlog.messages} messages, {backlog.socket_bytes} bytes here and "
        f"{run.played.unsent_bytes} at the servers; left {backlog.left}"
    )
    third = ", ".join(f"{late / 1e6:.2f}" for late in desk.to_book)
    made = [
        Row(
            name="load.receive", question=f"{len(about.venues)} venues at real speed: from a frame's receipt to the desk's book",
            p50_ns=desk.receive_p50, p99_ns=desk.receive_p99, n=desk.frames,
            note=f"{peak}; missed {desk.missed}, resyncs {desk.resyncs}; {waited}; longest garbage pause {desk.pause_most / 1e6:.1f} ms",
        ),
        Row(
            name="load.due", question="the same from the time the frame was due", p50_ns=desk.due_p50, p99_ns=desk.due_p99, n=desk.frames,
            worst_ns=desk.due_most,
            note=f"by thirds of the run p50 {third} ms; the servers themselves were late by p50 {run.played.late_ns_p50 / 1e6:.2f} ms, "
            f"p99 {run.played.late_ns_p99 / 1e6:.2f} ms, most {run.played.late_ns_most / 1e6:.2f} ms",
        ),
        _cpu("load.cpu", "CPU a frame, of the whole process: socket, link, engine, the desk's books", desk, ccxt,
             f"a mean, not percentiles; ccxt.pro only parses and wakes a loop; it missed {ccxt.missed}"),
    ]  # fmt: skip
    for venue, offered in about.venues.items():
        mine, theirs = desk.venues[venue], ccxt.venues[venue]
        made.append(
            Row(
                name=f"load.receive {venue}", question="of one of them: from a frame's receipt to the desk's book", p50_ns=mine.receive_p50,
                p99_ns=mine.receive_p99, n=mine.frames,
                note=f"peak {offered.most_in_1s} frames/s, {offered.most_in_10ms} in 10 ms; missed {mine.missed}",
            )
        )  # fmt: skip
        question = "CPU a frame, by the time that handling its frames took of all"
        made.append(_cpu(f"load.cpu {venue}", question, mine, theirs, "a mean"))
    return made


def _cpu(name: str, question: str, ours: Heard | VenueHeard, theirs: Heard | VenueHeard, note: str) -> Row:
    """CPU a frame at both ends."""
    mine, peer = ours.cpu_ns // max(1, ours.frames), theirs.cpu_ns // max(1, theirs.frames)
    return Row(
        name=name, question=question, p50_ns=mine, p99_ns=mine, n=ours.frames, note=note, peer=CCXT, peer_p50_ns=peer,
        ratio=round(peer / max(1, mine), 2),
    )  # fmt: skip
