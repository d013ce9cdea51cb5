"""The simulated LP's behaviour: seeded, symmetric, bounded, never against its own rules."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sim.lp_model import BPS, LpModel, LpParams, ModelNoQuote, ModelQuote, Verdict

MID = Decimal("60000.005")
NOW = 1_700_000_000_000_000_000
SURE = LpParams(no_quote_rate=0.0, reject_rate=0.0)


def _quote(model: LpModel, quantity: str = "1", side: str = "two_way", ts_ns: int = NOW) -> ModelQuote:
    quote = model.quote("BTC/USDT", side, Decimal(quantity), MID, ts_ns)
    assert isinstance(quote, ModelQuote)
    return quote


@given(
    seed=st.integers(0, 2**32),
    quantity=st.decimals("0.01", "20", places=4),
    later_ns=st.integers(0, 10**12),
    mid=st.decimals("10000", "70000", places=3),
)
def test_prices_straddle_the_mid_and_larger_sizes_are_dearer(
    seed: int, quantity: Decimal, later_ns: int, mid: Decimal
) -> None:
    params = LpParams(no_quote_rate=0.0, lean_bps=0.0)
    model = LpModel(seed, params)
    quote = model.quote("BTC/USDT", "two_way", quantity, mid, NOW + later_ns)
    assert isinstance(quote, ModelQuote)
    assert quote.bid is not None
    assert quote.ask is not None
    assert quote.bid < mid < quote.ask
    half = Decimal(str(model.half_spread_bps(quantity * mid))) * BPS * mid
    for distance in (quote.ask - mid, mid - quote.bid):
        assert half - Decimal("0.001") <= distance <= half + params.price_step + Decimal("0.001")
        assert quote.ask % params.price_step == 0
    rungs = model.ladder("BTC/USDT", mid, NOW + later_ns)
    assert [rung.ask for rung in rungs] == sorted(rung.ask for rung in rungs)
    assert [rung.bid for rung in rungs] == sorted((rung.bid for rung in rungs), reverse=True)


def test_a_quote_has_only_the_sides_that_were_asked_for() -> None:
    model = LpModel(1, SURE)
    assert _quote(model, side="buy").bid is None
    assert _quote(model, side="sell").ask is None
    assert _quote(model, side="buy").price("buy") is not None


def test_size_limits_and_unknown_pairs_are_declined() -> None:
    model = LpModel(1, SURE)
    for quantity in ("0.001", "26"):  # 60 and 1.56 M
        answer = model.quote("BTC/USDT", "buy", Decimal(quantity), MID, NOW)
        assert isinstance(answer, ModelNoQuote)
        assert answer.code == "SIZE_LIMIT"
    answer = model.quote("BTC/USD", "buy", Decimal(1), MID, NOW)
    assert isinstance(answer, ModelNoQuote)
    assert answer.code == "UNKNOWN_PAIR"  # USD is not USDT
    assert model.ladder("BTC/USD", MID, NOW) == ()


def test_expiry_is_after_the_last_moment_and_not_at_it() -> None:
    model = LpModel(1, SURE)
    quote = _quote(model)
    assert quote.valid_until_ns == quote.sent_ns + SURE.ttl_ns
    assert model.decide(quote, MID, quote.valid_until_ns).verdict is Verdict.FILLED
    assert model.decide(quote, MID, quote.valid_until_ns + 1).verdict is Verdict.EXPIRED


def test_last_look_is_symmetric() -> None:
    """FX Global Code, principle 17: a move is held against either side alike."""
    model = LpModel(1, SURE)
    quote = _quote(model)
    beyond = MID * Decimal(str(SURE.tolerance_bps + 0.01)) * BPS
    within = MID * Decimal(str(SURE.tolerance_bps - 0.01)) * BPS
    for sign in (1, -1):
        assert model.decide(quote, MID + sign * beyond, NOW).verdict is Verdict.REJECTED
        assert model.decide(quote, MID + sign * within, NOW).verdict is Verdict.FILLED


def test_technical_rejects_come_at_their_rate() -> None:
    model = LpModel(5, LpParams(reject_rate=0.1, no_quote_rate=0.1))
    answers = [model.quote("BTC/USDT", "buy", Decimal(1), MID, NOW + n) for n in range(2_000)]
    quotes = [answer for answer in answers if isinstance(answer, ModelQuote)]
    rejected = [quote for quote in quotes if model.decide(quote, MID, NOW).verdict is Verdict.REJECTED]
    assert 140 <= len(answers) - len(quotes) <= 260
    assert 0.07 <= len(rejected) / len(quotes) <= 0.13
    assert len({quote.quote_id for quote in quotes}) == len(quotes)


def test_asking_for_quotes_does_not_move_the_stream() -> None:
    asked, quiet = LpModel(3), LpModel(3)
    for n in range(50):
        asked.quote("BTC/USDT", "buy", Decimal(1), MID, NOW + n)
        assert asked.ladder("BTC/USDT", MID, NOW + n * 10**9) == quiet.ladder("BTC/USDT", MID, NOW + n * 10**9)


def test_the_lean_is_continuous_and_bounded() -> None:
    params = LpParams(lean_bps=2.0, half_spread_bps=0.0, size_slope_bps=0.0)
    model = LpModel(9, params)
    mids = []
    for n in range(400):
        rung = model.ladder("BTC/USDT", MID, NOW + n * 250_000_000)[0]
        mids.append((rung.bid + rung.ask) / 2)
    bound = MID * Decimal("2.0") * BPS + params.price_step
    assert all(abs(mid - MID) <= bound for mid in mids)
    assert max(abs(a - b) for a, b in pairwise(mids)) < MID * Decimal("0.2") * BPS
    assert max(mids) - min(mids) > MID * BPS  # it does move


SCRIPT = """
from decimal import Decimal
from itertools import pairwise
from sim.lp_model import LpModel
import msgspec
model, out = LpModel(77), []
for n in range(200):
    ts = 1_700_000_000_000_000_000 + n * 10**8
    quote = model.quote("BTC/USDT", "two_way", Decimal(n + 1) / 10, Decimal("60000.5") + n, ts)
    out.append(quote)
    if hasattr(quote, "quote_id"):
        out.append(model.decide(quote, Decimal("60001") + n, ts + 10**8))
    out.append(model.ladder("ETH/USDT", Decimal(2500), ts))
print(__import__("hashlib").sha256(msgspec.json.encode(out)).hexdigest())
"""


def test_the_same_seed_is_the_same_lp_in_any_process() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=Path(__file__).resolve().parents[2],
            env={"PYTHONHASHSEED": hashseed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashseed in ("0", "12345")
    }
    assert len(hashes) == 1
    one, other = LpModel(77), LpModel(78)
    assert msgspec.json.encode(_quote(one)) != msgspec.json.encode(_quote(other))
