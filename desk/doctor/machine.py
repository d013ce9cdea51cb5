"""What can be seen without leaving the machine: disk, open files, permissions, kernels. Every limit is named here."""

from __future__ import annotations

import os
import resource
import stat
import sys
import time
from pathlib import Path

from desk.doctor.finding import Finding, Grade, good, graded

APPENDS = 50
APPEND_BYTES = 4096  # about one ledger transaction
SYNC_WARN_MS, SYNC_FAIL_MS = 20.0, 500.0  # at the 99th percentile: an accept waits for one sync
FILES_WARN, FILES_FAIL = 4096, 512
SECRET_FILES = ("master.key", "keys.json", "access.json")


def disk_sync(state: Path) -> Finding:
    """How long the disk under the state folder takes to make an append durable."""
    check = "disk sync"
    folder = _existing(state)
    path = folder / f".doctor-{os.getpid()}"
    took: list[float] = []
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    except OSError as fault:
        return Finding(
            check=check,
            grade=Grade.FAIL,
            value=f"{folder}: {fault.strerror}",
            advice="Give the desk's user a state_dir that it may write.",
        )
    try:
        for _ in range(APPENDS):
            began = time.perf_counter()
            os.write(descriptor, b"\0" * APPEND_BYTES)
            os.fdatasync(descriptor)
            took.append((time.perf_counter() - began) * 1e3)
    except OSError as fault:
        return Finding(
            check=check, grade=Grade.FAIL, value=f"{folder}: {fault.strerror}", advice="Free or replace this disk."
        )
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    took.sort()
    p50, p99 = took[APPENDS // 2], took[-1]
    return graded(
        check,
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms ({APPENDS} appends with fdatasync in {folder})",
        "Every accept waits for one sync: put state_dir on a local SSD, away from network and overlay file systems.",
        warn=p99 > SYNC_WARN_MS,
        fail=p99 > SYNC_FAIL_MS,
    )


def open_files() -> Finding:
    """How many files and sockets the desk may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    return graded(
        "open files",
        "unlimited" if unlimited else f"{soft} (up to {'any' if hard == resource.RLIM_INFINITY else hard})",
        f"Raise it before starting the desk: ulimit -n {FILES_WARN}, or LimitNOFILE= of its service.",
        warn=not unlimited and soft < FILES_WARN,
        fail=not unlimited and soft < FILES_FAIL,
    )


def key_files(state: Path, config: Path | None) -> list[Finding]:
    """Whether only the owner can read what is secret, and only the owner can change what decides about money."""
    found = []
    for path in (state / name for name in SECRET_FILES):
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        found.append(
            graded(
                "key files",
                f"{path} has mode {mode:04o}",
                f"Others can read it: chmod 600 {path}, and make new keys if others use this machine.",
                warn=False,
                fail=bool(mode & 0o077),
            )
        )
    if config is not None and config.exists():
        mode = stat.S_IMODE(config.stat().st_mode)
        found.append(
            graded(
                "configuration file",
                f"{config} has mode {mode:04o}",
                f"Others can change it: chmod go-w {config}.",
                warn=False,
                fail=bool(mode & 0o022),
            )
        )
    return found or [good("key files", f"none in {state} yet")]


def kernels() -> Finding:
    """Whether the numba kernels come from the cache, and answer their golden vectors."""
    check = "kernels"
    began = time.perf_counter()
    try:
        from desk.kernels import warm
        from pricing.warm import StaleKernels
    except ImportError as fault:
        return Finding(check=check, grade=Grade.FAIL, value=str(fault), advice="Install the environment anew: uv sync.")
    try:
        warm()
    except StaleKernels as fault:
        return Finding(
            check=check,
            grade=Grade.FAIL,
            value=str(fault),
            advice="Delete the __pycache__ folders of pricing and router.",
        )
    seconds, compiled = time.perf_counter() - began, _compiled()
    return graded(
        check,
        f"loaded and proven in {seconds:.1f} s, {compiled} compiled anew",
        "They are cached now; if this is said again, their folder cannot be written: set NUMBA_CACHE_DIR to one that can.",
        warn=compiled > 0,
    )


def _compiled() -> int:
    """Kernels that were not found in the cache by this process."""
    from numba.core.dispatcher import Dispatcher

    seen: dict[int, Dispatcher] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("pricing", "router"):
            for value in vars(module).values():
                if isinstance(value, Dispatcher):
                    seen[id(value)] = value
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in seen.values())


def _existing(path: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
