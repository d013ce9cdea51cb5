"""A piece of the simulated day, and twelve hours of it with `KERB_LONG_TESTS=1` (all of it: `python -m tests.faults.day VENUE`)."""

import json
import os
import subprocess
import sys

import pytest

from tests.conformance.ccxt_venue import VENUES
from tests.faults.day.growth import summary
from tests.faults.day.held import Held, containers
from tests.faults.day.life import Hour, Lived
from tests.faults.day.weather import HOUR_S, calm, weather

CLOCK = """
import asyncio, json
from tests.faults.day.clock import REAL_MONOTONIC_NS, Loop, install
clock = install()
from time import monotonic, time
from socket import socketpair

async def day():
    loop, order = asyncio.get_running_loop(), []
    near, far = socketpair()
    near.setblocking(False), far.setblocking(False)
    async def late():
        await asyncio.sleep(3600)
        order.append("timer")
    async def echo():
        for turn in range(200):
            await loop.sock_sendall(near, b"x" * 50_000)
            got = 0
            while got < 50_000:
                got += len(await loop.sock_recv(far, 65536))
        order.append("bytes")
    await asyncio.gather(late(), echo())
    await loop.run_in_executor(None, sum, range(3_000_000))
    order.append(round(monotonic() - began))
    await asyncio.sleep(23 * 3600)
    near.close(), far.close()
    passed = {"passed_s": monotonic() - began, "wall_s": time() - wall, "real_s": (REAL_MONOTONIC_NS() - real_ns) / 1e9}
    return {"order": order, **passed}

began, wall, real_ns = monotonic(), time(), REAL_MONOTONIC_NS()
with asyncio.Runner(loop_factory=lambda: Loop(clock)) as runner:
    print(json.dumps(runner.run(day())))
"""


def ran(*command):
    """A process of its own: the clock must come before everything that keeps one."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-2_000:]
    return done, json.loads(done.stdout)


def test_a_day_passes_at_once_but_not_before_what_is_on_its_way():
    _, said = ran("-c", CLOCK)
    assert said["order"] == ["bytes", "timer", 3600]
    assert 86_400 <= said["passed_s"] < 86_400 + said["real_s"] + 1
    assert abs(said["wall_s"] - said["passed_s"]) < 1
    assert said["real_s"] < said["passed_s"] / 1_000


def test_nine_minutes_of_faults_at_two_venues_leave_nothing_behind():
    done, days = ran("-m", "tests.faults.day", "binanceusdm", "kraken", "--hours", "0.15", "--every", "540")
    assert [day["wrong"] for day in days] == [[], []]
    assert done.returncode == 0
    assert all(day["disturbances"] > 5 and day["figures"]["account.reconnects"] > 1 for day in days)
    assert sum(day["figures"]["fills"] for day in days) > 0


@pytest.mark.timeout(0)
@pytest.mark.skipif(not os.environ.get("KERB_LONG_TESTS"), reason="many minutes")
@pytest.mark.parametrize("venue", VENUES)
def test_twelve_hours_at_a_venue_hold(venue):
    _, (day,) = ran("-m", "tests.faults.day", venue, "--hours", "12")
    assert day["wrong"] == []
    assert day["disturbances"] > 900


def test_weather_is_a_function_of_its_seed_with_calm_hours_and_quiet_before_each_measurement():
    day = weather("OKX", 7, 24, HOUR_S)
    assert day == weather("OKX", 7, 24, HOUR_S) != weather("OKX", 8, 24, HOUR_S)
    assert 1_800 < len(day) < 2_200
    assert not [one for one in day if calm(int(one.at_s // HOUR_S))]
    assert all(one.at_s % HOUR_S < HOUR_S - 60 for one in day)


def a_day(values, **fields):
    """A made-up day whose tasks, or a container of whose links, take these values at its measurements."""
    rows = []
    for hour, value in enumerate(values):
        numbers = dict.fromkeys(
            ("files", "sockets", "clients", "futures", "objects", "blocks", "resident_kb", "trimmed_kb", "malloc_kb"),
            50,
        )
        path = fields.get("path")
        inside = {path: value} if path else {}
        tasks = 40 if path else value
        rows.append(
            Hour(
                held=Held(at_s=hour * HOUR_S, tasks=tasks, types={}, containers=inside, **numbers),
                counters={},
                requests={},
            )
        )
    return Lived(venue="OKX", seed=1, hours=24.0, disturbances={}, rows=rows)


def test_a_task_that_is_left_behind_every_few_hours_is_seen():
    assert summary(a_day([40 + hour // 2 for hour in range(25)]))["wrong"] == ["tasks grow by 12 a day"]
    assert summary(a_day([40 + hour % 3 for hour in range(25)]))["wrong"] == []


def test_a_container_may_fill_to_its_bound_and_no_further():
    assert summary(a_day([100 * hour for hour in range(25)], path="account._ids"))["wrong"] == []
    assert summary(a_day([1_000 * hour for hour in range(25)], path="account._ids"))["wrong"]
    assert summary(a_day([100 * hour for hour in range(25)], path="account._held"))["wrong"]


def test_containers_are_counted_by_path_through_objects_of_ours():
    from adapters.ccxt.account.unclaimed import Unclaimed

    holder = Unclaimed()
    holder._held["1"] = [1, 2, 3]
    assert containers(holder, "it") == {"it._held": 1, "it._held[]": 3}
