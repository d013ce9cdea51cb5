"""How volume is spread over the day, learnt from the archive's public trades: what a VWAP begins with.

Read once after a start, beside the event loop, from the days before it; until then, and without an archive, the day is flat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from router.algos.profile import PART_S, VolumeProfile, profile_from

DAYS = 28  # that are looked back on
_SECOND_NS = 1_000_000_000


class _Part(msgspec.Struct):
    part: int
    volume: float


def recall_volumes(ask: Callable[[str], str], symbols: Iterable[str], before_ns: int) -> dict[str, VolumeProfile]:
    """The profile of each symbol that has one. `ask(sql)`: rows as JSON lines; blocks, and raises what `ask` raises."""
    decoder = msgspec.json.Decoder(_Part, strict=False)  # 64-bit integers come as text from some servers
    found = {}
    for symbol in symbols:
        lines = ask(_SQL.format(symbol=symbol.replace("'", "\\'"), ns=PART_S * _SECOND_NS, before=before_ns, days=DAYS))
        totals = {row.part: row.volume for row in decoder.decode_lines(lines.encode())}
        if (profile := profile_from(totals)).volume:
            found[symbol] = profile
    return found


_SQL = (
    "SELECT intDiv(toUnixTimestamp64Nano(ts_init), {ns}) AS part, toFloat64(sum(size)) AS volume FROM md_trades "
    "WHERE startsWith(instrument_id, '{symbol}.') AND ts_init < fromUnixTimestamp64Nano({before}) "
    "AND ts_init >= fromUnixTimestamp64Nano({before}) - INTERVAL {days} DAY GROUP BY part ORDER BY part"
)
