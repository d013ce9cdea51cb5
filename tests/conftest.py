"""What every test needs: kernels that match their sources."""

from __future__ import annotations

import sys


def pytest_collection_finish() -> None:
    """Forget compiled kernels of older sources before the first one runs."""
    if "numba" in sys.modules:
        from pricing import kernel_cache

        kernel_cache.refresh()
