"""`Finding`: one thing that was looked at, how it is, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Grade(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"  # a desk runs, but not as it should
    FAIL = "fail"  # a desk will not run, or not safely


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`value`: what was measured or seen. `advice`: a sentence on what to do; empty when all is well."""

    check: str
    grade: Grade
    value: str
    advice: str = ""


def good(check: str, value: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, grade=Grade.OK, value=value)


def graded(check: str, value: str, advice: str, *, warn: bool, fail: bool = False) -> Finding:
    """`fail` before `warn` before well."""
    if not (warn or fail):
        return good(check, value)
    return Finding(check=check, grade=Grade.FAIL if fail else Grade.WARN, value=value, advice=advice)
