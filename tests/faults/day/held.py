"""What a process holds at one moment: descriptors, sockets, tasks, objects by type, memory, and the size of every container of the links.

Memory three ways: resident (`statm`), what `malloc` has given out and not got back (`mallinfo2`), and Python's own blocks. What is resident
and not given out is free space that the allocator keeps.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import msgspec

DEEPEST = 7
NESTED = 2  # containers within containers: deeper ones are rows of a venue
OURS = ("adapters.ccxt", "ccxt")
MARKETS = (
    "markets",
    "markets_by_id",
    "currencies",
    "currencies_by_id",
    "fees",
    "options",
    "api",
    "urls",
    "has",
    "features",
)


class _Mallinfo2(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


_LIBC = ctypes.CDLL(None)
_LIBC.mallinfo2.restype = _Mallinfo2


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """At one moment. Sizes in KiB; `types`: live objects that the collector knows, the most frequent; `containers`: entries by path."""

    at_s: float
    files: int
    sockets: int
    tasks: int
    clients: int
    futures: int
    objects: int
    blocks: int
    resident_kb: int
    trimmed_kb: int  # resident after free space was given back
    malloc_kb: int
    types: dict[str, int]
    containers: dict[str, int]


def held(at_s: float, links: dict[str, Any], aside: int) -> Held:
    """What is held now, cycles of garbage collected first. `links` by name; `aside`: tasks that are not theirs."""
    gc.collect()
    objects = gc.get_objects()
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in objects)
    count = len(objects)
    del objects
    clients = [one for link in links.values() for one in link._exchange.clients.values()]
    resident = resident_kb()
    info = _LIBC.mallinfo2()
    _LIBC.malloc_trim(0)
    names = [_target(name) for name in os.listdir("/proc/self/fd")]
    return Held(
        at_s=round(at_s, 1),
        files=len(names),
        sockets=sum(name.startswith("socket:") for name in names),
        tasks=len(asyncio.all_tasks()) - aside,
        clients=len(clients),
        futures=sum(len(one.futures) + len(one.subscriptions) + len(one.rejections) for one in clients),
        objects=count,
        blocks=sys.getallocatedblocks(),
        resident_kb=resident,
        trimmed_kb=resident_kb(),
        malloc_kb=(info.uordblks + info.hblkhd) // 1024,
        types=dict(types.most_common(80)),
        containers={path: size for name, link in links.items() for path, size in containers(link, name).items()},
    )


def resident_kb() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _target(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # the descriptor of the listing itself
        return ""


def containers(root: Any, name: str) -> dict[str, int]:
    """Entries of every container that `root` reaches over attributes of our objects and ccxt's, by path; those of one path are added up."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [(name, root, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        value = getattr(value, "__self__", value)  # a hook that is a bound method leads to its object
        if id(value) in seen or depth > DEEPEST:
            continue
        seen.add(id(value))
        match value:
            case dict() | list() | tuple() | set() | frozenset() | deque():
                if not isinstance(value, tuple):
                    found[path] += len(value)
                inner = value.values() if isinstance(value, dict) else value
                if path.count("[]") < NESTED:
                    waiting += [(f"{path}[]", one, depth + 1) for one in inner if _leads_on(one)]
                if type(value) not in (
                    dict,
                    list,
                    tuple,
                    set,
                    frozenset,
                    deque,
                ):  # ccxt's caches are lists with indexes of their own
                    waiting += [(f"{path}.{key}", one, depth + 1) for key, one in _attributes(value)]
            case _ if type(value).__module__.startswith(OURS):
                waiting += [(f"{path}.{key}", one, depth + 1) for key, one in _attributes(value)]
    return dict(found)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Attributes that may lead to containers; of ccxt's description of a venue and its markets none."""
    slots = {slot: getattr(value, slot, None) for one in type(value).__mro__ for slot in getattr(one, "__slots__", ())}
    for key, one in (slots | getattr(value, "__dict__", {})).items():
        if key not in MARKETS and _leads_on(one):
            yield key, one


def _leads_on(value: Any) -> bool:
    one = getattr(value, "__self__", value)
    return isinstance(one, (dict, list, tuple, set, frozenset, deque)) or (
        type(one).__module__.startswith(OURS) and not isinstance(one, (type, msgspec.Struct, BaseException))
    )


def slope_a_day(values: list[float], at_s: list[float]) -> float:
    """Least squares: growth in 24 hours."""
    mean_x, mean_y = sum(at_s) / len(at_s), sum(values) / len(values)
    spread = sum((x - mean_x) ** 2 for x in at_s)
    return (
        86_400 * sum((x - mean_x) * (y - mean_y) for x, y in zip(at_s, values, strict=True)) / spread if spread else 0.0
    )
