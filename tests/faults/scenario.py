"""One seeded scenario: which venue, what goes wrong when, and what the desk does meanwhile. (seed, number) says it all."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec

from sim.servers.faults import Fault, FaultOrder

ACTIVE_S = 2.5  # faults begin and orders are sent within this time
LONGEST_MS = 1_200

FRAME_FAULTS = (
    Fault.DROP_UPDATES,
    Fault.DROP_FRAMES,
    Fault.DUPLICATE_FRAMES,
    Fault.REORDER_FRAMES,
    Fault.TRUNCATE_FRAME,
    Fault.GARBAGE_FRAME,
    Fault.WRONG_LEVEL,
)
REST_FAULTS = (
    Fault.HTTP_503,
    Fault.HTTP_502,
    Fault.HTTP_429,
    Fault.HTTP_502_AFTER,
    Fault.RESET_AFTER,
    Fault.SLOW_REST,
    Fault.HANG_AFTER_ACCEPT,
    Fault.REJECT,
)
SOCKET_FAULTS = (Fault.DISCONNECT, Fault.DISCONNECT_STORM, Fault.HALF_OPEN, Fault.SILENCE, Fault.MAINTENANCE)
CLOCK_FAULTS = (Fault.CLOCK_SKEW,)
FAMILIES = (FRAME_FAULTS, FRAME_FAULTS, REST_FAULTS, REST_FAULTS, SOCKET_FAULTS, SOCKET_FAULTS, CLOCK_FAULTS)


class Disturbance(msgspec.Struct, frozen=True, kw_only=True):
    """A fault, and when."""

    at_s: float
    order: FaultOrder


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the desk, and when. `through`: whole quote units beyond the other side's best price. `cancel_s`: after it was sent."""

    at_s: float
    client_order_id: str
    side: str
    quantity: str
    through: int
    time_in_force: str
    cancel_s: float | None = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at one venue. `stranger_s`: somebody else places a resting order on the account then; None: nobody does."""

    number: int
    seed: int
    venue: str
    disturbances: tuple[Disturbance, ...]
    trades: tuple[Trade, ...]
    stranger_s: float | None = None
    active_s: float = ACTIVE_S

    @property
    def touches_private_stream(self) -> bool:
        """Whether a fault can keep a private message from us."""
        market_only = (Fault.DROP_UPDATES, Fault.WRONG_LEVEL, *REST_FAULTS, *CLOCK_FAULTS)
        return any(done.order.fault not in market_only and done.order.scope != "market" for done in self.disturbances)

    def told(self) -> str:
        """In one line."""
        faults = ", ".join(f"{one.order.fault}@{one.at_s:.2f}" for one in self.disturbances)
        return f"#{self.number} seed {self.seed} {self.venue}: {faults}; {len(self.trades)} orders"


def scenario(
    number: int, seed: int, venues: tuple[str, ...], *, faults: tuple[Fault, ...] = (), active_s: float = ACTIVE_S
) -> Scenario:
    """Scenario `number` of `seed`; venues take turns. `faults`: these instead of drawn ones (for planted bugs)."""
    rng = random.Random(f"{seed} {number}")
    venue = venues[number % len(venues)]
    chosen = faults or tuple(rng.choice(rng.choice(FAMILIES)) for _ in range(rng.randint(1, 4)))
    return Scenario(
        number=number,
        seed=seed,
        venue=venue,
        disturbances=tuple(sorted((disturbance(rng, fault, active_s) for fault in chosen), key=lambda one: one.at_s)),
        trades=tuple(_trade(rng, number, k, active_s) for k in range(rng.randint(3, 8))),
        stranger_s=rng.uniform(0.0, active_s / 2) if rng.random() < 0.3 else None,
        active_s=active_s,
    )


def disturbance(rng: random.Random, fault: Fault, active_s: float) -> Disturbance:
    """A fault of this kind: when, how often or how long, and of what."""
    ms, count, scope = 0, 1, ""
    match fault:
        case Fault.DISCONNECT_STORM | Fault.SILENCE | Fault.MAINTENANCE:
            ms = rng.randint(200, LONGEST_MS)
        case Fault.SLOW_REST:
            ms, count, scope = rng.randint(100, LONGEST_MS), rng.randint(1, 4), rng.choice(("", "order"))
        case Fault.CLOCK_SKEW:
            ms = rng.choice((-1, 1)) * rng.randint(500, 60_000)
        case Fault.HANG_AFTER_ACCEPT | Fault.REJECT:
            count = rng.randint(1, 2)
        case fault if fault in REST_FAULTS:
            count, scope = rng.randint(1, 4), rng.choice(("", "order"))
        case fault if fault in FRAME_FAULTS:
            count = rng.randint(1, 4)
            if fault not in (Fault.DROP_UPDATES, Fault.WRONG_LEVEL):
                scope = rng.choice(("", "market", "private"))
    at_s = rng.uniform(0.1, active_s * 0.8)
    return Disturbance(at_s=at_s, order=FaultOrder(fault=fault, count=count, ms=ms, scope=scope))


def _trade(rng: random.Random, number: int, k: int, active_s: float) -> Trade:
    style = rng.choice(("sweep", "sweep", "take", "kill", "rest", "rest"))
    through = {"sweep": 60, "take": 20, "kill": 20, "rest": -rng.randint(1_000, 4_000)}[style]
    sizes = {"sweep": (20, 80), "take": (1, 5), "kill": (1, 5), "rest": (1, 10)}[style]
    quantity = Decimal(rng.randint(*sizes)) / 10
    return Trade(
        at_s=rng.uniform(0.0, active_s),
        client_order_id=f"F{number}N{k}",
        side=rng.choice(("buy", "sell")),
        quantity=str(quantity),
        through=through,
        time_in_force={"sweep": "IOC", "take": "IOC", "kill": "FOK", "rest": "GTC"}[style],
        cancel_s=rng.uniform(0.05, 1.0) if style == "rest" and rng.random() < 0.6 else None,
    )
