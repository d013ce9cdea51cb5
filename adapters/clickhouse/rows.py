"""Engine objects and the desk's records to rows. Pure; runs on the flush thread, away from the event loop.

Desk, router and risk records are read by attribute name (`rfq_id`, `quantity`, …): an adapter does not know those
rooms. Records that change later (RFQs, orders) are turned into tuples at once by `…_row`; what never changes is kept
and converted in the flush. Decimals finer than 10⁻¹⁸ are rounded half-even here; the ledger keeps them exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from adapters.clickhouse.tables import RAW, SCHEMAS, TS
from adapters.nautilus.book import BookKind

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_ATTO = Decimal(1).scaleb(-18)
_MOST = Decimal(10) ** 20
_AGGRESSOR = {0: "none", 1: "buy", 2: "sell"}


class BookMessage(NamedTuple):
    """One book message: the producer's own level array, by reference."""

    instrument_id: str
    ts_event: int
    ts_init: int
    seq: int
    kind: BookKind
    levels: np.ndarray  # int64 (n, 3): side, price, size
    price_precision: int
    size_precision: int


def message_rows(levels: np.ndarray, kind: BookKind) -> int:
    """Rows one book message makes: a row a level; a message that replaces or clears the book makes at least one."""
    count = len(levels)
    return 1 if count == 0 and kind is not BookKind.UPDATE else count


def money(value: Decimal) -> Decimal | None:
    """`value` to 10⁻¹⁸; None for what no money column can hold (NaN, infinity, 10²⁰ and more)."""
    if not value.is_finite() or abs(value) >= _MOST:
        return None
    return value.quantize(_ATTO, context=_CONTEXT)


# ---- market data ---------------------------------------------------------------------------------


def md_deltas(messages: Sequence[BookMessage]) -> pa.Table:
    """Book messages, a row a level."""
    counts = np.array([message_rows(one.levels, one.kind) for one in messages], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    total = int(counts.sum())
    side, price, size = (np.zeros(total, dtype=np.int64) for _ in range(3))
    for one, start, count in zip(messages, starts, counts, strict=True):
        if len(one.levels):
            block = slice(start, start + count)
            side[block], price[block], size[block] = one.levels[:, 0], one.levels[:, 1], one.levels[:, 2]
    number = np.arange(total) - np.repeat(starts, counts)
    prices = _scaled(messages, counts, price, [one.price_precision for one in messages])
    sizes = _scaled(messages, counts, size, [one.size_precision for one in messages])
    return pa.table(
        [
            _repeated([one.instrument_id for one in messages], counts),
            pa.array(np.repeat([one.ts_event for one in messages], counts), pa.int64()).cast(TS),
            pa.array(np.repeat([one.ts_init for one in messages], counts), pa.int64()).cast(TS),
            pa.array(np.repeat(np.array([one.seq for one in messages], dtype=np.uint64), counts)),
            pa.array(number.astype(np.uint32)),
            _repeated([one.kind.value for one in messages], counts),
            pa.array(side.astype(np.int8)),
            prices,
            sizes,
        ],
        schema=SCHEMAS["md_deltas"],
    )


def md_trades(ticks: Sequence[Any]) -> pa.Table:
    """The engine's `TradeTick`s."""
    return pa.table(
        [
            pa.array([tick.instrument_id.value for tick in ticks]),
            pa.array([tick.ts_event for tick in ticks], pa.int64()).cast(TS),
            pa.array([tick.ts_init for tick in ticks], pa.int64()).cast(TS),
            pa.array([tick.trade_id.value for tick in ticks]),
            pa.array([_AGGRESSOR[int(tick.aggressor_side)] for tick in ticks]),
            _raw(tick.price.raw for tick in ticks),
            _raw(tick.size.raw for tick in ticks),
        ],
        schema=SCHEMAS["md_trades"],
    )


def md_quotes(ticks: Sequence[Any]) -> pa.Table:
    """The engine's `QuoteTick`s."""
    return pa.table(
        [
            pa.array([tick.instrument_id.value for tick in ticks]),
            pa.array([tick.ts_event for tick in ticks], pa.int64()).cast(TS),
            pa.array([tick.ts_init for tick in ticks], pa.int64()).cast(TS),
            _raw(tick.bid_price.raw for tick in ticks),
            _raw(tick.ask_price.raw for tick in ticks),
            _raw(tick.bid_size.raw for tick in ticks),
            _raw(tick.ask_size.raw for tick in ticks),
        ],
        schema=SCHEMAS["md_quotes"],
    )


def _raw(values: Iterable[int]) -> pa.Array:
    """The engine's 128-bit fixed-point numbers as decimals: the same bits, no arithmetic."""
    packed = b"".join(value.to_bytes(16, "little", signed=True) for value in values)
    return pa.Array.from_buffers(RAW, len(packed) // 16, [None, pa.py_buffer(packed)])


def _scaled(
    messages: Sequence[BookMessage], counts: np.ndarray, values: np.ndarray, precisions: list[int]
) -> pa.Array | pa.ChunkedArray:
    """int64 values in units of 10^-precision, as decimals; neighbours of one precision are converted together."""
    chunks = []
    start = 0
    row = 0
    for index in range(len(messages)):
        row += int(counts[index])
        if index + 1 == len(messages) or precisions[index + 1] != precisions[index]:
            part = values[start:row]
            limbs = np.empty((len(part), 2), dtype=np.int64)
            limbs[:, 0] = part
            limbs[:, 1] = part >> 63
            kind = pa.decimal128(38, precisions[index])
            chunks.append(pa.Array.from_buffers(kind, len(part), [None, pa.py_buffer(limbs)]).cast(RAW))
            start = row
    return pa.chunked_array(chunks, RAW)


def _repeated(values: list[str], counts: np.ndarray) -> pa.Array:
    """Each text as often as its message has rows."""
    names = sorted(set(values))
    place = {name: index for index, name in enumerate(names)}
    codes = np.repeat(np.array([place[value] for value in values], dtype=np.int32), counts)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string())).cast(pa.string())


# ---- the desk's records --------------------------------------------------------------------------


def lp_ladder_row(ladder: Any) -> tuple[Any, ...]:
    rungs = ladder.rungs
    return (
        ladder.lp,
        ladder.symbol,
        ladder.ts_ns,
        [money(rung.quantity) for rung in rungs],
        [money(rung.bid) for rung in rungs],
        [money(rung.ask) for rung in rungs],
    )


def rfq_row(rfq: Any) -> tuple[Any, ...]:
    return (
        rfq.rfq_id,
        rfq.client_id,
        rfq.client_rfq_id,
        rfq.symbol,
        rfq.side,
        money(rfq.quantity),
        rfq.currency,
        rfq.ttl_ms,
        str(rfq.state),
        rfq.reason,
        [quote.quote_id for quote in rfq.quotes],
        rfq.trade_id,
        rfq.created_ns,
        rfq.updated_ns,
    )


def quote_row(quote: Any) -> tuple[Any, ...]:
    return (
        quote.quote_id,
        quote.rfq_id,
        quote.client_id,
        quote.symbol,
        quote.side,
        money(quote.price),
        money(quote.quantity),
        money(quote.amount),
        money(quote.fair),
        [step.step for step in quote.waterfall],
        [money(step.amount) for step in quote.waterfall],
        quote.valid_until_ns,
        quote.created_ns,
        quote.streamed,
    )


def trade_row(trade: Any) -> tuple[Any, ...]:
    return (
        trade.trade_id,
        trade.quote_id,
        trade.rfq_id,
        trade.client_id,
        trade.client_order_id,
        trade.symbol,
        trade.side,
        money(trade.price),
        money(trade.quantity),
        money(trade.amount),
        money(trade.fair),
        money(trade.skew),
        trade.traded_ns,
        trade.settle_due_ns,
    )


def decision_row(decision: Any) -> tuple[Any, ...]:
    intent = decision.intent
    refused = getattr(decision, "check", None)
    return (
        decision.decision_id,
        "approved" if refused is None else "refused",
        str(intent.stage),
        intent.intent_id,
        intent.symbol,
        intent.venue,
        intent.client_id,
        intent.side,
        money(intent.quantity),
        money(intent.price),
        refused or "",
        getattr(decision, "value", ""),
        getattr(decision, "limit", ""),
        getattr(decision, "message", ""),
        list(getattr(decision, "limits", {}).items()),
        intent.now_ns,
    )


def parent_row(parent: Any) -> tuple[Any, ...]:
    return (
        "parent",
        parent.parent_id,
        "",
        parent.rfq_id,
        "",
        "",
        parent.symbol,
        parent.side,
        money(parent.quantity),
        None if parent.limit_price is None else money(parent.limit_price),
        str(parent.state),
        money(parent.filled),
        money(parent.notional),
        None if parent.arrival_mid is None else money(parent.arrival_mid),
        parent.reason,
        "",
        parent.created_ns,
        parent.updated_ns,
    )


def child_row(child: Any) -> tuple[Any, ...]:
    return (
        "child",
        child.parent_id,
        child.child_id,
        "",
        child.quote_id,
        child.venue,
        child.symbol,
        child.side,
        money(child.quantity),
        money(child.limit_price),
        str(child.state),
        money(child.filled),
        money(child.notional),
        None,
        child.reason,
        child.why,
        child.created_ns,
        child.updated_ns,
    )


def fill_row(fill: Any) -> tuple[Any, ...]:
    return (
        fill.venue,
        fill.symbol,
        fill.trade_id,
        fill.client_order_id,
        fill.side,
        money(fill.price),
        money(fill.quantity),
        money(fill.fee),
        fill.fee_currency,
        fill.ts_ns,
    )


def cost_row(line: Any) -> tuple[Any, ...]:
    parts = line.parts
    return (
        str(line.kind),
        line.parent_id,
        line.child_id,
        line.venue,
        line.lp,
        line.resting,
        line.quote_id,
        line.symbol,
        line.side,
        line.account,
        line.rfq_id,
        line.algo,
        line.state,
        line.reason,
        money(line.quantity),
        money(line.filled),
        money(line.notional),
        _or_null(line.arrival),
        _or_null(line.mid),
        _or_null(line.touch),
        _or_null(line.end),
        money(line.basis),
        money(parts.timing),
        money(parts.spread),
        money(parts.mark),
        money(parts.impact),
        money(parts.fade),
        money(parts.fees),
        money(parts.fixed),
        money(parts.opportunity),
        money(line.expected),
        money(line.saved),
        [(currency, format(amount, "f")) for currency, amount in line.unpriced.items()],
        money(line.market_quantity),
        money(line.market_notional),
        list(line.benchmark.items()),
        line.noise_bps,
        line.latency_ns,
        line.hold_ns,
        line.haircut_ppm,
        line.created_ns,
        line.ended_ns,
        line.revision,
    )


def markout_row(markout: Any) -> tuple[Any, ...]:
    return (
        markout.source,
        markout.ref,
        markout.party,
        markout.symbol,
        markout.side,
        money(markout.price),
        money(markout.quantity),
        _or_null(markout.fair),
        markout.ts_ns,
        markout.horizon_ms,
        _or_null(markout.fair_then),
        markout.taken_ns,
    )


def lp_answer_rows(told: Any) -> list[tuple[Any, ...]]:
    """A round of asking LPs: a row an answer."""
    return [
        (
            told.parent_id,
            told.symbol,
            told.side,
            _or_null(told.mid),
            answer.lp,
            answer.rfq_id,
            money(answer.quantity),
            answer.quote_id,
            _or_null(answer.price),
            answer.reason,
            answer.asked_ns,
            answer.answered_ns,
        )
        for answer in told.answers
    ]


def candle_row(venue: str, symbol: str, timeframe: str, fetched_ns: int, candle: Any) -> tuple[Any, ...]:
    return (
        venue,
        symbol,
        timeframe,
        candle.start_ms * 1_000_000,
        money(candle.open),
        money(candle.high),
        money(candle.low),
        money(candle.close),
        money(candle.volume),
        fetched_ns,
    )


def past_trade_row(venue: str, symbol: str, fetched_ns: int, trade: Any) -> tuple[Any, ...]:
    return (
        venue,
        symbol,
        trade.ts_ns,
        trade.trade_id,
        trade.side,
        money(trade.price),
        money(trade.quantity),
        trade.parts,
        fetched_ns,
    )


def _or_null(value: Decimal | None) -> Decimal | None:
    return None if value is None else money(value)


def _from_tuples(table: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    schema = SCHEMAS[table]
    columns = []
    for field, column in zip(schema, zip(*rows, strict=True), strict=True):
        if field.type == TS:
            columns.append(pa.array(column, pa.int64()).cast(TS))
        else:
            columns.append(pa.array(column, field.type))
    return pa.table(columns, schema=schema)


def _records(table: str, row: Callable[[Any], tuple[Any, ...]]) -> Callable[[Sequence[Any]], pa.Table]:
    return lambda records: _from_tuples(table, [row(record) for record in records])


def _tuples(table: str) -> Callable[[Sequence[Any]], pa.Table]:
    return lambda rows: _from_tuples(table, rows)


# What a table's buffer holds, turned into Arrow.
CONVERT: dict[str, Callable[[Sequence[Any]], pa.Table]] = {
    "md_deltas": md_deltas,
    "md_trades": md_trades,
    "md_quotes": md_quotes,
    "lp_ladders": _records("lp_ladders", lp_ladder_row),
    "rfqs": _tuples("rfqs"),
    "rfq_quotes": _records("rfq_quotes", quote_row),
    "client_trades": _records("client_trades", trade_row),
    "risk_decisions": _records("risk_decisions", decision_row),
    "order_events": _tuples("order_events"),
    "fills": _records("fills", fill_row),
    "order_costs": _records("order_costs", cost_row),
    "markouts": _records("markouts", markout_row),
    "lp_answers": _tuples("lp_answers"),
    "feed_events": _tuples("feed_events"),
    "candles": _tuples("candles"),
    "history_trades": _tuples("history_trades"),
    "history_ranges": _tuples("history_ranges"),
}
