"""The configuration as frozen structs. Unknown keys are refused, secrets never stand in the file (see `desk.config.secrets`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from adapters.ccxt.catalogue import GENERIC, MARGIN, known, unknown
from adapters.ccxt.config import DEPTHS
from adapters.clickhouse.config import ArchiveConfig
from adapters.native import catalogue as native
from pricing.parameters import PricingParameters
from pricing.triangle import form_of
from risk.limits import RiskLimits
from router.costs.scorecards import TcaParameters
from router.parameters import RouterParameters

_ASSUMED_FEE_BPS = Decimal(10)  # of a venue whose fee the configuration leaves out


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of the file."""


class ApiSection(Section):
    """Where clients connect. `unix_socket`: the same API for operators on this machine ("" = none)."""

    host: str = "127.0.0.1"  # the address to listen on
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080  # 0 = any free one, which is told at the start
    unix_socket: str = ""


class LedgerSection(Section):
    """Where money is remembered: `sqlite:///path` (embedded) or `postgresql://…`. "" = `ledger.db` in the state folder."""

    url: str = ""  # sqlite:///path or postgresql://user:password@host/database; "" = ledger.db in the state folder


class InstrumentSection(Section):
    """What clients may ask for. `price_tick`: the client price's tick; precisions are decimals of the currencies."""

    symbol: str  # unified, such as BTC/USDT
    price_tick: Decimal = Decimal("0.01")  # client prices are multiples of it, rounded against the client
    quantity_step: Decimal = Decimal("0.00000001")  # client quantities are multiples of it
    base_precision: int = 8  # decimals of the base currency
    book_size_decimals: Annotated[int, Meta(ge=0, le=8)] = (
        8  # of sizes inside the books; fewer for coins traded by the million
    )
    quote_precision: int = 6  # decimals of the quote currency: amounts are rounded to them
    min_quantity: Decimal = Decimal("0.0001")  # least a client may ask for, base currency
    max_quantity: Decimal = Decimal("1000")  # most a client may ask for, base currency
    synthetic: tuple[str, ...] = ()  # two instruments it is also priced through: A/B by A/X and B/X (or X/B); [] = none
    direct: bool = True  # false: no venue or LP lists it, it is priced through `synthetic` alone

    def __post_init__(self) -> None:
        _spot("symbol", self.symbol)
        if self.synthetic and len(self.synthetic) != 2:
            raise ValueError(f"synthetic: {self.symbol} takes two instruments, or none")
        if not self.direct and not self.synthetic:
            raise ValueError(f"direct: {self.symbol} has neither venues of its own nor a synthetic book")
        for name in ("price_tick", "quantity_step", "min_quantity", "max_quantity"):
            _positive(name, getattr(self, name))
        if self.min_quantity > self.max_quantity:
            raise ValueError(f"min_quantity: {self.min_quantity} is more than max_quantity, {self.max_quantity}")

    @property
    def base(self) -> str:
        """The currency that is bought and sold."""
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        """The currency that prices are in."""
        return self.symbol.split("/")[1].split(":")[0]


class ContractSection(Section):
    """A perpetual that the desk watches, and may hold at the venues that list it; no client is quoted it."""

    symbol: str  # unified, such as BTC/USDT:USDT
    price_tick: Decimal = Decimal("0.01")  # the finest of its venues' ticks
    book_size_decimals: Annotated[int, Meta(ge=0, le=8)] = 8  # of sizes inside the books, in contracts

    def __post_init__(self) -> None:
        _perpetual("symbol", self.symbol)
        _positive("price_tick", self.price_tick)


class VenueSection(Section):
    """An exchange. `rest_url` and `ws_url` point somewhere else than the venue's own hosts ("" = the venue's)."""

    venue: str  # our name for it, upper case, such as BINANCE
    exchange: str  # its ccxt id: binance, bybit, coinbase, kraken, okx; of perpetuals binanceusdm, krakenfutures; on paper any of ccxt.pro
    kind: Literal["ccxt", "nautilus"] = (
        "ccxt"  # who brings its market data: ours on ccxt.pro, or the engine's own adapter (binance, bybit, kraken, okx)
    )
    enabled: bool = True  # false: neither priced from nor traded on
    rest_url: str = ""  # another host than the venue's own; "" = its own
    ws_url: str = ""  # the same for the WebSocket
    symbols: tuple[str, ...] = ()  # [] = every instrument; of a venue of perpetuals every contract
    taker_fee_bps: Decimal | None = (
        None  # what we pay, in every price, plan and paper fill; left out = what the account pays there (10 on paper)
    )
    maker_fee_bps: Decimal | None = (
        None  # what an order pays that rests; left out = what the venue lists, never above the taker's
    )
    depth: int = 500  # levels a side to subscribe: 10, 25, 100, 500, 1000
    max_age_ms: Annotated[int, Meta(ge=100)] = 5_000  # a book silent for longer is out of pricing and routing
    max_quotes_age_ms: Annotated[int, Meta(ge=0)] = 0  # the same for its stream of best prices; 0 = as its books
    max_trades_age_ms: Annotated[int, Meta(ge=0)] = 0  # the same for its trades; 0 = they may be silent for ever
    audit_s: Annotated[float, Meta(ge=0)] = 60.0  # how often each book is compared with the venue's by REST; 0 = never
    reconcile_s: Annotated[float, Meta(ge=0)] = (
        30.0  # how often open orders, executions and balances are compared with the venue's; 0 = at start and reconnects
    )
    order_timeout_ms: Annotated[int, Meta(ge=100)] = 4_000  # after it an order's outcome is unknown, and asked for
    order_rate_per_s: Annotated[float, Meta(gt=0)] = 20.0  # orders a second at most
    orders_by: Literal["rest", "ws"] = "rest"  # "ws": over the private WebSocket where the venue takes orders there
    dead_man_s: Annotated[int, Meta(ge=0, le=300)] = (
        60  # the venue cancels every order of the account when it hears no more of us for so long; 0 = never
    )

    def __post_init__(self) -> None:
        _name("venue", self.venue)
        if not known(self.exchange):
            raise ValueError(f"exchange: {unknown(self.exchange)}")
        if self.kind == "nautilus" and self.exchange not in native.EXCHANGES:
            raise ValueError(f"kind: {native.unknown(self.exchange)}")
        if self.depth not in DEPTHS:
            raise ValueError(f"depth: {self.depth} is not offered; there are {', '.join(map(str, DEPTHS))}")
        for name in ("taker_fee_bps", "maker_fee_bps"):
            fee = getattr(self, name)
            if fee is not None and not -1000 < fee < 1000:
                raise ValueError(f"{name}: {fee} bps is no fee")
        for symbol in self.symbols:
            (_perpetual if self.exchange in MARGIN else _spot)("symbols", symbol)

    @property
    def assumed_fee_bps(self) -> Decimal:
        """What we pay as far as the configuration knows: the account itself is asked where it leaves that out."""
        return _ASSUMED_FEE_BPS if self.taker_fee_bps is None else self.taker_fee_bps


class LpSection(Section):
    """A liquidity provider. `levels`: sizes (base currency) of the streamed ladder, per symbol."""

    lp: str  # our name for it, upper case, such as FALCONX
    kind: Literal["falconx"] = "falconx"  # the protocol
    enabled: bool = True  # false: neither asked nor traded with
    rest_url: str = ""  # where quotes are asked for and taken; needed when enabled
    ws_url: str = ""  # where its prices are streamed; needed when enabled
    symbols: tuple[str, ...] = ()  # [] = every instrument
    levels: dict[str, tuple[Decimal, ...]] = {}  # sizes (base currency) of the streamed ladder, by symbol
    timeout_ms: Annotated[int, Meta(ge=50)] = 1_500  # of one request

    def __post_init__(self) -> None:
        _name("lp", self.lp)
        for symbol in (*self.symbols, *self.levels):
            _spot("symbols" if symbol in self.symbols else "levels", symbol)
        for sizes in self.levels.values():
            for size in sizes:
                _positive("levels", size)


class Band(Section):
    """How much of one currency the desk may hold, in that currency. Inside `soft` it skews and internalises;
    beyond it hedges back to `target × soft` on the same side; beyond `hard` it takes nothing that adds."""

    soft: Decimal  # inside it inventory is skewed and internalised, beyond it hedged
    hard: Decimal  # beyond it nothing that adds is taken
    target: Decimal = Decimal("0.5")  # a hedge goes back to this part of soft, on the same side

    def __post_init__(self) -> None:
        if not 0 <= self.soft <= self.hard:
            raise ValueError(f"soft: {self.soft} must lie between 0 and hard, {self.hard}")
        if not 0 <= self.target <= 1:
            raise ValueError(f"target: {self.target} must lie between 0 and 1")


class HedgingSection(Section):
    """When and how fast inventory is hedged."""

    bands: dict[str, Band] = {}  # by currency
    zone: Literal["soft", "bbg"] = (
        "soft"  # hedge beyond the soft band, or beyond what pricing.flow finds best (of hard)
    )
    deadline_ms: int = 8_000  # a hedge is given back when it is not done by then, and asked for anew
    max_slippage_bps: Decimal = Decimal(30)  # hedge limit price this far from fair
    retry_ms: int = 500  # pause before what is left is hedged again
    min_quantity: dict[str, Decimal] = {}  # below this nothing is worth an order


class OrdersSection(Section):
    """Orders that clients give the desk to work (`POST /v1/orders`)."""

    capacities: dict[str, tuple[Literal["agency", "principal"], ...]] = {}  # by client id; a client not named: both
    commission_bps: dict[str, Decimal] = (
        msgspec.field(  # of an agency order's fills, by tier; others pay the standard one
            default_factory=lambda: {"standard": Decimal("1.0"), "silver": Decimal("0.6"), "gold": Decimal("0.3")}
        )
    )
    immediate_ms: Annotated[int, Meta(ge=100)] = 4_000  # what a market or ioc order could not get by then is given back
    max_duration_ms: Annotated[int, Meta(ge=1_000)] = 86_400_000  # longest that an order is worked; gtc ends then too
    internalise: bool = True  # cross with the desk's own opposing inventory at mid before any venue

    def __post_init__(self) -> None:
        if "standard" not in self.commission_bps:
            raise ValueError("commission_bps: needs the tier standard, which unknown tiers fall back to")
        for bps in self.commission_bps.values():
            if not bps.is_finite() or not 0 <= bps < 1000:
                raise ValueError(f"commission_bps: {bps} bps is no commission")

    def commission(self, tier: str) -> Decimal:
        """Commission of a tier, bps; an unknown tier pays the standard one."""
        return self.commission_bps.get(tier, self.commission_bps["standard"])


class RoutesSection(Section):
    """Prices and hedges through other currencies. A rate is always read from a live book; `pegs` name the books of coins that
    should be worth one: further off than so many bps, nothing is quoted through them."""

    leg_risk_multiplier: Annotated[float, Meta(ge=0)] = 0.4  # the second leg is priced worse by this × σ × √leg_latency
    leg_latency_ms: Annotated[int, Meta(ge=0)] = 250  # from the first leg's fill to the second's
    max_rate_age_ms: Annotated[int, Meta(ge=1)] = 5_000  # an older rate is none
    pegs: dict[str, Decimal] = {}  # symbol, such as USDC/USDT -> the most it may be off one, bps
    min_saving_bps: Decimal = Decimal("0.5")  # a hedge leaves its own book for another route only to save this much

    def __post_init__(self) -> None:
        for symbol, limit in self.pegs.items():
            _spot("pegs", symbol)
            _positive("pegs", limit)
        if not (self.min_saving_bps.is_finite() and self.min_saving_bps >= 0):
            raise ValueError(f"min_saving_bps: {self.min_saving_bps} must not be negative")


class PaperSection(Section):
    """How paper trading imagines execution. `balances`: what each exchange's new account holds ({} = generous amounts of everything);
    `accounts`: instead of it, by venue. `exchange` and `falconx` name the clients' factories, `module:class`."""

    balances: dict[str, Decimal] = {}
    accounts: dict[str, dict[str, Decimal]] = {}
    latency_ms: Annotated[int, Meta(ge=0, le=60_000)] = 20  # from our decision to the venue's match
    exchange: str = "sim.paper.factories:PaperExchangeFactory"  # who imagines exchanges, module:class
    falconx: str = "sim.paper.factories:PaperFalconXFactory"  # who imagines FalconX

    def __post_init__(self) -> None:
        for account in (self.balances, *self.accounts.values()):
            for currency, amount in account.items():
                if not amount.is_finite() or amount < 0:
                    raise ValueError(f"paper: {amount} {currency} is no opening balance")


class DeskConfig(Section):
    """The whole file."""

    name: str = "kerb"  # of this desk, for people
    trader_id: str = "KERB-001"  # of this desk, for the engine: NAME-NUMBER
    mode: Literal["paper", "live"] = "paper"  # see Modes
    state_dir: str = "state"  # ledger, keys, spool, log; one desk at a time
    base_currency: str = "USDT"  # P&L is told in it
    seed: int = 0  # of what is drawn: the order in which LPs are asked
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"  # of desk.log in the state folder
    api: ApiSection = ApiSection()
    ledger: LedgerSection = LedgerSection()
    archive: ArchiveConfig | None = None
    instruments: tuple[InstrumentSection, ...] = ()
    contracts: tuple[ContractSection, ...] = ()
    venues: tuple[VenueSection, ...] = ()
    lps: tuple[LpSection, ...] = ()
    pricing: PricingParameters = PricingParameters()
    risk: RiskLimits = RiskLimits()
    router: RouterParameters = RouterParameters()
    hedging: HedgingSection = HedgingSection()
    tca: TcaParameters = TcaParameters()
    routes: RoutesSection = RoutesSection()
    orders: OrdersSection = OrdersSection()
    paper: PaperSection = PaperSection()

    def __post_init__(self) -> None:
        symbols = [item.symbol for item in (*self.instruments, *self.contracts)]
        names = [venue.venue for venue in self.venues] + [lp.lp for lp in self.lps]
        for what, listed in (("instruments", symbols), ("venues", names)):
            if twice := sorted({name for name in listed if listed.count(name) > 1}):
                raise ValueError(f"{what}: {', '.join(twice)} stands there twice")
        if blind := [
            venue for venue in self.venues if venue.enabled and venue.exchange in GENERIC and self.mode == "live"
        ]:
            raise ValueError(
                f"venues: {', '.join(venue.venue for venue in blind)}: orders at {', '.join(venue.exchange for venue in blind)} are not "
                'supported, because what became of one could not be proven: its market data serve a desk on paper (mode = "paper"); '
                "in a live one set enabled = false"
            )
        idle = [venue.venue for venue in self.venues if venue.exchange in MARGIN and not self.venue_symbols(venue)]
        if idle:
            raise ValueError(f"contracts: {', '.join(idle)} trades perpetuals, and none is listed")
        unlisted = [item.symbol for item in self.instruments if not item.direct]
        for place in (*self.venues, *self.lps):
            if strangers := [symbol for symbol in place.symbols if symbol not in symbols]:
                raise ValueError(
                    f"{_table(strangers)}: {', '.join(strangers)} is traded at a venue or LP, but not listed"
                )
            if listed := [symbol for symbol in place.symbols if symbol in unlisted]:
                raise ValueError(f"instruments: {', '.join(listed)} is traded at a venue or LP, but not direct")
        if strangers := [symbol for symbol in self.routes.pegs if symbol not in self.direct_symbols]:
            raise ValueError(f"routes: {', '.join(strangers)}, a peg, is no instrument with venues of its own")
        for item in self.instruments:
            _legs(item, {other.symbol: other for other in self.instruments})
        if strangers := [name for name in self.paper.accounts if name not in names]:
            raise ValueError(f"paper: accounts of {', '.join(strangers)}, which is no venue")

    @property
    def stage(self) -> str:
        """`paper`, `live`, or `sim`: real orders, but every venue and LP listens on this machine."""
        urls = [url for venue in self.venues for url in (venue.rest_url, venue.ws_url)]
        urls += [url for lp in self.lps for url in (lp.rest_url, lp.ws_url)]
        loopback = all(urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1") for url in urls)
        return "sim" if self.mode == "live" and urls and loopback else self.mode

    def instrument(self, symbol: str) -> InstrumentSection | None:
        """The instrument's section, or None."""
        return next((item for item in self.instruments if item.symbol == symbol), None)

    def venue_symbols(self, venue: VenueSection) -> tuple[str, ...]:
        """Symbols traded at a venue."""
        if venue.exchange in MARGIN:
            return venue.symbols or tuple(item.symbol for item in self.contracts)
        return venue.symbols or self.direct_symbols

    def lp_symbols(self, lp: LpSection) -> tuple[str, ...]:
        """Symbols asked of an LP."""
        return lp.symbols or self.direct_symbols

    @property
    def direct_symbols(self) -> tuple[str, ...]:
        """Symbols that venues and LPs list."""
        return tuple(item.symbol for item in self.instruments if item.direct)


def _name(key: str, name: str) -> None:
    if not re.fullmatch(r"[A-Z0-9_]{1,32}", name):
        raise ValueError(f"{key}: {name!r} must be upper case, such as BINANCE")


def _spot(key: str, symbol: str) -> None:
    if not re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+", symbol):
        raise ValueError(f"{key}: {symbol!r} is not a spot symbol such as BTC/USDT")


def _perpetual(key: str, symbol: str) -> None:
    if not re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+:[A-Z0-9]+", symbol):
        raise ValueError(f"{key}: {symbol!r} is not a perpetual such as BTC/USDT:USDT")


def _table(strangers: list[str]) -> str:
    return "contracts" if all(":" in symbol for symbol in strangers) else "instruments"


def _legs(item: InstrumentSection, known: Mapping[str, InstrumentSection]) -> None:
    """The legs of a synthetic book must be instruments with venues of their own that make the pair."""
    for symbol in item.synthetic:
        if symbol not in known or known[symbol].synthetic:
            raise ValueError(f"synthetic: {symbol}, a leg of {item.symbol}, must be an instrument with venues alone")
    if item.synthetic:
        form_of(item.symbol, *item.synthetic)


def _positive(key: str, value: Decimal) -> None:
    if not value.is_finite() or value <= 0:
        raise ValueError(f"{key}: {value} must be greater than zero")
