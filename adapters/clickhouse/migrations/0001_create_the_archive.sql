-- Prices and sizes of market data are Decimal128(16), bit for bit the engine's own numbers; money of the desk is Decimal(38, 18).
-- Every table accepts a retried batch once: the token of an insert is remembered for the last ten thousand inserts.

CREATE TABLE IF NOT EXISTS md_deltas (
    instrument_id LowCardinality(String),
    ts_event DateTime64(9, 'UTC') CODEC(GCD, Delta, ZSTD(1)),
    ts_init DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    seq UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'number of the book message: desk epoch in the upper 24 bits',
    i UInt32 CODEC(Delta, ZSTD(1)) COMMENT 'place of the level in its message',
    kind Enum8('update' = 0, 'snapshot' = 1, 'clear' = 2),
    side Int8 COMMENT '1 bid, -1 ask, 0 for a message without levels',
    price Decimal(38, 16) CODEC(ZSTD(1)),
    size Decimal(38, 16) CODEC(ZSTD(1)) COMMENT '0 removes the level'
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(ts_init) ORDER BY (instrument_id, ts_init, seq, i)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS md_trades (
    instrument_id LowCardinality(String),
    ts_event DateTime64(9, 'UTC') CODEC(GCD, Delta, ZSTD(1)),
    ts_init DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    trade_id String CODEC(ZSTD(1)),
    side Enum8('none' = 0, 'buy' = 1, 'sell' = 2) COMMENT 'of the aggressor',
    price Decimal(38, 16) CODEC(ZSTD(1)),
    size Decimal(38, 16) CODEC(ZSTD(1))
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(ts_init) ORDER BY (instrument_id, ts_event, trade_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS md_quotes (
    instrument_id LowCardinality(String),
    ts_event DateTime64(9, 'UTC') CODEC(GCD, Delta, ZSTD(1)),
    ts_init DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    bid_price Decimal(38, 16) CODEC(ZSTD(1)),
    ask_price Decimal(38, 16) CODEC(ZSTD(1)),
    bid_size Decimal(38, 16) CODEC(ZSTD(1)),
    ask_size Decimal(38, 16) CODEC(ZSTD(1))
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(ts_init) ORDER BY (instrument_id, ts_event, ts_init)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS lp_ladders (
    lp LowCardinality(String),
    symbol LowCardinality(String),
    ts DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    quantities Array(Decimal(38, 18)) CODEC(ZSTD(1)),
    bids Array(Decimal(38, 18)) CODEC(ZSTD(1)),
    asks Array(Decimal(38, 18)) CODEC(ZSTD(1))
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(ts) ORDER BY (lp, symbol, ts)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS rfqs (
    rfq_id String,
    client_id LowCardinality(String),
    client_rfq_id String,
    symbol LowCardinality(String),
    side LowCardinality(String),
    quantity Decimal(38, 18),
    currency LowCardinality(String),
    ttl_ms UInt32,
    state LowCardinality(String),
    reason String,
    quote_ids Array(String),
    trade_id String,
    created DateTime64(9, 'UTC'),
    updated DateTime64(9, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(created) ORDER BY (client_id, rfq_id, updated)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS rfq_quotes (
    quote_id String,
    rfq_id String,
    client_id LowCardinality(String),
    symbol LowCardinality(String),
    side LowCardinality(String) COMMENT 'of the client',
    price Decimal(38, 18),
    quantity Decimal(38, 18),
    amount Decimal(38, 18),
    fair Decimal(38, 18),
    steps Array(LowCardinality(String)) COMMENT 'the waterfall: fair + sum(amounts) = price',
    amounts Array(Decimal(38, 18)),
    valid_until DateTime64(9, 'UTC'),
    created DateTime64(9, 'UTC'),
    streamed Bool
) ENGINE = MergeTree PARTITION BY toYYYYMM(created) ORDER BY (rfq_id, quote_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS client_trades (
    trade_id String,
    quote_id String,
    rfq_id String,
    client_id LowCardinality(String),
    client_order_id String,
    symbol LowCardinality(String),
    side LowCardinality(String) COMMENT 'of the client',
    price Decimal(38, 18),
    quantity Decimal(38, 18),
    amount Decimal(38, 18),
    fair Decimal(38, 18),
    skew Decimal(38, 18),
    traded DateTime64(9, 'UTC'),
    settle_due DateTime64(9, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(traded) ORDER BY (symbol, traded, trade_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS risk_decisions (
    decision_id String,
    outcome Enum8('refused' = 0, 'approved' = 1),
    stage LowCardinality(String),
    intent_id String,
    symbol LowCardinality(String),
    venue LowCardinality(String),
    client_id LowCardinality(String),
    side LowCardinality(String),
    quantity Nullable(Decimal(38, 18)) COMMENT 'null: not a number that money can be counted in',
    price Nullable(Decimal(38, 18)),
    check LowCardinality(String) COMMENT 'what refused',
    value String,
    limit String,
    message String,
    limits Map(String, String) COMMENT 'what an approval was held against',
    ts DateTime64(9, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (outcome, check, ts, decision_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS order_events (
    kind Enum8('parent' = 0, 'child' = 1),
    parent_id String,
    child_id String,
    rfq_id String,
    quote_id String,
    venue LowCardinality(String),
    symbol LowCardinality(String),
    side LowCardinality(String) COMMENT 'ours',
    quantity Decimal(38, 18),
    limit_price Nullable(Decimal(38, 18)),
    state LowCardinality(String),
    filled Decimal(38, 18),
    notional Decimal(38, 18),
    arrival_mid Nullable(Decimal(38, 18)),
    reason String,
    created DateTime64(9, 'UTC'),
    updated DateTime64(9, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(created) ORDER BY (parent_id, child_id, updated)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS fills (
    venue LowCardinality(String),
    symbol LowCardinality(String),
    trade_id String,
    client_order_id String,
    side LowCardinality(String) COMMENT 'ours',
    price Decimal(38, 18),
    quantity Decimal(38, 18),
    fee Decimal(38, 18) COMMENT 'positive: we pay',
    fee_currency LowCardinality(String),
    ts DateTime64(9, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (symbol, ts, venue, trade_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS feed_events (
    ts DateTime64(9, 'UTC'),
    kind LowCardinality(String) COMMENT 'clear, snapshot, lp_down, lp_up, drop, fault, alert',
    venue LowCardinality(String),
    symbol LowCardinality(String),
    detail String,
    count UInt64
) ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (kind, venue, symbol, ts)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
