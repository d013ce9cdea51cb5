"""Requests over a WebSocket, each answered once, or lost with its socket.

A frame goes out on a ccxt client that is connected already, and its answer is read from the hook, not from what ccxt makes of it, which
would keep a subscription for each order. What ends without an answer (timeout, lost socket) says nothing of the order: UNKNOWN, as by REST.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from adapters.ccxt.account.outcomes import NotSent

FIRST = 1_000_000_000  # ccxt numbers its own requests from 1


class SocketRequests:
    """The requests of one account that are under way on a socket. `timeout_s`: how long an answer may take."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._numbers = itertools.count(FIRST)
        self._open: dict[str, tuple[Any, asyncio.Future[Any]]] = {}

    def number(self) -> str:
        """A number that no request has had."""
        return str(next(self._numbers))

    async def ask(self, client: Any, number: str, frame: Any) -> Any:
        """Send, and the venue's result.

        Raises `NotSent` when there is no socket, what REST would have raised when the venue refuses, and ccxt's `NetworkError` or
        `RequestTimeout` when no answer came: the outcome is unknown.
        """
        import ccxt

        if client is None or client.closed():
            raise NotSent("the socket for orders is not connected")
        answer = asyncio.get_running_loop().create_future()
        self._open[number] = (client, answer)
        try:
            await client.send(frame)
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError:
            raise ccxt.RequestTimeout(f"no answer over the socket within {self._timeout_s:g} s") from None
        finally:
            self._open.pop(number, None)
            client.rejections.pop(number, None)  # ccxt keeps what it thinks somebody will ask for

    def answered(self, number: str, result: Any) -> bool:
        """The venue's word on a request, its result or an exception; whether the request was one of ours."""
        _, answer = self._open.get(number, (None, None))
        if answer is None or answer.done():
            return number.isdigit() and FIRST <= int(number) < 2 * FIRST  # an answer that came too late
        if isinstance(result, BaseException):
            answer.set_exception(result)
        else:
            answer.set_result(result)
        return True

    def lost(self, client: Any, reason: str) -> None:
        """A socket is gone, and with it the answers it owed."""
        import ccxt

        for asked, answer in self._open.values():
            if asked is client and not answer.done():
                answer.set_exception(ccxt.NetworkError(f"the socket was lost before the answer: {reason}"))
