-- What venues tell of the past when they are asked. A row that is fetched again replaces the one before: read these tables with FINAL, as
-- `kerb archive query` does by itself. `history_ranges` says what was asked for and is whole; an empty stretch in it was empty at the venue.

CREATE TABLE IF NOT EXISTS candles (
    venue LowCardinality(String),
    symbol LowCardinality(String),
    timeframe LowCardinality(String) COMMENT '1m to 1d, in UTC',
    ts DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'when it opened',
    open Decimal(38, 18) CODEC(ZSTD(1)),
    high Decimal(38, 18) CODEC(ZSTD(1)),
    low Decimal(38, 18) CODEC(ZSTD(1)),
    close Decimal(38, 18) CODEC(ZSTD(1)),
    volume Decimal(38, 18) CODEC(ZSTD(1)) COMMENT 'in base currency, of a perpetual in contracts',
    fetched DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplacingMergeTree(fetched) PARTITION BY toYYYYMM(ts) ORDER BY (venue, symbol, timeframe, ts)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS history_trades (
    venue LowCardinality(String),
    symbol LowCardinality(String),
    ts DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    trade_id String CODEC(ZSTD(1)) COMMENT 'of Binance: of the aggregate trade',
    side Enum8('none' = 0, 'buy' = 1, 'sell' = 2) COMMENT 'of the aggressor',
    price Decimal(38, 18) CODEC(ZSTD(1)),
    quantity Decimal(38, 18) CODEC(ZSTD(1)),
    parts UInt32 COMMENT 'trades of the venue in this row',
    fetched DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplacingMergeTree(fetched) PARTITION BY toYYYYMM(ts) ORDER BY (venue, symbol, ts, trade_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS history_ranges (
    kind LowCardinality(String) COMMENT 'candles, trades',
    venue LowCardinality(String),
    symbol LowCardinality(String),
    timeframe LowCardinality(String) COMMENT 'of candles',
    since DateTime64(9, 'UTC'),
    until DateTime64(9, 'UTC') COMMENT 'not included',
    rows UInt64 COMMENT 'that came with it',
    fetched DateTime64(9, 'UTC')
) ENGINE = MergeTree ORDER BY (kind, venue, symbol, timeframe, since)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
