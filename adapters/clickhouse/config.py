"""What the archive needs to know. Section `archive` of the desk's configuration."""

from __future__ import annotations

import msgspec

SCHEMES = ("chdb", "clickhouse", "clickhouses", "http", "https")


class ArchiveConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where ticks and decisions go.

    `dsn`: `chdb:///path` (embedded) or `clickhouse://user:password@host:port/database`. `spool_dir`: a local folder
    for what is not in the database yet. `flush_ms`: how long a row waits in memory at most (what a power cut can lose).
    `max_buffer_rows`: rows of one table in memory; beyond it rows are dropped and counted. `spool_quota_bytes`: with
    more than this waiting on disk, market data is dropped and counted; business rows are still written.
    """

    dsn: str
    spool_dir: str
    flush_ms: int = 250
    max_buffer_rows: int = 200_000
    spool_quota_bytes: int = 4_000_000_000

    def __post_init__(self) -> None:
        if self.dsn.partition("://")[0] not in SCHEMES:
            raise ValueError("dsn: must be chdb:///path or clickhouse://user:password@host:port/database")
        for name in ("flush_ms", "max_buffer_rows", "spool_quota_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: must be greater than zero")
