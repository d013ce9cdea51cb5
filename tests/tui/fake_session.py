"""A desk without a desk: realistic states on a seed, and a feed that can be lost at will."""

from __future__ import annotations

import asyncio
import random
import time
from decimal import Decimal
from typing import Any

from desk.client import (
    AlertView,
    ApiFault,
    ArchiveView,
    BlotterRow,
    BookView,
    ChildView,
    DeskState,
    HedgeCounts,
    InventoryView,
    LadderLevel,
    LadderView,
    Latency,
    LedgerView,
    LpView,
    ParentView,
    PnlView,
    PriceStep,
    QuoteBuild,
    RfqBuild,
    RfqCounts,
    RiskView,
    VenueHedges,
)
from tui.session import FeedView

MIDS = {"BTC/USDT": Decimal("60012.34"), "ETH/USDT": Decimal("3004.51")}
CLIENTS = (("atlas", "gold"), ("borealis", "silver"), ("cobalt", "standard"), ("drift", "silver"))
T0_NS = 1_763_716_800_000_000_000


class FakeSession:
    """A `Session`: set `state` and call `push`; set `connected` and the ages to lose the feed."""

    def __init__(self, state: DeskState | None = None) -> None:
        self.state = state
        self.version = 1 if state else 0
        self.connected = state is not None
        self.age_s = 0.2
        self.state_age_s = 0.2
        self.reason = ""
        self.asked: list[tuple[str, str]] = []
        self.fault: ApiFault | None = None

    def push(self, state: DeskState) -> None:
        """A new state came."""
        self.state = state
        self.version += 1

    def lose(self, reason: str, age_s: float) -> None:
        """The connection is gone."""
        self.connected, self.reason, self.age_s, self.state_age_s = False, reason, age_s, age_s

    def feed(self) -> FeedView:
        return FeedView(
            connected=self.connected,
            age_s=self.age_s,
            state_age_s=self.state_age_s,
            reason=self.reason,
            seq=self.version,
        )

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def halt(self, reason: str) -> None:
        await self._ask("halt", reason)

    async def resume(self, reason: str) -> None:
        await self._ask("resume", reason)

    async def waterfall(self, rfq_id: str) -> RfqBuild:
        await self._ask("waterfall", rfq_id)
        steps = [("sweep", "6.5", "1.083", "BINANCE 1 (fee 1 bps)"), ("markup", "9", "1.5", "gold 1.5 bps")]
        return RfqBuild(
            rfq_id=rfq_id,
            client_id="atlas",
            instrument="BTC/USDT",
            quotes=[
                QuoteBuild(
                    quote_id="q1",
                    side="buy",
                    quantity="1",
                    fair="60000",
                    steps=[PriceStep(step=step, amount=n, bps=bps, inputs=why) for step, n, bps, why in steps],
                    price="60015.5",
                )
            ],
        )

    async def _ask(self, what: str, reason: str) -> None:
        self.asked.append((what, reason))
        if self.fault is not None:
            raise self.fault


class FakeDesk:
    """Makes states that look like a desk at work; `step` moves it on."""

    def __init__(self, seed: int = 7, *, rfqs: int = 60, ts_ns: int = T0_NS) -> None:
        self.dice = random.Random(seed)
        self.ts_ns = ts_ns
        self.mids = dict(MIDS)
        self.blotter: list[BlotterRow] = []
        self.parents: list[ParentView] = []
        self.count = 0
        self.position = {"BTC": Decimal("1.2345"), "ETH": Decimal("-22.5")}
        for back in range(rfqs, 0, -1):
            self.request(self.ts_ns - back * 700_000_000)
        for back in range(8, 0, -1):
            self.hedge(self.ts_ns - back * 4_100_000_000)

    def request(self, at_ns: int) -> None:
        """A client asks."""
        dice = self.dice
        symbol = dice.choice(("BTC/USDT", "BTC/USDT", "ETH/USDT"))
        base, quote = symbol.split("/")
        mid = self.mids[symbol]
        client, tier = dice.choice(CLIENTS)
        side = dice.choice(("buy", "sell", "two_way"))
        size = Decimal(dice.choice((1, 5, 25, 100, 150, 300))) / 100 * (1 if base == "BTC" else 10)
        currency = base if dice.random() < 0.8 else quote
        old = self.ts_ns - at_ns > 4_000_000_000
        state = (
            dice.choice(("filled", "filled", "filled", "expired", "expired", "rejected", "cancelled"))
            if old
            else "quoted"
        )
        half = mid * Decimal(dice.randint(40, 260)) / 1_000_000
        self.count += 1
        self.blotter.append(
            BlotterRow(
                rfq_id=f"R{self.count:05d}",
                client_id=client,
                tier=tier,
                instrument=symbol,
                side=side,
                quantity=str(size if currency == base else (size * mid).quantize(Decimal("0.01"))),
                currency=currency,
                state=state,  # type: ignore[arg-type]
                bid=None if side == "buy" else f"{mid - half:.2f}",
                ask=None if side == "sell" else f"{mid + half:.2f}",
                fair=f"{mid:.2f}",
                edge_bps=f"{half / mid * 10_000:.2f}",
                skew_bps=f"{dice.uniform(-0.8, 0.8):.2f}",
                valid_until_ns=at_ns + 4_000_000_000,
                created_ns=at_ns,
                updated_ns=at_ns,
                reason="position over the hard band" if state == "rejected" else "",
            )
        )
        del self.blotter[:-200]

    def hedge(self, at_ns: int) -> None:
        """The desk hedges over two venues and an LP."""
        dice = self.dice
        symbol = dice.choice(tuple(MIDS))
        mid = self.mids[symbol]
        number = len(self.parents) + 1
        side = dice.choice(("buy", "sell"))
        done = dice.random() < 0.85
        sizes = [Decimal(dice.randint(5, 60)) / 100 for _ in range(dice.randint(1, 3))]
        children = [
            ChildView(
                child_id=f"K{number:03d}{at}",
                parent_id=f"P{number}",
                venue=dice.choice(("BINANCE", "KRAKEN", "FALCONX")),
                instrument=symbol,
                side=side,
                quantity=str(size),
                filled=str(size if done or at else size / 2),
                limit_price=f"{mid * Decimal('1.0004'):.2f}",
                average_price=f"{mid * (1 + Decimal(dice.randint(-3, 6)) / 100_000):.2f}",
                state="filled" if done or at else "partial",
                reason="",
                created_ns=at_ns + at * 3_000_000,
                updated_ns=at_ns,
            )
            for at, size in enumerate(sizes)
        ]
        filled = sum((Decimal(child.filled) for child in children), Decimal(0))
        self.parents.append(
            ParentView(
                parent_id=f"P{number}",
                instrument=symbol,
                side=side,
                quantity=str(sum(sizes, Decimal(0))),
                filled=str(filled),
                average_price=f"{mid * (1 + Decimal(dice.randint(-2, 5)) / 100_000):.2f}",
                arrival_price=f"{mid:.2f}",
                state="done" if done else "working",
                reason="hedge",
                created_ns=at_ns,
                updated_ns=at_ns,
                children=children,
            )
        )

    def step(self, seconds: float = 0.2) -> DeskState:
        """Time passes."""
        self.ts_ns += int(seconds * 1e9)
        for symbol in self.mids:
            self.mids[symbol] += Decimal(self.dice.randint(-150, 150)) / 100 / (1 if symbol[0] == "B" else 20)
            self.mids[symbol] = self.mids[symbol].quantize(Decimal("0.01"))
        if self.dice.random() < seconds * 1.3:
            self.request(self.ts_ns)
        for row in self.blotter:
            if row.state == "quoted" and row.valid_until_ns <= self.ts_ns:
                row.state = self.dice.choice(("filled", "filled", "expired"))  # type: ignore[assignment]
                row.updated_ns = self.ts_ns
        if self.dice.random() < seconds / 4:
            self.hedge(self.ts_ns)
            self.position["BTC"] += Decimal(self.dice.randint(-40, 40)) / 100
        return self.state()

    def ladder(self, symbol: str) -> LadderView:
        """Fifteen levels a side over two venues."""
        mid, dice = self.mids[symbol], self.dice
        tick = Decimal("0.01") if symbol.startswith("ETH") else Decimal("0.1")

        def side(name: str, sign: int) -> list[LadderLevel]:
            price = mid
            levels = []
            for _ in range(15):
                price += sign * tick * dice.randint(1, 9)
                venue = dice.choice(("BINANCE", "KRAKEN"))
                fee = Decimal("0.0001") if venue == "BINANCE" else Decimal("0.00016")
                levels.append(
                    LadderLevel(
                        side=name,  # type: ignore[arg-type]
                        price=f"{price:.2f}",
                        all_in=f"{price * (1 + sign * fee):.2f}",
                        quantity=f"{dice.expovariate(0.8) + 0.001:.5f}",
                        venue=venue,
                    )
                )
            return levels

        return LadderView(
            instrument=symbol,
            fair=f"{mid:.2f}",
            volatility_bps_per_sqrt_s="0.83",
            bids=side("bid", -1),
            asks=side("ask", 1),
        )

    def state(self, **changes: Any) -> DeskState:
        """The desk as it is now."""
        fields: dict[str, Any] = {
            "epoch": "e1",
            "mode": "paper",
            "ts_ns": self.ts_ns,
            "trading": "active",
            "halt_reason": "",
            "books": [
                BookView(
                    venue=venue,
                    instrument=symbol,
                    status="live",
                    reason="",
                    age_ms=self.dice.randint(5, 180),
                    updates=123_456,
                    resyncs=0,
                    bid=f"{mid - Decimal('0.3'):.2f}",
                    ask=f"{mid + Decimal('0.3'):.2f}",
                )
                for venue in ("BINANCE", "KRAKEN")
                for symbol, mid in self.mids.items()
            ],
            "lps": [
                LpView(
                    lp="FALCONX", instrument=symbol, status="live", age_ms=120, rungs=5, quotes=31, fills=29, rejects=1
                )
                for symbol in self.mids
            ],
            "rfqs": RfqCounts(
                received=self.count,
                quoted=self.count - 3,
                filled=sum(row.state == "filled" for row in self.blotter),
                rejected=sum(row.state == "rejected" for row in self.blotter),
            ),
            "trades": sum(row.state == "filled" for row in self.blotter),
            "hedges": HedgeCounts(
                parents=len(self.parents),
                children=sum(len(parent.children) for parent in self.parents),
                fills=sum(len(parent.children) for parent in self.parents),
                open=sum(parent.state == "working" for parent in self.parents),
                by_venue={
                    "BINANCE": VenueHedges(children=9, fills=9),
                    "FALCONX": VenueHedges(children=4, fills=3, rejects=1),
                    "KRAKEN": VenueHedges(children=5, fills=5),
                },
            ),
            "ledger": LedgerView(imbalance={"BTC": "0", "ETH": "0", "USDT": "0"}),
            "inventory": {
                "BTC": InventoryView(position=str(self.position["BTC"]), soft_band="2", band="10", skew_bps="-0.31"),
                "ETH": InventoryView(position=str(self.position["ETH"]), soft_band="15", band="60", skew_bps="0.84"),
                "USDT": InventoryView(position="-6512.15", soft_band="0", band="0", skew_bps="0"),
            },
            "pnl": PnlView(
                currency="USDT",
                total="412.87",
                spread="655.12",
                skew="31.40",
                hedge="-120.55",
                inventory="12.30",
                fees="-134.00",
            ),
            "archive": ArchiveView(
                rows={"md_deltas": 88_120, "rfqs": 60}, tapped={"md_deltas": 90_012, "rfqs": 60}, status="ok"
            ),
            "latency_ns": {
                "tick_to_price": Latency(p50=41_000, p99=180_000, n=12_345),
                "rfq_to_quote": Latency(p50=640_000, p99=12_400_000, n=60),
            },
            "risk": RiskView(approved=812, refused={"collar": 2, "position": 7}),
            "faults": 0,
            "alerts": [
                AlertView(
                    alert_id="a1",
                    severity="warning",
                    source="KRAKEN",
                    message="BTC/USDT book cleared: checksum failed; resynchronised after 0.4 s",
                    ts_ns=self.ts_ns - 95_000_000_000,
                    count=2,
                ),
                AlertView(
                    alert_id="a2",
                    severity="info",
                    source="desk",
                    message="started on epoch e1",
                    ts_ns=self.ts_ns - 600_000_000_000,
                ),
                AlertView(
                    alert_id="a3",
                    severity="critical",
                    source="risk",
                    message="BTC position at 104 % of its hard band",
                    ts_ns=self.ts_ns - 12_000_000_000,
                ),
            ],
            "ladders": [self.ladder(symbol) for symbol in self.mids],
            "blotter": [
                BlotterRow(**{name: getattr(row, name) for name in row.__struct_fields__}) for row in self.blotter
            ],
            "parents": list(self.parents),
        }
        return DeskState(**(fields | changes))


class MovingSession(FakeSession):
    """A session whose desk moves by itself: to look at the blotter by hand."""

    def __init__(self, hz: float = 5.0) -> None:
        self.desk = FakeDesk(ts_ns=time.time_ns())
        super().__init__(self.desk.state())
        self._hz = hz

    async def run(self) -> None:
        while True:
            await asyncio.sleep(1 / self._hz)
            self.push(self.desk.step(1 / self._hz))
