"""`Predictor`: what a marketable order will cost at a venue, P50 and P90, before it is sent.

Answers from a trained model (`router.slippage.trees`) while that may be trusted, from theory (`router.slippage.features.prior`) otherwise:
no model, an expired one, or a market unlike anything it was trained on. An order larger than any in training is never predicted cheaper
than theory says, so a bigger order is never cheaper. It says in the log, once a reason, that it falls back. One thread.

The router uses `loadings`: what it expects to pay at each venue beyond the book it sees, as basis points that decide between venues and
are never booked as money.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pricing.consolidated import ConsolidatedBook
from router.slippage import features as kernel
from router.slippage.features import Floats
from router.slippage.trees import LARGER, OUTSIDE, Quantiles, load

MOST_LOADING_BPS = 50.0  # a prediction beyond it says that something else is wrong
PRIOR = "prior"  # the configuration's word for theory alone


class Source(StrEnum):
    """Who answered."""

    MODEL = "model"
    PRIOR = "prior"


class Predicted(NamedTuple):
    """Cost in bps of the venue's mid, outward positive, fees excluded."""

    p50_bps: float
    p90_bps: float
    source: Source


class Predictor:
    """`model` None: theory alone. `latency_s`: from decision to the venue's match. `impact`: Y of the square-root law.

    `daily_volume`: base currency a day by symbol (a symbol not in it: see the features). `sigma(symbol)`: volatility per √s now.
    """

    def __init__(
        self,
        model: Quantiles | None = None,
        *,
        latency_s: float,
        impact: float = 1.0,
        daily_volume: Mapping[str, Decimal] | None = None,
        sigma: Callable[[str], float],
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.model = model
        self.used: Counter[Source] = Counter()
        self._latency_s = latency_s
        self._impact = impact
        self._daily_volume = dict(daily_volume or {})
        self._sigma = sigma
        self._say = say
        self._said: set[str] = set()
        self._row: Floats = np.zeros(len(kernel.FEATURES))
        self._market: Floats = np.zeros(kernel.MARKET)
        self._out: Floats = np.zeros(2)
        self._theory: Floats = np.zeros(2)

    def features(
        self, book: ConsolidatedBook, venue: str, side: str, quantity: Decimal, now_ns: int, fair: Decimal | None = None
    ) -> Floats | None:
        """The row of an order of `quantity` (base, > 0) at `venue`, `side` ours; None when a side of its book is empty.

        `fair`: the consolidated fair value when the caller has it already. The array is used again by the next call.
        """
        lots = book.scale.lots_up(quantity)
        fair = book.fair(now_ns) if fair is None else fair
        best = book.best(venue)
        if best is None or lots <= 0:
            return None
        mid = (best[0] + best[1]) / 2 if fair is None else fair
        market, scale = self._market, book.scale
        market[kernel.M_FAIR] = float(mid.scaleb(scale.price_decimals))
        market[kernel.M_SIGMA] = self._sigma(book.symbol)
        market[kernel.M_AGE] = book.age_ns(venue, now_ns) * 1e-9
        market[kernel.M_LATENCY] = self._latency_s
        market[kernel.M_ADV] = float(self._daily_volume.get(book.symbol, Decimal(0)).scaleb(scale.size_decimals))
        market[kernel.M_Y] = self._impact
        taken = 1 if side == "buy" else 0
        code = kernel.features(book.arena, book.venues.index(venue), taken, lots, market, self._row)
        return self._row if code == kernel.OK else None

    def predict(self, row: Floats, now_ns: int) -> Predicted:
        """P50 and P90 of a row of `features`."""
        kernel.prior(row, self._theory)
        low, high = float(self._theory[0]), float(self._theory[1])
        if self.model is None:
            return self._answer(low, high, Source.PRIOR)
        if now_ns >= self.model.file.expires_ns:
            self._once(f"slippage model {self.model.name} has expired: theory answers instead")
            return self._answer(low, high, Source.PRIOR)
        match self.model.predict(row, self._out):
            case code if code == OUTSIDE:
                self._once(
                    f"the market is outside what slippage model {self.model.name} was trained on: theory answers"
                )
                return self._answer(low, high, Source.PRIOR)
            case code if code == LARGER:
                self._once(
                    f"an order is larger than slippage model {self.model.name} was trained on: the dearer answer counts"
                )
                return self._answer(max(low, float(self._out[0])), max(high, float(self._out[1])), Source.MODEL)
            case _:
                return self._answer(float(self._out[0]), float(self._out[1]), Source.MODEL)

    def loadings(
        self,
        book: ConsolidatedBook,
        venues: Iterable[str],
        side: str,
        quantity: Decimal,
        now_ns: int,
        fade: Callable[[str], float] | None = None,
    ) -> dict[str, Decimal]:
        """bps by venue that an order is expected to cost beyond the walk of the book that the splitter sees; never negative.

        Each venue is asked for its share of the quantity by what it shows, which is about what it can get. `fade(venue)`: the part of
        theory's noise that fills there really cost; a model that was trained on fills knows.
        """
        fair = book.fair(now_ns)
        visible: dict[str, Decimal] = {}
        for venue in venues:
            row = self.features(book, venue, side, quantity, now_ns, fair)
            if row is not None:
                visible[venue] = quantity / Decimal(repr(float(row[1])))
        total = sum(visible.values(), Decimal(0))
        found: dict[str, Decimal] = {}
        for venue, shown in visible.items():
            row = self.features(book, venue, side, quantity * shown / total, now_ns, fair)
            if row is not None:
                answer = self.predict(row, now_ns)
                extra = answer.p50_bps - float(row[kernel.SWEEP])
                if fade is not None and answer.source is Source.PRIOR:
                    extra *= fade(venue)
                found[venue] = Decimal(f"{min(max(extra, 0.0), MOST_LOADING_BPS):.4f}")
        return found

    def _answer(self, p50: float, p90: float, source: Source) -> Predicted:
        self.used[source] += 1
        return Predicted(p50, p90, source)

    def _once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)


def model_of(name: str) -> Quantiles | None:
    """What `router.slippage_model` names: None for `prior`, else the model of that file. Raises `ModelFault`."""
    return None if name == PRIOR else load(Path(name))
