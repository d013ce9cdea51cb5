"""A child process of ours ends with the one that started it, however and whenever that one ends.

The parent starts it with the environment of `as_child()`; the child calls `die_with_parent()` first of all.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

PARENT = "KERB_PARENT"  # the process id of who started us
_PR_SET_PDEATHSIG = 1


def as_child(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment (this process' own, or `environ`) for a child that is to end with this process."""
    return {**(os.environ if environ is None else environ), PARENT: str(os.getpid())}


def is_child() -> bool:
    """Whether who started us wants us to end with it."""
    return PARENT in os.environ


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies; ends at once when it already has. Linux only; elsewhere nothing happens.

    Without `as_child` a parent that died before this call is not noticed: whoever adopted us looks like the one who started us.
    """
    told = os.environ.pop(PARENT, "")  # not for our own children: their parent is another
    if sys.platform != "linux":
        return
    parent = int(told) if told.isdecimal() else os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)
