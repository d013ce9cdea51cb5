"""Counters, gauges and latency histograms in the text format of Prometheus. Numbers about the API only: `/metrics` is public.

A series costs a dict entry; label values come from fixed sets (routes, statuses, channels), never from clients.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

Labels = tuple[tuple[str, str], ...]

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _series(name: str, labels: Labels) -> str:
    inner = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels)
    return f"{name}{{{inner}}}" if inner else name


class Metrics:
    """The registry of one server."""

    def __init__(self) -> None:
        self._help: dict[str, tuple[str, str]] = {}
        self._counters: dict[str, dict[Labels, float]] = {}
        self._gauges: dict[str, Callable[[], dict[Labels, float]]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}

    def describe(self, name: str, kind: str, text: str) -> None:
        """Name a series before using it; `kind` is counter, gauge or histogram."""
        self._help[name] = (kind, text)

    def count(self, name: str, labels: Labels = (), by: float = 1.0) -> None:
        """Add to a counter."""
        series = self._counters.setdefault(name, {})
        series[labels] = series.get(labels, 0.0) + by

    def gauge(self, name: str, read: Callable[[], dict[Labels, float]]) -> None:
        """A value read when somebody looks."""
        self._gauges[name] = read

    def observe(self, name: str, seconds: float, labels: Labels = ()) -> None:
        """Add to a histogram of seconds."""
        series = self._histograms.setdefault(name, {})
        row = series.get(labels)
        if row is None:
            row = series[labels] = [0.0] * (len(BUCKETS_S) + 2)  # buckets, +Inf, sum
        row[bisect_left(BUCKETS_S, seconds)] += 1
        row[-1] += seconds

    def text(self) -> str:
        """Everything, in exposition format 0.0.4."""
        lines: list[str] = []
        for name, (kind, text) in self._help.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            match kind:
                case "counter":
                    lines += [f"{_series(name, key)} {value:g}" for key, value in self._counters.get(name, {}).items()]
                case "gauge":
                    read = self._gauges.get(name)
                    lines += [f"{_series(name, key)} {value:g}" for key, value in (read() if read else {}).items()]
                case _:
                    for key, row in self._histograms.get(name, {}).items():
                        lines += _histogram_lines(name, key, row)
        return "\n".join(lines) + "\n"


def _histogram_lines(name: str, labels: Labels, row: list[float]) -> list[str]:
    lines, total = [], 0.0
    for bound, n in zip([*map(str, BUCKETS_S), "+Inf"], row[:-1], strict=True):
        total += n
        lines.append(f"{_series(f'{name}_bucket', (*labels, ('le', bound)))} {total:g}")
    lines.append(f"{_series(f'{name}_sum', labels)} {row[-1]:.6f}")
    lines.append(f"{_series(f'{name}_count', labels)} {total:g}")
    return lines
