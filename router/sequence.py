"""Who goes first when a plan takes from venues and from LPs: together, the LP first, or the LP last. By rule, and said with the reason.

    first      it is known to refuse (its learnt refusals reach `last_look_reject`): its quote is conditional on the market not moving, and
               our own sweep would move it. The venues wait for its answer, `lp_hold_ms` at most, then what is left is planned anew.
    together   it leaves ahead of the venues' children in the same instant: its quote ends before they would have answered, or nothing they
               do could change what is taken of it.
    last       its quote comfortably outlives the venues (twice their round trip, and the way to the LP), and it quoted a larger size
               as well: a firm quote is an option that is free until it ends, displayed depth is what fades. The venues take first;
               what is then left is planned over the quotes that are still good, without the venues just swept (their books may still
               show what we took), so that a venue that fell short makes the LP's larger quote the better one.

`lp_order` says "rule", or one of the three for every LP ("last" only for quotes that outlive the venues; the others leave together).
A quote that would end before an order arrives is in no plan at all (`router.plan.usable`). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from adapters.nautilus.lp import LpQuote
from router.parameters import RouterParameters
from router.plan import PlannedChild

MS = 1_000_000


class Turn(StrEnum):
    """When an LP's child leaves, beside those of venues."""

    FIRST = "first"
    TOGETHER = "together"
    LAST = "last"


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves now. `until_ns`: what waits is planned when these have ended, or then at the latest; 0: nothing waits.

    `swept`: venues that the rest is planned without. `why`: the order, in words, for what waits; the children here say it already.
    """

    children: tuple[PlannedChild, ...]
    until_ns: int = 0
    swept: frozenset[str] = frozenset()
    why: str = ""


def first_wave(
    children: Sequence[PlannedChild],
    *,
    quotes: Iterable[LpQuote],
    parameters: RouterParameters,
    refusal: Callable[[str], Decimal],
    now_ns: int,
) -> Wave:
    """The part of a plan that leaves now. `quotes`: all that are still good; `refusal`: learnt probability that an LP refuses."""
    lps = [child for child in children if child.quote_id]
    venues = [child for child in children if not child.quote_id]
    if not lps or not venues:
        return Wave(children=tuple(children))
    known = list(quotes)
    turns = {child.quote_id: _turn(child, known, parameters, refusal(child.venue), now_ns) for child in lps}
    of = {turn: [child for child in lps if turns[child.quote_id][0] is turn] for turn in Turn}
    brief = [_said(child, _sentence([child], turns)) for child in of[Turn.TOGETHER]]
    if of[Turn.FIRST]:
        why = _sentence(of[Turn.FIRST], turns)
        leave = (*(_said(child, why) for child in of[Turn.FIRST]), *brief)
        return Wave(children=leave, until_ns=now_ns + max(1, parameters.lp_hold_ms * MS), why=why)
    if of[Turn.LAST]:
        why = _sentence(of[Turn.LAST], turns)
        ends = min(child.valid_until_ns for child in of[Turn.LAST])
        return Wave(
            children=(*brief, *(_said(child, why) for child in venues)),
            until_ns=max(now_ns + 1, ends - parameters.quote_margin_ns - MS),
            swept=frozenset(child.venue for child in venues),
            why=why,
        )
    why = _sentence(of[Turn.TOGETHER], turns)
    return Wave(children=(*brief, *(_said(child, why) for child in venues)))


def _turn(
    child: PlannedChild, quotes: Sequence[LpQuote], parameters: RouterParameters, refusal: Decimal, now_ns: int
) -> tuple[Turn, str]:
    life_ms = (child.valid_until_ns - now_ns) // MS
    needed_ms = parameters.quote_margin_ms + 2 * parameters.venue_round_trip_ms
    outlives = life_ms >= needed_ms
    larger = max((q.quantity for q in quotes if q.lp == child.venue and q.quantity > child.quantity), default=None)
    match parameters.lp_order:
        case Turn.FIRST:
            return Turn.FIRST, "first: configured so"
        case Turn.TOGETHER:
            return Turn.TOGETHER, "with the venues: configured so"
        case Turn.LAST if outlives:
            return Turn.LAST, "last: configured so"
        case Turn.LAST:
            return Turn.TOGETHER, f"with the venues: its quote ends in {life_ms} ms, last would take {needed_ms}"
        case _:
            pass
    if refusal >= parameters.last_look_reject:
        return Turn.FIRST, f"first: it refuses {refusal * 100:.0f} % of what it quoted, a sweep would move its price"
    if not outlives:
        return Turn.TOGETHER, f"with the venues: its quote ends in {life_ms} ms, sooner than they surely answer"
    if larger is None:
        return Turn.TOGETHER, "with the venues: nothing they do changes what is taken of it"
    return Turn.LAST, f"last: its quote is good for {life_ms} ms, and for {larger:f} should venues fall short"


def _sentence(children: Sequence[PlannedChild], turns: dict[str, tuple[Turn, str]]) -> str:
    """`LPX last: why`, of each of them."""
    return "; ".join(f"{child.venue} {turns[child.quote_id][1]}" for child in children)


def _said(child: PlannedChild, why: str) -> PlannedChild:
    return msgspec.structs.replace(child, why=why)
