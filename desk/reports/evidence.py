"""What a report on costs is made from: sums of the archive's own rows, asked for in SQL.

Money is summed in the database as decimals, exactly; averages of basis points are floats. Of a line that was made anew
after a late execution the last revision counts. Times are half open: `from` ≤ end of the order < `to`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from router.costs.markouts import HORIZONS_MS
from router.costs.shortfall import PARTS

Query = Callable[[str], str]  # SQL → JSON, a line a row, decimals as text

MOST_PARENTS = 500
MONEY = (*PARTS, "basis", "filled", "notional", "expected", "saved", "market_quantity", "market_notional")

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_SUMS = ", ".join(f"sum(c.{name}) AS {name}" for name in MONEY)
_CURRENCY = "splitByChar('/', symbol)[2]"


class Evidence:
    """The archive, between two moments in ns."""

    def __init__(self, query: Query, from_ns: int, to_ns: int) -> None:
        self._query = query
        self.from_ns = from_ns
        self.to_ns = to_ns

    def parents(self) -> list[dict[str, Any]]:
        """The newest parents, a row each."""
        return self._rows(
            f"SELECT * EXCEPT (created, ended), toUnixTimestamp64Nano(created) AS created_ns,"
            f" toUnixTimestamp64Nano(ended) AS ended_ns, {_CURRENCY} AS currency"
            f" FROM ({self._lines("kind = 'parent'")}) ORDER BY ended_ns DESC LIMIT {MOST_PARENTS}"
        )

    def places(self, *, lp: bool) -> list[dict[str, Any]]:
        """Children by venue (internal crosses among them) or by LP."""
        wanted = "kind = 'child' AND lp" if lp else "kind != 'parent' AND NOT lp"
        return self._rows(
            f"SELECT c.venue AS name, {_CURRENCY} AS currency, count() AS orders, {_SUMS},"
            " countIf(c.filled = 0 AND c.state = 'rejected') AS rejected,"
            " sum(toFloat64(c.filled) / toFloat64(c.quantity)) / count() AS fill_ratio,"
            " quantileExactIf(0.5)(c.latency_ns, c.latency_ns >= 0) / 1e6 AS latency_ms_p50,"
            " quantileExactIf(0.99)(c.latency_ns, c.latency_ns >= 0) / 1e6 AS latency_ms_p99,"
            " quantileExactIf(0.5)(c.hold_ns, c.hold_ns >= 0) / 1e6 AS hold_ms_p50,"
            " quantileExactIf(0.99)(c.hold_ns, c.hold_ns >= 0) / 1e6 AS hold_ms_p99"
            f" FROM ({self._lines(f"{wanted} AND NOT startsWith(reason, 'not sent')")}) AS c"
            " GROUP BY name, currency ORDER BY name, currency"
        )

    def algos(self) -> list[dict[str, Any]]:
        """Parents by execution algorithm, with the means of their benchmarks."""
        return self._rows(
            f"SELECT c.algo AS name, {_CURRENCY} AS currency, count() AS orders, {_SUMS},"
            " sum(toFloat64(c.filled) / toFloat64(c.quantity)) / count() AS fill_ratio,"
            " avgMap(c.benchmark) AS benchmark"
            f" FROM ({self._lines("kind = 'parent' AND quantity > 0")}) AS c GROUP BY name, currency ORDER BY name, currency"
        )

    def clients(self) -> list[dict[str, Any]]:
        """Trades by client: what they paid over fair value, in all."""
        return self._rows(
            f"SELECT client_id AS name, {_CURRENCY} AS currency, count() AS orders, sum(amount) AS notional,"
            " sum(multiplyDecimal(fair, quantity, 18)) AS basis,"
            " sum(if(side = 'buy', 1, -1) * (amount - multiplyDecimal(fair, quantity, 18))) AS earned"
            f" FROM client_trades WHERE {self._between('traded')} GROUP BY name, currency ORDER BY name, currency"
        )

    def orders_of_clients(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Costs of orders worked for clients, by (client, currency)."""
        found = self._rows(
            f"SELECT substring(c.account, 8) AS name, {_CURRENCY} AS currency, count() AS orders, {_SUMS}"
            f" FROM ({self._lines("kind = 'parent' AND startsWith(account, 'client:')")}) AS c GROUP BY name, currency"
        )
        return {(row["name"], row["currency"]): row for row in found}

    def markouts(self, source: str) -> dict[tuple[str, str, int], float]:
        """Mean move in the desk's favour in bps, by (party, quote currency, horizon in ms)."""
        found = self._rows(
            f"SELECT party, {_CURRENCY} AS currency, horizon_ms,"
            " avg(1e4 * if(side = 'buy', 1, -1) * (toFloat64(fair_then) / toFloat64(fair) - 1)) AS bps"
            f" FROM markouts WHERE source = '{source}' AND fair_then IS NOT NULL AND fair IS NOT NULL"
            f" AND horizon_ms IN {HORIZONS_MS} AND {self._between('ts')} GROUP BY party, currency, horizon_ms"
        )
        return {(row["party"], row["currency"], row["horizon_ms"]): row["bps"] for row in found}

    def quotes(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What LPs answered, by (LP, quote currency)."""
        found = self._rows(
            f"SELECT lp AS name, {_CURRENCY} AS currency, count() AS requests, countIf(price IS NOT NULL) / count() AS quoted,"
            " avgIf(1e4 * if(side = 'buy', 1, -1) * (toFloat64(price) / toFloat64(mid) - 1),"
            " price IS NOT NULL AND mid IS NOT NULL) AS quote_spread_bps,"
            " quantileExactIf(0.5)(answered_ns - toUnixTimestamp64Nano(a.asked), answered_ns > 0) / 1e6 AS quote_ms_p50,"
            " uniqExactIf((parent_id, a.asked), price IS NOT NULL) AS rounds"
            f" FROM lp_answers AS a WHERE {self._between('a.asked')} GROUP BY name, currency"
        )
        return {(row["name"], row["currency"]): row for row in found}

    def _lines(self, wanted: str) -> str:
        return (
            f"SELECT * FROM order_costs WHERE {wanted} AND {self._between('ended')}"
            " ORDER BY revision DESC LIMIT 1 BY kind, parent_id, child_id"
        )

    def _between(self, column: str) -> str:
        return (
            f"{column} >= fromUnixTimestamp64Nano(toInt64({self.from_ns}))"
            f" AND {column} < fromUnixTimestamp64Nano(toInt64({self.to_ns}))"
        )

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return [_decode(line) for line in self._query(sql).splitlines() if line]
