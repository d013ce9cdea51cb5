-- What orders cost, what trades were worth afterwards, and what LPs answered. Money is Decimal(38, 18); the parts of a cost are positive when they
-- cost the desk, and their sum is its implementation shortfall.

CREATE TABLE IF NOT EXISTS order_costs (
    kind Enum8('parent' = 0, 'child' = 1, 'internal' = 2),
    parent_id String,
    child_id String,
    venue LowCardinality(String),
    lp Bool,
    resting Bool COMMENT 'lay in the book instead of taking from it',
    quote_id String,
    symbol LowCardinality(String),
    side LowCardinality(String) COMMENT 'ours',
    account LowCardinality(String) COMMENT 'empty: the desk itself',
    rfq_id String,
    algo LowCardinality(String),
    state LowCardinality(String),
    reason String,
    quantity Decimal(38, 18),
    filled Decimal(38, 18),
    notional Decimal(38, 18),
    arrival Nullable(Decimal(38, 18)) COMMENT 'fair value when the parent arrived',
    mid Nullable(Decimal(38, 18)) COMMENT 'fair value when the child was decided',
    touch Nullable(Decimal(38, 18)) COMMENT 'best opposite price of the venue at that moment',
    end_price Nullable(Decimal(38, 18)) COMMENT 'fair value when the parent was done',
    basis Decimal(38, 18) COMMENT 'what basis points are of: arrival times filled (parent: ordered) quantity',
    timing Decimal(38, 18),
    spread Decimal(38, 18),
    mark Decimal(38, 18),
    impact Decimal(38, 18),
    fade Decimal(38, 18),
    fees Decimal(38, 18),
    fixed Decimal(38, 18),
    opportunity Decimal(38, 18),
    expected Decimal(38, 18) COMMENT 'what the plan said the filled quantity would cost from the decision on',
    saved Decimal(38, 18) COMMENT 'internal: what crossing at mid spared',
    unpriced Map(String, String) COMMENT 'fees in currencies without a rate',
    market_quantity Decimal(38, 18) COMMENT 'public trades while it was open',
    market_notional Decimal(38, 18),
    benchmark Map(String, Float64) COMMENT 'of a parent with an algorithm: costs in basis points, tracking and participation as shares',
    noise_bps Float64 COMMENT '0.399 sigma sqrt(age + latency) at the decision',
    latency_ns Int64 COMMENT 'from sending to the first word; -1: not known',
    hold_ns Int64 COMMENT 'from sending to the end; -1: not known',
    created DateTime64(9, 'UTC'),
    ended DateTime64(9, 'UTC'),
    revision UInt32 COMMENT 'a late execution makes a line anew: the highest counts'
) ENGINE = MergeTree PARTITION BY toYYYYMM(ended) ORDER BY (kind, symbol, ended, parent_id, child_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS markouts (
    source LowCardinality(String) COMMENT 'client, fill, reject',
    ref String COMMENT 'trade id, venue|symbol|trade id of a fill, or child id of a refusal',
    party LowCardinality(String) COMMENT 'client, venue or LP',
    symbol LowCardinality(String),
    side LowCardinality(String) COMMENT 'ours',
    price Decimal(38, 18),
    quantity Decimal(38, 18),
    fair Nullable(Decimal(38, 18)),
    ts DateTime64(9, 'UTC'),
    horizon_ms UInt32,
    fair_then Nullable(Decimal(38, 18)),
    taken DateTime64(9, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(taken) ORDER BY (source, party, symbol, taken, ref)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS lp_answers (
    parent_id String,
    symbol LowCardinality(String),
    side LowCardinality(String) COMMENT 'ours',
    mid Nullable(Decimal(38, 18)) COMMENT 'fair value when the round was over',
    lp LowCardinality(String),
    rfq_id String,
    quantity Decimal(38, 18),
    quote_id String,
    price Nullable(Decimal(38, 18)) COMMENT 'null: no quote',
    reason String,
    asked DateTime64(9, 'UTC'),
    answered_ns Int64 COMMENT '0: not within the wait'
) ENGINE = MergeTree PARTITION BY toYYYYMM(asked) ORDER BY (lp, symbol, asked, rfq_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
