"""One seeded episode of a node: which venues are disturbed when, and what clients want meanwhile. (seed, number) says it all.

A node trades at the venues of one of `CASTS`; all seven are in one at least, and some take orders by WebSocket. Perpetuals are watched and
held: somebody else trades them on our account. In an episode that strikes `ALL`, every venue that prices a request is away for a while at
the same time.
"""

from __future__ import annotations

import random
from decimal import Decimal
from enum import StrEnum

import msgspec

from sim.instruments import BINANCE, BINANCEUSDM, BYBIT, COINBASE, KRAKEN, KRAKENFUTURES, OKX
from sim.servers.faults import Fault, FaultOrder
from tests.faults.scenario import FAMILIES, Disturbance, disturbance

CASTS = (
    (BINANCE, KRAKEN, BINANCEUSDM),
    (OKX, BYBIT, KRAKENFUTURES),
    (COINBASE, KRAKEN, BYBIT),
)
OVER_SOCKET = {
    CASTS[1]: (OKX, BYBIT),
    CASTS[2]: (KRAKEN,),
}  # where orders go over the private WebSocket instead of REST
PERPETUALS = {BINANCEUSDM: "BTC/USDT:USDT", KRAKENFUTURES: "BTC/USD:USD"}
ACTIVE_S = 2.5  # disturbances begin and clients ask within this time
AWAY = (Fault.DISCONNECT_STORM, Fault.SILENCE, Fault.MAINTENANCE)  # what keeps a venue away for as long as it says
AWAY_MS = (1_200, 2_200)
SHARES = (0.45, 0.3, 0.25)  # of episodes that strike one venue, several, all


class Struck(StrEnum):
    """How many venues an episode disturbs."""

    ONE = "one"
    SEVERAL = "several"
    ALL = "all"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A client asks, and takes what it is offered or not; `twice`: it says so twice at once, under one id."""

    at_s: float
    side: str
    quantity: str
    accept: bool
    twice: bool


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """A client's order that is to rest `away_bps` from the market; `cancel_s`: when it is taken back, None: after the episode."""

    at_s: float
    side: str
    quantity: str
    away_bps: int
    cancel_s: float | None


class Stranger(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else trades a perpetual on our account, signed contracts."""

    at_s: float
    venue: str
    side: int


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """What happens. `disturbances` by venue."""

    number: int
    seed: int
    struck: Struck
    disturbances: dict[str, tuple[Disturbance, ...]]
    asks: tuple[Ask, ...]
    rests: tuple[Rest, ...]
    strangers: tuple[Stranger, ...]
    active_s: float

    def told(self) -> str:
        """In one line."""
        parts = [
            f"{venue} {', '.join(f'{one.order.fault}@{one.at_s:.2f}' for one in many)}"
            for venue, many in self.disturbances.items()
        ]
        return f"#{self.number} seed {self.seed} ({self.struck}): {'; '.join(parts)}"


def cast_of(number: int) -> tuple[str, ...]:
    """The venues of the node that plays an episode."""
    return CASTS[number % len(CASTS)]


def episode(
    number: int,
    seed: int,
    venues: tuple[str, ...],
    *,
    struck: Struck | None = None,
    faults: tuple[Fault, ...] = (),
    active_s: float = ACTIVE_S,
) -> Episode:
    """Episode `number` of `seed`. `struck`, `faults`: these instead of drawn ones (each venue then gets all of `faults`)."""
    rng = random.Random(f"{seed} {number} node")
    kind = struck or rng.choices(tuple(Struck), SHARES)[0]
    spot = [venue for venue in venues if venue not in PERPETUALS]
    if kind is Struck.ALL:
        hit = spot
    else:
        hit = rng.sample(venues, 1 if kind is Struck.ONE else rng.randint(2, len(venues)))
    return Episode(
        number=number,
        seed=seed,
        struck=kind,
        disturbances={venue: _disturbances(rng, venue, kind, faults, active_s) for venue in hit},
        asks=_asks(rng, active_s),
        rests=tuple(_rest(rng, active_s) for _ in range(rng.choice((0, 0, 1, 2)))),
        strangers=tuple(
            Stranger(at_s=rng.uniform(0.0, active_s), venue=venue, side=rng.choice((-1, 1)))
            for venue in venues
            if venue in PERPETUALS and rng.random() < 0.5
        ),
        active_s=active_s,
    )


def _disturbances(
    rng: random.Random, venue: str, kind: Struck, faults: tuple[Fault, ...], active_s: float
) -> tuple[Disturbance, ...]:
    if kind is Struck.ALL and not faults:
        away = FaultOrder(fault=rng.choice(AWAY), ms=rng.randint(*AWAY_MS))
        return (Disturbance(at_s=rng.uniform(0.1, 0.3), order=away),)
    families = (*FAMILIES, (Fault.RESTART_IDS,)) if venue == OKX else FAMILIES
    chosen = faults or tuple(rng.choice(rng.choice(families)) for _ in range(rng.randint(1, 3)))
    return tuple(sorted((disturbance(rng, fault, active_s) for fault in chosen), key=lambda one: one.at_s))


def _asks(rng: random.Random, active_s: float) -> tuple[Ask, ...]:
    """Clients lean to one side for a while, so that the desk has to hedge."""
    at_s, lean, found = rng.uniform(0.0, 0.1), rng.choice(("buy", "sell")), []
    while at_s < active_s:
        if rng.random() < 0.12:
            lean = "sell" if lean == "buy" else "buy"
        other = "sell" if lean == "buy" else "buy"
        side = rng.choices((lean, other, "two_way"), (0.7, 0.15, 0.15))[0]
        quantity = Decimal(rng.randint(4, 60)) / 100
        found.append(
            Ask(
                at_s=at_s,
                side=side,
                quantity=str(quantity),
                accept=rng.random() < 0.75,
                twice=rng.random() < 0.15,
            )
        )
        at_s += rng.uniform(0.08, 0.3)
    return tuple(found)


def _rest(rng: random.Random, active_s: float) -> Rest:
    return Rest(
        at_s=rng.uniform(0.0, active_s * 0.7),
        side=rng.choice(("buy", "sell")),
        quantity=str(Decimal(rng.randint(5, 40)) / 100),
        away_bps=rng.randint(150, 400),
        cancel_s=rng.uniform(0.3, active_s) if rng.random() < 0.6 else None,
    )
