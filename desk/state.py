"""`StateFolder`: a desk's folder on disk, held by one process at a time and always by desks of one mode.

A paper desk's ledger is a story, a live desk's is money: the folder remembers which it is (`mode.json`), and continuing it in the other
mode is refused. A folder from before there were marks, with a ledger in it, is a live one: paper trading has always left its mark.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

import msgspec

from desk.errors import ConfigFault, TemporaryFault

LOCK = "desk.lock"
MARK = "mode.json"
LEDGER = "ledger.db"


class Mark(msgspec.Struct, frozen=True):
    """What the folder was made for."""

    mode: str


class StateFolder:
    """`path`, locked for this process until `close` (or its end, however it ends)."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self._lock = lock

    def close(self) -> None:
        """Let others have it."""
        self._lock.close()


def open_state(path: Path, mode: str) -> StateFolder:
    """Make or take the folder for a desk of this mode.

    Raises `TemporaryFault` while another desk runs on it, `ConfigFault` when it is of the other mode or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / LOCK).open("w")
    except OSError as fault:
        raise ConfigFault(f"the state folder {path} cannot be used: {fault.strerror}") from fault
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        lock.close()
        raise TemporaryFault(f"another desk is running on {path}") from fault
    try:
        known = mode_of(path)
        if known is None:
            _write(path / MARK, Mark(mode))
        elif known != mode:
            raise ConfigFault(
                f"{path} is the state of a {known} desk: a {mode} desk must not continue its ledger. "
                f'Give the {mode} desk a folder of its own (state_dir), or say mode = "{known}"'
            )
    except BaseException:
        lock.close()
        raise
    return StateFolder(path, lock)


def mode_of(path: Path) -> str | None:
    """The mode a state folder belongs to; None for a new one."""
    mark = path / MARK
    try:
        return msgspec.json.decode(mark.read_bytes(), type=Mark).mode
    except FileNotFoundError:
        return "live" if (path / LEDGER).exists() else None
    except (msgspec.DecodeError, OSError) as fault:
        raise ConfigFault(f"{mark} cannot be read: {fault}") from fault


def _write(path: Path, mark: Mark) -> None:
    """Whole or not at all, and on disk when this returns."""
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(mark) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
