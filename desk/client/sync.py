"""`SyncKerbClient`: the same calls for scripts without an event loop. One background thread owns the sockets.

Every public coroutine of `KerbClient` is here as a plain method; streams come as plain iterators:

    with SyncKerbClient(url, key, secret) as desk:
        rfq = desk.request_quote("BTC/USDT", "buy", "0.5")
        trade = desk.accept(rfq.quotes[0].quote_id)
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self

from desk.client.client import KerbClient


class SyncKerbClient:
    """Thin: takes the arguments of `KerbClient` and waits for its coroutines."""

    def __init__(self, url: str, key: str, secret: str, **options: Any) -> None:
        self._client = KerbClient(url, key, secret, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kerb-client", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _iterate[T](self, stream: AsyncIterator[T]) -> Iterator[T]:
        try:
            while True:
                try:
                    yield self._wait(_next(stream))
                except StopAsyncIteration:
                    return
        finally:
            if inspect.isasyncgen(stream):
                self._wait(stream.aclose())

    def subscribe(self, channel: str, **params: Any) -> Iterator[Any]:
        """Frames of any channel, one after the other."""
        return self._iterate(self._wait(self._client.subscribe(channel, **params)))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        if inspect.iscoroutinefunction(method):
            return lambda *args, **kwargs: self._wait(method(*args, **kwargs))
        if inspect.isasyncgenfunction(method):
            return lambda *args, **kwargs: self._iterate(method(*args, **kwargs))
        raise AttributeError(f"{name} is not a call of KerbClient")


async def _next[T](stream: AsyncIterator[T]) -> T:
    return await anext(stream)
