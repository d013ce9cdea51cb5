"""What the desk's own orders have taught of venues and LPs, in the words of the split.

    fade        loading ρ = β·0.399·σ·√(age of the book + the venue's answer time), bps: what a fill there costs beyond the plan
    fill ratio  haircut 1 − r of every displayed size: what is gone when the order arrives
    refusals    probability r of an LP's refusal; and what a refusal costs, the move it is conditional on: an LP that looks at the
                market for τ and refuses with probability r refuses when X > b, X ~ N(0, σ²τ), so E[X | X > b] = σ√τ·φ(Φ⁻¹(r))/r

Sources: the half-normal loading as in `router.costs.scorecards`; the last look after Cartea, Jaimungal and Walton, "Foreign exchange
markets with last look" (Math. Financ. Econ. 2019). All estimates are drawn to the priors of `tca` again as time goes by, orders or not:
a place that was left out for what it did is tried again.

It decides between places and is never money. The price of a quote has its own haircut of the same fill ratio (`pricing.haircut`): that says
what a hedge will cost, this what to send; neither is added to the other. Reads only; loop thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from math import sqrt
from statistics import NormalDist

from pricing.consolidated import ConsolidatedBook
from router.costs.scorecards import Scorecards

HALF_NORMAL = 0.3989422804014327  # E[X⁺] ÷ σ of X ~ N(0, σ²)
MOST_LOADING_BPS = 50.0
MOST_HAIRCUT_PPM = 900_000  # a tenth of the depth always counts, or nothing would ever be learnt again
PPM = 1_000_000
_NS = 1e-9
_NORMAL = NormalDist()


class Experience:
    """`sigma(symbol)`: volatility per √s now. `latency_ns`: of a venue that has not answered an order yet."""

    def __init__(self, scores: Scorecards, sigma: Callable[[str], float], latency_ns: int) -> None:
        self._scores = scores
        self._sigma = sigma
        self._latency_ns = latency_ns

    def fade(self, venue: str, now_ns: int) -> float:
        """β in [0, 1]."""
        return self._scores.fade(venue, now_ns)

    def loading_bps(self, book: ConsolidatedBook, venue: str, now_ns: int) -> Decimal:
        """ρ of a venue, bps of the price."""
        wait_ns = max(0, book.age_ns(venue, now_ns)) + (self._scores.latency_ns(venue) or self._latency_ns)
        noise = HALF_NORMAL * self._sigma(book.symbol) * sqrt(wait_ns * _NS) * 1e4
        return Decimal(f"{min(self.fade(venue, now_ns) * noise, MOST_LOADING_BPS):.4f}")

    def haircut_ppm(self, venue: str, now_ns: int) -> int:
        """Share of what a venue displays that is not counted on."""
        return min(MOST_HAIRCUT_PPM, max(0, round((1.0 - self._scores.fill_ratio(venue, now_ns)) * PPM)))

    def refusal(self, lp: str, now_ns: int) -> Decimal:
        """Probability that an LP refuses a quote we take, in [0, 1]."""
        return Decimal(f"{self._scores.reject_probability(lp, now_ns):.6f}")

    def refusal_cost_bps(self, symbol: str, lps: Iterable[str], again_ns: int, now_ns: int) -> Decimal:
        """What a refusal costs, bps of the price: the dearest of the `lps`. `again_ns`: until what was refused is planned again."""
        sigma, most = self._sigma(symbol), 0.0
        for lp in sorted(set(lps)):
            probability = min(max(self._scores.reject_probability(lp, now_ns), 1e-6), 0.5)
            looked_ns = (self._scores.hold_ns(lp) or self._latency_ns) + again_ns
            move = sigma * sqrt(looked_ns * _NS) * _NORMAL.pdf(_NORMAL.inv_cdf(probability)) / probability
            most = max(most, move * 1e4)
        return Decimal(f"{min(most, MOST_LOADING_BPS):.4f}")
