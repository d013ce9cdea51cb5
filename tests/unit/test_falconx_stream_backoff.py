"""How long the price stream waits before it connects again: longer while connecting fails, briefly after it has been up for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace

import pytest

from adapters.falconx import stream as under_test
from adapters.falconx.config import FalconXConfig
from adapters.falconx.stream import LONGEST_BACKOFF_S, FalconXStream, StreamFault


def waits(monkeypatch: pytest.MonkeyPatch, sessions: Sequence[float | None]) -> list[float]:
    """The pauses after sessions that were up for so many seconds (None: never authenticated), without the jitter."""
    clock, pauses = SimpleNamespace(now=1_000.0), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += seconds

    class Sessions(FalconXStream):
        async def _session(self) -> None:
            if len(pauses) == len(sessions):
                raise asyncio.CancelledError
            lasted = sessions[len(pauses)]
            clock.now += 5.0  # a slow handshake is no time of being up
            if lasted is not None:
                self._up_s = clock.now
                clock.now += lasted
            raise StreamFault("lost")

    monkeypatch.setattr(under_test, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(under_test, "asyncio", SimpleNamespace(sleep=sleep, CancelledError=asyncio.CancelledError))
    stream = Sessions(
        FalconXConfig(
            rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1", api_key="k", secret="cw==", passphrase="p", symbols=("BTC/USDT",)
        ),
        lambda symbol, rungs, reason: None,
        clock_ns=lambda: 0,
    )  # fmt: skip
    stream._dice = SimpleNamespace(uniform=lambda low, high: low)  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stream._run())
    return pauses


def test_each_failure_to_connect_doubles_the_pause_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = waits(monkeypatch, [None] * 12)
    assert all(after == min(2 * before, LONGEST_BACKOFF_S) for before, after in pairwise(pauses))
    assert pauses[-1] == LONGEST_BACKOFF_S


def test_a_session_that_was_up_longer_than_the_pause_before_it_forgives_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = waits(monkeypatch, [None, None, None, None, 20.0, 20.0, None])
    assert pauses[3] > 4 * pauses[0]
    assert pauses[4] == pauses[5] == pauses[0]


def test_a_session_that_dies_at_once_forgives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = waits(monkeypatch, [None, 0.01, 0.01, 0.01])
    assert pauses == sorted(pauses) and pauses[-1] == 8 * pauses[0]
