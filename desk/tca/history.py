"""What earlier runs learnt of clients, venues and LPs, read back from the archive's own rows.

The archive's records are the truth; nothing is kept beside them. `recall` asks for the rows of the last few halflives,
newest first and no more than `MOST_ROWS` a table, and makes a memory of them exactly as the live desk would have. It
blocks, so the live desk runs it in a thread and merges what comes (`TcaMemory.merge`), which takes microseconds. Only
rows from before this run's start count: nothing is learnt twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from desk.tca.memory import TcaMemory
from router.costs.markouts import Markout
from router.costs.scorecards import TcaParameters
from router.costs.shortfall import PARTS, CostLine
from router.panel import LpRound

MOST_ROWS = 20_000
HALFLIVES = 6.0  # after which an order counts a sixty-fourth

Query = Callable[[str], str]  # SQL → JSON, a line a row, decimals as text

_decode_line = msgspec.json.Decoder(dict[str, Any]).decode


def _ns(column: str) -> str:
    return f"toUnixTimestamp64Nano({column}) AS {column}_ns"


COST_COLUMNS = f"* EXCEPT (created, ended), {_ns('created')}, {_ns('ended')}"
MARKOUT_COLUMNS = f"* EXCEPT (ts, taken), {_ns('ts')}, {_ns('taken')}"
ANSWER_COLUMNS = f"* EXCEPT (asked), {_ns('asked')}"


def recall(query: Query, parameters: TcaParameters, start_ns: int) -> TcaMemory:
    """The memory of everything before `start_ns`. Raises what `query` raises."""
    memory = TcaMemory(parameters)
    since_ns = max(0, start_ns - int(HALFLIVES * parameters.halflife_h * 3600e9))

    def rows(columns: str, table: str, moment: str, more: str = "") -> list[dict[str, Any]]:
        found = query(
            f"SELECT {columns} FROM {table} WHERE {moment} >= fromUnixTimestamp64Nano(toInt64({since_ns}))"
            f" AND {moment} < fromUnixTimestamp64Nano(toInt64({start_ns})) {more} ORDER BY {moment} DESC LIMIT {MOST_ROWS}"
        )
        return [_decode_line(line) for line in reversed(found.splitlines()) if line]

    for row in rows(COST_COLUMNS, "order_costs", "ended", "AND kind = 'child'"):
        memory.line(line_of(row))
        memory.restored += 1
    for row in rows(MARKOUT_COLUMNS, "markouts", "taken"):
        memory.markout(markout_of(row))
        memory.restored += 1
    for told in rounds_of(rows(ANSWER_COLUMNS, "lp_answers", "asked")):
        memory.asked(told)
        memory.restored += len(told.answers)
    return memory


def line_of(row: dict[str, Any]) -> CostLine:
    """A row of `order_costs` as it was published."""
    return msgspec.convert({**row, "end": row["end_price"], "parts": {name: row[name] for name in PARTS}}, CostLine)


def markout_of(row: dict[str, Any]) -> Markout:
    """A row of `markouts` as it was published."""
    return msgspec.convert(row, Markout)


def rounds_of(rows: Iterable[dict[str, Any]]) -> list[LpRound]:
    """Rows of `lp_answers`, in the order of asking, put together to the rounds they were."""
    rounds: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        rounds.setdefault((row["parent_id"], row["asked_ns"]), []).append(row)
    return [msgspec.convert({**answers[0], "answers": answers}, LpRound) for answers in rounds.values()]
