"""What goes wrong on a day at one exchange, as a function of its seed.

Every sixth hour is calm, so that what is renewed by the hour is renewed by itself and not by a reconnect. In each other hour `AN_HOUR`
faults come at seeded moments, and in every sixth one the venue is closed for minutes as well. Nothing happens in the last `QUIET_S` before
a measurement. The venues' own end of a connection after 24 hours comes at the end of the day. A 429 is never sent: there must be none.
"""

from __future__ import annotations

import random

from sim.servers.faults import Fault, FaultOrder
from tests.faults.scenario import FRAME_FAULTS, REST_FAULTS, Disturbance

AN_HOUR = 100
HOUR_S = 3_600.0
QUIET_S = 90.0
LONG_S = (300, 900)  # of an announced maintenance
SOCKET_FAULTS = (
    Fault.DISCONNECT,
    Fault.DISCONNECT,
    Fault.DISCONNECT_STORM,
    Fault.HALF_OPEN,
    Fault.SILENCE,
    Fault.MAINTENANCE,
)
ANSWERS = tuple(fault for fault in REST_FAULTS if fault is not Fault.HTTP_429)
SOMETIMES = (Fault.CLOCK_SKEW,)
SKEW_MS = 20_000


def calm(hour: int) -> bool:
    """Whether nothing goes wrong in an hour of the day."""
    return hour % 6 == 4


def weather(venue: str, seed: int, hours: float, every_s: float) -> tuple[Disturbance, ...]:
    """The faults of a day in order; `every_s`: between two measurements."""
    rng = random.Random(f"{venue} {seed} weather")
    found = []
    for hour in range(-int(-hours // 1)):
        if calm(hour):
            continue
        found += [_fault(rng, venue, rng.uniform(hour * HOUR_S, (hour + 1) * HOUR_S)) for _ in range(AN_HOUR)]
        if hour % 6 == 2:
            at_s, ms = hour * HOUR_S + rng.uniform(600, 1_800), 1_000 * rng.randint(*LONG_S)
            found.append(Disturbance(at_s=at_s, order=FaultOrder(fault=Fault.MAINTENANCE, ms=ms)))
    end_s = hours * HOUR_S
    found = [one for one in found if one.at_s < end_s and one.at_s % every_s < every_s - QUIET_S]
    found.append(Disturbance(at_s=end_s - 2 * QUIET_S, order=FaultOrder(fault=Fault.DISCONNECT)))
    return tuple(sorted(found, key=lambda one: one.at_s))


def _fault(rng: random.Random, venue: str, at_s: float) -> Disturbance:
    frames = (*FRAME_FAULTS, Fault.RESTART_IDS) if venue == "OKX" else FRAME_FAULTS
    fault = rng.choice(
        rng.choice((frames, frames, ANSWERS, ANSWERS, SOCKET_FAULTS, SOCKET_FAULTS, SOCKET_FAULTS, SOMETIMES))
    )
    count, ms, scope = 1, 0, ""
    match fault:
        case Fault.DISCONNECT_STORM | Fault.SILENCE:
            ms = rng.randint(500, 15_000)
        case Fault.MAINTENANCE:
            ms = rng.randint(1_000, 20_000)
        case Fault.CLOCK_SKEW:
            ms = rng.choice((0, rng.randint(-SKEW_MS, SKEW_MS)))
        case Fault.SLOW_REST:
            ms, count, scope = rng.randint(100, 5_000), rng.randint(1, 4), rng.choice(("", "order"))
        case fault if fault in ANSWERS:
            count, scope = rng.randint(1, 3), rng.choice(("", "order"))
        case fault if fault in FRAME_FAULTS:
            count = rng.randint(1, 4)
            if fault not in (Fault.DROP_UPDATES, Fault.WRONG_LEVEL):
                scope = rng.choice(("", "market", "private"))
    return Disturbance(at_s=at_s, order=FaultOrder(fault=fault, count=count, ms=ms, scope=scope))
