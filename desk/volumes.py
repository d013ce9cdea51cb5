"""How volume is spread over the day, learnt from the archive: what a VWAP begins with.

From the public trades that the desk heard itself, or, where that is more of the last days, from the candles that were fetched of one venue
(`kerb archive fetch`). Read once after a start, beside the event loop; until then, and without an archive, the day is flat.
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
        named = {"symbol": symbol.replace("'", "\\'"), "ns": PART_S * _SECOND_NS, "before": before_ns, "days": DAYS}
        answers = (ask(sql.format(**named)) for sql in (_HEARD, _FETCHED))
        heard, fetched = ({row.part: row.volume for row in decoder.decode_lines(lines.encode())} for lines in answers)
        if (profile := profile_from(heard if len(heard) >= len(fetched) else fetched)).volume:
            found[symbol] = profile
    return found


_HEARD = (
    "SELECT intDiv(toUnixTimestamp64Nano(ts_init), {ns}) AS part, toFloat64(sum(size)) AS volume FROM md_trades "
    "WHERE startsWith(instrument_id, '{symbol}.') AND ts_init < fromUnixTimestamp64Nano({before}) "
    "AND ts_init >= fromUnixTimestamp64Nano({before}) - INTERVAL {days} DAY GROUP BY part ORDER BY part"
)
_FETCHED = (
    "WITH wanted AS (SELECT * FROM candles WHERE symbol = '{symbol}' AND timeframe IN ('1m', '5m') "
    "AND ts < fromUnixTimestamp64Nano({before}) AND ts >= fromUnixTimestamp64Nano({before}) - INTERVAL {days} DAY), "
    "best AS (SELECT venue, timeframe FROM wanted GROUP BY ALL ORDER BY uniq(toStartOfFiveMinutes(ts)) DESC, timeframe LIMIT 1) "
    "SELECT intDiv(toUnixTimestamp64Nano(ts), {ns}) AS part, toFloat64(sum(volume)) AS volume FROM wanted "
    "WHERE (venue, timeframe) IN best GROUP BY part ORDER BY part"
)
