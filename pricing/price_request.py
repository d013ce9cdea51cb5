"""The offline pricing request of `kerb price` (CONTRACT section 7): exact decimals in, every fault named.

Model parameters that the request leaves out come from the configuration; `PriceRequest.parameters` holds what is in
force after both. A client's `markup_bps` replaces its tier's, its `markout_bps` the general adverse-selection charge: a
negative markout (the market moves our way after this client) costs nothing, it is not given back.
"""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import msgspec

from pricing.offers import Quote, QuoteJson, RequestFault, Venue, VenueJson, decode, named, number, quotes, venues
from pricing.parameters import PricingParameters, SkewModel
from pricing.volatility import Volatility

MAX_RUNGS = 200
MAX_MS = 86_400_000  # a day
MAX_BPS = Decimal(10_000)
MAX_VENUES = 60
MAX_QUOTES = 64
PRICED_BPS = (
    *("impact_bps", "skew_bps_at_band", "skew_max_bps", "credit_bps", "utilisation_bps", "min_spread_bps"),
    *("markup_floor_bps", "markup_ceiling_bps", "max_deviation_bps"),
)


class PriceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to price, for whom, from what. `side` is the client's: "buy", "sell" or "two_way"; `inventory` and `band` in base."""

    instrument: str
    tick: Decimal
    side: str
    quantities: tuple[Decimal, ...]
    ttl_ms: int
    volatility: Decimal
    inventory: Decimal
    band: Decimal
    tier: str
    utilisation: Decimal
    money: bool  # quantities are in quote currency
    venues: tuple[Venue, ...]
    quotes: tuple[tuple[Quote, str], ...]  # with the side we may deal on: "buy", "sell", "" = not said
    parameters: PricingParameters

    @property
    def sides(self) -> tuple[str, ...]:
        """The client's sides to price."""
        return ("buy", "sell") if self.side == "two_way" else (self.side,)


class _PriceQuoteJson(QuoteJson, forbid_unknown_fields=True, kw_only=True):
    side: str | None = None


class _ClientJson(msgspec.Struct, forbid_unknown_fields=True):
    tier: str = "standard"
    markup_bps: str | None = None
    markout_bps: str | None = None
    utilisation: str = "0"


class _ParametersJson(msgspec.Struct, forbid_unknown_fields=True):
    volatility_multiplier: str | None = None
    fill_ratio: str | None = None
    impact_bps: str | None = None
    skew_model: str | None = None
    skew_bps_at_band: str | None = None
    skew_max_bps: str | None = None
    credit_bps: str | None = None
    utilisation_bps: str | None = None
    markup_floor_bps: str | None = None
    markup_ceiling_bps: str | None = None
    min_ticket: str | None = None
    min_spread_bps: str | None = None
    max_deviation_bps: str | None = None


class _RequestJson(msgspec.Struct, forbid_unknown_fields=True):
    instrument: str
    tick: str
    side: str
    quantities: list[str]
    currency: str | None = None
    ttl_ms: int | None = None
    hedge_ms: int | None = None
    volatility_per_sqrt_s: str | None = None
    inventory: str = "0"
    band: str = "0"
    client: _ClientJson = msgspec.field(default_factory=_ClientJson)
    parameters: _ParametersJson = msgspec.field(default_factory=_ParametersJson)
    venues: list[VenueJson] = []
    quotes: list[_PriceQuoteJson] = []


def parse(text: bytes | str, configured: PricingParameters) -> PriceRequest:
    """Decode and check a request; raises `RequestFault`."""
    wire = decode(text, _RequestJson, "a pricing request")
    named(wire.instrument, "instrument")
    named(wire.client.tier, "client.tier")
    if wire.side not in ("buy", "sell", "two_way"):
        raise RequestFault(f"side: {wire.side!r} is neither buy nor sell nor two_way")
    if not 0 < len(wire.quantities) <= MAX_RUNGS:
        raise RequestFault(f"quantities: {len(wire.quantities)} of them; 1 to {MAX_RUNGS} are possible")
    if not wire.venues:
        raise RequestFault("venues: there is none, so there is no fair value")
    if len(wire.venues) > MAX_VENUES or len(wire.quotes) > MAX_QUOTES:
        raise RequestFault(f"venues: more than {MAX_VENUES} venues or {MAX_QUOTES} quotes")
    for i, quote in enumerate(wire.quotes):
        if quote.side not in (None, "buy", "sell"):
            raise RequestFault(f"quotes[{i}].side: {quote.side!r} is neither buy nor sell")
    sides = [quote.side or ("" if wire.side == "two_way" else wire.side) for quote in wire.quotes]
    volatility = wire.volatility_per_sqrt_s
    return PriceRequest(
        instrument=wire.instrument,
        tick=number(wire.tick, "tick", positive=True),
        side=wire.side,
        quantities=tuple(number(text, f"quantities[{i}]", positive=True) for i, text in enumerate(wire.quantities)),
        ttl_ms=configured.ttl_ms if wire.ttl_ms is None else _ms(wire.ttl_ms, "ttl_ms"),
        volatility=Decimal(str(Volatility().floor))
        if volatility is None
        else _below(number(volatility, "volatility_per_sqrt_s"), "volatility_per_sqrt_s", Decimal(1)),
        inventory=number(wire.inventory, "inventory", signed=True),
        band=number(wire.band, "band"),
        tier=wire.client.tier,
        utilisation=_below(number(wire.client.utilisation, "client.utilisation"), "client.utilisation", Decimal(1)),
        money=_money(wire),
        venues=venues(wire.venues),
        quotes=tuple(zip(quotes(wire.quotes), sides, strict=True)),
        parameters=_parameters(wire, configured),
    )


def _money(wire: _RequestJson) -> bool:
    """Whether quantities are in quote currency."""
    base, _, quote = wire.instrument.partition("/")
    if wire.currency in (None, base):
        return False
    if not quote or wire.currency != quote.partition(":")[0]:
        raise RequestFault(f"currency: {wire.currency!r} is neither side of {wire.instrument}")
    return True


def _parameters(wire: _RequestJson, configured: PricingParameters) -> PricingParameters:
    """The configuration's parameters, with what the request says instead."""
    changed: dict[str, object] = {}
    if wire.hedge_ms is not None:
        changed["hedge_ms"] = _ms(wire.hedge_ms, "hedge_ms")
    if (markup := wire.client.markup_bps) is not None:
        bps = _bps(markup, "client.markup_bps")
        changed |= {"markup_bps": {**configured.markup_bps, wire.client.tier: bps}, "size_buckets": ()}
        changed |= {"markup_floor_bps": min(bps, configured.markup_floor_bps), "tune_markup": False}
        changed["markup_ceiling_bps"] = max(bps, configured.markup_ceiling_bps)
    if (markout := wire.client.markout_bps) is not None:
        changed["adverse_bps"] = max(Decimal(0), _bps(markout, "client.markout_bps", signed=True))
        changed["adverse_tier_bps"] = {}
    for name in PRICED_BPS:
        if (text := getattr(wire.parameters, name)) is not None:
            changed[name] = _bps(text, f"parameters.{name}")
    if (multiplier := wire.parameters.volatility_multiplier) is not None:
        where = "parameters.volatility_multiplier"
        changed["volatility_multiplier"] = float(_below(number(multiplier, where), where, Decimal(100)))
    if (ratio := wire.parameters.fill_ratio) is not None:
        where = "parameters.fill_ratio"
        changed["fill_ratio"] = float(_below(number(ratio, where, positive=True), where, Decimal(1)))
    if (ticket := wire.parameters.min_ticket) is not None:
        changed["min_ticket"] = number(ticket, "parameters.min_ticket")
    if (model := wire.parameters.skew_model) is not None:
        if model not in get_args(SkewModel):
            raise RequestFault(f"parameters.skew_model: {model!r} is none of {', '.join(get_args(SkewModel))}")
        changed["skew_model"] = model
    try:
        return msgspec.structs.replace(configured, **changed)
    except ValueError as fault:
        raise RequestFault(f"parameters: {fault}") from None


def _bps(text: str, where: str, *, signed: bool = False) -> Decimal:
    value = number(text, where, signed=signed)
    return value if value < 0 else _below(value, where, MAX_BPS)


def _below(value: Decimal, where: str, most: Decimal) -> Decimal:
    if value > most:
        raise RequestFault(f"{where}: {value:f} is above {most:f}")
    return value


def _ms(value: int, where: str) -> int:
    if not 0 <= value <= MAX_MS:
        raise RequestFault(f"{where}: {value} is not between 0 and {MAX_MS}")
    return value
