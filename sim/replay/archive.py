"""The archive of a replay: every tick, decision and cost of a run in a folder that `kerb archive` and `kerb report` read.

The desk's own tap feeds it, so its rows are those a live desk would have kept, on the tape's clock. A run is faster
than the world: rows wait in memory for the flush thread, up to `MOST_ROWS` of a table; what does not fit is dropped,
counted and said. The database is filled after the run, in this process, which nobody trades in.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.clickhouse.client import ArchiveError, open_client
from adapters.clickhouse.config import ArchiveConfig
from adapters.clickhouse.inserter import Inserter
from adapters.clickhouse.migrate import migrate
from adapters.clickhouse.tap import ArchiveTap
from desk.errors import ConfigFault, KerbError
from sim.instruments import VenueInstrument

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MOST_ROWS = 4_000_000


class ReplayArchive:
    """`tap` goes to the engine with the desk; `close` after the run. Raises ConfigFault when the folder holds an archive already."""

    def __init__(self, folder: Path, listings: Iterable[VenueInstrument]) -> None:
        self._folder = folder.absolute()
        self._dsn = f"chdb://{self._folder / 'archive'}"
        if (self._folder / "archive").exists() or (self._folder / "spool").exists():
            raise ConfigFault(f"{folder} holds an archive already; a run needs a folder of its own")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            config = ArchiveConfig(dsn=self._dsn, spool_dir=str(self._folder / "spool"), max_buffer_rows=MOST_ROWS)
            self.tap = ArchiveTap(config, [(listing.symbol, listing.venue) for listing in listings])
        except OSError as fault:
            raise ConfigFault(f"cannot keep an archive in {folder}: {fault.strerror}") from fault

    def close(self) -> tuple[dict[str, int], int]:
        """Fill the database; (rows by table, rows dropped). Raises KerbError when it cannot be filled."""
        self.tap.close()
        inserter = Inserter(self._folder / "spool", self._connect)
        waiting = inserter.waiting()
        while waiting:
            inserter.round()
            left = inserter.waiting()
            if left == waiting:
                inserter.close("failed")
                raise KerbError(f"the archive of the replay is not whole: {inserter.error or 'rows were refused'}")
            waiting = left
        inserter.close("stopped")
        return {table: n for table, n in self.tap.store.tapped().items() if n}, self.tap.store.dropped()

    def _connect(self) -> Client:
        client = open_client(self._dsn)
        try:
            migrate(client)
        except ArchiveError:
            client.close()
            raise
        return client
