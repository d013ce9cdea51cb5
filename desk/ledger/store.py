"""The ledger's database: one writer, group commit, nothing done before it is durable.

Promises: writes become durable in the order they were submitted; `done` runs only after the commit that holds the
write; a write that fails leaves nothing behind and does not disturb its neighbours. The queue is bounded: an
ordinary write over the limit is refused at once, a `fact` (something that has already happened outside, an
execution) is always taken and tried again until it is on disk.

Live: a writer thread commits what has queued up as one transaction, so that a busy moment costs one fsync, and hands
the callbacks to `on_done` as one function to be run on the loop thread. Inline (replay): each write commits in the
caller, callbacks run at once. SQLite runs with WAL and synchronous=FULL: a commit is on the disk, not in its cache.
Reads use their own connection and see only commits.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, Row, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql import Executable

from desk.errors import ConfigFault, Failed
from desk.ledger import schema

log = logging.getLogger(__name__)

GROUP = 256  # writes in one transaction
QUEUE = 20_000  # ordinary writes waiting; beyond it they are refused
LOCK_S = 5.0  # how long SQLite waits for another program that holds the file
RETRY_S = 0.25  # between attempts to write a fact down

Dispatch = Callable[[Callable[[], None]], None]


@dataclass(slots=True)
class Write:
    """One atomic change. `run` must be repeatable: it may be rolled back and run again."""

    run: Callable[[Connection], object]
    done: Callable[[object], None]  # with what `run` returned, after the commit
    failed: Callable[[Exception], None]
    fact: bool = False


class Store:
    """An open ledger database."""

    def __init__(self, url: str, *, inline: bool, on_done: Dispatch | None) -> None:
        self._engine = _engine(url)
        self._on_done: Dispatch = on_done or (lambda deliver: deliver())
        self.on_fault: Callable[[str, Exception], None] = lambda what, error: log.error("%s: %s", what, error)
        self.inline = inline = inline or _in_memory(self._engine.url)  # a database in memory has one connection
        self.commits = 0  # transactions committed
        self.writes = 0  # writes they held
        self._queue: deque[Write] = deque()
        self._wake = threading.Condition()
        self._busy = False
        self._closing = False
        self._read_lock = threading.Lock()
        self._writer = self._connect_writer()
        with self._writer.begin():
            schema.create(self._writer)
        self._reader = self._writer if inline else self._engine.connect()
        self._thread: threading.Thread | None = None
        if not inline:
            self._thread = threading.Thread(target=self._write_forever, name="ledger-writer", daemon=True)
            self._thread.start()

    # ---- writing ---------------------------------------------------------------------------------

    def submit(self, write: Write) -> None:
        """Queue a write (live) or commit it now (inline)."""
        if self.inline:
            try:
                result = self._commit([write])[0]
            except Exception as error:  # reported to whoever asked for the write
                write.failed(_fault(error))
                return
            write.done(result)
            return
        refusal = ""
        with self._wake:
            if self._closing:
                refusal = "the ledger is closing"
            elif len(self._queue) >= QUEUE and not write.fact:
                refusal = f"{QUEUE} writes are waiting for the disk"
            else:
                self._queue.append(write)
                self._wake.notify()
        if refusal:
            fault = Failed("ledger_busy", refusal)
            self._on_done(lambda: write.failed(fault))

    @property
    def waiting(self) -> int:
        """Writes that are not durable yet."""
        return len(self._queue)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything submitted so far is durable; False when it took longer."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._queue and not self._busy, timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write down what is queued and stop. False when a write could not be made durable in time."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        clean = True
        if self._thread is not None:
            self._thread.join(timeout_s)
            clean = not self._thread.is_alive()
        if clean:
            if self._reader is not self._writer:
                self._reader.close()
            self._writer.close()
            self._engine.dispose()
        return clean

    def _write_forever(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                batch = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
                self._busy = True
            outcomes, again = self._try(batch)
            if outcomes:
                self._hand_over(outcomes)
            with self._wake:
                self._queue.extendleft(reversed(again))
                self._busy = False
                self._wake.notify_all()
                if again:
                    self._wake.wait_for(lambda: False, RETRY_S)

    def _try(self, batch: list[Write]) -> tuple[list[tuple[Write, object]], list[Write]]:
        """Commit the batch together, or failing that one by one. Returns outcomes, and facts to be tried again."""
        try:
            return list(zip(batch, self._commit(batch), strict=True)), []
        except Exception as error:  # found out below, write by write
            if len(batch) > 1:
                log.warning("a group of %d writes failed (%s): writing them one by one", len(batch), error)
        outcomes: list[tuple[Write, object]] = []
        for position, write in enumerate(batch):
            try:
                outcomes.append((write, self._commit([write])[0]))
            except Exception as error:  # told to the writer of this one, or tried again
                if write.fact and isinstance(error, OperationalError | InterfaceError) and not self._closing:
                    self.on_fault("an execution is not on disk yet, trying again", error)
                    # Order matters to a fact's neighbours: what follows it waits as well.
                    return outcomes, batch[position:]
                outcomes.append((write, _fault(error)))
        return outcomes, []

    def _commit(self, batch: Sequence[Write]) -> list[object]:
        try:
            with self._writer.begin():
                results = [write.run(self._writer) for write in batch]
        except Exception:
            if self._writer.invalidated or self._writer.closed:
                self._writer = self._connect_writer()
            raise
        self.commits += 1
        self.writes += len(batch)
        return results

    def _connect_writer(self) -> Connection:
        connection = self._engine.connect()
        connection.info["begin"] = "BEGIN IMMEDIATE"
        return connection

    def _hand_over(self, outcomes: list[tuple[Write, object]]) -> None:
        def deliver() -> None:
            for write, outcome in outcomes:
                try:
                    if isinstance(outcome, Exception):
                        write.failed(outcome)
                    else:
                        write.done(outcome)
                except Exception as error:  # one bad callback must not swallow the others' answers
                    self.on_fault("after a ledger write", error)

        try:
            self._on_done(deliver)
        except RuntimeError as error:  # the loop has closed: what is written is written, nobody is left to tell
            log.warning("%d ledger callbacks dropped: %s", len(outcomes), error)

    # ---- reading ---------------------------------------------------------------------------------

    def read(self, statement: Executable, values: dict[str, object] | None = None) -> Sequence[Row]:
        """All rows of a query over what is durable. Keep it indexed and bounded: it runs in the caller's thread."""
        with self._read_lock:
            if self._reader.invalidated:
                self._reader = self._engine.connect()
            with self._reader.begin():
                return self._reader.execute(statement, values).fetchall()


def _fault(error: Exception) -> Exception:
    if isinstance(error, OperationalError | InterfaceError):
        return Failed("ledger_unavailable", f"the ledger could not be written: {error.orig}")
    return error


def _in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _engine(text: str) -> Engine:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigFault(f"ledger.url {text!r} is not a database URL: sqlite:///path or postgresql://…") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigFault(f"ledger.url: the ledger speaks sqlite and postgresql, not {url.get_backend_name()}")
    if url.get_backend_name() == "postgresql":
        try:
            return create_engine(url, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise ConfigFault(f"ledger.url: {url.drivername} needs the Python package {error.name}") from None
    if _in_memory(url):
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": LOCK_S})
    event.listen(engine, "connect", _sqlite_settings)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    # The writer takes the lock at once: a transaction that starts as a reader can be refused in its middle.
    connection.exec_driver_sql(connection.info.get("begin", "BEGIN"))


def _sqlite_settings(connection: object, _record: object) -> None:
    # The driver's own transaction handling is switched off: BEGIN is said explicitly, so that reads are snapshots
    # and DDL is atomic.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
