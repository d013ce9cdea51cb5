"""Execution algorithms: pure objects that say what to do next (`step.Step`), made from a spec and where its schedule stands.

    spec        which algo, with its numbers (`AlgoSpec`), and where its schedule stands (`Standing`): journalled with the parent
    schedule    slices that sum exactly to the quantity; `Slices`, the algo of every schedule of slices
    one algo a file: twap · vwap · shortfall (Almgren–Chriss) · arrival · pov · iceberg · pegged · sniper
    volume      what others trade, our own executions left out; profile: how volume is spread over the day
    benchmark   what a parent is measured against: its own schedule, the interval's TWAP and VWAP, the price at arrival

`router.pace` shows them the market and does what they say, through the router's plan, the gate and the journal like every order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from router.algos.arrival import Arrival
from router.algos.iceberg import Displayed
from router.algos.pegged import Following
from router.algos.pov import Participation
from router.algos.shortfall import shortfall
from router.algos.sniper import Waiting
from router.algos.spec import (
    AlgoSpec,
    ArrivalPrice,
    Iceberg,
    ImplementationShortfall,
    Pegged,
    Pov,
    Sniper,
    Standing,
    Twap,
    Vwap,
)
from router.algos.step import Algo
from router.algos.twap import twap
from router.algos.vwap import VolumeSlices


def build(
    spec: AlgoSpec, standing: Standing, quantity: Decimal, unit: Decimal, seed: str, *, own_shown: bool = True
) -> Algo:
    """The algo of `spec` over `quantity` (base, neither filled nor open when `standing` was laid), in lots of `unit`.

    `seed` is the parent's; a schedule that is laid anew draws anew. `own_shown`: whether venue books hold our own orders.
    """
    seed = f"{seed}:{standing.turn}"
    match spec:
        case Twap():
            return twap(spec, standing, quantity, unit, seed)
        case Vwap():
            return VolumeSlices(spec, standing, quantity, unit, seed)
        case ImplementationShortfall():
            return shortfall(spec, standing, quantity, unit, seed)
        case ArrivalPrice():
            return Arrival(spec, standing, quantity, unit, seed)
        case Pov():
            return Participation(spec, standing, seed)
        case Iceberg():
            return Displayed(spec, standing, seed)
        case Pegged():
            return Following(spec, standing, seed, shown=own_shown)
        case Sniper():
            return Waiting(spec, standing)
        case _:
            assert_never(spec)
