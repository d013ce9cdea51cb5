"""`CrossBook`: an instrument that is priced through two others, alone or beside venues of its own.

The synthetic side of the market is one more venue of the consolidated book, named after its legs
("ETH/USDT+BTC/USDT"): sweep, ladder, skew and splitter treat it like any venue, fees of both legs already inside. It is
live while every venue book it was made of is live, and made anew when something is asked at another moment or after the
legs changed; nothing is computed on a tick that nobody looks at.

Fair value: the ratio (product) of the legs' fair values; without it, the median mid of the instrument's own live
venues; none at all when the two are more than `DISAGREEMENT_BPS` apart (a broken triangle: nobody knows which side).

Leg risk: the second leg is worked while the first one already filled, so it is priced worse by k·σ₂·√latency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from math import ceil
from statistics import median

import numpy as np
from msgspec import structs

from pricing import synthetic
from pricing.book import PPM, Array
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.fair import DISAGREEMENT_BPS, FairValue
from pricing.scale import EXACT, Scale
from pricing.synthetic import compose, spec_of
from pricing.triangle import Form, form_of

MAX_LOAD = 0.05  # of the second leg's price; more would be no market
_BPS = Decimal("0.0001")


class CrossBook(ConsolidatedBook):
    """A book of `symbol` over its own `venues` (may be none) and the synthetic one through `legs`.

    `load()` says by how much of its price the second leg is priced worse (k·σ₂·√latency, relative). `scale` must have
    leg 1's size decimals. Reads the legs' arenas, never writes them.
    """

    def __init__(
        self,
        symbol: str,
        scale: Scale,
        venues: Sequence[VenueTerms],
        legs: tuple[ConsolidatedBook, ConsolidatedBook],
        *,
        load: Callable[[], float] = lambda: 0.0,
        depth: int = 512,
    ) -> None:
        first, second = legs
        if scale.size_decimals != first.scale.size_decimals:
            raise ValueError(f"{symbol}: sizes must have the {first.scale.size_decimals} decimals of {first.symbol}")
        self.legs = legs
        self.form = form_of(symbol, first.symbol, second.symbol)
        self.route = f"{first.symbol}+{second.symbol}"
        self.direct = [terms.venue for terms in venues]
        self._load = load
        self._spec = spec_of(
            self.form,
            (first.scale.price_decimals, first.scale.size_decimals),
            (second.scale.price_decimals, second.scale.size_decimals),
            scale.price_decimals,
        )
        self._work = np.zeros(synthetic.WORK, dtype=np.int64)
        self._rows = np.zeros((2, depth, 3), dtype=np.int64)
        self._made: tuple[int, ...] = ()
        super().__init__(symbol, scale, [*venues, self._terms(first, second, scale)], depth)

    def _terms(self, first: ConsolidatedBook, second: ConsolidatedBook, scale: Scale) -> VenueTerms:
        ages = [leg.terms(venue).max_age_ns for leg in (first, second) for venue in leg.venues]
        return VenueTerms(
            venue=self.route,
            taker_fee_bps=Decimal(0),
            tick=scale.price(1),
            lot=scale.size(1),
            price_decimals=scale.price_decimals,
            size_decimals=scale.size_decimals,
            max_age_ns=max(ages),
        )

    def renew(self, now_ns: int) -> None:
        """Make the synthetic book for `now_ns` unless it is of this very moment and of these very legs."""
        masks = [leg.live_mask(now_ns) for leg in self.legs]
        seen = (now_ns, *masks, *(leg.updates(venue) for leg in self.legs for venue in leg.venues))
        if seen == self._made:
            return
        self._made = seen
        for leg, mask in zip(self.legs, masks, strict=True):
            if not mask:
                self.clear(self.route, f"no live book of {leg.symbol}", now_ns)
                return
        rows = [self._side(side, masks) for side in (0, 1)]
        if any(len(side) == 0 for side in rows):
            self.clear(self.route, "the legs do not fit the scale", now_ns)
            return
        oldest = max(leg.age_ns(venue, now_ns) for leg in self.legs for venue in leg.live(now_ns))
        self.apply(self.route, np.concatenate(rows), True, now_ns - max(oldest, 0))

    def _side(self, side: int, masks: Sequence[int]) -> Array:
        spec = self._spec
        spec[synthetic.S_SIDE] = side
        spec[synthetic.S_LIVE_1], spec[synthetic.S_LIVE_2] = masks
        load = min(max(self._load(), 0.0), MAX_LOAD)
        fine = [any(fee % 100 for fee in leg.fees()) for leg in self.legs]  # a fee finer than the arena's ppm
        spec[synthetic.S_LOAD_1] = int(fine[0])
        spec[synthetic.S_LOAD_2] = int(fine[1]) + ceil(load * PPM)
        n = compose(self.legs[0].arena, self.legs[1].arena, spec, self._work, self._rows[side])
        return self._rows[side, : max(n, 0)]

    def status(self, venue: str, now_ns: int) -> BookStatus:
        """Whether the book of `venue` may be used at `now_ns`."""
        self.renew(now_ns)
        return super().status(venue, now_ns)

    def live_mask(self, now_ns: int) -> int:
        """A bit per venue that may be used, the synthetic one made anew first."""
        self.renew(now_ns)
        return super().live_mask(now_ns)

    def age_ns(self, venue: str, now_ns: int) -> int:
        """Time since anything was heard of the venue; of the synthetic one, of the oldest book it is made of."""
        self.renew(now_ns)
        return super().age_ns(venue, now_ns)

    def cross_fair(self, now_ns: int) -> Decimal | None:
        """The legs' fair values divided (multiplied), two decimals finer than the scale; None without both."""
        first, second = (leg.fair(now_ns) for leg in self.legs)
        if first is None or second is None or not second:
            return None
        value = first / second if self.form is Form.DIVIDE else EXACT.multiply(first, second)
        return value.quantize(Decimal(1).scaleb(-(self.scale.price_decimals + 2)), ROUND_HALF_EVEN)

    def fair(self, now_ns: int) -> Decimal | None:
        """Fair value from live books only, or None (see the module). Makes the synthetic book anew: who asks, prices next."""
        self.renew(now_ns)
        cross = self.cross_fair(now_ns)
        mids = [
            (best[0] + best[1]) / 2
            for venue in self.direct
            if self.status(venue, now_ns) is BookStatus.LIVE and (best := self.best(venue)) is not None
        ]
        if not mids:
            return cross
        direct = median(mids)
        if cross is None:
            return direct
        return None if abs(direct - cross) > Decimal(DISAGREEMENT_BPS) * _BPS * cross else cross

    def mid(self, now_ns: int) -> float:
        """`fair` as the nearest float, for statistics; 0.0 when there is none."""
        fair = self.fair(now_ns)
        return 0.0 if fair is None else float(fair)

    def explain_fair(self, now_ns: int) -> FairValue:
        """The fair value, and what it is made of: the legs, or the instrument's own live venues alike."""
        live = set(self.live(now_ns)) & ({self.route} if self.cross_fair(now_ns) is not None else set(self.direct))
        share = (Decimal(1) / max(len(live), 1)).quantize(_BPS)
        parts = [
            structs.replace(part, weight=share if part.venue in live else Decimal(0))
            for part in super().explain_fair(now_ns).venues
        ]
        return FairValue(value=self.fair(now_ns), venues=tuple(parts))
