"""Compiled kernels on disk that no longer match their sources are forgotten before they can answer.

numba keys its cache by the kernel's own file. A kernel also contains what it calls and the constants it reads from other
files; when only those change, the old machine code would be loaded without a word. So beside the cache of each module
stands the hash of the module and of all modules of ours that it imports, one after the other; where it differs the
module's kernels are compiled anew. Call `refresh` before the first kernel runs.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from numba.core.dispatcher import Dispatcher

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("pricing", "router")
_IMPORT = re.compile(r"^\s*from ((?:pricing|router)[\w.]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


def refresh() -> list[str]:
    """Check every loaded module of the rooms with kernels; the names of those whose kernels were forgotten."""
    _imports.cache_clear()
    forgotten = []
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] not in ROOMS:
            continue
        kernels = [value for value in vars(module).values() if _is_kernel(value, name)]
        if not kernels:
            continue
        caches = [getattr(kernel, "_cache") for kernel in kernels]  # noqa: B009 - numba tells nobody where it keeps them
        mark, now = Path(caches[0].cache_path) / f"{name}.sources", digest(name)
        known = mark.read_text() if mark.is_file() else ""
        if known == now:
            continue
        with suppress(OSError):  # a cache that cannot be written was not written by older sources either
            mark.parent.mkdir(parents=True, exist_ok=True)
            for kept in caches:
                kept.flush()
            mark.write_text(now)
            forgotten.append(name)
    return forgotten


def _is_kernel(value: object, module: str) -> bool:
    """Whether `module` defines a compiled function that is kept on disk."""
    if not isinstance(value, Dispatcher) or value.__module__ != module:
        return False
    return hasattr(getattr(value, "_cache", None), "flush")


def digest(name: str) -> str:
    """Hash of the sources of a module and of all that it imports of ours."""
    return sha256("".join(_imports(module)[0] for module in sources(name)).encode()).hexdigest()


def sources(name: str) -> list[str]:
    """A module and all modules of the rooms with kernels that it imports, directly or not."""
    seen, waiting = {name}, [name]
    while waiting:
        for other in _imports(waiting.pop())[1]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return sorted(seen)


@cache
def _imports(name: str) -> tuple[str, tuple[str, ...]]:
    """Hash of one module's source, and the modules of ours that it imports."""
    source = _path(name).read_text()
    found = []
    for origin, names in _IMPORT.findall(source):
        if _path(origin).is_file():
            found.append(origin)
        found += [f"{origin}.{part}" for part in re.findall(r"\w+", names) if _path(f"{origin}.{part}").is_file()]
    return sha256(source.encode()).hexdigest(), tuple(found)


def _path(name: str) -> Path:
    return (ROOT / name.replace(".", "/")).with_suffix(".py")
