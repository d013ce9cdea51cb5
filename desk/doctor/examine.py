"""All findings in order, and how they are told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from desk.config.load import load
from desk.doctor import machine, reach
from desk.doctor.finding import Finding, Grade

MARKS = {Grade.OK: "ok  ", Grade.WARN: "warn", Grade.FAIL: "FAIL"}


def examine(path: Path | None, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Look at the machine and, with a configuration, at what it names. Raises `ConfigFault` when the file is wrong."""
    config = load(path, environ).config
    state = Path(config.state_dir)
    found = [machine.disk_sync(state), machine.open_files(), *machine.key_files(state, path), machine.kernels()]
    found += asyncio.run(reach.outside(config, environ))
    if path is not None:
        found.append(reach.archive(config, state))
    return found


def lines(findings: Sequence[Finding]) -> list[str]:
    """One line a finding, its advice below it, a count at the end."""
    width = max(len(finding.check) for finding in findings)
    out = []
    for finding in findings:
        out.append(f"{MARKS[finding.grade]}  {finding.check:<{width}}  {finding.value}")
        if finding.advice:
            out.append(f"{'':<{width + 6}}  → {finding.advice}")
    counts = {grade: sum(finding.grade is grade for finding in findings) for grade in Grade}
    out.append(f"{counts[Grade.OK]} ok, {counts[Grade.WARN]} warnings, {counts[Grade.FAIL]} failures")
    return out
