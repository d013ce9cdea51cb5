"""Scripted clients: who asks for what, when, and whether they trade. One script for the demo (real sockets) and a replay (engine clock).

A pure function of its arguments: seeded, in order of time, without end unless told. What it promises of the flow:

* `rate_per_s` requests a second on average (Poisson arrivals), split over the clients of `crowd` by their weight;
* buys, sells and two-way requests, sized in base or quote currency, log-uniform between each symbol's `size_range`;
* sides are balanced over about a minute, so that inventory wanders through its bands instead of out of them;
* about `accept_ratio` of the quotes are accepted, after a human or a machine's delay, some in part.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import msgspec

SIZE_RANGES: Mapping[str, tuple[float, float]] = {"BTC": (0.01, 3.0), "ETH": (0.1, 30.0)}
VALUE_RANGE = (600.0, 180_000.0)  # dollars: of a coin that is not in the table
_DOLLARS = {"BTC": 60_000.0}  # about what a unit of another quote currency is worth
DEFAULT_RATE_PER_S = 1.35


class ClientProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One client. `accept_ms`: range of the delay between quote and accept; `weight`: share of the requests."""

    client_id: str
    tier: str = "standard"
    weight: float = 1.0
    accept_ratio: float = 0.6
    accept_ms: tuple[int, int] = (20, 900)
    two_way_ratio: float = 0.15
    quote_sized_ratio: float = 0.25
    partial_ratio: float = 0.1


CROWD: tuple[ClientProfile, ...] = (
    ClientProfile(client_id="alpha", tier="gold", weight=0.5, accept_ms=(5, 80), two_way_ratio=0.3),
    ClientProfile(client_id="beta", tier="silver", weight=0.3, quote_sized_ratio=0.4),
    ClientProfile(client_id="gamma", tier="standard", weight=0.2, accept_ms=(300, 1_500), accept_ratio=0.5),
)


class ScriptedRfq(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One request. `at_ns` counts from the start of the script; `quantity` is in `currency`.

    `accept_after_ms` None: the quote is left to expire. `accept_side`: which side of a two-way quote is taken;
    `accept_ratio`: the part of the quoted quantity that is accepted.
    """

    at_ns: int
    client: str
    instrument: str
    side: str  # "buy" | "sell" | "two_way"
    quantity: Decimal
    currency: str
    ttl_ms: int | None = None
    accept_after_ms: int | None = None
    accept_side: str = "buy"
    accept_ratio: Decimal = Decimal(1)
    tier: str = "standard"


def script(
    seed: int,
    symbols: Sequence[str],
    *,
    prices: Mapping[str, Decimal],
    rate_per_s: float = DEFAULT_RATE_PER_S,
    crowd: Sequence[ClientProfile] = CROWD,
    duration_s: float | None = None,
) -> Iterator[ScriptedRfq]:
    """Requests in order of time. `prices`: roughly where each symbol trades, for sizes in quote currency.

    Raises ValueError for an empty crowd, no symbol, or a rate that is not positive.
    """
    if not symbols or not crowd or rate_per_s <= 0:
        raise ValueError("a script needs at least one symbol, one client and a positive rate")
    dice = random.Random(f"clients|{seed}")
    lean = {symbol: 0.0 for symbol in symbols}
    at_s = 0.0
    while True:
        at_s += dice.expovariate(rate_per_s)
        if duration_s is not None and at_s >= duration_s:
            return
        who = dice.choices(crowd, weights=[client.weight for client in crowd])[0]
        symbol = dice.choice(list(symbols))
        yield _request(dice, int(at_s * 1e9), who, symbol, prices[symbol], lean)


def _request(
    dice: random.Random, at_ns: int, who: ClientProfile, symbol: str, price: Decimal, lean: dict[str, float]
) -> ScriptedRfq:
    base, _, quote = symbol.partition("/")
    worth = float(price) * _DOLLARS.get(quote, 1.0)
    low, high = SIZE_RANGES.get(base) or (VALUE_RANGE[0] / worth, VALUE_RANGE[1] / worth)
    size = math.exp(dice.uniform(math.log(low), math.log(high)))
    # `lean` is what the clients have bought, net, in units of the largest size: the more, the likelier the next one sells.
    side = "buy" if dice.random() < 0.5 - 0.25 * math.tanh(lean[symbol] / 2) else "sell"
    two_way = dice.random() < who.two_way_ratio
    quote_sized = dice.random() < who.quote_sized_ratio
    accepts = dice.random() < who.accept_ratio
    delay_ms = dice.randint(*who.accept_ms)
    partial = dice.random() < who.partial_ratio
    part = Decimal(dice.randint(2, 8)) / 10 if partial else Decimal(1)
    if accepts:
        lean[symbol] = 0.98 * lean[symbol] + (1 if side == "buy" else -1) * float(part) * size / high
    return ScriptedRfq(
        at_ns=at_ns,
        client=who.client_id,
        instrument=symbol,
        side="two_way" if two_way else side,
        quantity=_rounded(size * float(price), 2 if price >= 1 else 6) if quote_sized else _rounded(size, 4),
        currency=quote if quote_sized else base,
        accept_after_ms=delay_ms if accepts else None,
        accept_side=side,
        accept_ratio=part,
        tier=who.tier,
    )


def _rounded(value: float, decimals: int) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def read_script(path: Path) -> list[ScriptedRfq]:
    """A script from a file: one JSON object a line, the fields of `ScriptedRfq`. Raises ValueError with the line at fault."""
    found: list[ScriptedRfq] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            item = msgspec.json.decode(line, type=ScriptedRfq)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error
        finite = item.quantity.is_finite() and item.accept_ratio.is_finite()
        if not finite or item.at_ns < 0 or item.quantity <= 0 or not 0 < item.accept_ratio <= 1:
            raise ValueError(f"{path.name}, line {number}: at_ns, quantity or accept_ratio is out of range")
        if item.side not in ("buy", "sell", "two_way") or item.accept_side not in ("buy", "sell"):
            raise ValueError(f"{path.name}, line {number}: side must be buy, sell or two_way")
        found.append(item)
    return sorted(found, key=lambda item: item.at_ns)


def write_script(path: Path, requests: Iterable[ScriptedRfq]) -> None:
    """The same format, for `--clients`."""
    path.write_bytes(b"".join(msgspec.json.encode(item) + b"\n" for item in requests))
