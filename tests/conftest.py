"""What every test needs: kernels that match their sources, and property tests that go deep when asked.

Files that take longest come first, so that at the end no process waits for the last of them (`--no-loadscope-reorder` keeps that order).

`KERB_LONG_TESTS=1` multiplies the `max_examples` of every property test by `DEEPER`, up to `DEEPEST`, and lifts its time limit.
"""

from __future__ import annotations

import os
import sys

import pytest

DEEPER, DEEPEST = 1_250, 50_000  # 40 examples are enough for all of them
LONGEST = {"e2e": 0, "cards": 1, "crash": 2, "faults": 3, "replay": 4, "conformance": 5}  # folders, in order
# hypothesis has no public way to change the settings of a test that names its own
SETTINGS = "_hypothesis_internal_use_settings"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first; and deepened, when asked."""
    items.sort(key=lambda item: LONGEST.get(item.path.parent.name, len(LONGEST)))
    deepen(items)


def deepen(items: list[pytest.Item]) -> None:
    """Deepen property tests; `settings(max_examples=…)` of a test would win over a profile, so it is multiplied."""
    if not os.environ.get("KERB_LONG_TESTS"):
        return
    from hypothesis import settings

    deepened: set[int] = set()
    for item in items:
        if not isinstance(item, pytest.Function) or not getattr(item.obj, "is_hypothesis_test", False):
            continue
        machine = item.cls if hasattr(item.obj, "_hypothesis_state_machine_class") else None
        holder, name = (machine, "settings") if machine is not None else (item.obj, SETTINGS)
        target = getattr(holder, "__func__", holder)  # a method's settings live on its function
        if id(target) not in deepened:  # parametrised items share one function
            deepened.add(id(target))
            own = getattr(target, name)
            most = min(DEEPEST, DEEPER * own.max_examples)
            setattr(target, name, settings(own, max_examples=max(own.max_examples, most), print_blob=True))
        item.add_marker(pytest.mark.timeout(0))


def pytest_collection_finish() -> None:
    """Forget compiled kernels of older sources before the first one runs."""
    if "numba" in sys.modules:
        from pricing import kernel_cache

        kernel_cache.refresh()
