"""Kernels on disk follow their sources, and a warmed process compiles nothing more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pricing import kernel_cache

ROOT = Path(__file__).resolve().parents[2]

WARMED = """
from decimal import Decimal
import sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from pricing.warm import NOW, warm
from router.warm import warm as warm_router

said = []
warm(said.append)
warm_router(said.append)
assert said, "no progress was told"


def state():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("pricing", "router"):
            for value in vars(module).values():
                if isinstance(value, Dispatcher):
                    stats = value.stats
                    found[value.__module__ + "." + value.__name__] = (
                        tuple(map(str, value.signatures)), dict(stats.cache_misses), dict(stats.cache_hits)
                    )
    return found


before = state()
from benchmarks.orders import order
from benchmarks.live_orders import arguments, live_book
from pricing.parameters import PricingParameters
from pricing.charges import Charges, Client
from pricing.concentration import Concentration
from pricing.consolidated import ConsolidatedBook
from pricing.cross import CrossBook
from pricing.inventory import solve
from pricing.parameters import Flow, TierFlow
from pricing.rungs import Ladder
from pricing.scale import Scale
from pricing.signals import Signals
from pricing.volatility import Volatility
from pricing.winning import WinCurve, WinModel
from router.slippage.predictor import Predictor
from router.live.splitter import Verdict, splitter
from router.live.split import split_book

verdicts = set()
for seed in range(40):
    request = order(seed, 5, 50, 6)
    book = live_book(request, 50)
    book.apply("V1", np.array([(-1, 6_000_000, 7), (1, 5_900_000, 0)], dtype=np.int64), False, NOW)
    book.mark_top("V2", 5_000_000, 1, 6_000_100, 5, NOW)
    one = splitter(book)
    for more in ({}, {"side": "sell", "quantity": Decimal("0.00001")}, {"limit_price": Decimal("60002")}):
        found = one.solve(book, **(arguments(request) | more))
        assert found is not None
        verdicts.add(one.verdict)
    fair = book.fair(NOW)
    book.ladder(5, NOW)
charges = Charges(
    book.scale, fair=fair, ttl_ms=500, inventory=Decimal(1), band=Decimal(5), volatility=1e-5, client=Client(),
    parameters=PricingParameters(tune_markup=True), tick=Decimal("0.01"),
    win=WinModel(curves=(WinCurve(tier="standard", intercept=0.5, distance=-1.0, size=0.1, n=100, won=40),)),
)
assert charges.slope > 0 and charges.markup(Decimal(1), 10_000)
for money in (False, True):
    ladder = Ladder(book, [Decimal(1), Decimal(3)], money=money)
    ladder.set_charges(charges)
    ladder.price(NOW)
    ladder.set_fair(fair)
    ladder.price(NOW)
signals, volatility, seen = Signals(), Volatility(), Concentration(book.arena, book.venues)
for i in range(50):
    signals.quote(NOW + i, 100, 3, 101 + i % 2, 4)
    signals.trade(NOW + i, 1, 5)
    volatility.update(NOW * (i + 1), 100.0 + i % 3)
signals.read(NOW), seen.scan("V1", NOW), seen.read("V1", 1)
euro = ConsolidatedBook("EUR/USDT", Scale("EUR/USDT", 2, 5), [book.terms("V0")], depth=4)
euro.apply("V0", np.array([(1, 109, 10**12), (-1, 110, 10**12)], dtype=np.int64), True, NOW)
cross = CrossBook("BTC/EUR", Scale("BTC/EUR", 2, 5), [], (book, euro), depth=20)
cross.renew(NOW)
solve(Flow(tiers=(TierFlow(tier="a", alpha=-1.0, beta_per_bps=5.0),), risk_aversion=0.1), 40.0)
predictor = Predictor(None, latency_s=0.1, sigma=lambda symbol: 1e-4)
row = predictor.features(book, "V0", "buy", Decimal(1), NOW, fair)
assert row is not None and predictor.predict(row, NOW)
after = state()
assert Verdict.CERTIFIED in verdicts and len(verdicts) > 1, verdicts
changed = {name for name, now in after.items() if before.get(name, now) != now}
print("compiled or loaded:", sorted(changed))
"""


@pytest.mark.timeout(400)  # where nothing is cached yet it compiles everything first
def test_a_warmed_process_compiles_nothing_more() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WARMED], cwd=ROOT, capture_output=True, text=True, timeout=380, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "compiled or loaded: []"


def test_a_kernel_s_digest_follows_what_it_calls(tmp_path: Path) -> None:
    """The constants of the layout are in other files than the kernels that contain them."""
    names = kernel_cache.sources("router.live.fast")
    assert {"router.live.fast", "router.live.merge", "router.live.place", "router.live.layout", "pricing.arena"} <= set(
        names
    )
    assert kernel_cache.digest("router.live.fast") == kernel_cache.digest("router.live.fast")
    assert kernel_cache.digest("router.live.fast") != kernel_cache.digest("router.live.merge")


STALE = """
import sys
sys.path.insert(0, sys.argv[1])
from pricing import kernel_cache
import pricing.kernel, pricing.words
print(sorted(kernel_cache.refresh()), pricing.kernel.answer())
"""


def test_kernels_of_older_constants_are_forgotten(tmp_path: Path) -> None:
    room = tmp_path / "pricing"
    room.mkdir()
    (room / "__init__.py").touch()
    (room / "kernel_cache.py").write_text((ROOT / "pricing" / "kernel_cache.py").read_text())
    (room / "words.py").write_text("SIZE = 3\n")
    (room / "kernel.py").write_text(
        "from numba import njit\nfrom pricing.words import SIZE\n\n\n@njit(cache=True)\ndef answer():\n    return SIZE\n"
    )

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", STALE, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run() == "['pricing.kernel'] 3"
    assert run() == "[] 3"
    (room / "words.py").write_text("SIZE = 4\n")
    assert run() == "['pricing.kernel'] 4"
