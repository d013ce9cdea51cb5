"""Signed REST calls over one pooled connection.

A call that fails before an answer came raises `Unknown`: the desk may have done it. Calls with a client's own id are
exactly-once at the desk, so `retry=True` repeats them with the same id until an answer comes or the attempts are used
up.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from desk.client.credentials import Credentials
from desk.client.faults import fault_of
from desk.errors import ApiFault, Failed, Unknown

ATTEMPTS = 4
BACKOFF_S = 0.15


class Rest:
    """The HTTP half of the SDK. `url` without path; over a unix socket it only names the host."""

    def __init__(self, url: str, credentials: Credentials, session: aiohttp.ClientSession, timeout_s: float) -> None:
        self._url = url.rstrip("/")
        self._credentials = credentials
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def call[T](
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: msgspec.Struct | None = None,
        query: dict[str, str | int | None] | None = None,
        retry: bool = False,
    ) -> T:
        """One request and its decoded answer; raises the `ApiFault` the desk answered with."""
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        content = msgspec.json.encode(body) if body is not None else b""
        attempts = ATTEMPTS if retry or method == "GET" else 1
        clock_corrected = False
        while True:
            attempts -= 1
            try:
                return msgspec.json.decode(await self._once(method, target, content), type=answer)
            except ApiFault as fault:
                if not clock_corrected and self._credentials.learn(fault):
                    clock_corrected = True
                    attempts += 1
                elif attempts <= 0 or not (fault.retryable or not fault.outcome_known) or fault.kind == "limited":
                    raise
            await asyncio.sleep(BACKOFF_S * (ATTEMPTS - attempts))

    async def _once(self, method: str, target: str, content: bytes) -> bytes:
        headers = self._credentials.headers(method, target, content)
        if content:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                aiohttp.client.URL(self._url + target, encoded=True),
                data=content or None,
                headers=headers,
                timeout=self._timeout,
            ) as response:
                text = await response.read()
                status = response.status
        except aiohttp.ClientConnectorError as gone:
            raise Failed("unreachable", f"no connection to the desk: {gone}") from gone
        except (aiohttp.ClientError, TimeoutError, OSError) as lost:
            raise Unknown("no_answer", f"no answer from the desk: {type(lost).__name__} {lost}") from lost
        if status < 400:
            return text
        try:
            error: dict[str, Any] = msgspec.json.decode(text)["error"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise Unknown("no_answer", f"an answer that is not the desk's: {status} {text[:200]!r}") from None
        raise fault_of(error, status)
