"""The archive: every tick, quote, decision, order and execution, into ClickHouse, embedded (chDB) or a server by DSN."""
