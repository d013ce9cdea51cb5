"""What reaches the port and is no HTTP: answered in the one error shape too, and not worth a stack trace in the log.

aiohttp refuses what its parser cannot read before any route or middleware sees it. Its hook for that is a method of the connection's
protocol; the subclasses here are only the way to it.
"""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from desk.api.faults import error_response, fault_of_http, new_request_id

_log = logging.getLogger(__name__)


class _Protocol(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An answer without a word of what the parser said; the connection closes after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was under way: the connection can only be cut")
        request_id = new_request_id()
        if status >= 500:
            _log.error("a connection failed, request %s", request_id, exc_info=exc)
        else:
            _log.info("not HTTP, request %s: %s", request_id, type(exc).__name__)
        response = error_response(fault_of_http(status, "the request", "as sent"), request_id)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """`web.AppRunner` whose connections answer unreadable requests like every other refusal."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # nothing but `__call__` differs; the application makes its server itself
        return server
